#!/bin/sh
# The manual keeps up with the code: its pages have no errors, each function of
# the public headers has a page, which agrees with the header on declarations,
# errors, members and defaults, the examples compile, and socketserverd(8) has each option and
# handler of socketserverd, and no other.
#
# usage: check_man.sh SOURCE_DIR BUILD_DIR
set -u

if [ $# -ne 2 ] || [ ! -d "$1/man" ] || [ ! -f "$2/lib/libsocketserver.so" ]; then
	echo "usage: check_man.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
source=$(cd "$1" && pwd) && build=$(cd "$2" && pwd) || exit 2
# shellcheck source=tests/support/report.sh
. "$source/tests/support/report.sh"
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
trap 'exit 143' HUP INT TERM
cd "$source/man" || exit 2

# ---- the pages themselves ----

if command -v mandoc >/dev/null; then
	for page in *.[1-9]; do
		none "mandoc: $page" "$(mandoc -Tlint -Wwarning "$page" 2>/dev/null)"
		# An escape that was escaped; in C it comes before a letter or a digit
		none "$page has no escape in its text" \
		    "$(mandoc -Tascii "$page" 2>/dev/null | sed "s/.$(printf '\b')//g" | grep '\\[^0a-z]')"
	done
else
	skip "mandoc: each page" "there is no mandoc"
fi

# The build installs those that it lists.
none "man/meson.build lists each page" "$(for page in *.[1-9]; do
	grep -q "'${page%.*}'" meson.build || echo "$page"
done)"

none "pages refer to pages that are there" "$(sed -n \
    's/.*Xr \(socketserver[a-z_-]*\) \([0-9]\).*/\1.\2/p' ./*.[1-9] | sort -u | while read -r page; do
	[ -f "$page" ] || echo "$page"
done)"

# ---- functions ----

# section NAME PAGE...: its lines
section() {
	section_name=$1
	shift
	awk -v name=".Sh $section_name" '/^\.Sh / { on = $0 == name; next } on' "$@"
}

# The names after these macros
named() {
	sed -n "s/^\\.\\(It \\)\\{0,1\\}$1 \\(sks_[a-z0-9_]*\\).*/\\2/p" | sort -u
}

{
	nm -D --defined-only "$build/lib/libsocketserver.so" | awk '{ print $NF }'
	cat "$source"/include/socketserver/*.h | sed -n 's/^\(sks_[a-z0-9_]*\)(.*/\1/p'
} | sort -u >"$tmp/names"
sed -n 's/^#define \(sks_[a-z0-9_]*\)(.*/\1/p' "$source"/include/socketserver/*.h | sort >"$tmp/macros"
comm -23 "$tmp/names" "$tmp/macros" >"$tmp/functions" # C++ has functions of the macros' names
sort -u "$tmp/functions" "$tmp/macros" >"$tmp/all"
[ -s "$tmp/functions" ] || not_ok "the library exports anything"

section NAME ./*.3 | named Nm >"$tmp/names"
section SYNOPSIS ./*.3 | named 'F[no]' >"$tmp/declared"
section DESCRIPTION ./*.3 | named Fn >"$tmp/described"
none "each function of the headers has a page" "$(comm -23 "$tmp/all" "$tmp/names")"
none "no page has a name that is neither a function nor a struct" "$(comm -13 "$tmp/all" "$tmp/names" |
    while read -r name; do
	grep -q "^struct $name {" "$source"/include/socketserver/*.h || echo "$name"
    done)"
for name in sks_options sks_handler sks_request sks_stats SKS_KEEP; do
	none "$name has a page of its own" "$([ -f $name.3 ] || echo "it is missing")"
done
none "each is declared in the synopsis" "$(comm -23 "$tmp/functions" "$tmp/declared")"
none "each is described" "$(comm -23 "$tmp/all" "$tmp/described")"
none "what is described exists" "$(comm -13 "$tmp/all" "$tmp/described" | grep '^sks_')"

# ---- the contract: errors, members, types, units, defaults ----

none "headers and pages agree on each function and member" \
    "$(python3 "$source/tests/structure/contract.py" "$source/include" "$source/man" 2>&1)"

# ---- C ----

compile() {
	cc -Wall -Wextra -Werror -I "$source/include" "$@"
}

# The synopsis as C, after its own headers: a declaration that differs is an error.
synopsis() {
	section SYNOPSIS "$1" | awk '
	function quoted(text) { gsub(/"/, "", text); return text }
	/^\.In / { print "#include <" $2 ">" }
	/^\.Ft / { type = quoted(substr($0, 5)) }
	/^\.Fo / { name = $2; list = "" }
	/^\.Fa / { list = list (list == "" ? "" : ", ") quoted(substr($0, 5)) }
	/^\.Fc/ { print type " " name "(" list ");" }
	/^\.Fn / {
		rest = substr($0, 5)
		name = rest
		sub(/ .*/, "", name)
		rest = substr(rest, length(name) + 2)
		list = ""
		while (rest != "") {
			if (match(rest, /^"[^"]*" */)) {
				one = substr(rest, 2, RLENGTH - 2)
				sub(/" *$/, "", one)
			} else {
				match(rest, /^[^ ]+ */)
				one = substr(rest, 1, RLENGTH)
				sub(/ *$/, "", one)
			}
			rest = substr(rest, RLENGTH + 1)
			list = list (list == "" ? "" : ", ") one
		}
		print type " " name "(" list ");"
	}'
}

