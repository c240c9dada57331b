#!/bin/sh
# socketserverd as a user runs it: each stock handler in each mode over each
# transport, by real clients; what it tells; what it refuses; signals.
#
# usage: check_socketserverd.sh SOURCE_DIR BUILD_DIR
#
# Nothing sleeps: a daemon is ready when its lines are read, and a time limit
# of 20 seconds bounds each wait.
# shellcheck disable=SC2317 # functions that are called by traps
set -u

if [ $# -ne 2 ] || [ ! -f "$1/meson.build" ] || [ ! -x "$2/handlers/socketserverd" ]; then
	echo "usage: check_socketserverd.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$1/tests/support/report.sh"
source=$1
build=$(cd "$2" && pwd) || exit 2
# shellcheck source=tests/support/daemon.sh
. "$1/tests/support/daemon.sh"
# shellcheck source=tests/support/talk.sh
. "$1/tests/support/talk.sh"

# has NAME WORDS TEXT: holds when the text has these words
has() {
	case $3 in
	*"$2"*) ok "$1" ;;
	*) not_ok "$1" "expected: $2" "got: $3" ;;
	esac
}

# refused NAME CODE WORDS ARGUMENT...: see refuses in talk.sh
refused() {
	name=$1 want=$2 words=$3
	shift 3
	refuses "$name" "$want" "$words" "$daemon" "$@"
}

# ---- a daemon; its log is read at descriptor 3 ----

# start LINES ARGUMENT...: waits for so many lines about addresses; sets
# addresses, which are separated by blanks. 1 when it ends before.
start() {
	lines=$1
	shift
	rm -f "$tmp/log"
	mkfifo "$tmp/log" || exit 2
	# shellcheck disable=SC2086
	$hears_signals "$daemon" "$@" 2>"$tmp/log" >"$tmp/out" &
	pid=$!
	exec 3<"$tmp/log"
	addresses=
	while [ "$lines" -gt 0 ]; do
		if ! read -r line <&3; then
			not_ok "socketserverd $*" "it ended"
			wait "$pid"
			pid=
			return 1
		fi
		case $line in
		*": listening on "*)
			addresses="$addresses${addresses:+ }${line##* }"
			lines=$((lines - 1)) ;;
		*) not_ok "socketserverd $*" "$line" ;;
		esac
	done
}

# stop NAME SIGNAL...: holds when it ends with 0, and statistics as its last line
stop() {
	name=$1
	shift
	for signal; do
		[ -n "$hears_signals" ] || [ "$signal" != INT ] || signal=TERM
		kill -"$signal" "$pid"
	done
	rest=$($limit cat <&3)
	wait "$pid"
	code=$?
	pid=
	exec 3<&-
	case $code,$rest in
	"0,socketserver: "*": stopped: "*" connections, "*" bytes out") ok "$name" ;;
	*) not_ok "$name" "exit code $code" "$rest" ;;
	esac
}

cat "$source/tests/support/client.py" - >"$tmp/ask.py" <<'END'
"""Asks a stock handler at each address, as its RFC says: ask.py HANDLER ADDRESS..."""
import re, socket, struct, sys, time

def exactly(s, n):
    data = b""
    while len(data) < n:
        part = s.recv(n - len(data))
        assert part, "it ended after %d bytes" % len(data)
        data += part
    return data

def answer(s, is_stream):
    """What comes without, or for, a word."""
    if is_stream:
        return all_of(s)
    s.send(b"?")
    return s.recv(65536)

def hello(s, is_stream):
    assert answer(s, is_stream) == b"Hello World!\n"

def echo(s, is_stream):
    if not is_stream:
        for text in (b"a\nb", bytes(range(256)) * 100):
            s.send(text)
            assert s.recv(65536) == text
        return
    for text in (b"in ", b"pieces\n", b"\0\n\xff"):
        s.sendall(text)
        assert exactly(s, len(text)) == text
    big = bytes(range(256)) * 200
    s.sendall(big)
    s.shutdown(socket.SHUT_WR)
    assert all_of(s) == big

def discard(s, is_stream):
    for _ in range(3):
        s.send(b"x" * 1000)
    if is_stream:
        s.shutdown(socket.SHUT_WR)
        assert all_of(s) == b""
    else:
        s.settimeout(0.05)
        try:
            raise SystemExit("an answer: %r" % s.recv(100))
        except socket.timeout:
            pass

def daytime(s, is_stream):
    line = answer(s, is_stream).decode()
    assert re.fullmatch(r"[A-Z]\w+, [A-Z]\w+ \d\d, \d{4} \d\d:\d\d:\d\d-\w+\r\n", line), line

