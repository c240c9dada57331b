#!/bin/sh
# The library from C++: a program and a plugin in C++17 are compiled without a
# warning, linked and run, with every compiler that is there, in each mode.
#
# usage: check_cxx.sh SOURCE_DIR BUILD_DIR
set -u

if [ $# -ne 2 ] || [ ! -d "$1/include" ] || [ ! -x "$2/handlers/socketserverd" ]; then
	echo "usage: check_cxx.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$1/tests/support/report.sh"
source=$(cd "$1" && pwd) && build=$(cd "$2" && pwd) || exit 2
# shellcheck source=tests/support/daemon.sh
. "$1/tests/support/daemon.sh"
# shellcheck source=tests/support/talk.sh
. "$1/tests/support/talk.sh"
here=$source/tests/structure/cxx

compile() {
	"$cxx" -std="$standard" -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror \
	    -I "$source/include" "$@" 2>&1
}

# Says two lines to the daemon that listens at $tmp/socket.
talk() {
	$limit python3 - "$tmp/socket" <<'PYTHON'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"a\nthrow\na\n")
s.shutdown(socket.SHUT_WR)
print(s.makefile().read(), end="")
PYTHON
}

# serves MODE: the plugin under socketserverd
serves() {
	rm -f "$tmp/log"
	mkfifo "$tmp/log" || exit 2
	"$daemon" "$tmp/plugin.so" --mode "$1" --listen "unix:$tmp/socket" -o greeting=hi -o first=7 \
	    2>"$tmp/log" &
	pid=$!
	exec 3<"$tmp/log"
	read -r _ <&3
	same "$name, $1: a plugin is served" "hi a 7
thrown
hi a 8" "$(talk 2>&1)"
	kill -TERM "$pid"
	wait "$pid"
	same "$name, $1: it ends on SIGTERM" 0 $?
	pid=
	exec 3<&-
}

for cxx in g++ clang++; do
	standard=c++17
	name="$cxx -std=$standard"
	if ! echo 'int main() {}' | "$cxx" -x c++ -std=$standard -o "$tmp/none" - 2>/dev/null; then
		skip "$name" "it compiles nothing here"
		continue
	fi
	none "$name: a plugin is compiled" "$(compile -shared -fPIC -o "$tmp/plugin.so" "$here/plugin.cc")"
	none "$name: a program is compiled" "$(compile -pthread -o "$tmp/server" "$here/server.cc" \
	    -L "$build/lib" -lsocketserver "-Wl,-rpath,$build/lib")"
	for mode in fibers serial threads processes; do
		same "$name, $mode: a program runs" "all is well" \
		    "$($limit "$tmp/server" "$mode" "$tmp/plugin.so" 2>"$tmp/errors")"
	done
	for mode in fibers serial threads; do
		serves "$mode"
	done
	# Each standard has its own rules for initialisers.
	for standard in c++11 c++14 c++20; do
		none "$cxx -std=$standard: a plugin is compiled" "$(compile -fsyntax-only "$here/plugin.cc")"
	done
done

report_end
