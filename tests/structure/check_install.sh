#!/bin/sh
# What a user installs: the library and its properties as a file, programs built
# against it by pkg-config, shared and static, in C and C++, the daemon and a
# plugin, and all as a meson subproject.
#
# usage: check_install.sh SOURCE_DIR BUILD_DIR
set -u

if [ $# -ne 2 ] || [ ! -f "$1/meson.build" ] || [ ! -f "$2/build.ninja" ]; then
	echo "usage: check_install.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
source=$(cd "$1" && pwd) && build=$(cd "$2" && pwd) || exit 2
# shellcheck source=tests/support/report.sh
. "$source/tests/support/report.sh"
tmp=$(mktemp -d) || exit 2
pid=
trap '[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null; rm -rf "$tmp"' EXIT
trap 'exit 143' HUP INT TERM
cd "$tmp" || exit 2
unset DESTDIR

# The meson that runs this test need not be the first in PATH.
meson=${MESONINTROSPECT:-meson introspect}
meson=${meson% introspect}

# run NAME COMMAND...: holds when the command does
run() {
	run_name=$1
	shift
	if run_output=$("$@" 2>&1 </dev/null); then
		ok "$run_name"
	else
		not_ok "$run_name" "exit code $?" "$(echo "$run_output" | tail -n 20)"
		return 1
	fi
}

# ---- the files ----

# shellcheck disable=SC2086
run "meson install" $meson install -C "$build" --no-rebuild --destdir "$tmp/root" || report_end
root=$tmp/root

same "all public headers are installed" "$(cd "$source/include" && find . -name '*.h' | sort)" \
    "$(cd "$root" && cd "$(dirname "$(find . -name socketserver.h)")" && find . -name '*.h' | sort)"

PKG_CONFIG_PATH=$(dirname "$(find "$root" -name socketserver.pc)")
export PKG_CONFIG_PATH
prefix=$root$(pkg-config --variable=prefix socketserver)

package() {
	pkg-config --define-variable=prefix="$prefix" "$@" socketserver
}

libdir=$(package --variable=libdir)
share=$(dirname "$(dirname "$(find "$root" -name man3)")")
for file in libsocketserver.so libsocketserver.a pkgconfig/socketserver.pc; do
	none "$file is installed" "$([ -s "$libdir/$file" ] || echo "it is missing")"
done
same "all pages of the manual are installed" "$(cd "$source/man" && echo ./*.[1-9] | sort)" \
    "$(cd "$share/man" && find . -type f -name '*.[1-9]' | sed 's,/man[1-9],,' | sort | tr '\n' ' ' |
	sed 's/ $//')"
none "each name of a page leads to one" "$(find "$share/man" -type l ! -exec test -f {} \; -print)"
same "a function's page is the one that documents it" "socketserver_stream.3" \
    "$(readlink "$share/man/man3/sks_readline.3")"
if command -v man >/dev/null && MANPATH=$share/man man -w socketserverd >/dev/null 2>&1; then
	same "man finds it" "$share/man/man3/socketserver_stream.3" \
	    "$(readlink -f "$(MANPATH=$share/man man -w sks_readline)")"
else
	skip "man finds it" "there is no man"
fi
for file in bash-completion/completions/socketserverd zsh/site-functions/_socketserverd; do
	none "$file is installed" "$([ -s "$share/$file" ] || echo "it is missing")"
done
library=$libdir/libsocketserver.so
readelf -lW "$library" >segments
readelf -dW "$library" >dynamic
same "soname" "libsocketserver.so.0.2" "$(sed -n 's/.*soname: \[\(.*\)\]/\1/p' dynamic)"
same "the version in the file's name" "libsocketserver.so.$(package --modversion)" \
    "$(basename "$(readlink -f "$library")")"
none "needs libevent_core and the C library only, and OpenSSL where it has TLS" \
    "$(sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' dynamic |
	grep -v -E '^(libevent(_core)?-|libc\.|libdl\.|libm\.|libpthread\.|libssl\.|libcrypto\.|ld-linux|ld-musl)')"
none "no search path for libraries" "$(grep -E 'RPATH|RUNPATH' dynamic)"
none "no text relocations" "$(grep TEXTREL dynamic)"
same "the stack is not executable" "RW" "$(awk '$1 == "GNU_STACK" { print $(NF - 1) }' segments)"
none "no segment is writable and executable" "$(awk '$1 == "LOAD" && / RWE /' segments)"
same "relocations are read-only" "1" "$(grep -c GNU_RELRO segments)"
same "symbols are bound at the start" "yes" \
    "$(grep -q -E 'BIND_NOW|FLAGS_1.*NOW' dynamic && echo yes)"

