#!/bin/sh
# The pages keep their word. README.md is short. Of README.md and docs/: programs compile, servers
# give the right answer and end, clients run. Of these and all others: commands
# exist, links lead somewhere. Of tests/PROMISES.md and FAILURES.md: each test that is named is there.
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
# shellcheck source=tests/support/scratch.sh
. "$source/tests/support/scratch.sh"
cd "$source" || exit 2

lines=$(wc -l <README.md)
none "README.md has at most 180 lines" "$([ "$lines" -le 180 ] || echo "it has $lines")"

# ---- programs ----

# Each ```c block of a page becomes $tmp/blocks/NUMBER.c; $tmp/blocks/list has NUMBER PAGE LINE.
mkdir "$tmp/blocks" || exit 2
awk -v dir="$tmp/blocks" '
FNR == 1 { file = "" }
/^```c$/ { file = dir "/" ++n ".c"; print n, FILENAME, FNR + 1 >(dir "/list"); next }
/^```/ { file = "" }
file != "" { print >file }' README.md docs/*.md

compile() {
	cc -Wall -Wextra -Werror -I include "$@"
}

# check_plugin FILE: is one that compiles
check_plugin() {
	none "$name compiles as a plugin" \
	    "$(compile -shared -fPIC -o "$tmp/plugin.so" "$1" 2>&1)"
}

# check_program FILE: compiles as $program, with paths in the place of ports, which may be in use
check_program() {
	sed -e "s,\"udp:localhost:[0-9]*\",\"unix-dgram:$tmp/dgram\"," \
	    -e "s,\"localhost:[0-9]*\",\"unix:$tmp/socket\"," "$1" >"$tmp/program.c"
	program=${1%.c}
	if errors=$(compile -o "$program" "$tmp/program.c" -L "$build/lib" -lsocketserver \
	    -Wl,-rpath,"$build/lib" 2>&1); then
		ok "$name compiles"
	else
		not_ok "$name compiles" "$errors"
		return 1
	fi
}

# Says "hi", and prints what the server at the path says until its end.
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
s.sendall(b"hi\n")
s.shutdown(socket.SHUT_WR)
print(s.makefile().read(), end="")
'

# serve PROGRAM: starts it
serve() {
	"$1" 2>"$tmp/log" </dev/null &
	pid=$!
}

# stop NAME: the server that was started last
stop() {
	kill -TERM "$pid" 2>/dev/null
	wait "$pid"
	code=$?
	pid=
	if [ $code -eq 0 ]; then
		ok "$1 ends on SIGTERM with exit code 0"
	else
		not_ok "$1 ends on SIGTERM with exit code 0" "exit code $code" "$(cat "$tmp/log")"
	fi
}

# check_server FILE: its handler's name says what the right answer to "hi" is
servers=
check_server() {
	handler=$(sed -n 's/.*\.handle = \([a-z_]*\).*/\1/p' "$1")
	case $handler in
	hello) right="Hello World!" ;;
	echo) right=hi ;;
	count) right=1 ;;
	both) right=; skip "$name answers" "it asks a name server" ;;
	*) not_ok "$name: this test knows what $handler answers"; return ;;
	esac
	check_program "$1" || return
	servers="$servers $handler"
	[ "$handler" != echo ] || echo=$program
	serve "$program"
	answer=$(python3 -c "$ask" "$tmp/socket" 2>&1)
	[ -z "$right" ] || same "$name answers" "$right" "$answer"
	stop "$name"
}

# check_client FILE: talks to README's echo
check_client() {
	check_program "$1" || return
	serve "$echo"
	python3 -c "$ask" "$tmp/socket" >"$tmp/answer" 2>&1
	same "$name talks to echo" hello "$("$program" 2>&1 </dev/null)"
	stop "echo for $name"
}

# check_alone FILE: needs nobody, and prints what a comment at its fputs() says
check_alone() {
	right=$(sed -n 's,.*fputs(.*/\* \(.*\) \*/$,\1,p' "$1")
	check_program "$1" && same "$name runs" "$right" "$("$program" 2>&1 </dev/null)"
}

