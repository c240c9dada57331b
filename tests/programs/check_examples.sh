#!/bin/sh
# The example programs as a user runs them, with real clients. (proxy: check_proxy.sh.)
# Prints "ok - NAME", "not ok - NAME" or "skip - NAME: REASON" for each check; exit
# code 1 when one failed.
#
# usage: check_examples.sh BUILD_DIR
set -u

if [ $# -ne 1 ] || [ ! -x "$1/examples/echo_server" ]; then
	echo "usage: check_examples.sh BUILD_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$(dirname "$0")/../support/report.sh"
# shellcheck source=tests/support/examples.sh
. "$(dirname "$0")/../support/examples.sh"

# ---- every transport, by every client ----

transports="tcp:127.0.0.1:0 tcp:[::1]:0 udp:127.0.0.1:0 udp:[::1]:0 unix:$tmp/s.sock
unix-dgram:$tmp/d.sock unix:@sks-test-$$ unix-dgram:@sks-test-$$"

# transport SERVER OPTIONS LISTEN ANSWER
transport() {
	label="$1 $2 ${3%:0}"
	label=$(echo "$label" | sed "s|$tmp||; s|-$$||")
	case $3 in
	*'['*) [ -n "$has_ipv6" ] || {
		skip "$label" "no IPv6 here"
		return
	} ;;
	esac
	# shellcheck disable=SC2086
	must_start 3 "$1" $2 "$3"
	for client in socat ncat python3 echo_client; do
		ask "$label, $client" "$client" "$address" "hello there" "$4"
	done
	stop 3 TERM
	stopped "$label, SIGTERM"
}

for mode in fibers serial; do
	for listen in $transports; do
		transport hello_server "--mode $mode" "$listen" "Hello World!"
		transport echo_server "--mode $mode" "$listen" "hello there"
	done
done
# Below the loop all transports are alike: one stream and one datagram for each of the rest.
for options in "--mode threads" "--mode processes" "--workers 2"; do
	for listen in tcp:127.0.0.1:0 udp:127.0.0.1:0 "unix:$tmp/s.sock"; do
		transport echo_server "$options" "$listen" "hello there"
	done
done
yes "no Unix socket file is left" [ ! -e "$tmp/s.sock" ]
yes "nor a datagram one" [ ! -e "$tmp/d.sock" ]

# ---- echo_server ----

must_start 3 echo_server 127.0.0.1:0
first=$address
read -r line <&3
same "TCP and UDP have one port" "udp:${first#tcp:}" "${line##* }"
ask "echo over TCP" echo_client "$first" "one" "one"
ask "echo over UDP at once" echo_client "udp:${first#tcp:}" "two" "two"
same "echo_client --udp" "three" "$(echo three | "$bin/echo_client" --udp "${first#tcp:}")"
refused "port in use" 1 "bind ${first#tcp:}: Address already in use" hello_server "${first#tcp:}"
stop 3 INT
stopped "SIGINT"

must_start 3 echo_server :0
case $address in
*']:'*|*0.0.0.0:*) ask "all addresses, from IPv4" echo_client "tcp:127.0.0.1:${address##*:}" "x" "x" ;;
*) not_ok "all addresses" "$line" ;;
esac
stop 3 TERM
stopped "all addresses, SIGTERM"

must_start 3 echo_server --keep 127.0.0.1:0
python "--keep: a line in pieces, several in one, a last without newline" "$address" <<'END'
s = connect(sys.argv[1])
f = lines_of(s)
for part in (b"in ", b"pieces\n"):
    s.sendall(part)
assert f.readline() == "in pieces\n"
s.sendall(b"a\nb\nc\n")
assert [f.readline() for _ in range(3)] == ["a\n", "b\n", "c\n"]
s.sendall(b"last")
s.shutdown(socket.SHUT_WR)
assert f.read() == "last"
END
python "--keep: a datagram is answered whole" "udp:${address#tcp:}" <<'END'
s = connect(sys.argv[1])
for text in (b"a\nb\n", b"x" * 65507, b"no newline"):
    s.send(text)
    assert s.recv(70000) == text
END
stop 3 TERM
stopped "--keep, SIGTERM"