def time_(s, is_stream):
    seconds, = struct.unpack("!I", answer(s, is_stream))
    assert abs(seconds - (int(time.time()) + 2208988800) % 2**32) < 100, seconds

def line(n):
    return bytes(32 + (n + i) % 95 for i in range(72)) + b"\r\n"

def chargen(s, is_stream):
    if is_stream:
        text = exactly(s, 74 * 200)
        assert text == b"".join(line(n) for n in range(200))
        return # and closes, with input unread
    lengths = set()
    for _ in range(20):
        s.send(b"?")
        try:
            text = s.recv(65536)
        except socket.timeout:
            continue
        s.settimeout(0.2) # one of 513 has no bytes, and so is none
        assert len(text) <= 512 and text == b"".join(line(n) for n in range(7))[:len(text)]
        lengths.add(len(text))
    assert len(lengths) > 5, lengths

STOCK_PORTS = (1313, 1919, 2525, 3737, 6379, 7007, 7979, 9009)

def from_a_service(address):
    """From such a port comes no question, but what another service, or this one, said."""
    server = (address.split(":")[1], int(address.split(":")[2]))
    services = []
    for port in (*STOCK_PORTS, server[1], *range(1023, 511, -1)):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            s.bind(("127.0.0.2", port))
        except PermissionError:
            break # the others are below 1024 as well
        except OSError:
            continue # somebody has it
        s.sendto(b"?" * 100, server)
        services.append(s)
        if port < 1024:
            break
    assert services
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.settimeout(0.2)
    while True: # of chargen a reply may have no bytes, and so be none
        other.sendto(b"?" * 100, server)
        try:
            other.recv(65536)
            break
        except socket.timeout:
            continue
    for s in services:
        s.setblocking(False)
        try:
            raise SystemExit("an answer to port %d: %r" % (s.getsockname()[1], s.recv(65536)))
        except BlockingIOError:
            pass # and it would have come before the other's

if sys.argv[1] == "from_a_service":
    from_a_service(sys.argv[2])
    sys.exit()
handlers = {"hello": hello, "echo": echo, "discard": discard, "daytime": daytime,
    "time": time_, "chargen": chargen}
for address in sys.argv[2:]:
    s = connect(address)
    is_stream = s.type == socket.SOCK_STREAM
    try:
        handlers[sys.argv[1]](s, is_stream)
    except Exception as error:
        raise SystemExit("%s: %s: %r" % (sys.argv[1], address, error))
    s.close()
END

# asked NAME HANDLER ADDRESS...
asked() {
	name=$1
	shift
	if ! command -v python3 >/dev/null; then
		skip "$name" "no python3"
	elif $limit python3 "$tmp/ask.py" "$@" >"$tmp/said" 2>&1; then
		ok "$name"
	else
		not_ok "$name" "$(tail -n 5 "$tmp/said")"
	fi
}

# ---- every stock handler, in every mode, over every transport ----

for handler in hello echo discard daytime time chargen; do
	for mode in fibers serial threads processes; do
		start 4 "$handler" --mode "$mode" --listen 127.0.0.1:0 --listen udp:127.0.0.1:0 \
		    --listen "unix:$tmp/s" --listen "unix-dgram:$tmp/d" || continue
		# shellcheck disable=SC2086
		asked "$handler, $mode: tcp, udp, unix, unix-dgram" "$handler" $addresses
		stop "$handler, $mode: SIGTERM" TERM
	done
done
none "no Unix socket file is left" "$(find "$tmp" -type s)"

# All that answer datagrams, or two of them could be made to talk for ever.
for handler in hello echo daytime time chargen users; do
	start 1 "$handler" --listen udp:127.0.0.1:0 || continue
	asked "$handler: a datagram from a port of a service is not answered" from_a_service "$addresses"
	stop "$handler, udp: SIGTERM" TERM
done

start 3 echo --workers 2 --listen tcp:127.0.0.1:0 --listen udp:127.0.0.1:0 --listen "unix:$tmp/s"
# shellcheck disable=SC2086
asked "echo on two loops" echo $addresses
# shellcheck disable=SC2086
set -- $addresses
for client in socat ncat; do
	for address; do
		name="echo, $client, ${address%%:*}"
		command -v $client >/dev/null || {
			skip "$name" "no $client"
			continue
		}
		port=${address##*:}
		case $client,$address in
		socat,tcp:*) command="socat - TCP4:127.0.0.1:$port" ;;
		socat,udp:*) command="socat - UDP4:127.0.0.1:$port" ;;
		socat,unix:*) command="socat - UNIX-CONNECT:$tmp/s" ;;
		ncat,tcp:*) command="ncat 127.0.0.1 $port" ;;
		ncat,udp:*) command="ncat -u 127.0.0.1 $port" ;;
		ncat,unix:*) command="ncat -U $tmp/s" ;;
		esac
		# shellcheck disable=SC2086
		same "$name" "hello there" "$(converse "hello there" $command)"
	done
