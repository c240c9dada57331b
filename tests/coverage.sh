#!/bin/sh
# Says which lines and branches of lib/ the tests run: for each folder, or for the files of one, with
# the lines that nothing runs. Builds in build-ci/coverage, with gcc. A child that dies by a signal
# takes its counts with it, but for those of suites that overflow a stack.
set -u

usage="usage: sh tests/coverage.sh [FOLDER]     (FOLDER of lib/, such as server)"
case ${1-} in -*) echo "$usage" >&2; exit 2 ;; esac

cd "$(dirname "$0")/.." || exit 1
if [ -n "${1-}" ] && [ ! -d "lib/$1" ]; then
	echo "coverage.sh: lib/$1: no such folder" >&2
	exit 2
fi
for tool in gcc gcov meson ninja python3; do
	command -v "$tool" >/dev/null || {
		echo "coverage.sh: there is no $tool" >&2
		exit 1
	}
done

dir=build-ci/coverage
log=$dir.log
mkdir -p build-ci || exit 1

stop() {
	tail -n 30 "$log" >&2
	echo "coverage.sh: $1 failed; see $log" >&2
	exit 1
}

# Not optimized, so that each line is a line; counted atomically, for threads. gcc's own fork(2) would
# clear the counts behind the functions of pthread_atfork(3).
CC=${CC:-gcc} CXX=${CXX:-g++}
export CC CXX
[ -f $dir/build.ninja ] ||
    meson setup -Db_coverage=true -Doptimization=0 -Dc_args="-fprofile-update=atomic -fno-builtin-fork" $dir >"$log" 2>&1 || stop "meson setup"
ninja -C $dir >"$log" 2>&1 || stop "the build"

find $dir -name '*.gcda' -exec rm -f {} +
# A program that runs as another user could not write down its lines: so no other user may run any,
# and the two checks that would skip themselves.
chmod 0700 $dir
code=0
meson test -C $dir --no-rebuild --no-suite structure --timeout-multiplier 3 >"$log" 2>&1 || {
	code=1
	grep -a 'FAIL\|TIMEOUT' "$log"
}
python3 tests/support/coverage.py . $dir ${1:+"$1"} || exit 1
exit $code
