#!/bin/sh
# The library on other machines: builds it, its handlers and its suites for another processor, or for
# another C library, and runs the suites, by qemu-user where this processor cannot. Cross compilers
# and the sources of libevent and Check come from Debian's packages; a target whose packages cannot
# be had is skipped with a line. Builds in build-ci/cross/TARGET, which is kept for the next run. The
# last line is "N passed, N failed", and the exit code is 1 when something did.
#
# libevent and Check are built from Debian's sources, as there are no packages of them for musl, and
# of some processors in some releases alone.
set -u

usage="usage: sh tests/cross.sh [--quick] TARGET...     (aarch64, riscv64, s390x, musl)
  --quick   the suites of what depends on the processor, alone"

quick=
if [ "${1-}" = --quick ]; then
	quick=1
	shift
fi
[ $# -gt 0 ] || { echo "$usage" >&2; exit 2; }
for target; do
	case $target in
	-h | --help) echo "$usage"; exit 0 ;;
	aarch64 | riscv64 | s390x | musl) ;;
	*) echo "cross.sh: there is no target $target" >&2; echo "$usage" >&2; exit 2 ;;
	esac
done

cd "$(dirname "$0")/.." || exit 1
unset CC CXX CFLAGS CXXFLAGS CPPFLAGS LDFLAGS DESTDIR PKG_CONFIG_PATH
export LC_ALL=C.UTF-8
# shellcheck source=tests/support/packages.sh
. tests/support/packages.sh

here=$PWD/build-ci/cross
mkdir -p "$here" || exit 1
passed=0 failed=0

# fail WHAT: of $target. Always 1
fail() {
	failed=$((failed + 1))
	echo "  FAILED: $1; the end of $log:"
	tail -n 30 "$log" | sed 's/^/    /'
	return 1
}

# ---- what it is built with ----

# describe: how programs for $target are made and run
describe() {
	log=$here/$target.log dir=$here/$target
	: >"$log"
	mkdir -p "$dir" || return 1
	family=$target endian=little
	if [ "$target" = musl ]; then
		# The headers of the kernel stand beside those of glibc, which must not be found.
		family=$(uname -m) host=$(uname -m)-linux-musl prefix='' emulator='' packages=musl-tools
		compiler="musl-gcc -idirafter $dir/kernel"
		mkdir -p "$dir/kernel"
		for folder in linux asm-generic "$(gcc -print-multiarch)/asm"; do
			ln -sfn "/usr/include/$folder" "$dir/kernel/$(basename "$folder")"
		done
	else
		host=$target-linux-gnu prefix=$target-linux-gnu- compiler=$target-linux-gnu-gcc
		emulator="qemu-$target-static -L /usr/$host" packages="gcc-$host qemu-user-static"
		[ "$target" != s390x ] || endian=big
	fi
}

# fetch_sources: of libevent and Check, into $here/sources. The system's own lists need not name
# sources, and stay as they are: these lists are in a folder of ours.
fetch_sources() {
	[ ! -d "$here/sources/check" ] || return 0
	command -v apt-get || return 1
	rm -rf "$here/apt" "$here/sources"
	mkdir -p "$here/apt/parts" "$here/apt/lists/partial" "$here/apt/cache/archives/partial" || return 1
	for list in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
		part=$here/apt/parts/$(basename "$list")
		case $list in
		*.list) sed -n 's/^deb /deb-src /p' "$list" >"$part" ;;
		*.sources) sed 's/^Types:.*/Types: deb-src/' "$list" >"$part" ;;
		esac
	done
	set -- -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$here/apt/parts" \
	    -o Dir::State::Lists="$here/apt/lists" -o Dir::Cache="$here/apt/cache"
	apt-get "$@" update || echo "apt-get update failed; trying what is known"
	(cd "$here/apt" && apt-get "$@" source --download-only libevent check) || return 1
	unpack libevent && unpack check
}

# unpack NAME: into a folder that appears when it is complete
unpack() {
	mkdir -p "$here/sources" "$here/apt/$1" &&
	    tar xf "$here/apt/$1"_*.orig.tar.* -C "$here/apt/$1" --strip-components=1 &&
	    mv "$here/apt/$1" "$here/sources/$1"
}

# install_source NAME MAKE_TARGET CONFIGURE_ARGUMENT...: builds it for $target, into $dir/root
install_source() {
	name=$1 make_target=$2
	shift 2
	rm -rf "${dir:?}/$name"
	mkdir -p "$dir/$name" || return 1
	(
		cd "$dir/$name" || exit 1
		"$here/sources/$name/configure" -q --disable-dependency-tracking --host="$host" \
		    --prefix="$dir/root" CC="$compiler" CFLAGS="-O1 -g -fPIC" "$@" &&
		    eval "make -s -j $(nproc) $make_target"
	) >>"$log" 2>&1 </dev/null
}

# The suites put functions of their own before some of libevent's, which is why it is shared.
install_libraries() {
	[ ! -f "$dir/root/complete" ] || return 0
	install_source libevent install \
	    --disable-static --disable-openssl --disable-samples --disable-libevent-regress || return 1
	install_source check "install SUBDIRS='lib src'" \
	    --disable-shared --disable-subunit --disable-build-docs || return 1
	touch "$dir/root/complete"
}