# ---- programs ----

cat >user.c <<'C'
#include <socketserver.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int echo(struct sks_request *req)
{
	char *line;

	return sks_readline(req->rfile, &line) > 0 ? sks_puts(req->wfile, line) : -1;
}

int main(void)
{
	struct sks_handler handler = { .handle = echo };
	struct sks_server *server;
	char address[64], version[32], *out;
	size_t n;

	snprintf(version, sizeof(version), "%d.%d.%d", SKS_VERSION_MAJOR, SKS_VERSION_MINOR,
	    SKS_VERSION_PATCH);
	if (strcmp(version, sks_version()) != 0)
		return 2;
	if (sks_handle_bytes(&handler, "a line\n", 7, &out, &n) == -1 || n != 7)
		return 3;
	free(out);
	server = sks_tcp_server_new("127.0.0.1:0", &handler, NULL);
	if (server == NULL || sks_server_address(server, 0, address, sizeof(address)) == NULL)
		return 4;
	sks_server_free(server);
	puts(sks_version());
	return 0;
}
C
cat >user.cc <<'C'
#include <cstdio>
#include <socketserver.h>

static int echo(sks_request *req)
{
	char *line;

	return sks_readline(req->rfile, &line) > 0 ? sks_puts(req->wfile, line) : -1;
}

int main()
{
	sks_handler handler = {};

	handler.handle = echo;
	if (sks_handle_bytes(&handler, "a line\n", 7, nullptr, nullptr) == -1)
		return 3;
	sks_server_free(sks_tcp_server_new("127.0.0.1:0", &handler, nullptr));
	std::puts(sks_version());
	return 0;
}
C
version=$(package --modversion)

# answers PROGRAM: what it says, with the installed library
answers() {
	same "$1 runs" "$version" "$(LD_LIBRARY_PATH=$libdir "./$1" 2>&1)"
}

# needs_ours PROGRAM: is the shared library among what it needs?
needs_ours() {
	readelf -dW "$1" | grep -c 'NEEDED.*\[libsocketserver\.so\.0\.2\]'
}

# shellcheck disable=SC2046
if run "a program by pkg-config" \
    cc -Wall -Wextra -Werror -o shared user.c $(package --cflags --libs); then
	answers shared
	same "it needs libsocketserver.so.0.2" "1" "$(needs_ours shared)"
fi

if command -v g++ >/dev/null; then
	# shellcheck disable=SC2046
	run "a program in C++ by pkg-config" \
	    g++ -Wall -Wextra -Werror -o cxx user.cc $(package --cflags --libs) && answers cxx
else
	skip "a program in C++ by pkg-config" "there is no g++"
fi

# Only ours static: the archive in place of -lsocketserver
# shellcheck disable=SC2046
if run "a program with the static library by pkg-config" cc -Wall -Wextra -Werror -o archive user.c \
    $(package --cflags) $(package --static --libs | sed "s,-lsocketserver,$libdir/libsocketserver.a,"); then
	answers archive
	same "it needs no libsocketserver.so" "0" "$(needs_ours archive)"
fi

case $(cc -print-file-name=libevent_core.a) in
/*)
	# shellcheck disable=SC2046
	run "a static program by pkg-config" \
	    cc -static -o static user.c $(package --cflags --static --libs) && answers static ;;
*)	skip "a static program by pkg-config" "libevent has no static library here" ;;
esac

# ---- the daemon, and a plugin ----

daemon=$(find "$root" -path '*/bin/socketserverd' -type f)
handlers=$libdir/socketserver/handlers
same "all handlers are installed" "$(cd "$build/handlers" && find . -name '*.so' | sort)" \
    "$(cd "$handlers" && find . -name '*.so' | sort)"

