#!/bin/sh
# The rooms of lib/: who includes whom and who calls whom. Includes are read
# from the source, calls from the object files, because a declaration repeated
# by hand would show in no #include line.
#
# usage: check_layers.sh SOURCE_DIR STATIC_LIBRARY
set -u

if [ $# -ne 2 ] || [ ! -d "$1/lib" ] || [ ! -f "$2" ]; then
	echo "usage: check_layers.sh SOURCE_DIR STATIC_LIBRARY" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$1/tests/support/report.sh"
library=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
cd "$1/lib" || exit 2
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
trap 'exit 143' HUP INT TERM

# The floors from the lowest to the highest: a folder knows itself and the floors below it.
# task and socket lie side by side and know nothing of each other; a server needs no socket.
rooms="base fiber loop stream task socket server host"
apart="task:socket socket:task server:socket"
ranks='BEGIN {
	n = split(rooms, r, " "); for (i = 1; i <= n; i++) rank[r[i]] = i
	n = split(apart, a, " "); for (i = 1; i <= n; i++) is_apart[a[i]]
}
function may_use(from, to) { return rank[to] <= rank[from] && !((from ":" to) in is_apart) }'

# A loop among the pairs of file $1, as one line; nothing when there is none.
loop() {
	tsort "$1" 2>&1 >/dev/null | awk '
	/loop/ { loops++; next }
	loops == 1 { sub(/^tsort: */, ""); text = text $0 " -> "; if (first == "") first = $0 }
	END { if (text != "") print text first }'
}

# ---- includes ----

find . -name '*.[chS]' | sed 's,^\./,,' | sort >"$tmp/files"
# FILE LINE "HEADER" or <HEADER>
xargs grep -n '^[[:space:]]*#[[:space:]]*include' /dev/null <"$tmp/files" |
    sed -n 's/^\([^:]*\):\([0-9]*\):.*include[[:space:]]*\(["<][^">]*[">]\).*/\1 \2 \3/p' \
    >"$tmp/includes"
[ -s "$tmp/includes" ] || not_ok "#include lines are found"

breaches=$(awk -v rooms="$rooms" -v apart="$apart" "$ranks"' split($1, p, "/") != 2 || !(p[1] in rank)' "$tmp/files")
none "each file of lib/ lies in one of the folders $rooms" "$breaches"