# words TEXT: as meson writes an array of them
words() {
	echo "['$(echo "$1" | sed "s/ /', '/g")']"
}

# cross_file: $target for meson. A compiler of C++ for musl is none of Debian's.
cross_file() {
	cat <<-INI
		[binaries]
		c = $(words "$compiler")
		cpp = 'false'
		ar = '${prefix}ar'
		strip = '${prefix}strip'
		pkgconfig = 'pkg-config'
		exe_wrapper = $(words "${emulator:-env}")
		[built-in options]
		c_args = $([ -n "$emulator" ] && echo "[]" || echo "['-Wno-sign-conversion']")
		[properties]
		needs_exe_wrapper = $([ -n "$emulator" ] && echo true || echo false)
		pkg_config_libdir = '$dir/root/lib/pkgconfig'
		[host_machine]
		system = 'linux'
		cpu_family = '$family'
		cpu = '$family'
		endian = '$endian'
	INI
}

configure() {
	cross_file >"$dir/cross.new"
	if cmp -s "$dir/cross.new" "$dir/cross.ini" && [ -f "$dir/build/build.ninja" ]; then
		return
	fi
	rm -rf "$dir/build"
	cp "$dir/cross.new" "$dir/cross.ini"
	meson setup --cross-file "$dir/cross.ini" -Dwerror=true -Dtls=disabled -Dexamples=false \
	    -Dman=false "$dir/build" >>"$log" 2>&1 </dev/null
}

# ---- what runs ----

# left_out SUITE: does it not run here? Prints why.
left_out() {
	case "$target $1" in
	"musl "*) return 1 ;;
	*" overflow" | *" blast") echo "qemu says that it guards a stack, and does not" ;;
	*" fiber_stacks") echo "the address space is the emulator's" ;;
	*" sys") echo "it runs itself anew, which is no program of this kernel" ;;
	*" sendfile") echo "qemu ignores RWF_NOWAIT" ;;
	*" socket") echo "qemu has an errno of its own for sockets of no kind" ;;
	*" gevent") echo "qemu does not know TCP_INFO" ;;
	*" datagram" | *" datagram_source") echo "qemu drops control messages of datagrams" ;;
	*" forked_copy" | *" prefork") echo "qemu does not know PR_SET_CHILD_SUBREAPER" ;;
	*" fairness" | *" torture") echo "it would take minutes" ;;
	*_debug) echo "the same suite once more, for libevent's own look at events" ;;
	*) return 1 ;;
	esac
}

# What depends on the processor: the bytes of numbers and headers, the switch, and a server.
quick_suites="buf fiber frame proxy_header request_limits"

chosen_suites() {
	if [ -n "$quick" ]; then
		echo "$quick_suites"
		return
	fi
	for suite in $(meson test -C "$dir/build" --no-rebuild --list --no-suite structure --no-suite programs \
	    2>>"$log" | sed 's,.* / ,,'); do
		if why=$(left_out "$suite"); then
			echo "  left out: $suite: $why" >&2
		else
			echo "$suite"
		fi
	done
}

run_suites() {
	rm -f "$dir"/build/meson-logs/testlog*.json
	suites=$(chosen_suites)
	# An emulator is ten times slower, but a test waits for much of its time.
	[ -z "$emulator" ] || export CK_TIMEOUT_MULTIPLIER=5
	# shellcheck disable=SC2086
	meson test -C "$dir/build" --no-rebuild --timeout-multiplier 3 --num-processes $((3 * $(nproc))) $suites \
	    >>"$log" 2>&1 </dev/null
	code=$?
	unset CK_TIMEOUT_MULTIPLIER
	python3 tests/support/count.py "$dir"/build/meson-logs/testlog*.json >"$dir/count" 2>>"$log" ||
	    fail "no test ran" || return
	sed '$d' "$dir/count"
	read -r more_passed more_failed <<-SUM
		$(tail -n 1 "$dir/count")
	SUM
	passed=$((passed + more_passed)) failed=$((failed + more_failed))
	[ $code -eq 0 ] || [ "$more_failed" -gt 0 ] || fail "meson test: exit code $code"
}

run_target() {
	describe || return
	# shellcheck disable=SC2086
	need_packages "to build for $target" gcc meson ninja-build pkg-config make python3 $packages >>"$log" 2>&1 || {
		echo "  skipped: $target: there are no $packages"
		return
	}
	fetch_sources >>"$log" 2>&1 || {
		echo "  skipped: $target: there are no sources of libevent and Check: $(tail -n 1 "$log")"
		return
	}
	install_libraries || fail "the build of libevent and Check" || return
	configure || fail "meson setup" || return
	built="installed suites"
	# shellcheck disable=SC2086
	[ -z "$quick" ] || built=$(printf 'tests/check_%s ' $quick_suites)
	# shellcheck disable=SC2086
	ninja -C "$dir/build" $built >>"$log" 2>&1 </dev/null || fail "the build" || return
	run_suites
}

for target; do
	echo "== $target${quick:+: what depends on the processor}"
	run_target
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