for page in *.3; do
	synopsis "$page" >"$tmp/synopsis.c"
	if grep -q 'sks_' "$tmp/synopsis.c"; then
		none "$page: the synopsis agrees with the headers" \
		    "$(compile -Wno-redundant-decls -fsyntax-only "$tmp/synopsis.c" 2>&1)"
	fi
done

# Each literal display that includes something is a whole program, or a plugin.
for page in *.[1-9]; do
	rm -f "$tmp"/block-*
	awk -v tmp="$tmp" '
	/^\.Bd -literal/ { file = tmp "/block-" NR + 1 ".c"; next }
	/^\.Ed/ { file = "" }
	file != "" {
		gsub(/\\e/, "\\")
		sub(/^\\&/, "")
		print >file
	}' "$page"
	programs=0
	for block in "$tmp"/block-*.c; do
		grep -q '^#include' "$block" 2>/dev/null || continue
		programs=$((programs + 1))
		line=${block##*-}
		how="-L $build/lib -lsocketserver"
		! grep -q '^SKS_PLUGIN' "$block" || how="-shared -fPIC"
		# shellcheck disable=SC2086
		none "$page line ${line%.c} compiles" \
		    "$(compile -o "$tmp/program" "$block" $how -pthread 2>&1)"
	done
	case $page in
	*.8) ;;
	*) [ $programs -gt 0 ] || not_ok "$page has an example" ;;
	esac
done

# ---- socketserverd ----

daemon=$build/handlers/socketserverd
"$daemon" --help | sed -n 's/^  \(-.*\)/\1/p' | grep -o -E '(^|[ ,])--?[a-z][a-z0-9-]*' | tr -d ' ,' |
    sort -u >"$tmp/options"
sed -n '/^\.It Fl/p' socketserverd.8 | grep -o 'Fl [a-z-]*' | sed 's/^Fl /-/' | sort -u >"$tmp/written"
[ -s "$tmp/options" ] || not_ok "socketserverd --help tells options"
# Or it is a member of struct sks_options: --max-line is max_line, --idle is idle_ms.
sed -n 's/^\.It Fa //p' sks_options.3 >"$tmp/members"
none "each option of socketserverd is in socketserverd.8, or one of struct sks_options" \
    "$(comm -23 "$tmp/options" "$tmp/written" | while read -r option; do
	member=$(echo "${option#--}" | tr - _)
	grep -q -x -e "$member" -e "${member}_ms" "$tmp/members" || echo "$option"
    done)"
none "and no other" "$(comm -13 "$tmp/options" "$tmp/written")"

(cd "$build/handlers" && find . -name '*.so' | sed 's,^\./,,; s/\.so$//' | sort) >"$tmp/handlers"
sed -n '/^\.Ss STOCK HANDLERS/,/^\.El/s/^\.It Cm //p' socketserverd.8 | sort >"$tmp/written"
none "each stock handler is in socketserverd.8" "$(comm -3 "$tmp/handlers" "$tmp/written")"

report_end
