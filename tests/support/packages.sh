# shellcheck shell=sh
# What the project is built and tested with, and how to get it. To be sourced.
#
# need_packages WHAT_FOR PACKAGE...   (WHAT_FOR: "to build the examples")
#
# Looks for what each package brings, not for the package, so that what was
# installed by other means counts. On Debian and Ubuntu installs what is
# missing; elsewhere names it. Returns 0 when all is there, or else 1.

# Can a program be compiled and linked by $1 in language $2, with the flags $3?
# shellcheck disable=SC2086
packages_compiles() {
	printf '#include <stdio.h>\nint main(void) { return 0; }\n' |
	    "$1" -x "$2" ${3-} -o /dev/null - >/dev/null 2>&1
}

# Is what the package $1 brings there?
packages_has() {
	case $1 in
	gcc) packages_compiles cc c ;;
	g++) packages_compiles g++ c++ ;;
	clang) packages_compiles clang c ;;
	libclang-rt-dev) packages_compiles clang c -fsanitize=address ;;
	ninja-build) command -v ninja ;;
	gcc-*-linux-gnu) packages_compiles "${1#gcc-}-gcc" c ;;
	qemu-user-static) command -v qemu-s390x-static ;;
	abigail-tools) command -v abidw ;;
	musl-tools) command -v musl-gcc ;;
	libevent-dev) pkg-config --exists 'libevent_core >= 2.1.8' ;;
	check) pkg-config --exists 'check >= 0.15' ;;
	libssl-dev) pkg-config --exists 'openssl >= 3.0' ;;
	systemtap-sdt-dev) echo '#include <sys/sdt.h>' | cc -E -x c - ;;
	libuv1-dev) pkg-config --exists libuv ;;
	iproute2) command -v ip ;;
	libnet-ssleay-perl) perl -MNet::SSLeay -e 1 ;;
	haproxy) PATH=$PATH:/usr/sbin command -v haproxy ;;
	redis-tools) command -v redis-cli && command -v redis-benchmark ;;
	*) command -v "$1" ;;
	esac >/dev/null 2>&1
}

packages_missing() {
	for packages_one; do
		packages_has "$packages_one" || echo "$packages_one"
	done
}

# apt-get as root
packages_apt_get() {
	if [ "$(id -u)" -eq 0 ]; then
		DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@"
	else
		sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@"
	fi
}

# The compilers come without the C library's headers; older releases have no
# libclang-rt-dev, but bring its files with clang.
packages_names() {
	for packages_one; do
		case $packages_one in
		gcc|clang) echo "$packages_one libc6-dev" ;;
		gcc-aarch64-linux-gnu) echo "$packages_one libc6-dev-arm64-cross" ;;
		gcc-riscv64-linux-gnu) echo "$packages_one libc6-dev-riscv64-cross" ;;
		gcc-s390x-linux-gnu) echo "$packages_one libc6-dev-s390x-cross" ;;
		libclang-rt-dev) ! apt-cache show "$packages_one" >/dev/null 2>&1 || echo "$packages_one" ;;
		*) echo "$packages_one" ;;
		esac
	done | tr '\n' ' '
}

# Asks once which packages there are.
packages_updated=
packages_update() {
	[ -z "$packages_updated" ] || return 0
	packages_apt_get update || echo "apt-get update failed; trying what is known" >&2
	packages_updated=1
}

need_packages() {
	packages_for=$1
	shift
	packages_list=$(packages_missing "$@" | tr '\n' ' ')
	[ -n "$packages_list" ] || return 0
	if ! command -v apt-get >/dev/null; then
		echo "Missing, and needed $packages_for: $packages_list" >&2
		echo "There is no apt-get here; please install them. Those are Debian's names." >&2
		return 1
	fi
	if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
		echo "Missing, and needed $packages_for: $packages_list" >&2
		echo "Please install them as root: apt-get install $packages_list" >&2
		return 1
	fi
	echo "Installing by apt-get what is needed $packages_for: $packages_list"
	packages_update
	# shellcheck disable=SC2046,SC2086
	packages_apt_get install -y --no-install-recommends $(packages_names $packages_list) >/dev/null
	packages_list=$(packages_missing "$@" | tr '\n' ' ')
	[ -n "$packages_list" ] || return 0
	echo "Still missing, and needed $packages_for: $packages_list" >&2
	return 1
}