# On a busy machine echo_client may send much before it reads, which is told from max-input on.
must_start 3 echo_server --max-input 32M 127.0.0.1:0
python "NUL bytes, half-close, a reset, an empty datagram" "$address" <<'END'
import struct
s = connect(sys.argv[1])
s.sendall(b"a\0b\n\0\n")
s.shutdown(socket.SHUT_WR)
assert all_of(s) == b"a\0b\n\0\n"
u = connect(sys.argv[1].replace("tcp:", "udp:"))
u.send(b"")
u.send(b"next")
assert u.recv(100) == b"next"
END
dd if=/dev/urandom bs=65536 count=128 2>/dev/null | od -An -v -tx1 | head -c 16000000 >"$tmp/big"
$limit "$bin/echo_client" "$address" <"$tmp/big" >"$tmp/back" 2>&1
if cmp -s "$tmp/big" "$tmp/back"; then
	ok "echo_client: 16 MB come back as they went"
else
	not_ok "echo_client: 16 MB come back as they went" "$(ls -l "$tmp/big" "$tmp/back")"
fi
head -n 200 "$tmp/big" | $limit "$bin/echo_client" "udp:${address#tcp:}" >"$tmp/back" 2>&1
same "echo_client: 200 datagrams" "$(head -n 200 "$tmp/big" | cksum)" "$(cksum <"$tmp/back")"
stop 3 TERM
stopped "large input, SIGTERM"
rm -f "$tmp/big" "$tmp/back"

must_start 3 echo_server tcp:127.0.0.1:0
python "an endless line ends that connection alone" "$address" <<'END'
s = connect(sys.argv[1])
other = connect(sys.argv[1])
try:
    for _ in range(64):
        s.sendall(b"x" * 65536)
    all_of(s)
except (ConnectionResetError, BrokenPipeError):
    pass
other.sendall(b"fine\n")
assert lines_of(other).readline() == "fine\n"
END
stop 3 TERM
same "an endless line is one line in the log" "1 0" "$(echo "$error" | grep -c 'Message too long') $code"

# ---- modes ----

for options in "--mode threads" "--mode processes" "--workers 2"; do
	# shellcheck disable=SC2086
	must_start 3 echo_server $options tcp:127.0.0.1:0
	python "echo_server $options: ten clients at once" "$address" <<'END'
many = [connect(sys.argv[1]) for _ in range(10)]
for s in reversed(many):
    s.sendall(b"hello\n")
    assert lines_of(s).readline() == "hello\n"
END
	stop 3 TERM
	stopped "echo_server $options: ten clients, SIGTERM"
done

# A server for each mode, each in a process, and its address; in any order.
must_start 3 modes 127.0.0.1 0
{
	echo "$line"
	for _ in 2 3 4 5; do
		read -r line <&3 && echo "$line"
	done
} >"$tmp/modes"
for name in serial fibers threads processes "fibers on 2 loops"; do
	address=$(sed -n "s/^modes: $name: listening on //p" "$tmp/modes")
	for client in socat ncat python3 echo_client; do
		case $client in
		echo_client) ;;
		*) has $client || {
			skip "modes, $name, $client" "no $client"
			continue
		} ;;
		esac
		case $("ask_$client" x "$address") in
		"process "*", thread "*", stack at 0x"*) ok "modes, $name, $client" ;;
		*) not_ok "modes, $name, $client" "$(cat "$tmp/modes")" ;;
		esac
	done
done
stop 3 TERM
same "modes, SIGTERM" "0 " "$code $error"
refused "modes: a port that is none" 2 "'x' is not a port" modes localhost x

# ---- sum_server, counter, chat, embed ----

must_start 3 sum_server 127.0.0.1:0
python "sum_server: blocks are summed, and those too long end the connection" "$address" <<'END'
import struct
s = connect(sys.argv[1])
s.sendall(struct.pack(">H3I", 12, 1, 2, 0xFFFFFFFF) + struct.pack(">H", 0))
f = s.makefile("rb")
assert struct.unpack(">QQ", f.read(16)) == (0x100000002, 0)
s.sendall(struct.pack(">H", 5000))
assert f.read() == b""
END
stop 3 TERM
same "sum_server, in its log" "1 0" "$(echo "$error" | grep -c 'Message too long') $code"

