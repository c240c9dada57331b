#!/bin/sh
# The kv handler under socketserverd against redis-server, by redis-benchmark: requests a second.
#
# Both servers run on one core and the load on another. A machine's speed drifts, so a pair is
# four short runs, redis ours ours redis (the next pair: ours redis redis ours), and its ratio is
# of their sums; the result is the median of the pairs, with min and max, and beside it the limit.

limit=0.9

usage() {
	cat <<-'END'
	usage: kv.sh [--quick] BUILD_DIR [PAIRS]
	  --quick   short form: fewer requests, 3 pairs
	  PAIRS     of each comparison (5)
	environment: SERVER_CPUS, LOAD_CPUS (the first two cores allowed)
	END
}

fail() {
	echo "kv.sh: $*" >&2
	exit 1
}

tmp=
pids=

cleanup() {
	for p in $pids; do
		kill -TERM "$p" 2>/dev/null
	done
	wait 2>/dev/null
	[ -z "$tmp" ] || rm -rf "$tmp"
}

# start NAME COMMAND...: in the background, on the servers' core; waits until $port answers
start() {
	name=$1
	shift
	taskset -c "$server_cpus" "$@" >"$tmp/$name.log" 2>&1 &
	pid=$!
	pids="$pids $pid"
	"$bench/load" 127.0.0.1 "$port" --ready --pid "$pid" || {
		tail -n 5 "$tmp/$name.log" >&2
		fail "$name did not start"
	}
}

# rate PORT TEST PIPELINE REQUESTS: prints requests a second
rate() {
	taskset -c "$load_cpus" redis-benchmark -p "$1" -t "$2" -c 50 -P "$3" -n "$4" --csv \
	    2>"$tmp/err" >"$tmp/csv" || return 1
	awk -F'"' '$4 + 0 > 0 { found = $4 } END { if (!found) exit 1; print found }' "$tmp/csv"
}

# compare TEST PIPELINE REQUESTS: prints one line
compare() {
	: >"$tmp/pairs"
	pair=1
	while [ "$pair" -le "$pairs" ]; do
		order="theirs ours ours theirs"
		[ $((pair % 2)) -eq 1 ] || order="ours theirs theirs ours"
		for which in $order; do
			[ "$which" = ours ] && port=$our_port || port=$redis_port
			per_second=$(rate "$port" "$@") || {
				tail -n 3 "$tmp/err" "$tmp/csv" >&2
				fail "redis-benchmark -t $1 -P $2 failed with $which"
			}
			echo "$which $per_second" >>"$tmp/pairs"
		done
		pair=$((pair + 1))
	done
	awk -v title="$1, 50 clients, $2 at once" -v limit="$limit" '
	function median(a, n,   i, j, t) {
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && a[j - 1] > a[j]; j--) {
				t = a[j]; a[j] = a[j - 1]; a[j - 1] = t
			}
		return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
	}
	$1 == "ours" { ours[++n] = $2; o += $2 }
	$1 == "theirs" { theirs[NR - n] = $2; t += $2 }
	NR % 4 == 0 { ratio[++pairs] = o / t; o = t = 0 }
	END {
		m = median(ratio, pairs)
		printf "%s: %.2f times redis-server (%.2f to %.2f, %d pairs; %.0f against %.0f " \
		    "requests a second); limit %.2f%s\n", title, m, ratio[1], ratio[pairs], pairs,
		    median(ours, n), median(theirs, n), limit, m < limit ? ": MISSED" : ""
	}' "$tmp/pairs"
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

quick= build= pairs=
for argument; do
	case $argument in
	--quick) quick=1 ;;
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
case ${pairs:-1} in
*[!0-9]*|0*) fail "PAIRS must be a number from 1, not $pairs" ;;
esac

for tool in redis-server redis-benchmark; do
	command -v "$tool" >/dev/null || { echo "kv: skipped: no $tool"; exit 0; }
done
bench=$build/tests/bench
daemon=$build/handlers/socketserverd
for program in "$daemon" "$build/handlers/kv.so" "$bench/load"; do
	[ -e "$program" ] || fail "missing: $program (build first: meson compile -C $build)"
done

set -- $(two_cores)
server_cpus=${SERVER_CPUS:-$1} load_cpus=${LOAD_CPUS:-$2}
[ -n "$load_cpus" ] || fail "needs two cores: one for the servers, one for the load"
if [ -n "$quick" ]; then
	pairs=${pairs:-3} count=10000
else
	pairs=${pairs:-5} count=50000
fi

trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
tmp=$(mktemp -d) || exit 1

redis_port=$("$bench/load" --free-port) || fail "no free port"
port=$redis_port
start redis-server redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no --dir "$tmp"
our_port=$("$bench/load" --free-port) || fail "no free port"
port=$our_port
start kv "$daemon" --listen "tcp:127.0.0.1:$port" "$build/handlers/kv.so"

for test in ping_inline ping_mbulk set get; do
	compare "$test" 1 "$count"
	compare "$test" 16 $((count * 10))
done
