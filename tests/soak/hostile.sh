#!/bin/sh
# What greedy and hostile clients do to a server, in figures, as hostile.py says: the table of
# descriptors is full for 10 s (files), 9,000 slow writers and 500 clients that never read (slow),
# 1,000 crashes and 1,000 kills of child processes (crashes), 256 and 64 clients of one address that
# hold what serves them (greedy). Each in the modes where it applies; it takes some minutes. The
# tests run a short form, which asserts no times.
#
# usage: hostile.sh [BUILD_DIR [long|short [PART]...]]
set -u

build=${1:-build}
length=${2:-long}
if [ ! -x "$build/tests/hostile_server" ] || { [ "$length" != long ] && [ "$length" != short ]; }; then
	echo "usage: hostile.sh [BUILD_DIR [long|short [PART]...]]" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$(dirname "$0")/../support/report.sh"
here=$(dirname "$0")

command -v python3 >/dev/null || { skip "hostile clients" "no python3"; report_end; }
if [ $# -gt 2 ]; then
	shift 2
else
	set -- files slow crashes greedy
fi
for part; do
	case $part in
	files) modes="fibers serial threads processes" ;;
	slow) modes=fibers ;;
	crashes) modes=processes ;;
	greedy) modes="fibers threads processes" ;;
	*) echo "hostile.sh: $part: not files, slow, crashes or greedy" >&2; exit 2 ;;
	esac
	for mode in $modes; do
		if told=$(python3 "$here/hostile.py" "$build" "$length" "$part" "$mode" 2>&1); then
			ok "$told"
		else
			not_ok "$part, $mode" "$told"
		fi
	done
done
report_end
