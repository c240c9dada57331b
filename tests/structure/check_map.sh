#!/bin/sh
# docs/architecture.md keeps up with the code: it has a line for each room of lib/ and for no other,
# what it names is there, and its glossary is short and in order.
#
# usage: check_map.sh SOURCE_DIR
set -u

if [ $# -ne 1 ] || [ ! -f "$1/docs/architecture.md" ] || [ ! -d "$1/lib" ]; then
	echo "usage: check_map.sh SOURCE_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$1/tests/support/report.sh"
cd "$1" || exit 2
# shellcheck source=tests/support/scratch.sh
. tests/support/scratch.sh
map=docs/architecture.md

# Of the tables below "### lib/FOLDER", as FOLDER/NAME: names in the first column (rooms), and all
# that is quoted in a row (named), where parts of a room are told apart.
awk -v tmp="$tmp" '
/^#/ { folder = $1 == "###" && $2 ~ /^lib\// ? substr($2, 5) : "" }
folder != "" && /^\| `/ {
	split($0, cell, "|")
	n = split(cell[2], name, "`")
	for (i = 2; i <= n; i += 2)
		print folder "/" name[i] >(tmp "/rooms")
	n = split($0, name, "`")
	for (i = 2; i <= n; i += 2)
		print folder "/" name[i] >(tmp "/named")
}' "$map"
find lib -name '*.[chS]' | sed 's,^lib/,,; s/\.[chS]$//' | sort -u >"$tmp/files"
[ -s "$tmp/files" ] || not_ok "there are rooms"
sort -u "$tmp/named" >"$tmp/sorted"
none "each room of lib/ has its place in $map" "$(comm -13 "$tmp/sorted" "$tmp/files")"
sort "$tmp/rooms" >"$tmp/sorted"
none "each room that has a line is there, and has one" "$(comm -23 "$tmp/sorted" "$tmp/files")"

# All that stands between backquotes, on one line each.
# shellcheck disable=SC2016
grep -o '`[^`]*`' "$map" | tr -d '`' | sort -u >"$tmp/quoted"

# named PATTERN: what is quoted and has that form
named() {
	grep -E -x "$1" "$tmp/quoted"
}

none "each room that is mentioned is there" \
    "$(named '(base|fiber|loop|stream|task|socket|server|host)/[a-z0-9_*]+' | while read -r room; do
	# shellcheck disable=SC2086 # fiber/context_*
	ls lib/$room.[chS] >/dev/null 2>&1 || echo "$room"
    done)"
none "each file that is mentioned is there" \
    "$(named '([A-Za-z0-9_./-]*/)?[A-Za-z0-9_-]+\.(c|h|S|sh|py|md|build|txt|[1-8])' | while read -r file; do
	[ -f "$file" ] || [ -f "docs/$file" ] ||
	    [ -n "$(find lib include handlers examples man tests completion -name "$file")" ] || echo "$file"
    done)"
none "each name of the code that is mentioned is there" \
    "$(named '(struct |enum )?(sks|SKS)_[A-Za-z0-9_]+(\(\))?' | sed 's/()$//; s/.* //' | sort -u |
	while read -r name; do
		grep -rqw "$name" include lib || echo "$name"
	done)"

# Of docs/porting.md each call of a row is in each room of that row.
awk -F'|' '/^\| `/ { n = split($2, call, "`"); m = split($3, room, "`")
    for (i = 2; i < n; i += 2) for (k = 2; k < m; k += 2) print call[i], room[k] }' docs/porting.md >"$tmp/calls"
[ -s "$tmp/calls" ] || not_ok "docs/porting.md has calls and their rooms"
none "each call of docs/porting.md is in its rooms" "$(while read -r call room; do
	cat "lib/$room".[chS] 2>/dev/null | grep -q "$call" || echo "$room: $call"
done <"$tmp/calls")"
# The calls of Linux that the library makes; those below are POSIX's, or every system's.
none "each call that other systems lack is in docs/porting.md" "$(
    grep -ohE '\b(epoll_[a-z]+[0-9]?|eventfd|accept4|pidfd_open|MADV_[A-Z_]+|RWF_[A-Z]+|SO_[A-Z_]+|IP_[A-Z]+|MSG_[A-Z_]+|SIOC[A-Z]+|CLOCK_[A-Z_]+|SOCK_(CLOEXEC|NONBLOCK)|MAP_(STACK|NORESERVE))\b' \
	-r lib --include='*.[chS]' | sort -u |
    grep -vxE 'SO_(REUSEADDR|ERROR|TYPE|KEEPALIVE|LINGER|ACCEPTCONN|BROADCAST|SNDBUF|RCVBUF)|MSG_(PEEK|DONTWAIT|CTRUNC|WAITALL)|MADV_DONTNEED|CLOCK_MONOTONIC|CLOCK_REALTIME' |
    while read -r call; do
	grep -qw "$call" docs/porting.md || echo "$call"
    done)"

awk '/^## / { on = $2 == "Glossary" } on && /^\| [a-z]/ { split($0, cell, " *[|] *"); print cell[2] }' "$map" |
    grep -vx word >"$tmp/words"
count=$(wc -l <"$tmp/words")
none "the glossary has 1 to 25 words" "$([ "$count" -ge 1 ] && [ "$count" -le 25 ] || echo "it has $count")"
none "its words are in order" "$(LC_ALL=C sort -c "$tmp/words" 2>&1)"

report_end