done
stop "SIGINT" INT

# ---- options ----

start 1 hello -o 'greeting=Good day = good night' --listen 127.0.0.1:0
if command -v socat >/dev/null; then
	same "-o greeting" "Good day = good night" "$($limit socat -u "TCP4:${addresses#*:}" - </dev/null)"
fi
stop "-o greeting, SIGTERM" TERM
start 1 --listen 127.0.0.1:0 "$tmp/handlers/daytime.so" -o utc=yes --option=format=%Z --timeout 5s \
    --idle 1m --max-connections 10
if command -v socat >/dev/null; then
	has "by path, options before and after it" "GMT" \
	    "$($limit socat -u "TCP4:${addresses#*:}" - </dev/null)"
fi
stop "by path, SIGTERM" TERM

refused "an unknown option of the handler" 2 "hello: option x: there is none (but greeting)" \
    hello -o x=1 --listen 127.0.0.1:0
refused "no value" 2 "daytime: option utc: no value" daytime -o utc --check
refused "a wrong value" 2 "daytime: option utc: maybe: not yes or no" daytime -o utc=maybe --check
refused "a handler without options" 2 "echo has no options" echo -o a=b --check

# ---- what it tells ----

same "--list-handlers" "agent chargen daytime discard echo hello kv metrics time users" \
    "$("$daemon" --list-handlers | awk '{ print $1 }' | tr '\n' ' ' | sed 's/ $//')"
has "--list-handlers with summaries" "sends back what it gets (RFC 862)" "$("$daemon" --list-handlers)"
for words in "daytime: tells date and time" "file:   $tmp/handlers/daytime.so" \
    "serves: streams and datagrams" "UDP only where asked for" "port:   1313" \
    "modes:  fibers (default), serial, threads, processes" "utc=no" "(string, 1 to 200 bytes long)"; do
	has "--describe: $words" "$words" "$("$daemon" --describe daytime)"
done
has "--version" "socketserverd 0." "$("$daemon" --version)"
has "--help" "usage: socketserverd" "$("$daemon" --help)"
if [ -c /dev/full ]; then
	$limit "$daemon" --help >/dev/full 2>"$tmp/err"
	same "--help to a full disk" 1 $?
fi
echo text >"$tmp/handlers/bad.so"
"$daemon" --list-handlers >"$tmp/out" 2>"$tmp/err"
same "a bad file among the handlers: the others are listed" "1 10 1" \
    "$? $(wc -l <"$tmp/out") $(grep -c 'bad.so: not an ELF file' "$tmp/err")"
rm "$tmp/handlers/bad.so"

# ---- --check, and addresses ----

"$daemon" --check hello --listen 127.0.0.1:0 --listen "unix:$tmp/s" >"$tmp/out" 2>&1
same "--check: all is well" "0 " "$? $(cat "$tmp/out")"
none "--check leaves no file" "$(find "$tmp" -type s)"
start 1 echo -l 127.0.0.1:0
taken=${addresses#tcp:}
refused "--check: the port is in use" 1 "bind $taken: Address already in use" \
    --check hello --listen "unix:$tmp/s" --listen "$taken"
refused "the port is in use" 1 "bind $taken: Address already in use" \
    hello --listen "unix:$tmp/s" --listen "$taken"
none "nothing is left half started" "$(find "$tmp" -type s)"
stop "the first one goes on" TERM
refused "an address that is not here" 1 "bind 192.0.2.1:7: Cannot assign requested address" \
    hello --listen 192.0.2.1:7
refused "a port out of range" 1 "port must be 0 to 65535" hello --listen 127.0.0.1:65536
refused "not an address" 1 "address nonsense: " hello --listen nonsense
refused "fd:9, closed" 1 "fd:9: Bad file descriptor" hello --listen fd:9
if [ "$(id -u)" -ne 0 ] && [ "$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" -gt 80 ]; then
	refused "a privileged port" 1 "bind 127.0.0.1:80: Permission denied" hello --listen 127.0.0.1:80
elif setpriv --reuid 65534 --clear-groups "$daemon" --version >/dev/null 2>&1 &&
    [ "$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" -gt 80 ] && [ "$(id -u)" -eq 0 ]; then
	chmod 755 "$tmp/handlers"
	same "a privileged port" "socketserver: bind 127.0.0.1:80: Permission denied" \
	    "$($limit setpriv --reuid 65534 --clear-groups --bounding-set -all "$daemon" hello \
	    --listen 127.0.0.1:80 2>&1)"
else
	skip "a privileged port" "ports from 0 on are free for all, or there is no setpriv"
fi

# ---- wrong use ----

refused "no handler" 2 "which handler?" --listen 127.0.0.1:0
refused "two handlers" 2 "hello is too much" echo hello
refused "an unknown option" 2 "unrecognized option '--nonsense'" echo --nonsense
refused "a mode that is none" 2 "--mode: fibres: not a mode" echo --mode fibres
refused "workers that are none" 2 "--workers: x: not a number" echo --workers x
refused "too many workers" 2 "--workers: 1025: must be 0 to 1024" echo --workers 1025
refused "no connections" 2 "--max-connections: 0: must be 1 to 2147483647" echo --max-connections 0
refused "TLS without a certificate" 2 "--listen proxy:tls::0: there is no --cert for it" \
    echo --listen :0 --listen proxy:tls::0
refused "a time without a unit" 2 "--timeout: 5: not a time (as 500ms, 30s, 5m, 1h)" echo --timeout 5
refused "a mode and workers that do not go together" 1 "not with processes" \
    echo --mode processes --workers 2 --listen 127.0.0.1:0

# ---- handlers that can not be loaded ----

refused "not found, by name" 1 "plugin nothing: not found in $tmp/handlers:/" nothing
refused "a near miss" 1 "; did you mean echo?" ehco
(cd "$tmp" && cp handlers/hello.so mine.so && "$daemon" mine 2>out)
has "beside its file" "; a path needs a slash: ./mine.so" "$(cat "$tmp/out")"
refused "not found, by path" 1 "plugin ./nothing: not found" ./nothing
cp "$source/README.md" "$tmp/text.so"
refused "a text file" 1 "text.so: not an ELF file" "$tmp/text.so"
cp "$build/tests/plugins/crashes.so" "$tmp/"
refused "a plugin whose constructor crashes" 1 "crashes.so: crashes while it is loaded" \
    "$tmp/crashes.so"
cp "$tmp/handlers/hello.so" "$tmp/open.so"
chmod 666 "$tmp/open.so"
refused "others may write the file" 1 "open.so: it may be written by others" "$tmp/open.so"
mkdir "$tmp/open"
cp "$tmp/handlers/hello.so" "$tmp/open/"
chmod 777 "$tmp/open"
refused "others may write the folder" 1 "/open may be written by others" "$tmp/open/hello.so"
head -c 5000 "$tmp/handlers/hello.so" >"$tmp/cut.so"
refused "a file that was cut short" 1 "cut.so: cut short" "$tmp/cut.so"

# A new file in the old one's place: the daemon goes on with what it has.
start 1 hello --listen 127.0.0.1:0
cp "$tmp/handlers/echo.so" "$tmp/handlers/new" && mv "$tmp/handlers/new" "$tmp/handlers/hello.so"
# shellcheck disable=SC2086
asked "the handler's file is replaced while it serves" hello $addresses
stop "the handler's file is replaced, SIGTERM" TERM
cp "$build/handlers/hello.so" "$tmp/handlers/hello.so"

# ---- inherited sockets ----

# inherited NAME ENVIRONMENT ARGUMENT...: with a listening socket as descriptor 3, and
# a datagram socket as 4; LISTEN_PID is right unless given
cat >"$tmp/pass.py" <<'END'
import os, socket, sys
fds = [socket.socket(), socket.socket(type=socket.SOCK_DGRAM)]
fds[0].bind(("127.0.0.1", 0))
fds[0].listen()
fds[1].bind(("127.0.0.1", 0))
for i, s in enumerate([os.dup(s.fileno()) for s in fds]):
    os.dup2(s, 20 + i)
for i in (0, 1):
    os.dup2(20 + i, 3 + i, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
for assignment in sys.argv[1].split():
    name, value = assignment.split("=")
    os.environ[name] = value
os.execv(sys.argv[2], sys.argv[2:])
END

# passed LINES ENVIRONMENT ARGUMENT...: as start
passed() {
	passed_lines=$1 passed_environment=$2
	shift 2
	daemon_itself=$daemon daemon=python3
	start "$passed_lines" "$tmp/pass.py" "$passed_environment" "$daemon_itself" "$@"
	daemon=$daemon_itself
}

# not_passed NAME WORDS ENVIRONMENT ARGUMENT...: as refused
not_passed() {
	passed_name=$1 passed_words=$2 passed_environment=$3
	shift 3
	daemon_itself=$daemon daemon=python3
	refused "$passed_name" 1 "$passed_words" "$tmp/pass.py" "$passed_environment" "$daemon_itself" "$@"
	daemon=$daemon_itself
}

# read.py ADDRESS...: what the first says
cat >"$tmp/read.py" <<'END'
import socket, sys
host, port = sys.argv[1].split(":", 1)[1].rsplit(":", 1)
print(socket.create_connection((host, int(port)), 15).makefile().read(), end="")
END

if command -v python3 >/dev/null; then
	cp "$build/tests/plugins/passed.so" "$tmp/"
	passed 2 LISTEN_FDS=2 echo --listen systemd:
	# shellcheck disable=SC2086
	asked "systemd:" echo $addresses
	stop "systemd:, SIGTERM" TERM
	passed 1 "LISTEN_FDS=2 LISTEN_FDNAMES=a:b" echo --listen systemd:b
	case $addresses in
	udp:*) ok "systemd:b is the one of that name" ;;
	*) not_ok "systemd:b is the one of that name" "$addresses" ;;
	esac
	stop "systemd:b, SIGTERM" TERM
	passed 2 "LISTEN_FDS=2 LISTEN_FDNAMES=a:b" "$tmp/passed.so" --listen systemd:
	# shellcheck disable=SC2086
	same "taken sockets are forgotten by the environment" \
	    " LISTEN_PID=(unset) LISTEN_FDS=(unset) LISTEN_FDNAMES=(unset)" \
	    "$($limit python3 "$tmp/read.py" $addresses)"
	stop "taken sockets are forgotten, SIGTERM" TERM
	not_passed "LISTEN_PID of another process" "LISTEN_PID=1: not for this one" \
	    "LISTEN_FDS=2 LISTEN_PID=1" echo --listen systemd:
	not_passed "LISTEN_FDS=-1" "LISTEN_FDS=-1: not a number of sockets" LISTEN_FDS=-1 \
	    echo --listen systemd:
	not_passed "LISTEN_FDS=1000000000" "Bad file descriptor" LISTEN_FDS=1000000000 \
	    echo --listen systemd:
	not_passed "a name that was not passed" "systemd:c: no socket of that name" \
	    "LISTEN_FDS=2 LISTEN_FDNAMES=a:b" echo --listen systemd:c
	not_passed "names that do not match" "not a name for each" \
	    "LISTEN_FDS=2 LISTEN_FDNAMES=a" echo --listen systemd:
else
	skip "systemd:" "no python3"
fi
refused "systemd: without a service manager" 1 "no sockets were passed" echo --listen systemd:

# ---- signals, closed descriptors ----

start 1 hello --listen 127.0.0.1:0
kill -HUP "$pid"
read -r line <&3
has "SIGHUP has nothing to read again" "SIGHUP: there are no certificates" "$line"
# shellcheck disable=SC2086
asked "and nothing else happens" hello $addresses
stop "SIGHUP, SIGTERM" TERM

if command -v socat >/dev/null; then
	cp "$build/tests/plugins/waits.so" "$tmp/"
	start 1 "$tmp/waits.so" --mode serial --listen 127.0.0.1:0
	rm -f "$tmp/from"
	mkfifo "$tmp/from"
	$limit socat -u "TCP4:${addresses#*:}" - >"$tmp/from" &
	client=$!
	exec 4<"$tmp/from"
	read -r line <&4
	same "a handler that waits" "waiting" "$line"
	# Without the second it would go on for 10 seconds.
	stop "a second signal stops at once" TERM INT
	wait "$client"
	exec 4<&-
	refused "a handler without a port has no default address" 2 "waits: where? (--listen ADDRESS)" \
	    "$tmp/waits.so"
else
	skip "a second signal stops at once" "no socat"
fi

# With 0, 1 and 2 closed a socket would get that number
if [ -r /proc/self/fd ]; then
	"$daemon" hello --listen "unix:$tmp/s" <&- >&- 2>&- &
	pid=$!
	# shellcheck disable=SC2016
	$limit sh -c 'until [ -S "$0" ]; do :; done' "$tmp/s"
	asked "standard files closed" hello "unix:$tmp/s"
	same "standard files closed: they are /dev/null" "/dev/null /dev/null /dev/null" \
	    "$(readlink "/proc/$pid/fd/0" "/proc/$pid/fd/1" "/proc/$pid/fd/2" | tr '\n' ' ' | sed 's/ $//')"
	kill -TERM "$pid"
	wait "$pid"
	same "standard files closed, SIGTERM" 0 $?
	pid=
fi

report_end
