#!/bin/sh
# The README keeps its word: its programs compile and its hello world answers,
# its commands exist, its links lead somewhere, and the tests it names are there.
#
# usage: check_readme.sh SOURCE_DIR BUILD_DIR
set -u

if [ $# -ne 2 ] || [ ! -f "$1/README.md" ] || [ ! -f "$2/lib/libsocketserver.so" ]; then
	echo "usage: check_readme.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
source=$(cd "$1" && pwd) && build=$(cd "$2" && pwd) || exit 2
# shellcheck source=tests/support/report.sh
. "$source/tests/support/report.sh"
readme=$source/README.md
# shellcheck source=tests/support/scratch.sh
. "$source/tests/support/scratch.sh"

# ---- programs ----

# Each ```c block becomes LINE.c.
awk -v tmp="$tmp" '
/^```c$/ { file = tmp "/" NR + 1 ".c"; next }
/^```/ { file = "" }
file != "" { print >file }' "$readme"

compile() {
	cc -Wall -Wextra -Werror -I "$source/include" "$@"
}

# Statements stand in a function, all else outside of one.
in_function() {
	echo '#include <socketserver.h>'
	echo 'int fragment(struct sks_request *req, struct sks_server *server);'
	echo 'int fragment(struct sks_request *req, struct sks_server *server)'
	echo '{'
	echo '(void)req; (void)server;'
	cat "$1"
	echo 'return 0; }'
}

check_fragment() {
	errors=$(compile -Wno-unused -include socketserver.h -fsyntax-only "$1" 2>&1) ||
	    in_function "$1" | compile -Wno-unused -x c -fsyntax-only - 2>"$tmp/errors" ||
	    errors="As statements: $(cat "$tmp/errors")
Outside of a function: $errors"
	[ -s "$tmp/errors" ] || errors=
	: >"$tmp/errors"
	none "$name is right" "$errors"
}

check_plugin() {
	none "$name compiles as a plugin" \
	    "$(compile -shared -fPIC -o "$tmp/plugin.so" "$1" 2>&1)"
}

check_program() {
	# Addresses become names in $tmp: the ports may be in use.
	sed -e "s,\"udp:localhost:[0-9]*\",\"unix-dgram:$tmp/dgram\"," \
	    -e "s,\"localhost:[0-9]*\",\"unix:$tmp/socket\"," "$1" >"$tmp/program.c"
	errors=$(compile -o "${1%.c}" "$tmp/program.c" -L "$build/lib" -lsocketserver \
	    -Wl,-rpath,"$build/lib" 2>&1) || {
		not_ok "$name compiles" "$errors"
		return
	}
	ok "$name compiles"
	if grep -q 'Hello World!' "$1"; then
		check_hello "${1%.c}"
	elif ! grep -q "$tmp/" "$tmp/program.c"; then
		if output=$("${1%.c}" 2>&1 </dev/null); then
			ok "$name runs"
		else
			not_ok "$name runs" "exit code $?" "$output"
		fi
	fi
}

ask='
import socket, sys, time
deadline = time.monotonic() + 20
while True:
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    try:
        s.connect(sys.argv[1])
        break
    except OSError:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.01)
print(s.makefile().read(), end="")
'

check_hello() {
	hello=found
	"$1" 2>"$tmp/log" </dev/null &
	pid=$!
	answer=$(python3 -c "$ask" "$tmp/socket" 2>&1)
	if [ "$answer" = "Hello World!" ]; then
		ok "$name answers Hello World!"
	else
		not_ok "$name answers Hello World!" "it said: $answer" "$(cat "$tmp/log")"
	fi
	kill -TERM "$pid" 2>/dev/null
	wait "$pid"
	code=$?
	pid=
	if [ $code -eq 0 ]; then
		ok "$name ends on SIGTERM with exit code 0"
	else
		not_ok "$name ends on SIGTERM with exit code 0" "exit code $code" "$(cat "$tmp/log")"
	fi
}

hello=
: >"$tmp/errors"
for block in $(cd "$tmp" && find . -name '*.c' | sed 's,^\./,,' | sort -n); do
	name="README.md line ${block%.c}"
	if grep -q '[^_a-z]main(' "$tmp/$block"; then
		check_program "$tmp/$block"
	elif grep -q '^SKS_PLUGIN(' "$tmp/$block"; then
		check_plugin "$tmp/$block"
	elif head -n 1 "$tmp/$block" | grep -q '^/\* fragment \*/$'; then
		check_fragment "$tmp/$block"
	else
		not_ok "$name is a whole program, a plugin, or begins with /* fragment */"
	fi
