#!/bin/sh
# The steps of the tutorial as its pages show them, in each mode: what a page has as a command is run,
# and prints what stands below it.
#
# usage: check_tutorial.sh SOURCE_DIR BUILD_DIR
set -u

if [ $# -ne 2 ] || [ ! -f "$1/meson.build" ] || [ ! -x "$2/examples/tutorial/step1" ]; then
	echo "usage: check_tutorial.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$1/tests/support/report.sh"
# shellcheck source=tests/support/scratch.sh
. "$1/tests/support/scratch.sh"
source=$(cd "$1" && pwd) && build=$(cd "$2" && pwd) || exit 2

# A plugin is loaded from a folder in which nobody else may write.
umask 022
chmod 755 "$tmp"
python3 "$source/tests/support/tutorial.py" "$source" "$build" "$tmp" || report_failed=1

report_end
