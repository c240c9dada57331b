#!/bin/sh
# What our echo_server costs, against servers that do less. One plain line for each scenario.
#
# Both servers of a comparison run on one core and the load on another. A virtual machine's speed
# drifts by a third within seconds, so a pair is eight short slices, A B B A A B B A (the next
# pair: B A A B ...), with both servers anew; the pair's ratio is the median of its four
# neighbouring couples, the result is the median of the pairs, and min and max are shown.
# Compared is the server's CPU time for each message, never the wall clock.
#
# --together: both servers serve at the same time, on the same core. Whatever the machine does
# then, it does to both, so the spread is a fifth of that in turn. But they drive each other out
# of the caches, and wait longer, so more comes in at once: it is another question.

usage() {
	cat <<-'END'
	usage: run.sh [--quick] [--together] [--modes | --proxy | --upstream | --kv] BUILD_DIR [PAIRS]
	  --quick   short form: fewer messages, 3 pairs, 2,000 held connections
	  --together  the servers of a pair at the same time, not in turn (not with --kv)
	  --modes   compare socketserverd, two workers, --mode threads and processes, too
	  --proxy   compare proxy with a bare epoll one, and nothing else
	  --upstream  a handler that makes an upstream request for each line, and nothing else
	  --kv      compare the kv handler with redis-server, and nothing else (kv.sh)
	  PAIRS     of each comparison (5)
	environment: SERVER_CPUS, LOAD_CPUS (the first two cores allowed), ECHO_SERVER (the program)
	END
}

fail() {
	echo "run.sh: $*" >&2
	exit 1
}

# ---- servers ----

tmp=
pids=

cleanup() {
	for p in $pids; do
		kill -KILL "$p" 2>/dev/null
	done
	wait 2>/dev/null
	[ -z "$tmp" ] || rm -rf "$tmp"
}

# start_baseline COMMAND...: sets pid and port. It is ready when it prints "listening PORT".
start_baseline() {
	rm -f "$tmp/ready"
	mkfifo "$tmp/ready" || fail "no fifo in $tmp"
	taskset -c "$server_cpus" "$@" 0 >"$tmp/ready" &
	pid=$!
	pids="$pids $pid"
	port=
	read -r word port <"$tmp/ready"
	[ "$word" = listening ] && [ -n "$port" ] || fail "$* did not start"
}

# start_ours ARGUMENTS...: sets pid and port. It is ready when a client can connect.
start_ours() {
	port=$("$bench/load" --free-port) || fail "no free port"
	taskset -c "$server_cpus" "$ours" "$@" "tcp:127.0.0.1:$port" $ours_last >"$tmp/log" 2>&1 &
	pid=$!
	pids="$pids $pid"
	"$bench/load" 127.0.0.1 "$port" --ready --pid "$pid" || ours_failed "did not start"
}

# start_daemon HANDLER: the same for a handler plugin under socketserverd
start_daemon() {
	port=$("$bench/load" --free-port) || fail "no free port"
	SOCKETSERVER_HANDLERS=$build/handlers taskset -c "$server_cpus" \
	    "$build/handlers/socketserverd" "$1" --listen "tcp:127.0.0.1:$port" >"$tmp/log" 2>&1 &
	pid=$!
	pids="$pids $pid"
	"$bench/load" 127.0.0.1 "$port" --ready --pid "$pid" || ours_failed "did not start"
}

# start WORDS: one of the three, by the first word
start() {
	case $1 in
	ours) shift && start_ours "$@" ;;
	daemon) shift && start_daemon "$@" ;;
	*) start_baseline "$@" ;;
	esac
}

ours_failed() {
	sed "s,^,run.sh: ${ours##*/}: ," "$tmp/log" | tail -n 5 >&2
	fail "$ours $*"
}

# stop PID: sets status. Five seconds to end, then it is killed.
stop() {
	kill -TERM "$1" 2>/dev/null
	tries=0
	while kill -0 "$1" 2>/dev/null && [ $tries -lt 100 ]; do
		sleep 0.05
		tries=$((tries + 1))
	done
	kill -KILL "$1" 2>/dev/null
	wait "$1" 2>/dev/null
	status=$?
	left=
	for p in $pids; do
		[ "$p" = "$1" ] || left="$left $p"
	done
	pids=$left
}