done
[ -n "$hello" ] || not_ok "README.md has a hello world"

# ---- commands ----

# Indented lines and ```sh blocks that begin with a word: LINE COMMAND ARGUMENT
commands() {
	awk '
	/^```/ { shell = !block && /^```(sh|shell|console)$/; block = !block; next }
	block && !shell { next }
	shell || /^    [^ ]/ {
		sub(/^[ \t]*(\$ )?(sudo )?/, "")
		if ($1 ~ /^[A-Za-z0-9_.\/-]+$/)
			print NR, $1, $2
	}' "$readme"
}

# missing COMMAND ARGUMENT: why it cannot be run as it stands there
missing() {
	case $1 in
	sh|python3) [ -f "$source/$2" ] || echo "there is no file $2" ;;
	build/*) [ -x "$build/${1#build/}" ] || echo "the build makes no such program" ;;
	socketserverd) [ -x "$build/handlers/socketserverd" ] || echo "it was not built" ;;
	*/*) [ -x "$source/$1" ] || echo "there is no such program" ;;
	*) command -v "$1" >/dev/null || echo "there is no such command here" ;;
	esac
}

commands >"$tmp/commands"
while read -r line command argument; do
	why=$(missing "$command" "$argument")
	name="README.md line $line: $command"
	case $command in
	sh|python3) name="$name $argument" ;;
	esac
	case $why/$command in
	?*/nc|?*/ncat|?*/redis-cli|?*/socat|?*/telnet) skip "$name" "$why" ;;
	*) none "$name" "$why" ;;
	esac
done <"$tmp/commands"

# ---- the stock handlers ----

# Each by its row, as it describes itself: HANDLER PORT OPTION...
described() {
	for handler in "$build"/handlers/*.so; do
		"$build/handlers/socketserverd" --describe "$handler" | awk -F '[:=]' '
		NR == 1 { row = $1 }
		$1 == "port" { sub(/ */, "", $2); row = row " " $2 }
		/^  [a-z0-9-]+=/ { sub(/ */, "", $1); row = row " " $1 }
		END { print row }'
	done
}

# Whoever owns the build: copies are ours, and may be loaded.
umask 022
mkdir "$tmp/build" "$tmp/build/handlers" && cp "$build"/handlers/*.so "$tmp/build/handlers/"
ln -s "$build/handlers/socketserverd" "$tmp/build/handlers/socketserverd"
(build=$tmp/build && described) >"$tmp/described"
sed -n 's/^| \[[a-z]*\](handlers\/\([a-z]*\)\.c) | [^|]* | \([0-9]*\) | [^|]* | [^|]* | \([^|]*\)|$/\1 \2 \3/p' \
    "$readme" | tr -d '`,' | sed 's/ *$//' | sort >"$tmp/rows"
[ -s "$tmp/described" ] || not_ok "there are stock handlers"
none "each stock handler has a row, with its port and options" \
    "$(sort "$tmp/described" | diff - "$tmp/rows")"

# ---- links, and the tests that prove the promises ----

none "each link of the README leads to a file" \
    "$(grep -o '](\([^)#]*\)' "$readme" | cut -c3- | grep -v '://' | sort -u |
	while read -r path; do
		[ -e "$source/$path" ] || echo "$path"
	done)"

# "check_x.c: one, two" names two tests, "check_x.sh, "words"" what a script prints
grep '^|' "$readme" | grep -o 'check_[a-z_]*\.c: *[a-z0-9_, ]*' |
    awk -F: '{ n = split($2, t, /[, ]+/); for (i = 1; i <= n; i++) if (t[i] != "") print $1, t[i] }' \
    >"$tmp/tests"
none "each test that the README names is there" "$(while read -r file test; do
		grep -qw "$test" "$source/tests/$file" || echo "$file: $test"
	done <"$tmp/tests"
	grep '^|' "$readme" | grep -o 'check_[a-z_]*\.sh' | sort -u | while read -r file; do
		[ -f "$source/tests/$file" ] || echo "$file"
	done)"
[ -s "$tmp/tests" ] || not_ok "the README names tests"

report_end
