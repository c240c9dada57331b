#!/bin/sh
# A user's program that is compiled for a sanitizer, with the library as it is
# installed, which is not: nothing is reported, since nothing is wrong.
#
# usage: check_watched.sh SOURCE_DIR BUILD_DIR
set -u

if [ $# -ne 2 ] || [ ! -f "$1/meson.build" ] || [ ! -f "$2/build.ninja" ]; then
	echo "usage: check_watched.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
source=$(cd "$1" && pwd) && build=$(cd "$2" && pwd) || exit 2
# shellcheck source=tests/support/report.sh
. "$source/tests/support/report.sh"
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "${all:-$tmp}"' EXIT
trap 'exit 143' HUP INT TERM
unset ASAN_OPTIONS TSAN_OPTIONS LSAN_OPTIONS
export LD_LIBRARY_PATH="$build/lib"

# starts COMPILER SANITIZER: can its programs run here? ThreadSanitizer does not know
# all of the places where programs lie, and may need them to lie where they always do.
starts() {
	launch=
	echo 'int main() { return 0; }' >"$tmp/probe.cc"
	"$1" -fsanitize="$2" -o "$tmp/probe" "$tmp/probe.cc" >"$tmp/why" 2>&1 || return 1
	"$tmp/probe" >"$tmp/why" 2>&1 && return
	launch="setarch $(uname -m) -R"
	$launch "$tmp/probe" >"$tmp/why" 2>&1
}

# watch SCENARIO MODE [WORKERS]
watch() {
	# shellcheck disable=SC2086
	timeout 120 $launch "$tmp/watched" "$@" >"$tmp/out" 2>&1
	code=$?
	same "$compiler -fsanitize=$sanitizer: $*" "exit code 0" \
	    "$(head -n 60 "$tmp/out")exit code $code"
}

# try COMPILER SANITIZER
try() {
	compiler=$1 sanitizer=$2
	if ! command -v "$compiler" >/dev/null; then
		skip "$compiler -fsanitize=$sanitizer" "there is no $compiler"
		return
	elif ! starts "$compiler" "$sanitizer"; then
		skip "$compiler -fsanitize=$sanitizer" "$(head -n 1 "$tmp/why")"
		return
	fi
	"$compiler" -std=c++17 -Wall -Wextra -Werror -g -O1 -fsanitize="$sanitizer" \
	    -I"$source/include" -o "$tmp/watched" "$source/tests/programs/watched.cc" \
	    -L"$build/lib" -lsocketserver -lpthread >"$tmp/out" 2>&1 || {
		not_ok "$compiler -fsanitize=$sanitizer: it compiles" "$(cat "$tmp/out")"
		return
	}
	for mode in 0 1 2; do # SKS_FIBERS, SKS_SERIAL, SKS_THREADS
		watch longjmp $mode
		watch throw $mode
		watch exit $mode
		watch share $mode
	done
	watch share 0 2
	watch deep 0
}

# Side by side: a program with ThreadSanitizer waits for a second when it ends.
all=$tmp
running=
for compiler in g++ clang++; do
	for sanitizer in address thread; do
		tmp=$all/$compiler-$sanitizer
		mkdir "$tmp" || exit 2
		(
			trap - EXIT
			try "$compiler" "$sanitizer"
			exit "$report_failed"
		) >"$tmp/report" &
		running="$running $tmp:$!"
	done
done
for one in $running; do
	wait "${one##*:}" || report_failed=1
	cat "${one%:*}/report"
done
report_end
