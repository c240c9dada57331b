#!/bin/sh
# What our echo_server costs, beside other servers. One block of lines for each scenario.
# page.sh makes docs/performance.md of the form --all.
#
# All servers of a scenario run at the same time on one core, each with a load of its own on
# another core. Whatever the machine does then it does to all of them, so their ratios spread by a
# few hundredths only; one after the other (--in-turn) they spread by a third, since a virtual
# machine's speed drifts within seconds. A round starts all servers anew and takes four slices; its
# ratio is the median of the slices, the result is the median of the rounds, and min and max are
# shown. Compared is the server's CPU time for each message, never the wall clock.

usage() {
	cat <<-'END'
	usage: run.sh [OPTION...] BUILD_DIR [ROUNDS]
	  --quick      short form: fewer messages, 3 rounds, 2,000 held connections
	  --only TEXT  only the scenarios whose title has TEXT in it
	  --in-turn    the servers one after the other, not at the same time
	  --beside DIR another build of this library in each scenario, as "DIR: ours"; may be repeated
	  --modes      socketserverd, two workers, --mode threads and processes, Python
	  --proxy      proxy with a bare epoll one, and nothing else
	  --upstream   a handler that makes an upstream request for each line, and nothing else
	  --tls        over TLS, with a bare epoll one, and nothing else
	  --all        every scenario with every server that is here, 10 minutes at most (rows_all.sh)
	  --seconds S  of each slice of --all (1)
	  --json FILE  puts the results of --all there, in the place of earlier ones of the same rows
	  --kv         the kv handler with redis-server, and nothing else (kv.sh)
	  ROUNDS       of each scenario (5)
	environment: SERVER_CPUS, LOAD_CPUS (the first two cores allowed)
	END
}

fail() {
	echo "run.sh: $*" >&2
	exit 1
}

here=$(cd "$(dirname "$0")" && pwd) || exit 1
# shellcheck source=tests/bench/servers.sh
. "$here/servers.sh"
# shellcheck source=tests/bench/scenario.sh
. "$here/scenario.sh"

# ---- memory ----

# hold TITLE OUR_ARGUMENTS: $held connections that have each said one line and stay
hold() {
	case "connections $1" in *"$only"*) ;; *) return ;; esac
	start "ours, $2 --max-connections $((held + 100)) --timeout 0 --idle 0"
	taskset -c "$load_cpus" "$bench/load" 127.0.0.1 "$port" --pid "$pid" --hold "$held" \
	    --speak >"$tmp/out" || server_failed "ours failed while connections were held"
	stop "$pid"
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

loader=load
quick= modes= kv= proxy= tls= upstream= all= json= seconds=1 build= rounds= only= beside= tmp=
slices=slices_at_once parts=4 busy=0
while [ $# -gt 0 ]; do
	case $1 in
	--quick) quick=1 ;;
	--only) only=${2-}; shift ;;
	--beside) beside="$beside ${2-}"; shift ;;
	--in-turn) slices=slices_in_turn ;;
	--modes) modes=1 ;;
	--kv) kv=1 ;;
	--proxy) proxy=1 ;;
	--tls) tls=1 ;;
	--all) all=1 ;;
	--json) json=${2-}; shift ;;
	--seconds) seconds=${2-}; shift ;;
	--upstream) upstream=1 ;;
	-h|--help) usage; exit 0 ;;
	-*) usage >&2; exit 2 ;;
	*)	if [ -z "$build" ]; then
			build=$1
		elif [ -z "$rounds" ]; then
			rounds=$1
		else
			usage >&2; exit 2
		fi ;;
	esac
	shift
done
[ -n "$build" ] || { usage >&2; exit 2; }
for folder in "$build" $beside; do
	[ -d "$folder" ] || fail "no build directory $folder"
done
[ -z "$kv" ] || exec sh "$here/kv.sh" ${quick:+--quick} "$build" ${rounds:+"$rounds"}
case ${rounds:-1} in
*[!0-9]*|0*) fail "ROUNDS must be a number from 1, not $rounds" ;;
esac

for tool in taskset mkfifo awk python3; do
	command -v "$tool" >/dev/null || fail "missing program: $tool"
done
bench=$build/tests/bench
ours=$build/examples/echo_server
ours_options= ours_last= # its arguments before and behind the address
for program in "$ours" "$bench/load" "$bench/epoll_echo" "$bench/bufferevent_echo" \
    "$bench/thread_echo" "$bench/thread_lines" "$bench/fork_echo" "$bench/fork_lines" \
    "$bench/epoll_proxy" "$bench/upstream_echo" "$bench/udp_echo" "$bench/hello_bare"; do
	need "$program"
done
# python3 itself, without a wrapper before it: its process is what is measured
python=$(python3 -c 'import sys; print(sys.executable)') || fail "python3 does not run"

set -- $(two_cores)
server_cpus=${SERVER_CPUS:-$1} load_cpus=${LOAD_CPUS:-$2}
[ -n "$load_cpus" ] || fail "needs two cores: one for the servers, one for the loads"

ulimit -n "$(ulimit -H -n)" || fail "cannot raise the open files limit"
if [ -n "$quick" ]; then
	rounds=${rounds:-3} messages=10000 held=2000
else
	rounds=${rounds:-5} messages=50000 held=15000
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
: >"$tmp/rows"

# The key and the cipher are the same for all.
make_certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost \
	    -keyout "$tmp/key.pem" -out "$tmp/cert.pem" 2>/dev/null || fail "openssl makes no certificate"
	cat "$tmp/key.pem" >>"$tmp/cert.pem"
}

# ---- all ----

