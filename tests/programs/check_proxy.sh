#!/bin/sh
# The example proxy between real clients and servers. Prints "ok - NAME", "not ok -
# NAME" or "skip - NAME: REASON" for each check; exit code 1 when one failed.
#
# usage: check_proxy.sh BUILD_DIR
set -u

if [ $# -ne 1 ] || [ ! -x "$1/examples/echo_server" ]; then
	echo "usage: check_proxy.sh BUILD_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$(dirname "$0")/../support/report.sh"
# shellcheck source=tests/support/examples.sh
. "$(dirname "$0")/../support/examples.sh"

# Longer with SKS_PROXY_BYTES, as 1073741824: through two proxies, both ways at once
bytes=${SKS_PROXY_BYTES:-4194304}
head -c "$bytes" /dev/urandom >"$tmp/big"
for options in "--mode fibers" "--mode threads" "--mode processes" "--workers 2"; do
	# On a busy machine socat may send much before it reads, which is told from max-input on.
	must_start 3 echo_server --max-input 16M tcp:127.0.0.1:0
	# shellcheck disable=SC2086
	must_start 4 proxy $options --max-input 16M 127.0.0.1:0 "${address#tcp:}"
	# shellcheck disable=SC2086
	must_start 5 proxy $options --max-input 16M 127.0.0.1:0 "${address#tcp:}"
	for client in socat ncat python3 echo_client; do
		ask "proxy $options, twice, $client" $client "$address" "hello there" "hello there"
	done
	if has socat; then
		timeout 600 socat -t 60 - "$(socat_address "$address")" <"$tmp/big" |
		    cmp - "$tmp/big" >"$tmp/out" 2>&1
		same "proxy $options, twice: $bytes bytes there and back" "" "$(cat "$tmp/out")"
	else
		skip "proxy $options, twice: $bytes bytes there and back" "no socat"
	fi
	stop 5 INT
	stopped "proxy $options, SIGINT"
	stop 4 TERM
	stopped "proxy $options, SIGTERM"
	stop 3 TERM
done
rm -f "$tmp/big"

# The client and the server of a pair are both ends of the script.
cat >>"$tmp/client.py" <<'END'

def pair(address, up):
    """A client, and what the proxy connects it to."""
    client = connect(address)
    server, _ = up.accept()
    server.settimeout(15)
    return client, server

def gone(s):
    """Is it at its end, in order or not?"""
    try:
        return s.recv(100) == b""
    except (ConnectionResetError, BrokenPipeError):
        return True
END

for mode in fibers threads processes; do
	rm -f "$tmp/up"
	must_start 3 proxy --mode $mode 127.0.0.1:0 "unix:$tmp/up"
	python "proxy --mode $mode: each end is passed on alone" "$address" "$tmp/up" <<'END'
import threading
up = upstream(sys.argv[2])
c, s = pair(sys.argv[1], up)
c.sendall(b"question")
c.shutdown(socket.SHUT_WR)
assert all_of(s) == b"question"
answer = b"answer" * 100000 # more than what is on the way holds, so somebody reads meanwhile
def answer_all():
    s.sendall(answer)
    s.close()
sender = threading.Thread(target=answer_all)
sender.start()
assert all_of(c) == answer
sender.join()
c, s = pair(sys.argv[1], up)
s.sendall(b"greeting")
s.shutdown(socket.SHUT_WR)
assert all_of(c) == b"greeting"
c.sendall(b"thanks")
c.shutdown(socket.SHUT_WR)
assert all_of(s) == b"thanks"
END
	rm -f "$tmp/up"
	python "proxy --mode $mode: a reset of either side ends that pair alone" "$address" "$tmp/up" <<'END'
import struct
up = upstream(sys.argv[2])
c, s = pair(sys.argv[1], up)
others = pair(sys.argv[1], up)
c.sendall(b"x")
assert s.recv(1) == b"x"
c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
c.close()
assert gone(s)
c, s = pair(sys.argv[1], up)
c.sendall(b"never read")
s.recv(1)
s.close()
assert gone(c)
others[0].sendall(b"fine")
assert others[1].recv(4) == b"fine"
END
	rm -f "$tmp/up"
	python "proxy --mode $mode: a server that hangs keeps its own client" "$address" "$tmp/up" <<'END'
up = upstream(sys.argv[2])
stuck, silent = pair(sys.argv[1], up)
stuck.setblocking(False)
try:
    while True:
        stuck.send(b"x" * 65536)
except BlockingIOError:
    pass
good, server = pair(sys.argv[1], up)
for text in (b"one", b"two"):
    good.sendall(text)
    assert server.recv(100) == text
    server.sendall(text * 2)
    assert good.recv(100) == text * 2
END
	rm -f "$tmp/up"
	stop 3 TERM
	same "proxy --mode $mode: the end" 0 "$code"
done

# A Unix socket has no resets of its own, but who closes it with input unread makes one.
for mode in fibers threads processes; do
	must_start 3 proxy --mode $mode 127.0.0.1:0 "unix:$tmp/up"
	must_start 4 proxy --mode $mode 127.0.0.1:0 "${address#tcp:}"
	python "proxy --mode $mode, twice: a server's reset is the client's" "$address" "$tmp/up" <<'END'
import struct
up = upstream(sys.argv[2])
for i in range(20):
    c, s = pair(sys.argv[1], up)
    s.sendall(b"hello")
    assert c.recv(5) == b"hello"
    c.sendall(b"never read")
    s.recv(1)
    s.close()
    try:
        assert False, c.recv(100)
    except ConnectionResetError:
        pass
for i in range(20):
    c, s = pair(sys.argv[1], up)
    c.sendall(b"x")
    assert s.recv(1) == b"x"
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()
    assert gone(s)
END
	rm -f "$tmp/up"
	stop 4 TERM
	same "proxy --mode $mode, twice: the first knows of all" 40 \
	    "$(echo "$error" | grep -c 'Connection reset by peer')"
	stop 3 TERM
	same "proxy --mode $mode, twice: and the second, by resets" 40 \
	    "$(echo "$error" | grep -c 'Connection reset by peer')"
done

must_start 3 proxy --idle 1s 127.0.0.1:0 "unix:$tmp/up"
python "proxy --idle 1s: two that are silent are parted" "$address" "$tmp/up" <<'END'
up = upstream(sys.argv[2])
c, s = pair(sys.argv[1], up)
assert gone(c)
assert gone(s)
END
rm -f "$tmp/up"
stop 3 TERM
same "proxy --idle 1s says so" "0 1" "$code $(echo "$error" | grep -c 'Connection timed out')"

# nobody NAME UPSTREAM WORDS: one line, and the client's end
nobody() {
	must_start 3 proxy 127.0.0.1:0 "$2"
	python "proxy: $1, the client's end" "$address" <<'END'
assert all_of(connect(sys.argv[1])) == b""
END
	stop 3 TERM
	case $error in
	*"
"*) not_ok "proxy: $1 is one line" "$error" ;;
	*"$3"*) ok "proxy: $1 is one line" ;;
	*) not_ok "proxy: $1 is one line" "$error" ;;
	esac
}
nobody "upstream refused" 127.0.0.1:1 "connect 127.0.0.1:1: Connection refused"
nobody "upstream not found" host.invalid:1 "connect host.invalid:1: "
nobody "no upstream path" "unix:$tmp/none" "No such file"
refused "proxy: the header behind TLS" 2 "the header would stand behind" proxy 127.0.0.1:0 proxy:tls:localhost:1
refused "proxy: no upstream" 2 "two addresses at least" proxy 127.0.0.1:0
refused "proxy: three addresses" 2 "too much" proxy 127.0.0.1:0 127.0.0.1:1 127.0.0.1:2
refused "proxy: unknown option" 2 "unrecognized option '--nonsense'" proxy --nonsense
refused "proxy: a port that is none" 1 "nosuchport" proxy 127.0.0.1:nosuchport 127.0.0.1:1

report_end
