#!/bin/sh
# No request fails when certificates are read again: socketserverd echo, in each mode, is sent SIGHUP
# N times, each with another certificate in the file, while REQUESTS requests are answered. Each
# connection verifies the certificate that it is shown. The tests run a short form of it.
#
# usage: reload.sh N REQUESTS [BUILD_DIR [MODE]...]
set -u

n=${1-}
requests=${2-}
build=${3:-build}
if [ -z "$n" ] || [ -z "$requests" ] || [ ! -x "$build/handlers/socketserverd" ]; then
	echo "usage: reload.sh N REQUESTS [BUILD_DIR [MODE]...]" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$(dirname "$0")/../support/report.sh"
here=$(dirname "$0")

for tool in python3 openssl; do
	command -v $tool >/dev/null || { skip "reloads" "no $tool"; report_end; }
done
if [ $# -gt 3 ]; then
	shift 3
else
	set -- fibers serial threads processes
fi
for mode; do
	if told=$(python3 "$here/reload.py" "$build" "$n" "$requests" "$mode" 2>&1); then
		ok "$told"
	else
		not_ok "reloads, $mode" "$told"
	fi
done
report_end