# check_foreign FILE LIBRARY: what others write; it compiles where that library is
check_foreign() {
	if flags=$(pkg-config --cflags "$2" 2>/dev/null); then
		# shellcheck disable=SC2086
		none "$name compiles with $2" "$(compile -fsyntax-only $flags "$1" 2>&1)"
	else
		skip "$name compiles" "no $2"
	fi
}

echo=false
while read -r number page line <&4; do
	name="$page line $line"
	block=$tmp/blocks/$number.c
	if grep -q '^#include <event2/' "$block"; then
		check_foreign "$block" libevent_core
	elif grep -q '^#include <uv.h>' "$block"; then
		check_foreign "$block" libuv
	elif grep -q '^SKS_PLUGIN(' "$block"; then
		check_plugin "$block"
	elif ! grep -q '[^_a-z]main(' "$block"; then
		not_ok "$name is a whole program, or a plugin"
	elif grep -q '[^_a-z]sks_serve(' "$block"; then
		check_server "$block"
	elif grep -q '[^_a-z]sks_connect(' "$block"; then
		check_client "$block"
	else
		check_alone "$block"
	fi
done 4<"$tmp/blocks/list"
# Each ```python block of docs/ is an echo server of socketserver's: it answers, at another port.
python_servers='
import glob, re, socket, threading
for page in sorted(glob.glob("docs/*.md")):
    for code in re.findall("^```python\n(.*?)^```$", open(page).read(), re.M | re.S):
        scope = {}
        exec(code.replace("23000", "0").replace("server.serve_forever()", ""), scope)
        server = scope["server"]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = socket.create_connection(server.server_address[:2], 20)
        client.sendall(b"hi\n")
        client.shutdown(socket.SHUT_WR)
        answer = client.makefile().read()
        if answer != "hi\n":
            print(f"{page}: {answer!r}")
        server.shutdown()
        server.server_close()
'
none "the servers in Python answer" "$(python3 -c "$python_servers" 2>&1)"

none "the pages have servers that answer" "$(for handler in hello echo count; do
	case " $servers " in
	*" $handler "*) ;;
	*) echo "none is $handler" ;;
	esac
done)"

# ---- commands ----

pages="README.md CHANGELOG.md docs/*.md examples/README.md tests/*.md"

# commands PAGE: of indented lines and ```sh blocks that begin with a word, LINE COMMAND ARGUMENT
commands() {
	awk '
	/^```/ { shell = !block && /^```(sh|shell|console)$/; block = !block; next }
	block && !shell { next }
	shell || /^    [^ ]/ {
		sub(/^[ \t]*(\$ )?(sudo )?/, "")
		if ($1 ~ /^[A-Za-z0-9_.\/-]+$/)
			print FNR, $1, $2
	}' "$1"
}

# missing COMMAND ARGUMENT: why it cannot be run as it stands there
missing() {
	case $1 in
	sh|python3) [ -f "$2" ] || echo "there is no file $2" ;;
	build/*) [ -x "$build/${1#build/}" ] || echo "the build makes no such program" ;;
	socketserverd) [ -x "$build/handlers/socketserverd" ] || echo "it was not built" ;;
	*/*) [ -x "$1" ] || echo "there is no such program" ;;
	*) command -v "$1" >/dev/null || echo "there is no such command here" ;;
	esac
}

# shellcheck disable=SC2086
for page in $pages; do
	commands "$page" >"$tmp/commands"
	while read -r line command argument; do
		why=$(missing "$command" "$argument")
		name="$page line $line: $command"
		case $command in
		sh|python3) name="$name $argument" ;;
		esac
		case $why/$command in
		?*/nc|?*/ncat|?*/redis-cli|?*/socat|?*/telnet) skip "$name" "$why" ;;
		*) none "$name" "$why" ;;
		esac
	done <"$tmp/commands"
done
none "README.md has the two commands to begin with" \
    "$(for command in "sh examples/quickstart.sh" "sh tests/run.sh"; do
	grep -qx "    $command" README.md || echo "$command"
    done)"

# ---- the stock handlers ----

