#!/bin/sh
# What a release consists of: makes the archive twice, which must have the same bytes, builds it and
# runs the tests of its structure; then builds the Debian packages from it, and has lintian look at
# them. All of it in build-ci/package. What cannot be had is skipped with a line; it installs nothing.
#
# usage: sh tests/package.sh
set -u

cd "$(dirname "$0")/.." || exit 1
# shellcheck source=tests/support/report.sh
. tests/support/report.sh
unset CC CXX CFLAGS CXXFLAGS CPPFLAGS LDFLAGS DESTDIR
export LC_ALL=C.UTF-8
umask 022

root=$PWD dir=$PWD/build-ci/package
rm -rf "$dir"
mkdir -p "$dir" || exit 1
version=$(sed -n "s/^  version: '\(.*\)',/\1/p" meson.build)
name=libsocketserver-$version

# run NAME COMMAND...: holds when the command does
run() {
	run_name=$1
	shift
	if "$@" >"$dir/log" 2>&1 </dev/null; then
		ok "$run_name"
	else
		not_ok "$run_name" "exit code $?" "$(tail -n 30 "$dir/log")"
		return 1
	fi
}

same "debian/changelog has this version" "$version" \
    "$(sed -n '1s/.*(\(.*\)-[^-]*).*/\1/p' debian/changelog)"
none "CHANGELOG.md has it" "$(grep -q "^## $version " CHANGELOG.md || echo "no heading $version")"

# ---- the archive ----

archive() {
	meson setup -Dtests=false "$dir/$1" &&
	    meson dist -C "$dir/$1" --no-tests --allow-dirty &&
	    mv "$dir/$1/meson-dist/$name.tar.xz" "$dir/$1.tar.xz"
}

if ! git rev-parse --verify -q HEAD >/dev/null; then
	skip "meson dist" "this is no clone of the repository"
	report_end
fi
run "meson dist" archive first && run "meson dist, again" archive second || report_end
none "both have the same bytes" "$(cmp "$dir/first.tar.xz" "$dir/second.tar.xz" 2>&1)"
run "it is unpacked" tar xf "$dir/first.tar.xz" -C "$dir" || report_end
cd "$dir/$name" || exit 1
none "all files of the commit are in it" "$(git -C "$root" ls-tree -r --name-only HEAD |
    grep -v -E '^(\.ci/|\.git)' | while read -r file; do
	[ -e "$file" ] || [ -L "$file" ] || echo "$file"
    done)"
run "it is set up" meson setup -Dwerror=true build &&
    run "it is built" ninja -C build installed tests/check_fiber tests/check_request &&
    run "its suites hold" meson test -C build --no-rebuild fiber request map headers symbols
rm -rf build

# ---- Debian's packages ----

for tool in dpkg-buildpackage dh lintian; do
	command -v "$tool" >/dev/null || {
		skip "Debian packages" "there is no $tool"
		report_end
	}
done
cp "$dir/first.tar.xz" "$dir/libsocketserver_$version.orig.tar.xz"
run "Debian packages are built" dpkg-buildpackage -us -uc -b || report_end
same "they are these" "libsocketserver-dev libsocketserver0.2 socketserverd" \
    "$(cd "$dir" && for file in *.deb; do echo "${file%%_*}"; done | grep -v -e -dbgsym | sort | tr '\n' ' ' | sed 's/ $//')"
none "lintian finds nothing" "$(lintian --allow-root --fail-on none --tag-display-limit 0 "$dir"/libsocketserver_*.changes 2>&1)"

report_end
