#!/bin/sh
# The kv and users handlers under socketserverd, by real clients: redis-cli,
# redis-benchmark, finger's protocol by ncat.
#
# usage: check_kv_clients.sh SOURCE_DIR BUILD_DIR
#
# Nothing sleeps: a daemon is ready when its line is read, and a time limit of
# 30 seconds bounds each client.
set -u

if [ $# -ne 2 ] || [ ! -f "$1/meson.build" ] || [ ! -x "$2/handlers/socketserverd" ]; then
	echo "usage: check_kv_clients.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$1/tests/support/report.sh"
build=$(cd "$2" && pwd) || exit 2
# shellcheck source=tests/support/daemon.sh
. "$1/tests/support/daemon.sh"
limit="timeout 30"

# start ARGUMENT...: on 127.0.0.1; sets pid and port. Its log is read at descriptor 3.
start() {
	rm -f "$tmp/log"
	mkfifo "$tmp/log" || exit 2
	"$daemon" --listen tcp:127.0.0.1:0 "$@" 2>"$tmp/log" &
	pid=$!
	exec 3<"$tmp/log"
	port=
	while read -r line <&3; do
		case $line in
		*": listening on "*) port=${line##*:}; return 0 ;;
		esac
	done
	not_ok "socketserverd $*" "it ended"
	wait "$pid"
	pid=
	return 1
}

# stop NAME: holds when it ends with 0 after SIGTERM
stop() {
	kill -TERM "$pid"
	$limit cat <&3 >"$tmp/rest"
	wait "$pid"
	code=$?
	pid=
	exec 3<&-
	if [ $code -eq 0 ]; then
		ok "$1"
	else
		not_ok "$1" "exit code $code" "$(cat "$tmp/rest")"
	fi
}

# cli WORD...: what redis-cli prints
cli() {
	$limit redis-cli -p "$port" "$@" </dev/null 2>&1
}

with_cli() {
	start kv "$@" || return
	same "redis-cli, $*: PING" PONG "$(cli PING)"
	same "redis-cli, $*: SET" OK "$(cli SET 'a key' 'a value')"
	same "redis-cli, $*: GET" "a value" "$(cli GET 'a key')"
	same "redis-cli, $*: INCR" "3" "$(cli -r 3 INCR n | tail -n 1)"
	same "redis-cli, $*: KEYS" "a key" "$(cli KEYS 'a*')"
	same "redis-cli, $*: an error" "ERR unknown command 'LPUSH', with args beginning with: 'a' 'b' " \
	    "$(cli LPUSH a b | head -n 1)"
	same "redis-cli, $*: version 3" "" "$(cli -3 GET nothing)"
	same "redis-cli, $*: a command from standard input" "hi" \
	    "$(printf 'ECHO hi\n' | $limit redis-cli -p "$port")"
	same "redis-cli, $*: a large value" "$(head -c 3000000 /dev/zero | tr '\0' x | cksum)" \
	    "$(head -c 3000000 /dev/zero | tr '\0' x | $limit redis-cli -p "$port" -x SET big >/dev/null
		cli GET big | tr -d '\n' | cksum)"
	# As fast as it can be sent: redis-cli counts the replies itself.
	same "redis-cli, $*: --pipe" "errors: 0, replies: 10000" \
	    "$(awk 'BEGIN { for (i = 0; i < 10000; i++) printf "SET key:%d %d\r\n", i, i }' |
		$limit redis-cli -p "$port" --pipe 2>&1 | tail -n 1)"
	same "redis-cli, $*: DBSIZE" 10003 "$(cli DBSIZE)"
	stop "redis-cli, $*: SIGTERM"
}