# None of them has the library, so that there is one of it in a process.
for handler in "$handlers"/*.so; do
	same "$(basename "$handler") needs no libsocketserver" "0" "$(needs_ours "$handler")"
done
same "socketserverd needs libsocketserver.so.0.2" "1" "$(needs_ours "$daemon")"

# hosted ARGUMENT...: what the installed daemon says
hosted() {
	LD_LIBRARY_PATH=$libdir SOCKETSERVER_HANDLERS=$PWD/own:$handlers "$daemon" "$@" 2>&1
}

same "socketserverd runs" "socketserverd $version" "$(hosted --version)"
same "it looks where handlers get installed" \
    "socketserver: plugin x: not found in ${handlers#"$root"}" \
    "$(LD_LIBRARY_PATH=$libdir "$daemon" x 2>&1)"
mkdir -m 755 own
cat >mine.c <<'C'
#include <socketserver.h>

static int mine(struct sks_request *req)
{
	return sks_puts(req->wfile, "mine\n");
}

SKS_PLUGIN(.name = "mine", .summary = "a handler of my own", .handler = { .handle = mine });
C
cat >theirs.cc <<'C'
#include <cstddef>
#include <socketserver.h>

struct config {
	int n;
};

static const sks_plugin_option options[] = {
	{ "n", "how many", "1", SKS_OPTION_INTEGER, 0, offsetof(config, n), sizeof(config::n), 0, 0 },
	{ },
};

static int theirs(sks_request *req)
{
	return sks_puts(req->wfile, "theirs\n");
}

SKS_PLUGIN(.name = "theirs", .summary = "a handler in C++", .handler = { .handle = theirs },
    .options = options, .config_size = sizeof(config));
C
# shellcheck disable=SC2046
run "a plugin in one line" \
    cc -Wall -Wextra -Werror -shared -fPIC -o own/mine.so mine.c $(package --cflags) &&
    same "it is loaded" "" "$(hosted --check mine --listen 127.0.0.1:0)"
if ! command -v g++ >/dev/null; then
	skip "a plugin in C++" "there is no g++"
else
	# shellcheck disable=SC2046
	run "a plugin in C++" g++ -std=c++17 -Wall -Wextra -Wpedantic -Werror \
	    -shared -fPIC -o own/theirs.so theirs.cc $(package --cflags) &&
	    same "it is loaded" "" "$(hosted --check theirs -o n=2 --listen 127.0.0.1:0)"
fi
rm -f own/*.so
same "the installed handlers are listed" "$(cd "$handlers" && find . -name '*.so' | wc -l)" \
    "$(hosted --list-handlers | wc -l)"

# ---- the plugin of docs/plugin.md, and the one to begin from ----
# As a user has them: commands by name, and pkg-config that knows the prefix.

mkdir bin tour && ln -s "$build" tour/build
cat >bin/pkg-config <<SH
#!/bin/sh
exec "$(command -v pkg-config)" --define-variable=prefix="$prefix" "\$@"
SH
cat >bin/socketserverd <<SH
#!/bin/sh
LD_LIBRARY_PATH="$libdir" SOCKETSERVER_HANDLERS="$handlers" exec "$daemon" "\$@"
SH
chmod 755 bin/*
same "pkg-config tells where handlers go" "$handlers" \
    "$(PATH=$tmp/bin:$PATH pkg-config --variable=handlersdir socketserver)"

# moved COMMAND: with addresses that are names in the folder tour, since ports may be in use
moved() {
	echo "$1" | sed -e "s,unix:/tmp/,unix:$tmp/tour/," \
	    -e "s,udp:localhost:[0-9]*,unix-dgram:$tmp/tour/dgram," \
	    -e "s,localhost:[0-9]*,unix:$tmp/tour/socket,"
}

# as_user COMMAND: in that folder
as_user() {
	# shellcheck disable=SC2030
	(cd tour && PATH=$tmp/bin:$PATH && eval "$(moved "$1")")
}

# serves COMMAND: starts it and waits until it listens
serves() {
	rm -f log
	mkfifo log || exit 2
	# It takes the place of the shell that begins it, so that it is the one to stop.
	# shellcheck disable=SC2030,SC2031
	(cd tour && PATH=$tmp/bin:$PATH && eval "exec $(moved "$1")") >out 2>log &
	pid=$!
	exec 3<log
	listening=
	read -r listening <&3
	case $listening in
	*": listening on "*) return ;;
	esac
	not_ok "$1" "$listening"
	wait "$pid"
	pid=
	return 1
}

# stops NAME: the one that serves, if one does
stops() {
	[ -n "$pid" ] || return
	kill -TERM "$pid"
	wait "$pid"
	same "$1 ends on SIGTERM" 0 $?
	exec 3<&-
	pid=
}

# Its first program and its commands, as they stand there. The expected answer to the command that
# asks is what the page says it prints.
page=$source/docs/plugin.md
awk '/^```c$/ { on = !n++; next } /^```/ { on = 0 } on' "$page" >tour/shout.c
# shellcheck disable=SC2016
sed -e '/^```c$/,/^```$/d' -n -e 's/^    \([^ ]\)/\1/p' "$page" >commands
# shellcheck disable=SC2016
answer=$(sed -n 's/^which prints `\(.*\)`.*/\1/p' "$page")
asked=
while read -r command <&4; do
	case $command in
	"socketserverd --"*)
		run "docs/plugin.md: $command" as_user "$command" ;;
	socketserverd*)
		stops "docs/plugin.md: the one before"
		serves "$command" ;;
	*"| build/examples/"*)
		if [ -x "$build/examples/echo_client" ]; then
			same "docs/plugin.md: $command" "$answer" "$(as_user "$command" 2>&1)"
			asked=1
		else
			skip "docs/plugin.md: $command" "the examples were not built"
			asked=0
		fi ;;
	*)	run "docs/plugin.md: $command" as_user "$command" ;;
	esac