stop_ours() {
	stop "$1"
	[ $status -eq 0 ] || ours_failed "ended with status $status, not 0, after SIGTERM"
}

# ---- comparisons ----

# slice WHICH LOAD_ARGUMENTS...: prints the CPU time of a message or connection in ns
slice() {
	if [ "$1" = base ]; then
		slice_pid=$base_pid slice_port=$base_port
	else
		slice_pid=$our_pid slice_port=$our_port
	fi
	shift
	taskset -c "$load_cpus" "$bench/load" 127.0.0.1 "$slice_port" --pid "$slice_pid" "$@" \
	    >"$tmp/out.$slice_pid" || return 1
	sed -n 's/^server_cpu_ns_per_[a-z]*=//p' "$tmp/out.$slice_pid"
}

failed_under_load() {
	[ "$1" = base ] || ours_failed "failed under load"
	fail "$base failed under load"
}

# one_together LOAD_ARGUMENTS...: as one_pair
one_together() {
	for _ in 1 2 3 4; do
		slice base "$@" >"$tmp/base" &
		base_load=$!
		our_ns=$(slice ours "$@") || failed_under_load ours
		wait "$base_load" || failed_under_load base
		echo "$pair $(cat "$tmp/base") $our_ns" >>"$tmp/couples"
	done
}

# one_pair FIRST SECOND LOAD_ARGUMENTS...: appends four lines "pair base ours" to $tmp/couples
one_pair() {
	one=$1 two=$2
	shift 2
	for order in "$one $two" "$two $one" "$one $two" "$two $one"; do
		for which in $order; do
			ns=$(slice "$which" "$@") || failed_under_load "$which"
			[ "$which" = base ] && base_ns=$ns || our_ns=$ns
		done
		echo "$pair $base_ns $our_ns" >>"$tmp/couples"
	done
}

# compare FIRST SECOND LOAD_ARGUMENTS...: sets ratio, low, high, base_ns and our_ns. Each server is
# "ours ARGUMENTS", "daemon HANDLER" or the command of a baseline.
compare() {
	base=$1 second=$2
	shift 2
	: >"$tmp/couples"
	pair=1
	while [ "$pair" -le "$pairs" ]; do
		start $base
		base_pid=$pid base_port=$port
		start $second
		our_pid=$pid our_port=$port
		if [ -n "$together" ]; then
			one_together "$@"
		elif [ $((pair % 2)) -eq 1 ]; then
			one_pair base ours "$@"
		else
			one_pair ours base "$@"
		fi
		stop "$base_pid"
		stop_ours "$our_pid"
		pair=$((pair + 1))
	done
	awk '
	function median(a, n,   i, j, t) {
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && a[j - 1] > a[j]; j--) {
				t = a[j]; a[j] = a[j - 1]; a[j - 1] = t
			}
		return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
	}
	{
		base[NR] = $2; ours[NR] = $3; couple[++c] = $3 / $2
		if (c == 4) { ratios[++pairs] = median(couple, 4); c = 0 }
	}
	END {
		m = median(ratios, pairs)               # sorts them too
		printf "ratio=%.4f low=%.4f high=%.4f base_ns=%.0f our_ns=%.0f\n", m, ratios[1],
		    ratios[pairs], median(base, NR), median(ours, NR)
	}' "$tmp/couples" >"$tmp/result"
	. "$tmp/result"
}

# against TITLE BASE_NAME UNIT LIMIT: the line of a comparison in which less is better
against() {
	printf '%s: %.2f times %s (limit %s; %.2f to %.2f, %d pairs; %s ns against %s ns a %s)\n' \
	    "$1" "$ratio" "$2" "$4" "$low" "$high" "$pairs" "$our_ns" "$base_ns" "$3"
}

# factor TITLE UNIT: the other way round, how much more the baseline costs
factor() {
	awk -v title="$1" -v unit="$2" -v r="$ratio" -v l="$low" -v h="$high" -v n="$pairs" \
	    -v base="$base_ns" -v ours="$our_ns" 'BEGIN {
		printf "%s: %.1f times our CPU (%.1f to %.1f, %d pairs; %s ns against our %s ns a %s)\n",
		    title, 1 / r, 1 / h, 1 / l, n, base, ours, unit }'
}

# ---- memory ----

