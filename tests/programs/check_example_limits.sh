#!/bin/sh
# The example servers at their limits: places and descriptors used up, wrong options and addresses,
# Unix socket files, signals, closed descriptors. Prints "ok - NAME", "not ok - NAME" or
# "skip - NAME: REASON" for each check; exit code 1 when one failed.
#
# usage: check_example_limits.sh BUILD_DIR
set -u

if [ $# -ne 1 ] || [ ! -x "$1/examples/echo_server" ]; then
	echo "usage: check_example_limits.sh BUILD_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$(dirname "$0")/../support/report.sh"
# shellcheck source=tests/support/examples.sh
. "$(dirname "$0")/../support/examples.sh"

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
files=
# The largest number, and one whose open files would be 5 in an int.
fits_fewer() {
	must_start 3 "$1" --max-connections "$2" 127.0.0.1:0 127.0.0.1:1
	stop 3 TERM
	same "$1 --max-connections $2: it is said that fewer fit" "0 1" \
	    "$code $(echo "$error" | grep -c 'are allowed: accepting fewer$')"
}
fits_fewer proxy 2147483647
fits_fewer fan_out 477218589
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
	refused "$program: no port" 2 "port is missing" "$program" localhost
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
refused "a port above 65535" 2 "port must be 0 to 65535" hello_server localhost:65536
refused "a path in no folder" 1 "No such file or directory" hello_server "unix:$tmp/none/s"
refused "a path too long" 2 "107 bytes at most" hello_server "unix:/$(printf '%0120d' 0)"
refused "a relative path" 2 "must begin with" hello_server unix:relative
refused "prefork_server: no port" 2 "port is missing" prefork_server localhost
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

report_end