write_results() {
	[ -z "$json" ] || [ ! -s "$tmp/rows" ] ||
	    python3 "$here/figures.py" collect "$tmp/rows" "$json" "$seconds" ||
	    echo "run.sh: no results in $json" >&2
}

if [ -n "$all" ]; then
	trap 'write_results; cleanup' EXIT # also those of a run that is stopped
	# shellcheck source=tests/bench/rows_all.sh
	. "$here/rows_all.sh"
	[ -z "$failed" ] || fail "a row or more is missing, see above"
	exit 0
fi

# ---- scenarios: servers that are clients, of an echo server beside the load ----

# The load shares its core with the upstream server, so it must sleep when it waits.
if [ -n "$proxy" ]; then
	start_upstream
	ours=$build/examples/proxy ours_last=127.0.0.1:$upstream_port
	for n in 64 1000; do
		scenario "proxy, 64-byte lines, $n connections" message \
		    "--connections $n --messages $messages --sleep" "bare epoll proxy" ours=1.10
	done
	scenario "proxy, 16 KiB at once, 16 connections" message \
	    "--connections 16 --size 16384 --messages $((messages / 5)) --sleep" "bare epoll proxy" ours=1.10
	exit 0
fi

# ---- scenarios over TLS: the same key and cipher for both ----

if [ -n "$tls" ]; then
	need "$bench/tls_echo"
	loader=tls_load
	make_certificate
	ours_options="--max-line 17000"
	scenario "TLS, 64-byte lines, 64 connections" message "--connections 64 --messages $messages" \
	    "bare epoll, TLS" "ours over TLS=1.08"
	scenario "TLS, lines of 16 KiB, 64 connections" message \
	    "--connections 64 --size 16384 --messages $((messages / 5))" "bare epoll, TLS" "ours over TLS=1.05"
	scenario "TLS, a handshake and a line" connection "--handshakes $((messages / 50))" \
	    "bare epoll, TLS" "ours over TLS=1.05"
	ours_last=--keep
	start "ours over TLS"
	"$bench/tls_load" 127.0.0.1 "$port" --pid "$pid" --hold $((held < 2000 ? held : 2000)) >"$tmp/out" ||
	    server_failed "ours failed while connections were held"
	stop "$pid"
	echo "parked over TLS: $(sed 's/.*=//' "$tmp/out") bytes of memory each, limit 16384"
	exit 0
fi

# asks TITLE ARGUMENTS: 1000 clients on one loop; every answer is compared with its question
asks() {
	ours=$bench/upstream_echo
	start "ours, $2 127.0.0.1:$upstream_port"
	taskset -c "$load_cpus" "$bench/load" 127.0.0.1 "$port" --pid "$pid" --connections 1000 \
	    --messages $messages --sleep >"$tmp/out" || server_failed "ours failed under load"
	stop "$pid"
	awk -F= -v title="$1" '{ v[$1] = $2 } END {
		printf "%s: %d requests a second, %d ns of CPU each, %d errors\n", title,
		    v["messages_per_second"], v["server_cpu_ns_per_message"], v["errors"] }' "$tmp/out"
}

if [ -n "$upstream" ]; then
	start_upstream
	asks "an upstream request for each line, 1000 clients, a connection each" "--kept"
	asks "an upstream connection for each line, 1000 clients" ""
	exit 0
fi

# ---- scenarios ----

if [ -z "$modes" ]; then
	scenario "64-byte lines, 64 connections" message "--connections 64 --messages $messages" \
	    "bare epoll" ours=1.14 libuv bufferevent
	scenario "64-byte lines, 1000 connections" message "--connections 1000 --messages $messages" \
	    "bare epoll" ours=1.08 libuv bufferevent
	scenario "16 lines of 64 bytes in one send, 64 connections" line \
	    "--connections 64 --pipeline 16 --messages $((messages * 8))" \
	    "bare epoll" ours=1.18 libuv bufferevent
	scenario "a connection, one line, an orderly end" connection "--connect $((messages / 5))" \
	    "bare epoll" ours=1.06 libuv bufferevent
	scenario "a connection, one line, a reset" connection "--connect $((messages / 5)) --reset" \
	    "bare epoll" ours=1.10 libuv bufferevent
	hold "parked (--keep)" "--keep"
	hold "waiting in readline on a fiber" ""
	exit 0
fi

scenario "echo under socketserverd, 64-byte lines, 64 connections" message \
    "--connections 64 --messages $messages" ours socketserverd=1.02
scenario "threads, 64-byte lines, 64 connections" message "--connections 64 --messages $messages" \
    thread_echo "ours, --mode threads=1.40" thread_lines
scenario "processes, one line a connection" connection "--connect $((messages / 5)) --children" \
    fork_echo "ours, --mode processes=1.60" fork_lines

# Both on two cores, where the one loop has one of them for itself.
server_cpus="$server_cpus,$load_cpus"
scenario "two workers, 64-byte lines, 64 connections" message "--connections 64 --messages $messages" \
    "ours, --workers 1" "ours, --workers 2=1.05"
server_cpus=${server_cpus%,*}

# Python's servers have many threads or processes, which would drive all others out.
slices=slices_in_turn
scenario "beside Python, threads, 64-byte lines, 64 connections" message \
    "--connections 64 --messages $((messages / 5))" "ours, --mode threads" ours "Python, threads"
scenario "beside Python, threads, 16 lines in one send" line \
    "--connections 64 --pipeline 16 --messages $((messages / 2))" \
    "ours, --mode threads" ours "Python, threads"
scenario "beside Python, processes" connection "--connect $((messages / 50)) --children" \
    "ours, --mode processes" "Python, processes"