must_start 3 counter 127.0.0.1:0
python "counter: each connection its own" "$address" <<'END'
a, b = connect(sys.argv[1]), connect(sys.argv[1])
fa, fb = lines_of(a), lines_of(b)
a.sendall(b"one\n")
assert fa.readline() == "1 lines, 4 bytes\n"
b.sendall(b"x\ny\n")
assert [fb.readline(), fb.readline()] == ["1 lines, 2 bytes\n", "2 lines, 4 bytes\n"]
a.sendall(b"two\n")
assert fa.readline() == "2 lines, 8 bytes\n"
END
stop 3 TERM
stopped "counter, SIGTERM"

for options in "--mode fibers" "--mode threads" "--workers 2"; do
	# shellcheck disable=SC2086
	must_start 3 chat $options 127.0.0.1:0
	python "chat $options: two guests, and one who leaves" "$address" <<'END'
a = connect(sys.argv[1])
fa = lines_of(a)
assert fa.readline() == "* you are guest 1\n"
b = connect(sys.argv[1])
fb = lines_of(b)
assert fb.readline() == "* you are guest 2\n"
assert fa.readline() == "* guest 2 comes in\n"
a.sendall(b"hello\r\nanybody?\n")
assert fb.readline() == "guest 1: hello\n"
assert fb.readline() == "guest 1: anybody?\n"
b.sendall(b"yes")
b.shutdown(socket.SHUT_WR)
assert fa.readline() == "guest 2: yes\n"
assert fa.readline() == "* guest 2 leaves\n"
assert fb.read() == ""
END
	stop 3 TERM
	same "chat $options, SIGTERM" "0 " "$code $error"
done
must_start 3 chat --max-line 64k 127.0.0.1:0
python "chat: a line that is too long is told to nobody" "$address" <<'END'
a = connect(sys.argv[1])
fa = lines_of(a)
assert fa.readline() == "* you are guest 1\n"
b = connect(sys.argv[1])
assert fa.readline() == "* guest 2 comes in\n"
b.sendall(b"x" * 12000 + b"\n")
assert fa.readline() == "* guest 2 leaves\n"
END
stop 3 TERM
refused "chat in processes" 2 "chat: not in the mode processes" chat --mode processes 127.0.0.1:0
refused "chat: unknown option" 2 "--nonsense: nonsense: there is no such option" chat --nonsense 1
refused "chat: two addresses" 2 "too much" chat localhost:0 localhost:0

must_start 3 embed 127.0.0.1:0
ask "embed: the console" echo_client "$address" "status" "0 seconds"
read -r line <&3
same "embed: the host's timer beside it" "embed: 1 seconds, 1 connections" "$line"
ask "embed: after the timer" echo_client "$address" "status" "1 seconds"
ask "embed: what is no command" echo_client "$address" "x" "status or stop?"
stop 3 TERM
stopped "embed, SIGTERM"
must_start 3 embed 127.0.0.1:0
stop 3 INT
stopped "embed, SIGINT at once"
must_start 3 embed 127.0.0.1:0
ask "embed: stop" echo_client "$address" "stop" "stopping"
stop 3
stopped "embed, stop"

# ---- fan_out ----

for options in "--mode fibers" "--mode threads" "--mode processes"; do
	# shellcheck disable=SC2086
	must_start 3 fan_out $options 127.0.0.1:0 "unix:$tmp/a" "unix:$tmp/b" "unix:$tmp/c" "unix:$tmp/none"
	python "fan_out $options: all at once, and what comes in time" "$address" "$tmp" <<'END'
tmp = sys.argv[2]
ups = [upstream(tmp + "/" + name) for name in "abc"]
c = connect(sys.argv[1])
c.sendall(b"how are you?\n")
# Each has been asked before any has answered; the last never does.
asked = [up.accept()[0] for up in ups]
assert [lines_of(s).readline() for s in asked] == ["how are you?\n"] * 3
asked[1].sendall(b"fine\n")
asked[0].sendall(b"so so\n")
f = lines_of(c)
expected = ("so so", "fine", "Connection timed out")
for name, text in zip("abc", expected):
    assert f.readline() == "unix:%s/%s: %s\n" % (tmp, name, text)
