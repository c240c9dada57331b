#!/bin/sh
# Each public header compiles alone, and included twice, in C11 to C2x and in C++11 to C++20,
# without a warning, with every compiler that is there.
#
# usage: check_headers.sh SOURCE_DIR
set -u

if [ $# -ne 1 ] || [ ! -d "$1/include" ]; then
	echo "usage: check_headers.sh SOURCE_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$1/tests/support/report.sh"
cd "$1/include" || exit 2
headers=$(find . -name '*.h' | sed 's,^\./,,' | sort)

# try COMPILER LANGUAGE STANDARD
try() {
	if ! errors=$(echo 'int x;' | "$1" -x "$2" -std="$3" -fsyntax-only - 2>&1); then
		skip "public headers with $1 -std=$3" "it compiles nothing here: $(echo "$errors" | head -n 1)"
		return
	fi
	for header in $headers; do
		none "$1 -std=$3 <$header>" "$(printf '#include <%s>\n#include <%s>\n' "$header" "$header" |
		    "$1" -x "$2" -std="$3" -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef -Werror \
		    -I. -fsyntax-only - 2>&1)"
	done
}

for standard in c11 c17 c2x; do
	try gcc c $standard
	try clang c $standard
done
for standard in c++11 c++14 c++17 c++20; do
	try g++ c++ $standard
	try clang++ c++ $standard
done

report_end
