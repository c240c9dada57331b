#!/bin/sh
# Would a test notice? Plants N small faults in lib/, one at a time, at places drawn by SEED: a
# comparison turned, one more or less, a call dropped, a condition negated, a member not set. Builds a
# copy in build-ci/mutants with each, runs the suites of that folder and then all others, and lists
# what survived. The same N and SEED plant the same faults in the same sources.
#
# A survivor is a missing test, or a fault that changes nothing: whoever reads the list judges.
set -u

usage="usage: sh tests/mutants.sh N SEED [FOLDER]     (FOLDER of lib/, such as server)"
case ${1-}${2-} in ''|*[!0-9]*) echo "$usage" >&2; exit 2 ;; esac
if [ $# -lt 2 ] || [ $# -gt 3 ]; then
	echo "$usage" >&2
	exit 2
fi

cd "$(dirname "$0")/.." || exit 1
place=$PWD/build-ci/mutants
log=$place.log
rm -rf "$place/source"
mkdir -p "$place/source" || exit 1
for entry in *; do
	case $entry in build*) ;; *) cp -Rp "$entry" "$place/source/" || exit 1 ;; esac
done

stop() {
	tail -n 30 "$log" >&2
	echo "mutants.sh: $1 failed; see $log" >&2
	exit 1
}

CC=${CC:-gcc} CXX=${CXX:-g++}
export CC CXX
[ -f "$place/build/build.ninja" ] ||
    meson setup -Doptimization=0 -Dexamples=false "$place/build" "$place/source" >"$log" 2>&1 || stop "meson setup"
ninja -C "$place/build" suites >"$log" 2>&1 || stop "the build"
exec python3 tests/support/mutants.py "$place" "$@"