assert f.readline() == "unix:%s/none: No such file or directory\n" % tmp
END
	rm -f "$tmp/a" "$tmp/b" "$tmp/c"
	stop 3 INT
	same "fan_out $options, SIGINT" "0 1" "$code $(echo "$error" | wc -l)"
done
refused "fan_out: no servers" 2 "two addresses at least" fan_out 127.0.0.1:0
refused "fan_out: unknown option" 2 "unrecognized option '--nonsense'" fan_out --nonsense

# ---- prefork_server ----

must_start 3 prefork_server 127.0.0.1:0
python "prefork_server: one that is killed is replaced, and all are served" "$address" <<'END'
import os, signal
def ask():
    with connect(sys.argv[1]) as s:
        s.sendall(b"line\n")
        pid, text = lines_of(s).readline().split(": ")
        assert text == "line\n"
        return int(pid)
killed = set()
while len(killed) < 6: # of four
    pid = ask()
    assert pid not in killed
    killed.add(pid)
    os.kill(pid, signal.SIGKILL)
    while os.path.exists("/proc/%d" % pid):
        pass
END
stop 3 TERM
same "prefork_server, SIGTERM" "0 6" "$code $(echo "$error" | grep -c "killed by signal 9")"

# ---- select_chat ----

must_start 3 select_chat 127.0.0.1:0
python "select_chat: guests, lines in pieces, one who leaves" "$address" <<'END'
a, b = connect(sys.argv[1]), None
fa = lines_of(a)
assert fa.readline() == "* you are guest 1\n"
b = connect(sys.argv[1])
fb = lines_of(b)
assert fb.readline() == "* you are guest 2\n"
a.sendall(b"hel")
b.sendall(b"to 1\n")
assert fa.readline() == "guest 2: to 1\n"
a.sendall(b"lo\nanybody?\nlast")
a.shutdown(socket.SHUT_WR)
assert [fb.readline() for _ in range(3)] == ["guest 1: %s\n" % t for t in ("hello", "anybody?", "last")]
assert fa.read() == ""
b.sendall(b"x" * 3000 + b"\n")
c = connect(sys.argv[1])
assert lines_of(c).readline() == "* you are guest 3\n"
END
stop 3 INT
same "select_chat, SIGINT" "0 " "$code $error"

# The room has 500 chairs, but the process may open fewer files: those wait who do not fit.
python "select_chat: as many guests as files may be open" "$bin/select_chat" <<'END'
import resource, subprocess
chat = subprocess.Popen([sys.argv[1], "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    text=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20)))
address = chat.stdout.readline().split()[-1]
guests = [connect(address) for _ in range(30)]
for s in guests[:5]:
    assert s.recv(100).startswith(b"* you are guest")
last = guests[-1]
last.settimeout(0.2)
try:
    raise SystemExit("nobody waits: %r" % last.recv(100))
except socket.timeout:
    pass
for s in guests[:-1]: # the chairs of those who go are given to those who wait
    s.close()
last.settimeout(15)
assert last.recv(100).startswith(b"* you are guest")
last.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\nplanted\r\n")
try:
    assert last.recv(100) == b"" # a web page is no guest
except ConnectionResetError:
    pass
chat.terminate()
lines = len(chat.stderr.read().splitlines())
assert 1 <= lines <= 50, "%d lines: does it spin?" % lines
assert chat.wait(15) == 0
END
refused "select_chat: unknown option" 2 "unrecognized option '--nonsense'" select_chat --nonsense
refused "select_chat: two addresses" 2 "too much" select_chat 127.0.0.1:0 127.0.0.1:0
refused "select_chat: a name" 1 "localhost:1: Invalid argument" select_chat localhost:1
refused "select_chat: a foreign address" 1 "Cannot assign" select_chat 192.0.2.1:80
for program in prefork_server proxy fan_out select_chat; do
	$limit "$bin/$program" --help >"$tmp/out" 2>"$tmp/err"
	code=$?
	same "$program --help" "0 1 0" \
	    "$code $(grep -c "^usage: $program " "$tmp/out") $(wc -l <"$tmp/err" | tr -d ' ')"
done

report_end