breaches=$(awk -v rooms="$rooms" -v apart="$apart" "$ranks"' {
		header = substr($3, 2, length($3) - 2)
		if ($3 ~ /^</ && header ~ /^(socketserver\/[a-z_]+|socketserver)\.h$/)
			next
		split($1, own, "/")
		parts = split(header, to, "/")
		if ($3 ~ /^</ && !(to[1] in rank))      # the system
			next
		if ($3 ~ /^"/ && parts == 1)            # beside it
			next
		if (parts == 2 && to[1] in rank && may_use(own[1], to[1]))
			next
		print "lib/" $1 ":" $2 " includes " $3
	}' "$tmp/includes")
none "includes lead to public headers, the own folder and the floors below it" "$breaches"

# FILE HEADER, both as paths in lib/
awk '$3 ~ /^"/ {
	header = substr($3, 2, length($3) - 2)
	if (header !~ /\//)
		header = substr($1, 1, index($1, "/")) header
	print $1, header
}' "$tmp/includes" >"$tmp/headers"
none "no headers include each other in a circle" "$(loop "$tmp/headers")"

none "base and fiber know no libevent" \
    "$(awk '$1 ~ /^(base|fiber)\// && $3 ~ /event2?[.\/]/ { print "lib/" $1 ":" $2 " includes " $3 }' \
    "$tmp/includes")"

none "an executor does not know server.h" \
    "$(awk '$1 ~ /^server\/executor/ && $3 ~ /server\.h"/ { print "lib/" $1 ":" $2 }' \
    "$tmp/includes")"

# What users are shown has nothing that they have not.
breaches=$(cd .. && for file in examples/*.[ch] handlers/*.[ch]; do
	[ -f "$file" ] || continue
	sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]\([^">]*\)[">].*/\1/p' "$file" |
	    while read -r header; do
		[ ! -f "lib/$header" ] || echo "$file includes $header"
	done
	sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$file" |
	    while read -r header; do
		[ -f "${file%/*}/$header" ] || echo "$file includes \"$header\""
	done
done)
none "examples and handlers include public headers only" "$breaches"

# ---- calls ----

# CALLER CALLEE SYMBOL, files as meson names their objects: loop_loop.c.o is loop/loop.c
nm -A "$library" 2>/dev/null | awk '
	{ n = split($1, p, ":"); object = p[n - 1]; sub(/\.o$/, "", object); sub(/_/, "/", object) }
	$(NF - 1) ~ /^[TWi]$/ { defines[$NF] = object }
	$(NF - 1) == "U" { uses[object " " $NF] }
	END {
		for (u in uses) {
			split(u, q, " ")
			if (q[2] in defines)
				print q[1], defines[q[2]], q[2]
		}
	}' | sort >"$tmp/calls"
[ -s "$tmp/calls" ] || not_ok "calls are found in $library"

breaches=$(awk -v rooms="$rooms" -v apart="$apart" "$ranks"' {
		split($1, from, "/")
		split($2, to, "/")
		if (!(from[1] in rank) || !(to[1] in rank))
			print $1 " or " $2 " is in no room"
		else if (!may_use(from[1], to[1]))
			print "lib/" $1 " calls " $3 " of lib/" $2
	}' "$tmp/calls")
none "calls lead to the own folder and the floors below it" "$breaches"

# A loop a -> b -> a, and the lines of file $2 that make it, so that one can see where to cut it.
along() {
	echo "$1" | awk -v calls="$2" -v verb="$3" '{
		print
		for (i = 1; i + 2 <= NF; i += 2)
			step[$i " " $(i + 2)]
		while ((getline line <calls) > 0) {
			split(line, c, " ")
			if ((c[1] " " c[2]) in step)
				print c[1] " " verb " " c[3] " of " c[2]
		}
	}'
}

cut -d' ' -f1,2 "$tmp/calls" >"$tmp/pairs"
circle=$(loop "$tmp/pairs")
[ -z "$circle" ] || circle=$(along "$circle" "$tmp/calls" calls)
none "no files call each other in a circle" "$circle"

# ---- rooms ----

# A room is x.c with x.h, and with each x_*.c that has no header of its own: they know each other.
# Of two rooms only one may know the other, by includes or by calls.
awk '
	function room(file,  stem, head) {
		stem = file
		sub(/\.[chS]$/, "", stem)
		head = stem
		while (!((head ".h") in is_file) && sub(/_[^_\/]*$/, "", head))
			;
		return (head ".h") in is_file ? head : stem
	}
	FILENAME == ARGV[1] { is_file[$1]; next }
	{
		from = room($1)
		to = room($2)
		if (from != to)
			print from, to, (NF == 3 ? $3 : $2)
	}' "$tmp/files" "$tmp/headers" "$tmp/calls" | sort -u >"$tmp/uses"
cut -d' ' -f1,2 "$tmp/uses" | sort -u >"$tmp/pairs"
circle=$(loop "$tmp/pairs")
[ -z "$circle" ] || circle=$(along "$circle" "$tmp/uses" uses)
none "no rooms use each other in a circle, a room being x.c, x.h and x_*.c" "$circle"

# ---- clocks ----

# A time limit must not change when somebody sets the clock.
same "only logs ask what time of day it is" "$(printf 'base/log_target.c\nhost/access_log.c')" \
    "$(grep -rlE 'CLOCK_REALTIME|gettimeofday|[^_a-z]time\(NULL\)' . | sed 's,^\./,,' | sort)"

report_end
