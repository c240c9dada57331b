#!/bin/sh
# The library, the stock handlers and the examples need nothing that glibc has and musl has not.
# The headers of libevent and of the kernel are the same for both.
#
# usage: check_musl.sh SOURCE_DIR
set -u

if [ $# -ne 1 ] || [ ! -d "$1/lib" ]; then
	echo "usage: check_musl.sh SOURCE_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$1/tests/support/report.sh"
cd "$1" || exit 2
# shellcheck source=tests/support/scratch.sh
. tests/support/scratch.sh

name="lib, handlers and examples compile with musl"
if ! command -v musl-gcc >/dev/null; then
	skip "$name" "there is no musl-gcc"
	report_end
fi
# Other headers of /usr/include must not be found, as they are glibc's.
for directory in /usr/include/event2 /usr/include/linux /usr/include/asm-generic \
    "/usr/include/$(gcc -print-multiarch)/asm"; do
	if [ ! -d "$directory" ]; then
		skip "$name" "there is no $directory"
		report_end
	fi
	ln -s "$directory" "$tmp/"
done
sed -f examples/status/lines.sed examples/status/page.html >"$tmp/page.inc" # as the build does

# Macros of musl's headers, as CMSG_NXTHDR, convert signs: that is no fault of ours. What uses
# OpenSSL is left out, whose headers stand beside those of glibc.
none "$name" "$(find lib handlers examples -name '*.c' -exec grep -L 'openssl' {} + | sort |
    xargs -P 2 -n 20 musl-gcc -fsyntax-only -std=gnu11 -D_GNU_SOURCE -DSKS_HANDLERS_DIR='""' \
    -Wall -Wextra -Wno-missing-field-initializers -Werror -Ilib -Iinclude -idirafter "$tmp" 2>&1 |
    grep -E 'error|warning' | head -20)"

report_end
