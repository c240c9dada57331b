// A peer of ours: Go's net, a goroutine for each connection. It looks for no lines.
//
// usage: go_echo [-hello | -udp | -cert FILE] PORT
//
// A FILE has a certificate and its key, in PEM. GOMAXPROCS says how many cores it uses.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"strconv"
)

const hello = "Hello World!\n"

func echo(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 16384)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err = c.Write(buf[:n]); err != nil {
			return
		}
	}
}

func greet(c net.Conn) {
	defer c.Close()
	c.Write([]byte(hello))
}

func serveDatagrams(address string) {
	pc, err := net.ListenPacket("udp", address)
	if err != nil {
		log.Fatal(err)
	}
	c := pc.(*net.UDPConn)
	fmt.Println("listening", c.LocalAddr().(*net.UDPAddr).Port)
	buf := make([]byte, 65536)
	for {
		n, peer, err := c.ReadFromUDPAddrPort(buf)
		if err == nil {
			c.WriteToUDPAddrPort(buf[:n], peer)
		}
	}
}

func overTLS(l net.Listener, file string) net.Listener {
	cert, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		log.Fatal(err)
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}})
}

func main() {
	greets := flag.Bool("hello", false, "greet each client and close")
	udp := flag.Bool("udp", false, "datagrams")
	cert := flag.String("cert", "", "TLS, with this certificate")
	flag.Parse()
	port, err := strconv.Atoi(flag.Arg(0))
	if err != nil || flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	if *udp {
		serveDatagrams(address)
	}
	l, err := net.Listen("tcp", address) // Go sets TCP_NODELAY itself
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening", l.Addr().(*net.TCPAddr).Port)
	if *cert != "" {
		l = overTLS(l, *cert)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		if *greets {
			go greet(c)
		} else {
			go echo(c)
		}
	}
}
