#!/bin/sh
# No request is lost when a server is restarted: N restarts, each after REQUESTS more requests, for
# each KIND of restart.py, of echo_server and of prefork_server, in each mode. Prints a line for each,
# and a sum. 100 restarts with the 10,000 requests of the default are a million requests a line. The
# tests run a short form of it.
#
# With reuse-port the kernel chooses a socket for a client when its first packet comes. That socket
# may be closed before it is accepted, and the client is reset (about 1 in 60,000), unless
# net.ipv4.tcp_migrate_req says that it moves to another socket. So it is set, in a network of its own.
# A client whose last packet of the handshake comes on one processor, while another one closes the
# socket, is reset all the same: one in some hundred restarts. It is so with any server, as the line
# "bare" shows, and two in 100 restarts are no failure. With one socket for both servers there is
# no such moment.
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
# restart KIND PROGRAM MODE [WRAPPER]...
restart() {
	row="$1 $2 $3"
	shift 3
	# shellcheck disable=SC2086
	if told=$("$@" python3 "$here/restart.py" "$build" "$n" "$requests" $row 2>&1); then
		ok "$(echo "$told" | tail -n 1)"
	else
		not_ok "$row" "$told"
	fi
	table="$table
$told"
}

# restart_all KIND [WRAPPER]...: each program in each mode
restart_all() {
	kind=$1
	shift
	for program in echo prefork; do
		for mode in fibers serial threads processes; do
			restart "$kind" $program $mode "$@"
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
		restart reuse-port bare - unshare -rn sh "$here/migrate.sh"
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
