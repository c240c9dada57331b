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

must_start 3 echo_server 127.0.0.1:0
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

# ---- limits ----

must_start 3 echo_server --max-connections 1 tcp:127.0.0.1:0
python "--max-connections 1: the second waits until the first is gone" "$address" <<'END'
first, second = connect(sys.argv[1]), connect(sys.argv[1])
second.sendall(b"second\n")
for text in ("one\n", "two\n"):
    first.sendall(text.encode())
    assert lines_of(first).readline() == text
second.settimeout(0.1)
try:
    raise SystemExit("served too early: %r" % second.recv(100))
except socket.timeout:
    pass
first.close()
second.settimeout(15)
assert lines_of(second).readline() == "second\n"
END
stop 3 TERM
stopped "--max-connections 1, SIGTERM"

must_start 3 echo_server --idle 1s tcp:127.0.0.1:0
python "--idle 1s: a silent client is gone after a second" "$address" <<'END'
import time
s = connect(sys.argv[1])
began = time.monotonic()
assert s.recv(1) == b""
assert 0.9 < time.monotonic() - began < 10
END
stop 3 TERM
stopped "--idle 1s, SIGTERM"

# The soft limit of open files is raised, and it is said when that does not suffice
if [ -r /proc/self/limits ]; then
	files=64
	must_start 3 hello_server --max-connections 200 tcp:127.0.0.1:0
	yes "the limit of open files is raised" grep -q '^Max open files  *216 ' "/proc/$pid/limits"
	stop 3 TERM
	stopped "--max-connections 200 with 64 files, SIGTERM"
fi
most=$(cat /proc/sys/fs/nr_open 2>/dev/null)
case $most in
''|????????*) skip "--max-connections above the limit" "no limit here that even root has to keep" ;;
*)	files=
	must_start 3 echo_server --max-connections 9999999 tcp:127.0.0.1:0
	stop 3 TERM
	same "--max-connections above the limit is said" "0 1" \
	    "$code $(echo "$error" | grep -c 'need 10000015 open files')" ;;
esac

files=7
if start 3 hello_server tcp:127.0.0.1:0; then
	stop 3 TERM
	not_ok "too few open files for a start" "it started"
else
	same "too few open files for a start: one line" "1 1" "$code $(echo "$error" | wc -l)"
fi

files=12
must_start 3 echo_server tcp:127.0.0.1:0
python "a full table of descriptors: the others wait, nobody is lost" "$address" <<'END'
many = [connect(sys.argv[1]) for _ in range(30)]
for s in many:
    s.sendall(b"x\n")
for s in many:
    assert s.recv(10) == b"x\n"
    s.close()
END
stop 3 TERM
same "a full table of descriptors, SIGTERM" 0 "$code"
files=

# ---- wrong use, and what cannot be ----

for program in hello_server echo_server counter embed echo_client; do
	refused "$program: unknown option" 2 "unrecognized option '--nonsense'" "$program" --nonsense
	refused "$program: two addresses" 2 "too much" "$program" localhost:0 localhost:0
	refused "$program: a port that is none" 1 "nosuchport" "$program" 127.0.0.1:nosuchport
	refused "$program: no port" 1 "port is missing" "$program" localhost
	refused "$program: unknown name" 1 "host.invalid:1:" "$program" host.invalid:1
	$limit "$bin/$program" --help >"$tmp/out" 2>"$tmp/err"
	code=$?
	same "$program --help" "0 1 0" \
	    "$code $(grep -c "^usage: $program " "$tmp/out") $(wc -l <"$tmp/err" | tr -d ' ')"
done
refused "--mode: unknown" 2 "nonsense: not a mode" hello_server --mode nonsense
refused "--max-connections 0" 2 "0: must be 1 to" hello_server --max-connections 0
refused "--timeout -1s" 2 "-1s: must be 0" hello_server --timeout -1s
refused "--timeout 1" 2 "1: not a time" hello_server --timeout 1
refused "--timeout without a value" 2 "requires an argument" hello_server --timeout
refused "hello_server --keep" 2 "unrecognized option '--keep'" hello_server --keep
refused "a foreign address" 1 "bind 192.0.2.1:80: Cannot assign" hello_server 192.0.2.1:80
refused "a port above 65535" 1 "port must be 0 to 65535" hello_server localhost:65536
refused "a path in no folder" 1 "No such file or directory" hello_server "unix:$tmp/none/s"
refused "a path too long" 1 "107 bytes at most" hello_server "unix:/$(printf '%0120d' 0)"
refused "a relative path" 1 "must begin with" hello_server unix:relative
refused "fd:99" 1 "listen on fd:99: Bad file descriptor" hello_server fd:99
refused "fd:0, no socket" 1 "listen on fd:0" hello_server fd:0
refused "echo_client: connection refused" 1 "Connection refused" echo_client 127.0.0.1:1
refused "echo_client: no such path" 1 "No such file" echo_client "unix:$tmp/none"
refused "echo_client: --udp and tcp:" 2 "do not go together" echo_client --udp tcp:localhost:1

