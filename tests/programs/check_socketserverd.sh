#!/bin/sh
# socketserverd as a user runs it: each stock handler in each mode over each
# transport, by real clients; what it tells; what it refuses; signals.
#
# usage: check_socketserverd.sh SOURCE_DIR BUILD_DIR
#
# Nothing sleeps: a daemon is ready when its lines are read, and a time limit
# of 20 seconds bounds each wait.
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
# shellcheck source=tests/support/stock.sh
. "$1/tests/support/stock.sh"

# has NAME WORDS TEXT: holds when the text has these words
has() {
	case $3 in
	*"$2"*) ok "$1" ;;
	*) not_ok "$1" "expected: $2" "got: $3" ;;
	esac
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
refused "a port out of range" 2 "port must be 0 to 65535" hello --listen 127.0.0.1:65536
refused "not an address" 2 "address nonsense: " hello --listen nonsense
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
refused "a mode and workers that do not go together" 2 "not with processes" \
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