# hold TITLE OUR_ARGUMENTS: $held connections that have each said one line and stay
hold() {
	start_ours $2 --max-connections $((held + 100)) --timeout 0
	taskset -c "$load_cpus" "$bench/load" 127.0.0.1 "$port" --pid "$pid" --hold "$held" \
	    --speak >"$tmp/out" || ours_failed "failed while connections were held"
	stop_ours "$pid"
	awk -F= -v n="$held" -v title="$1" '{ v[$1] = $2 } END {
		if (n >= 1000)
			n = sprintf("%d,%03d", n / 1000, n % 1000)
		printf "%s connections %s: %.0f bytes of memory each (and %.0f of page tables)\n", n,
		    title, v["bytes_per_connection"], v["page_table_bytes_per_connection"]
	}' "$tmp/out"
}

# ---- what is there ----

need() {
	[ -x "$1" ] || fail "missing: $1 (build first: meson compile -C $build)"
}

# The first two of the cores this process may use, from a list such as 0,2-5
two_cores() {
	taskset -cp $$ | sed 's/.*: //' | awk -F, '{
		for (i = 1; i <= NF; i++) {
			n = split($i, r, "-")
			for (c = r[1]; c <= r[n] + 0; c++)
				printf "%d ", c
		} }' | cut -d' ' -f1,2
}

quick= together= modes= kv= proxy= upstream= build= pairs=
for argument; do
	case $argument in
	--quick) quick=1 ;;
	--together) together=1 ;;
	--modes) modes=1 ;;
	--kv) kv=1 ;;
	--proxy) proxy=1 ;;
	--upstream) upstream=1 ;;
	-h|--help) usage; exit 0 ;;
	-*) usage >&2; exit 2 ;;
	*)	if [ -z "$build" ]; then
			build=$argument
		elif [ -z "$pairs" ]; then
			pairs=$argument
		else
			usage >&2; exit 2
		fi ;;
	esac
done
[ -n "$build" ] || { usage >&2; exit 2; }
[ -d "$build" ] || fail "no build directory $build"
here=$(cd "$(dirname "$0")" && pwd) || exit 1
[ -z "$kv" ] || exec sh "$here/kv.sh" ${quick:+--quick} "$build" ${pairs:+"$pairs"}
case ${pairs:-1} in
*[!0-9]*|0*) fail "PAIRS must be a number from 1, not $pairs" ;;
esac

for tool in taskset mkfifo awk python3; do
	command -v "$tool" >/dev/null || fail "missing program: $tool"
done
bench=$build/tests/bench
ours=${ECHO_SERVER:-$build/examples/echo_server}
ours_last= # of its arguments, behind the address
for program in "$ours" "$bench/load" "$bench/epoll_echo" "$bench/thread_echo" \
    "$bench/thread_lines" "$bench/fork_echo" "$bench/fork_lines" "$bench/epoll_proxy" "$bench/upstream_echo"; do
	need "$program"
done
# python3 itself, without a wrapper before it: its process is what is measured
python=$(python3 -c 'import sys; print(sys.executable)') || fail "python3 does not run"

set -- $(two_cores)
server_cpus=${SERVER_CPUS:-$1} load_cpus=${LOAD_CPUS:-$2}
[ -n "$load_cpus" ] || fail "needs two cores: one for the server, one for the load"

ulimit -n "$(ulimit -H -n)" || fail "cannot raise the open files limit"
if [ -n "$quick" ]; then
	pairs=${pairs:-3} count=10000 held=2000
else
	pairs=${pairs:-5} count=50000 held=15000
fi
limit=$(ulimit -n)
if [ "$limit" != unlimited ] && [ "$limit" -lt $((held + 200)) ]; then
	held=$((limit - 200))
	[ "$held" -gt 0 ] || fail "open files limit of $limit is too low"
fi

trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
tmp=$(mktemp -d) || exit 1

# ---- scenarios: servers that are clients, of an echo server beside the load ----

# start_upstream: sets upstream_port
start_upstream() {
	rm -f "$tmp/ready"
	mkfifo "$tmp/ready" || fail "no fifo in $tmp"
	taskset -c "$load_cpus" "$bench/epoll_echo" 0 >"$tmp/ready" &
	pids="$pids $!"
	read -r _ upstream_port <"$tmp/ready"
	[ -n "$upstream_port" ] || fail "epoll_echo did not start"
}

