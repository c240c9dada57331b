#!/bin/sh
# examples/README.md keeps its word: each program of it, in Python and in C,
# runs, every server against the clients of both languages; each call of its
# table compiles, and the test that is named for it is there and makes it.
#
# usage: check_notes.sh SOURCE_DIR BUILD_DIR
set -u

if [ $# -ne 2 ] || [ ! -f "$1/examples/README.md" ] || [ ! -f "$2/lib/libsocketserver.so" ]; then
	echo "usage: check_notes.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
source=$(cd "$1" && pwd) && build=$(cd "$2" && pwd) || exit 2
# shellcheck source=tests/support/report.sh
. "$source/tests/support/report.sh"
page=$source/examples/README.md
# shellcheck source=tests/support/scratch.sh
. "$source/tests/support/scratch.sh"

# ---- the programs: "### TCP echo server" becomes tcp_echo_server.py and .c ----

awk -v tmp="$tmp" '
/^### / { name = tolower(substr($0, 5)); gsub(/ /, "_", name); print name >(tmp "/names") }
/^```python$/ { file = tmp "/" name ".py"; next }
/^```c$/ { file = tmp "/" name ".c"; next }
/^```/ { file = "" }
file != "" { print >file }' "$page"

ports='
import socket
while True:
    s = socket.socket()
    s.bind(("", 0))
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        u.bind(("", s.getsockname()[1]))
        break
    except OSError:
        pass
print(s.getsockname()[1])
'

# Answers as soon as somebody does: a stream by its end, a datagram by another.
ready='
import socket, sys, time
kind = socket.SOCK_DGRAM if sys.argv[1] == "udp" else socket.SOCK_STREAM
deadline = time.monotonic() + 20
while time.monotonic() < deadline:
    s = socket.socket(socket.AF_INET, kind)
    s.settimeout(0.1 if sys.argv[1] == "udp" else 20)
    try:
        s.connect(("127.0.0.1", int(sys.argv[2])))
        s.send(b"ready?")
        if kind == socket.SOCK_STREAM:
            s.shutdown(socket.SHUT_WR)
        while s.recv(100) and kind == socket.SOCK_STREAM:
            pass
        sys.exit(0)
    except OSError:
        time.sleep(0.01)
sys.exit("nobody answers")
'

# make NAME LANGUAGE PORT: for that port; sets run
make() {
	if [ "$2" = Python ]; then
		sed "s/23000/$3/g; s/2525/$3/g" "$tmp/$1.py" >"$tmp/$1.now.py"
		run="python3 $tmp/$1.now.py"
		return
	fi
	sed "s/23000/$3/g; s/2525/$3/g" "$tmp/$1.c" >"$tmp/$1.now.c"
	run=$tmp/$1.now
	cc -Wall -Wextra -Werror -I "$source/include" -o "$run" "$run.c" -L "$build/lib" \
	    -lsocketserver -Wl,-rpath,"$build/lib" >"$tmp/errors" 2>&1 || {
		not_ok "$1 in C compiles" "$(cat "$tmp/errors")"
		return 1
	}
}

# serve NAME LANGUAGE tcp|udp: on a port of its own, sets port and pid
serve() {
	port=$(python3 -c "$ports") || exit 1
	make "$1" "$2" "$port" || return
	$run >"$tmp/log" 2>&1 &
	pid=$!
	python3 -c "$ready" "$3" "$port" 2>"$tmp/errors" || {
		not_ok "$1 in $2 serves" "$(cat "$tmp/log" "$tmp/errors")"
		return 1
	}
}

stop() {
	kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	pid=
}

# talk SERVER tcp|udp ANSWER CLIENT...: in each language with each
talk() {
	server=$1 kind=$2 answer=$3
	shift 3
	for language in Python C; do
		if serve "$server" $language "$kind"; then
			for client; do
				for other in Python C; do
					make "$client" $other "$port" || continue
					# shellcheck disable=SC2086
					got=$(timeout 20 $run 2>&1) || got="$got (exit code $?)"
					if [ "$got" = "$answer" ]; then
						ok "$server in $language, $client in $other"
					else
						not_ok "$server in $language, $client in $other" \
						    "it said: $got" "$(cat "$tmp/log")"
					fi
				done
			done
		fi
		stop
	done
	used="$used $server $*"
}

used="making_and_closing"
for language in Python C; do
	if make making_and_closing $language 0; then
		none "making_and_closing in $language" "$($run 2>&1 || echo "exit code $?")"
	fi
done
# A client that says something first is not against hello's rules.
talk hello_world_server tcp "Hello World!" tcp_echo_client
talk tcp_echo_server tcp "Hello World" tcp_echo_client tcp_echo_client_with_makefile
talk tcp_echo_server_with_select tcp "Hello World" tcp_echo_client tcp_echo_client_with_makefile
talk udp_echo_server udp "Hello World" udp_echo_client connected_udp_echo_client
none "each program of the page was run" "$(while read -r name; do
		case " $used " in
		*" $name "*) ;;
		*) echo "$name" ;;
		esac
	done <"$tmp/names")"

# ---- the table ----

# LINE, the Python cell, the C cell, the test cell, with tabs between
sed -n '/^## All functions/,$p' "$page" >"$tmp/functions"
# shellcheck disable=SC2016
sed -n 's/^| \(.*\) | `\([^`]*\)` | \(check_.*\) |$/\1	\2	\3/p' "$tmp/functions" >"$tmp/rows"
none "each row of the table has a C call and a test" \
    "$([ "$(grep -c '^| ' "$tmp/functions")" -eq $(($(wc -l <"$tmp/rows") + 1)) ] ||
	echo "$(grep -c '^| ' "$tmp/functions") rows with the head, $(wc -l <"$tmp/rows") of them whole")"

{
	cat <<-'END'
	#include <netdb.h>
	#include <socketserver.h>
	#include <unistd.h>
	int calls(struct sks_socket *s, struct sks_socket *t, struct sks_socket *pair[2],
	    struct sks_client *f, const char *name, const char *data, int fd);
	int calls(struct sks_socket *s, struct sks_socket *t, struct sks_socket *pair[2],
	    struct sks_client *f, const char *name, const char *data, int fd)
	{
		struct sockaddr_storage addr = { 0 };
		socklen_t len = sizeof(addr);
		struct linger linger = { 0 };
		struct addrinfo *list = NULL;
		char buf[256], *line = NULL;
		int rc = 0, value = 0, truncated = 0;
		size_t count = 1;
		ssize_t n = 0;
	END
	cut -f2 "$tmp/rows" | sed 's/$/;/'
	echo 'return rc + value + truncated + (int)n + fd + (line != NULL) + (t != NULL) + (f != NULL); }'
} >"$tmp/calls.c"
none "each C call of the table compiles" \
    "$(cc -Wall -Wextra -Werror -I "$source/include" -fsyntax-only "$tmp/calls.c" 2>&1)"

none "each Python call of the table is a name of Python's" "$(cut -f1 "$tmp/rows" |
    grep -o 'socket\.[a-z_]*(\|select\.[a-z]*(\|s\.[a-z]*(' | tr -d '(' | sort -u |
    sed 's/^s\./socket.socket./' | python3 -c '
import select, socket, sys
for name in sys.stdin.read().split():
    try:
        eval(name)
    except AttributeError:
        print(name)
' 2>&1)"

tab=$(printf '\t')
none "each test of the table is there, and its suite makes the call" \
    "$(while IFS=$tab read -r _ call tests; do
	file=${tests%%:*}
	function=$(echo "$call" | grep -o 'sks_[a-z_]*(' | head -n 1)
	grep -qF "$function" "$source"/tests/*/"$file" || echo "$file: no $function)"
	for test in $(echo "${tests#*:}" | tr ',' ' '); do
		grep -q "^[A-Z_]*TEST[A-Z_]*($test[,)]" "$source"/tests/*/"$file" || echo "$file: no $test"
	done
    done <"$tmp/rows")"

none "each link leads to a file" \
    "$(grep -o '](\([^)#]*\)' "$page" | cut -c3- | grep -v '://' | sort -u | while read -r path; do
		[ -e "$source/examples/$path" ] || echo "$path"
	done)"

report_end
