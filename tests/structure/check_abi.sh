#!/bin/sh
# Programs that were built for this version's first release run with the library as it is now: all
# functions, members of public structs and numbers are where they were (tests/structure/abi-X.Y.txt).
# With --record that list is written anew; before that release alone.
#
# usage: check_abi.sh [--record] SOURCE_DIR SHARED_LIBRARY
set -u
# shellcheck source=tests/support/report.sh
. "$(dirname "$0")/../support/report.sh"

record=
if [ "${1-}" = --record ]; then
	record=1
	shift
fi
if [ $# -ne 2 ] || [ ! -d "$1/include" ] || [ ! -f "$2" ]; then
	echo "usage: check_abi.sh [--record] SOURCE_DIR SHARED_LIBRARY" >&2
	exit 2
fi
source=$1 shared=$2
# shellcheck source=tests/support/scratch.sh
. "$source/tests/support/scratch.sh"
version=$(sed -n "s/^  version: '\([0-9]*\.[0-9]*\)\..*/\1/p" "$source/meson.build")
was=$source/tests/structure/abi-$version.txt
name="what programs for $version count on is there"

if ! command -v abidw >/dev/null; then
	skip "$name" "there is no abidw (package abigail-tools)"
	report_end
fi
if [ "$(readelf -hW "$shared" | sed -n 's/.*Machine: *//p')" != "Advanced Micro Devices X86-64" ]; then
	skip "$name" "the list is of x86-64"
	report_end
fi
if ! readelf -SW "$shared" | grep -q '\.debug_info'; then
	skip "$name" "the library was built without debug information"
	report_end
fi

# facts_of LIBRARY INCLUDE_DIR
facts_of() {
	abidw --no-corpus-path --no-comp-dir-path "$1" >"$tmp/xml" &&
	    for header in $(cd "$2" && find socketserver -name '*.h'); do echo "#include <$header>"; done |
	    cc -E -dM -I "$2" - | python3 "$source/tests/structure/abi.py" "$tmp/xml"
}

facts_of "$shared" "$source/include" >"$tmp/is" 2>"$tmp/errors"
if [ -n "$record" ]; then
	cp "$tmp/is" "$was"
fi
none "the library can be described" "$(cat "$tmp/errors")"
none "each exported function is described" "$(nm -D --defined-only "$shared" | awk '{ print $NF }' | sort |
    while read -r function; do
	grep -q "^function .*[ *]$function(" "$tmp/is" || echo "$function"
    done)"
gone=$(LC_ALL=C comm -23 "$was" "$tmp/is")
if grep -q "^## $version\.0 (not released yet)" "$source/CHANGELOG.md"; then
	skip "$name" "no program counts on $version yet; --record, when it is released"
else
	none "$name" "$gone"
fi

# ---- would it be noticed? ----

two='int sks_two(void) { return 2; }'

# small MEMBERS PARAMETER FUNCTIONS: the facts of a small library
small() {
	mkdir -p "$tmp/include/socketserver"
	cat >"$tmp/include/socketserver/small.h" <<-C
		struct sks_small { $1 };
		int sks_one(struct sks_small *x, $2);
		int sks_two(void);
	C
	cat >"$tmp/small.c" <<-C
		#include <socketserver/small.h>
		int sks_one(struct sks_small *x, $2) { return x->a + (int)n; }
		$3
	C
	cc -g -shared -fPIC -I "$tmp/include" -o "$tmp/small.so" "$tmp/small.c" &&
	    facts_of "$tmp/small.so" "$tmp/include"
}

# loses NAME FACTS: what the changed library of $tmp/now has no more
loses() {
	same "$1" "$2" "$(LC_ALL=C comm -23 "$tmp/first" "$tmp/now")"
}

small "int a; int b;" "long n" "$two" >"$tmp/first"
small "int a; int b; int c;" "long n" "$two int sks_more(void) { return 3; }" >"$tmp/now"
loses "a struct may grow at its end, and functions may be added" ""
small "int b; int a;" "long n" "$two" >"$tmp/now"
loses "a member that moves is found" "struct sks_small: int a, at 0
struct sks_small: int b, at 4"
small "int a; int b;" "int n" "$two" >"$tmp/now"
loses "a parameter of another type is found" "function int sks_one(struct sks_small *, long int)"
small "int a; int reserved;" "long n" "$two" >"$tmp/reserving"
none "a member that is reserved may get its name" "$(LC_ALL=C comm -23 "$tmp/reserving" "$tmp/first")"
small "int a; int b;" "long n" "" >"$tmp/now"
loses "a function that is gone is found" "function int sks_two(void)"

report_end