# The load shares its core with the upstream server, so it must sleep when it waits.
if [ -n "$proxy" ]; then
	start_upstream
	ours=$build/examples/proxy ours_last=127.0.0.1:$upstream_port
	for n in 64 1000; do
		compare "$bench/epoll_proxy $upstream_port" "ours" --connections $n --messages $count --sleep
		against "proxy, 64-byte lines, $n connections" "bare epoll" message 1.10
	done
	compare "$bench/epoll_proxy $upstream_port" "ours" --connections 16 --size 16384 \
	    --messages $((count / 5)) --sleep
	against "proxy, 16 KiB at once, 16 connections" "bare epoll" message 1.10
	exit 0
fi

# asks TITLE ARGUMENTS...: 1000 clients on one loop; every answer is compared with its question
asks() {
	title=$1
	shift
	start_ours "$@" "127.0.0.1:$upstream_port"
	taskset -c "$load_cpus" "$bench/load" 127.0.0.1 "$port" --pid "$pid" --connections 1000 \
	    --messages $count --sleep >"$tmp/out" || ours_failed "failed under load"
	stop_ours "$pid"
	awk -F= -v title="$title" '{ v[$1] = $2 } END {
		printf "%s: %d requests a second, %d ns of CPU each, %d errors\n", title,
		    v["messages_per_second"], v["server_cpu_ns_per_message"], v["errors"] }' "$tmp/out"
}

if [ -n "$upstream" ]; then
	start_upstream
	ours=$bench/upstream_echo
	asks "an upstream request for each line, 1000 clients, a connection each" --kept
	asks "an upstream connection for each line, 1000 clients"
	exit 0
fi

# ---- scenarios ----

compare "$bench/epoll_echo" "ours" --connections 64 --messages $count
against "64-byte lines, 64 connections" "bare epoll" message 1.05

compare "$bench/epoll_echo" "ours" --connections 1000 --messages $count
against "64-byte lines, 1000 connections" "bare epoll" message 1.05

compare "$bench/epoll_echo" "ours" --connections 64 --pipeline 16 --messages $((count * 8))
against "16 lines of 64 bytes in one send, 64 connections" "bare epoll" line 1.05

hold "parked (--keep)" "--keep"
hold "waiting in readline on a fiber" ""

compare "$python $here/python_echo.py --mode threads" "ours" --connections 64 \
    --messages $((count / 5))
factor "Python's socketserver with threads, 64-byte lines, 64 connections" message

compare "$python $here/python_echo.py --mode threads" "ours" --connections 64 --pipeline 16 \
    --messages $((count / 2))
factor "Python's socketserver with threads, 16 lines in one send" line

[ -n "$modes" ] || exit 0

compare "ours" "daemon echo" --connections 64 --messages $count
against "echo under socketserverd, 64-byte lines, 64 connections" "echo_server" message 1.02

# Both on two cores, where the one loop has one of them for itself.
server_cpus="$server_cpus,$load_cpus"
compare "ours --workers 1" "ours --workers 2" --connections 64 --messages $count
against "two workers, 64-byte lines, 64 connections" "one" message 1.05
server_cpus=${server_cpus%,*}

compare "$bench/thread_echo" "ours --mode threads" --connections 64 --messages $count
against "threads, 64-byte lines, 64 connections" "bare threads" message 1.00

compare "$bench/thread_lines" "ours --mode threads" --connections 64 --messages $count
against "threads, 64-byte lines, 64 connections" "threads with getline(3), fwrite(3)" message 1.00

compare "$bench/fork_echo" "ours --mode processes" --connect $((count / 5)) --children
against "processes, one line a connection" "accept-fork-echo" connection 1.10

compare "$bench/fork_lines" "ours --mode processes" --connect $((count / 5)) --children
against "processes, one line a connection" "accept-fork with getline(3), fwrite(3)" connection 1.10

compare "$python $here/python_echo.py --mode threads" "ours --mode threads" --connections 64 \
    --messages $((count / 5))
factor "Python's socketserver against ours, both with threads" message

compare "$python $here/python_echo.py --mode threads" "ours --mode threads" --connections 64 \
    --pipeline 16 --messages $((count / 2))
factor "Python's socketserver against ours, both with threads, 16 lines in one send" line

compare "$python $here/python_echo.py --mode processes" "ours --mode processes" \
    --connect $((count / 50)) --children
factor "Python's socketserver against ours, both with processes" connection
