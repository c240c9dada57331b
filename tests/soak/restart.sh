#!/bin/sh
# No request is lost when a server is restarted: N restarts, each after REQUESTS more requests, for
# each KIND of restart.py, of echo_server and of prefork_server, in each mode. Prints a line for each,
# and a sum. 100 restarts with the 10,000 requests of the default are a million requests a line. The
# tests run a short form of it.
#
# With reuse-port the kernel chooses a socket for a client when its first packet comes. That socket
# may be closed before it is accepted, and the client is reset (about 1 in 60,000), unless
# net.ipv4.tcp_migrate_req says that it moves to another socket. So it is set, in a network of its own.
#
# usage: restart.sh N [BUILD_DIR [REQUESTS [KIND]...]]
set -u

n=${1-}
build=${2:-build}
requests=${3:-10000}
if [ -z "$n" ] || [ ! -x "$build/examples/echo_server" ] || [ ! -x "$build/tests/restart_load" ]; then
	echo "usage: restart.sh N [BUILD_DIR [REQUESTS [KIND]...]]" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$(dirname "$0")/../support/report.sh"
here=$(dirname "$0")

command -v python3 >/dev/null || { skip "restarts" "no python3"; report_end; }
if [ $# -gt 3 ]; then
	shift 3
else
	set -- tcp unix reuse-port haproxy
fi

table=
# restart_all KIND [WRAPPER]...: each program in each mode
restart_all() {
	kind=$1
	shift
	for program in echo prefork; do
		for mode in fibers serial threads processes; do
			if told=$("$@" python3 "$here/restart.py" "$build" "$n" "$requests" "$kind" \
			    "$program" "$mode" 2>&1); then
				ok "$told"
			else
				not_ok "$kind, $program, $mode" "$told"
			fi
			table="$table
$told"
		done
	done
}

for kind; do
	case $kind in
	haproxy)
		command -v haproxy >/dev/null || { skip "restarts behind haproxy" "no haproxy"; continue; }
		restart_all haproxy
		;;
	reuse-port)
		unshare -rn sh "$here/migrate.sh" true 2>/dev/null ||
		    { skip "restarts with reuse-port" "no network of its own"; continue; }
		restart_all reuse-port unshare -rn sh "$here/migrate.sh"
		;;
	*)
		restart_all "$kind"
		;;
	esac
done
echo "$table" | awk '
	{ for (i = 2; i <= NF; i++) sum[$i] += $(i - 1) }
	END { printf "# in all: %d restarts, %d requests, %d lost\n", sum["restarts"], sum["requests"], sum["lost"] }'
report_end