done 4<commands
stops "docs/plugin.md: the last one"
if [ -z "$asked" ] || [ ! -f "$handlers/shout.so" ]; then
	not_ok "docs/plugin.md: it is built, asked, and installed"
fi
rm -f "$handlers/shout.so"

sed -n 's/^    \(socketserverd .*\)/\1/p' "$source/docs/socketserverd.md" >commands
[ -s commands ] || not_ok "docs/socketserverd.md: there are commands"
while read -r command <&4; do
	case $command in
	*" --list-handlers"*) run "docs/socketserverd.md: $command" as_user "$command" ;;
	*" --listen "*) run "docs/socketserverd.md: $command" as_user "$command --check" ;;
	*) run "docs/socketserverd.md: $command" as_user "$command --check --listen localhost:1" ;;
	esac
done 4<commands

cat >ask.py <<'PYTHON'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(sys.argv[1])
s.sendall(b"one\ntwo\n")
s.shutdown(socket.SHUT_WR)
print(s.makefile().read(), end="")
PYTHON

# shouts NAME HANDLER: what it says when it is served
shouts() {
	serves "socketserverd $2 --listen localhost:1 -o mark=?" || return
	same "$1: it is served" "ONE?
TWO?" "$(python3 ask.py tour/socket 2>&1)"
	stops "$1"
}

awk '/^```c$/ { text = ""; next } /^```/ { if (text ~ /SKS_PLUGIN/) printf "%s", text }
    { text = text $0 "\n" }' "$source/README.md" >tour/yes.c
# shellcheck disable=SC2016
run "README.md: the plugin is built" \
    as_user "$(sed -n 's/^    \(cc -shared .*\)/\1/p' "$source/README.md")" &&
    serves "$(sed -n 's/^    \(socketserverd .*\)/\1/p' "$source/README.md")" && {
	same "README.md: the plugin is served" yes "$(python3 ask.py tour/socket 2>&1)"
	stops "README.md: the plugin"
}

cp -r "$source/examples/plugin" tour/plugin
command=$(sed -n 's/^ \*     \(cc .*\)/\1/p' tour/plugin/shout.c)
run "examples/plugin: ${command:-no command}" as_user "cd plugin && $command" &&
    shouts "examples/plugin by cc" plugin/shout.so
# shellcheck disable=SC2031,SC2086
if PATH=$tmp/bin:$PATH run "examples/plugin: meson setup" $meson setup -Dwerror=true \
    tour/plugin/build tour/plugin &&
    run "examples/plugin: meson install" $meson install -C tour/plugin/build; then
	same "it needs no libsocketserver" "0" "$(needs_ours "$handlers/shout.so")"
	shouts "examples/plugin by meson" shout
fi
rm -f "$handlers/shout.so"

# ---- as a subproject ----

mkdir -p user/subprojects
ln -s "$source" user/subprojects/libsocketserver
cp user.c user/
cat >user/meson.build <<'MESON'
project('user', 'c')
subproject('libsocketserver', default_options: ['tests=false', 'examples=false',
  'handlers=false', 'daemon=false', 'man=false'])
executable('user', 'user.c', dependencies: dependency('socketserver'))
MESON
# Its user may like files to be compiled together; those of the library have names of their own.
# shellcheck disable=SC2086
run "a subproject is set up" $meson setup --unity on user/build user &&
    run "a program with the subproject" ninja -C user/build &&
    same "it runs" "$version" "$(user/build/user 2>&1)"
# shellcheck disable=SC2086
run "it installs the library alone" $meson install -C user/build --no-rebuild --destdir "$tmp/alone" &&
    none "and nothing else" "$(find alone ! -type d ! -path '*/include/socketserver*' \
	! -name 'libsocketserver.*' ! -name socketserver.pc ! -name 'SocketServerConfig*.cmake')"

report_end
