#!/bin/sh
# A CMake project finds the installed library, is built with it and runs; a version that would break
# it is not taken.
#
# usage: check_cmake.sh SOURCE_DIR BUILD_DIR
set -u

if [ $# -ne 2 ] || [ ! -f "$1/meson.build" ] || [ ! -f "$2/build.ninja" ]; then
	echo "usage: check_cmake.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
source=$(cd "$1" && pwd) && build=$(cd "$2" && pwd) || exit 2
# shellcheck source=tests/support/report.sh
. "$source/tests/support/report.sh"
# shellcheck source=tests/support/scratch.sh
. "$source/tests/support/scratch.sh"

if ! command -v cmake >/dev/null; then
	skip "a CMake project" "there is no cmake"
	report_end
fi
cd "$tmp" || exit 2
unset DESTDIR

# The meson that runs this test need not be the first in PATH.
meson=${MESONINTROSPECT:-meson introspect}
# shellcheck disable=SC2086
${meson% introspect} install -C "$build" --no-rebuild --destdir "$tmp/root" >log 2>&1 || {
	not_ok "meson install" "$(tail -n 20 log)"
	report_end
}
prefix=$(dirname "$(dirname "$(find root -name socketserver.h)")")
version=$(sed -n "s/^  version: '\(.*\)',/\1/p" "$source/meson.build")

cat >CMakeLists.txt <<'CMAKE'
cmake_minimum_required(VERSION 3.16)
project(user C)
find_package(SocketServer ${WANTED} REQUIRED)
add_executable(user user.c)
target_link_libraries(user PRIVATE SocketServer::SocketServer)
if(NOT EXISTS "${SocketServer_HANDLERS_DIR}")
  message(FATAL_ERROR "no ${SocketServer_HANDLERS_DIR}")
endif()
CMAKE
cat >user.c <<'C'
#include <socketserver.h>
#include <stdio.h>

int main(void)
{
	return puts(sks_version()) == EOF;
}
C

# configure WANTED_VERSION
configure() {
	rm -rf cmake
	cmake -S . -B cmake -DCMAKE_PREFIX_PATH="$tmp/$prefix" -DWANTED="$1" >log 2>&1
}

# finds WANTED_VERSION yes|no
finds() {
	got=no
	! configure "$1" || got=yes
	same "find_package(SocketServer${1:+ $1})" "$2" "$got"
}

finds "${version%.*}" yes
finds "$version" yes
finds 0.1 no
finds 9.0 no
finds "" yes
none "a program is built" "$(cmake --build cmake >log 2>&1 || tail -n 20 log)"
same "it runs" "$version" "$(cmake/user 2>&1)"

mv root moved
prefix=moved/${prefix#root/}
finds "" yes
none "a program is built with an installation that was moved" \
    "$(cmake --build cmake >log 2>&1 || tail -n 20 log)"
same "and runs" "$version" "$(cmake/user 2>&1)"

report_end
