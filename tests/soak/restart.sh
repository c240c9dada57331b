#!/bin/sh
# No request is lost when a server is restarted: echo_server, in each mode, N times, with 10,000
# requests at least between two restarts. KIND is one of those of restart.py; each one without it.
# 100 restarts are 1,000,000 requests for each kind and mode. The tests run a short form of it.
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
if [ -z "$n" ] || [ ! -x "$build/examples/echo_server" ]; then
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
for kind; do
	if [ "$kind" = haproxy ] && ! command -v haproxy >/dev/null; then
		skip "restarts behind haproxy" "no haproxy"
		continue
	fi
	own_network=
	if [ "$kind" = reuse-port ]; then
		own_network="unshare -rn sh $here/migrate.sh"
		if ! $own_network true 2>/dev/null; then
			skip "restarts with reuse-port" "no network of its own"
			continue
		fi
	fi
	for mode in fibers serial threads processes; do
		# shellcheck disable=SC2086
		if told=$($own_network python3 "$here/restart.py" "$build" "$n" "$requests" "$kind" "$mode" 2>&1); then
			ok "$told"
		else
			not_ok "$kind, $mode" "$told"
		fi
	done
done
report_end