with_benchmark() {
	start kv "$@" || return
	for at_once in 1 16; do
		$limit redis-benchmark -p "$port" -t ping,set,get,incr -n 2000 -c 20 -P $at_once -r 100 \
		    --csv >"$tmp/csv" 2>"$tmp/err"
		code=$?
		name="redis-benchmark, $*, $at_once at once"
		if [ $code -eq 0 ] && [ "$(grep -c '^"[A-Z_]*","[1-9]' "$tmp/csv")" -eq 5 ] &&
		    [ ! -s "$tmp/err" ]; then
			ok "$name"
		else
			not_ok "$name" "exit code $code" "$(cat "$tmp/csv" "$tmp/err")"
		fi
	done
	stop "redis-benchmark, $*: SIGTERM"
}

for client in redis-cli redis-benchmark; do
	if ! command -v $client >/dev/null; then
		skip "kv" "no $client"
		continue
	fi
	for mode in "--mode fibers" "--mode serial" "--mode threads" "--workers 2"; do
		# shellcheck disable=SC2086
		if [ $client = redis-cli ]; then
			with_cli $mode
		else
			with_benchmark $mode
		fi
	done
done

# A pipeline that is written whole before the first reply is read, as hiredis and redis-py do.
# More than the kernel keeps of either direction.
write_whole() {
	$limit python3 - "$port" <<'EOT'
import socket, sys
n, value = 8000, b"v" * 1024
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20)
command = b"SET k%d " + value + b"\r\nGET k%d\r\n"
sock.sendall(b"".join(command % (i, i) for i in range(n)))
want = (b"+OK\r\n$1024\r\n" + value + b"\r\n") * n
got = sock.makefile("rb").read(len(want))
print("all" if got == want else "%d of %d bytes" % (len(got), len(want)))
EOT
}

for mode in fibers threads; do
	if start kv --mode "$mode" --timeout 10s; then
		same "a pipeline that is written whole, $mode" all "$(write_whole)"
		stop "a pipeline that is written whole, $mode: SIGTERM"
	fi
done

if ! command -v redis-cli >/dev/null; then
	skip "kv, max-memory" "no redis-cli"
elif start kv -o max-memory=1M -o max-value=100k; then
	awk 'BEGIN { for (i = 0; i < 20000; i++) printf "SET key:%d value\r\n", i }' |
	    $limit redis-cli -p "$port" --pipe >"$tmp/out" 2>&1
	same "kv, max-memory: refused beyond it" \
	    "OOM command not allowed when used memory > 'maxmemory'." "$(cli SET key:20000 x)"
	used=$(cli INFO | sed -n 's/^used_memory:\([0-9]*\).*/\1/p')
	if [ "${used:-0}" -gt 900000 ] && [ "$used" -le 1048576 ]; then
		ok "kv, max-memory: used to the bound"
	else
		not_ok "kv, max-memory: used to the bound" "used_memory is $used"
	fi
	same "kv, max-memory: what is there is served" value "$(cli GET key:0)"
	stop "kv, max-memory: SIGTERM"
fi

for handler in kv users; do
	$limit "$daemon" --mode processes --listen tcp:127.0.0.1:0 $handler >"$tmp/out" 2>&1
	code=$?
	if [ $code -eq 2 ] && grep -q "$handler: not in the mode processes: each process" "$tmp/out"; then
		ok "$handler, --mode processes is refused"
	else
		not_ok "$handler, --mode processes is refused" "exit code $code" "$(cat "$tmp/out")"
	fi
done

if ! command -v ncat >/dev/null; then
	skip "users" "no ncat"
elif start users; then
	printf '\r\n' | $limit ncat 127.0.0.1 "$port" >"$tmp/out"
	if grep -Eq '^127\.0\.0\.1:[0-9]+ +since 2[-0-9T:]+Z  asked 1.?$' "$tmp/out" &&
	    [ "$(wc -l <"$tmp/out")" -eq 1 ]; then
		ok "users, as finger asks"
	else
		not_ok "users, as finger asks" "$(cat "$tmp/out")"
	fi
	stop "users: SIGTERM"
fi

report_end