mkdir "$tmp/closed"
chmod 0500 "$tmp/closed"
if [ "$(id -u)" -ne 0 ]; then
	refused "no permission" 1 "Permission denied" hello_server "unix:$tmp/closed/s"
elif has setpriv && setpriv --reuid 65534 --clear-groups test -x "$bin/hello_server"; then
	$limit setpriv --reuid 65534 --clear-groups "$bin/hello_server" "unix:$tmp/closed/s" \
	    >"$tmp/out" 2>&1
	same "no permission" "1 socketserver: bind unix:$tmp/closed/s: Permission denied" \
	    "$? $(cat "$tmp/out")"
else
	skip "no permission" "root may do anything, and cannot become another user here"
fi

# A datagram's answer that never comes; and UDP taken where TCP is free
if has python3; then
	cat >"$tmp/deaf.py" <<'END'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
sys.stdin.read()
END
	rm -f "$tmp/to" "$tmp/from"
	mkfifo "$tmp/to" "$tmp/from"
	python3 "$tmp/deaf.py" <"$tmp/to" >"$tmp/from" &
	exec 5>"$tmp/to" 6<"$tmp/from"
	read -r port <&6
	echo "hello?" | $limit "$bin/echo_client" --udp "127.0.0.1:$port" >"$tmp/out" 2>&1
	same "echo_client: no answer" "1 echo_client: line 1: no answer within 2 seconds" \
	    "$? $(cat "$tmp/out")"
	refused "echo_server: UDP's port in use" 1 "Address already in use" \
	    echo_server "127.0.0.1:$port"
	exec 5>&- 6<&-
	wait $!
fi

# ---- Unix socket files ----

path=$tmp/file.sock
python "a stale file is made" "$path" <<'END'
socket.socket(socket.AF_UNIX).bind(sys.argv[1])
END
if [ -S "$path" ]; then
	must_start 3 echo_server "unix:$path"
	ask "a stale file is replaced" echo_client "$address" "hello" "hello"
	refused "a live one is not" 1 "Address already in use" hello_server "unix:$path"
	ask "and goes on" echo_client "$address" "still here" "still here"
	stop 3 TERM
	stopped "a Unix path, SIGTERM"
	yes "the file is removed at the end" [ ! -e "$path" ]
fi
: >"$path"
refused "a file that is no socket stays" 1 "Address already in use" hello_server "unix:$path"
yes "and is there" [ -f "$path" ]
rm -f "$path"
must_start 3 hello_server "unix:$path"
rm -f "$path"
must_start 4 hello_server "unix:$path"
stop 3 TERM
stopped "the first of two on one path, SIGTERM"
yes "another's file is left alone" [ -S "$path" ]
stop 4 TERM
stopped "the second of two on one path, SIGTERM"

# ---- signals, closed descriptors ----

must_start 3 echo_server 127.0.0.1:0
{
	cat "$tmp/client.py"
	cat <<'END'
s = connect(sys.argv[1])
s.sendall(b"hello\n")
print(lines_of(s).readline(), end="", flush=True)
print(len(all_of(s)), flush=True)
END
} >"$tmp/holder.py"
if has python3; then
	rm -f "$tmp/from"
	mkfifo "$tmp/from"
	$limit python3 "$tmp/holder.py" "$address" >"$tmp/from" 2>&1 &
	holder=$!
	exec 6<"$tmp/from"
	read -r line <&6
	# A handler waits in readline; without the second signal the end would take 10 seconds.
	stop 3 TERM INT
	same "two signals end what is running" 0 "$code"
	wait "$holder"
	exec 6<&-
else
	skip "two signals end what is running" "no python3"
	stop 3 TERM
fi

must_start 3 hello_server tcp:127.0.0.1:0 <&-
ask "standard input closed" echo_client "$address" "x" "Hello World!"
stop 3 TERM
stopped "standard input closed, SIGTERM"

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
refused "chat in processes" 1 "chat: not in the mode processes" chat --mode processes 127.0.0.1:0
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
