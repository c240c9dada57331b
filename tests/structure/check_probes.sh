#!/bin/sh
# The rooms that have probes compile with them, and have each probe of lib/base/probe.h.
#
# usage: check_probes.sh SOURCE_DIR
set -u

if [ $# -ne 1 ] || [ ! -d "$1/lib" ]; then
	echo "usage: check_probes.sh SOURCE_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$1/tests/support/report.sh"
cd "$1" || exit 2
# shellcheck source=tests/support/scratch.sh
. tests/support/scratch.sh

name="each probe is in an object, with its arguments"
if ! echo '#include <sys/sdt.h>' | cc -E -x c - >"$tmp/out" 2>&1 || ! command -v readelf >"$tmp/out"; then
	skip "$name" "there is no sys/sdt.h, or no readelf"
	report_end
fi
n=0
for file in $(grep -l 'SKS_PROBE[12](' lib/*/*.c); do
	n=$((n + 1))
	none "$file compiles with probes" "$(cc -c -std=gnu11 -D_GNU_SOURCE -DSKS_PROBES -Wall -Wextra \
	    -Wno-missing-field-initializers -Werror -Ilib -Iinclude -o "$tmp/$n.o" "$file" 2>&1 | head -5)"
done
readelf -n "$tmp"/*.o | awk '$1 == "Name:" { name = $2 } $1 == "Arguments:" { print name, NF - 1 }' |
    sort -u >"$tmp/found"
sed -n 's/^ \*     \([a-z_]*\)(\(.*\)) .*/\1 \2/p' lib/base/probe.h | awk '{ print $1, NF - 1 }' |
    sort -u >"$tmp/wanted"
same "$name" "$(cat "$tmp/wanted")" "$(cat "$tmp/found")"
report_end
