#!/bin/sh
# Names: the shared library exports exactly what the public headers declare
# with SKS_API, and all that is not static begins with sks_.
#
# usage: check_symbols.sh SOURCE_DIR SHARED_LIBRARY STATIC_LIBRARY
set -u

if [ $# -ne 3 ] || [ ! -d "$1/include" ] || [ ! -f "$2" ] || [ ! -f "$3" ]; then
	echo "usage: check_symbols.sh SOURCE_DIR SHARED_LIBRARY STATIC_LIBRARY" >&2
	exit 2
fi
source=$1 shared=$2 static=$3
# shellcheck source=tests/support/report.sh
. "$source/tests/support/report.sh"
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
trap 'exit 143' HUP INT TERM

# Without comments and preprocessor lines, up to each semicolon.
declared() {
	find "$source/include" -name '*.h' -exec cat {} + | awk '
	continued || /^[ \t]*#/ { continued = /\\$/; next }
	{ text = text $0 "\n" }
	END {
		while ((at = index(text, "/*")) > 0) {
			rest = substr(text, at + 2)
			text = substr(text, 1, at - 1) " " substr(rest, index(rest, "*/") + 2)
		}
		n = split(text, statements, ";")
		for (i = 1; i <= n; i++) {
			if ((at = index(statements[i], "SKS_API")) == 0)
				continue
			s = substr(statements[i], at)
			if (!match(s, /sks_[A-Za-z0-9_]*[ \t\n]*\(/) && !match(s, /sks_[A-Za-z0-9_]*$/))
				print "(no name in: " s ")"
			else {
				s = substr(s, RSTART, RLENGTH)
				sub(/[ \t\n]*\($/, "", s)
				print s
			}
		}
	}' | sort -u
}

declared >"$tmp/declared"
nm -D --defined-only "$shared" | awk '{ sub(/@.*/, "", $NF); print $NF }' | sort -u >"$tmp/exported"
[ -s "$tmp/exported" ] || not_ok "$shared exports anything"

none "what is declared SKS_API is exported" "$(comm -23 "$tmp/declared" "$tmp/exported")"
none "nothing else is exported" "$(comm -13 "$tmp/declared" "$tmp/exported")"
none "every global name of lib/ begins with sks_" \
    "$(nm -A -g --defined-only "$static" 2>/dev/null | awk '$NF !~ /^sks_/ { print $1, $NF }')"

report_end