# Each by its row, as it describes itself: HANDLER PORT OPTION...
described() {
	for handler in "$tmp"/build/handlers/*.so; do
		"$build/handlers/socketserverd" --describe "$handler" | awk -F '[:=]' '
		NR == 1 { row = $1 }
		$1 == "port" { sub(/ */, "", $2); row = row " " $2 }
		/^  [a-z0-9-]+=/ { sub(/ */, "", $1); row = row " " $1 }
		END { print row }'
	done
}

# Whoever owns the build: copies are ours, and may be loaded. As umask 002 leaves them, too, where
# the group of this user is their own.
umask 022
mkdir "$tmp/build" "$tmp/build/handlers" && cp "$build"/handlers/*.so "$tmp/build/handlers/"
described >"$tmp/described"
if [ "$(id -gn)" = "$(id -un)" ]; then
	chmod -R g+w "$tmp/build"
	none "with umask 002 they are served as well" "$(described 2>&1 | diff - "$tmp/described")"
else
	skip "with umask 002 they are served as well" "this user's group is not their own"
fi
sed -n 's/^| \[[a-z]*\](..\/handlers\/\([a-z]*\)\.c) | [^|]* | \([0-9]*\) | [^|]* | [^|]* | \([^|]*\)|$/\1 \2 \3/p' \
    docs/socketserverd.md | tr -d '`,' | sed 's/ *$//' | sort >"$tmp/rows"
[ -s "$tmp/described" ] || not_ok "there are stock handlers"
none "each stock handler has a row, with its port and options" \
    "$(sort "$tmp/described" | diff - "$tmp/rows")"

# ---- links, and the tests that prove the promises ----

# shellcheck disable=SC2086
for page in $pages; do
	none "each link of $page leads to a file" \
	    "$(grep -o '](\([^)#]*\)' "$page" | cut -c3- | grep -v '://' | sort -u |
		while read -r path; do
			[ -e "$(dirname "$page")/$path" ] || echo "$path"
		done)"
done
none "each page of docs/ is linked from README.md or docs/" "$(for page in docs/*.md; do
	page=${page#docs/}
	grep -q "](docs/$page)" README.md || grep -q "]($page)" docs/*.md || echo "$page"
done)"

# Prints each row of the table whose second column does not name tests, or names one that is not
# there: 'check_x.c: one, two', 'check_x.c, every test', 'check_x.sh, "words", "words ..."'.
none "each promise names tests that are there" "$(python3 - 2>&1 <<'PYTHON'
import glob, os, re

files = {os.path.basename(path): open(path).read()
         for path in glob.glob("tests/**/check_*", recursive=True) if os.path.isfile(path)}

def breaches(item):
    match = re.fullmatch(r"(check_\w+\.(?:c|sh))(?:[:,] *(.+))?", item)
    if not match or match[1] not in files:
        return [f"there is no {item}"]
    text, names = files[match[1]], match[2] or "every test"
    if names == "every test":
        return []
    if match[1].endswith(".c"):
        return [f"{match[1]}: no {name}" for name in re.split(", *", names)
                if not re.search(rf"^[A-Z_]*TEST[A-Z_]*\({re.escape(name)}[,)]", text, re.M)]
    words = re.findall('"([^"]*)"', names)
    return [f"{match[1]}: no check says {word}" for word in words
            if word.strip(". ") not in text] or ([] if words else [item])

def look_at(page, columns, test, least):
    rows = [[cell.strip() for cell in line.strip()[1:-1].split(" | ")] for line in open(page)
            if line.startswith("| ") and not line.startswith(("| #", "| promise"))]
    if len(rows) < least:
        print(f"{page}: there are only {len(rows)} rows")
    for cells in rows:
        if len(cells) != columns:
            print(f"{page}: not {columns} cells: {cells}")
        elif cells[test] != "" or not cells[-1].startswith("left out"):
            for item in re.split("; *(?=check_)", cells[test]):
                print(*breaches(item), sep="\n", end="\n" if breaches(item) else "")
    return rows

look_at("tests/PROMISES.md", 2, 1, 50)
numbers = [int(cells[0]) for cells in look_at("tests/FAILURES.md", 5, 2, 98)]
if numbers != list(range(1, len(numbers) + 1)):
    print("tests/FAILURES.md: a number is missing")
PYTHON
)"

report_end
