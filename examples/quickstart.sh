#!/bin/sh
# From a fresh clone to answers: builds, starts the hello and echo servers,
# talks to them with real clients, shows what was sent and received, and stops
# them again. Installs what is missing first, where there is apt-get.
set -u

root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
cd "$root" || exit 1
examples=build/examples
tmp=
pids=
fd=3

fail() {
	echo "quickstart: $*" >&2
	exit 1
}

cleanup() {
	# shellcheck disable=SC2086
	[ -z "$pids" ] || kill -KILL $pids 2>/dev/null
	[ -z "$tmp" ] || rm -rf "$tmp"
}

case ${1-} in
'') ;;
-h|--help)
	echo "usage: sh examples/quickstart.sh"
	echo "Builds in build/, then starts the example servers and talks to them."
	exit 0 ;;
*)	echo "usage: sh examples/quickstart.sh" >&2
	exit 2 ;;
esac

# ---- what is needed, and the build ----

# shellcheck source=tests/support/packages.sh
. tests/support/packages.sh
need_packages "to build the examples" gcc meson ninja-build pkg-config libevent-dev || exit 1

trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM
tmp=$(mktemp -d) || exit 1

build() {
	[ -f build/build.ninja ] || meson setup -Dtests=false build || return
	ninja -C build
}

echo "Building in build/ ..."
build >"$tmp/log" 2>&1 || {
	tail -n 40 "$tmp/log"
	fail "the build failed"
}

# ---- servers ----

# start SERVER ADDRESS: waits for its first line. Sets address and pid, or
# returns 1 with the reason in $tmp/errors.
start() {
	mkfifo "$tmp/lines" || exit 1
	"$examples/$1" "$2" >"$tmp/lines" 2>"$tmp/errors" &
	pid=$!
	eval "exec $fd<\"\$tmp/lines\""
	rm "$tmp/lines"
	line=
	eval "read -r line <&$fd" || {
		wait "$pid"
		return 1
	}
	pids="$pids $pid"
	fd=$((fd + 1))
	address=${line##* }
	echo "$line"
}

# start_on_port SERVER PORT: on any free port when that one is taken. Sets by_hand
# to the address for the server's command line, which is its own default if free.
start_on_port() {
	by_hand=
	start "$1" "localhost:$2" && return
	grep -q 'Address already in use' "$tmp/errors" || fail "$(cat "$tmp/errors")"
	echo "(port $2 is taken, so another one)"
	start "$1" localhost:0 || fail "$(cat "$tmp/errors")"
	by_hand=" localhost:${address##*:}"
}

# stop_all: SIGTERM, and each says what it did
stop_all() {
	at=3
	for pid in $pids; do
		kill -TERM "$pid"
		eval "cat <&$at" | grep stopped
		wait "$pid" || fail "a server ended with exit code $?"
		at=$((at + 1))
	done
	pids=
}

# ---- clients ----

python_client='
import socket, sys
scheme, rest = sys.argv[1].split(":", 1)
if scheme == "unix":
    s = socket.socket(socket.AF_UNIX)
    s.connect(rest)
else:
    host, port = rest.rsplit(":", 1)
    kind = socket.SOCK_DGRAM if scheme == "udp" else socket.SOCK_STREAM
    family, kind, proto, name, address = socket.getaddrinfo(host.strip("[]"), port, 0, kind)[0]
    s = socket.socket(family, kind)
    s.connect(address)
s.settimeout(5)
s.sendall(sys.stdin.buffer.read())
sys.stdout.buffer.write(s.recv(65536))
'

ask() {
	case $1 in
	echo_client) "$examples/echo_client" "$2" ;;
	python3) python3 -c "$python_client" "$2" ;;
	esac
}

# talk CLIENT ADDRESS TEXT ANSWER: shows both, and checks the answer
talk() {
	if ! command -v "$1" >/dev/null && [ ! -x "$examples/$1" ]; then
		return
	fi
	got=$(printf '%s\n' "$3" | ask "$1" "$2") || fail "$1 $2 failed"
	printf '  %-11s %s  sent: %s  received: %s\n' "$1" "$2" "$3" "$got"
	[ "$got" = "$4" ] || fail "expected: $4"
}

# ---- the tour ----

start_on_port hello_server 2525
for client in echo_client python3; do
	talk $client "$address" "good day" "Hello World!"
done
hello=$by_hand

if start hello_server '[::1]:0'; then
	for client in echo_client python3; do
		talk $client "$address" "good day" "Hello World!"
	done
else
	echo "no IPv6 here: $(cat "$tmp/errors")"
fi

start_on_port echo_server 23000
echo=$by_hand
for client in echo_client python3; do
	talk $client "$address" "over TCP" "over TCP"
	talk $client "udp:${address#tcp:}" "over UDP" "over UDP"
done

start echo_server "unix:$tmp/echo" || fail "$(cat "$tmp/errors")"
for client in echo_client python3; do
	talk $client "$address" "over a Unix path" "over a Unix path"
done

stop_all

cat <<END

It works. To do the same by hand, each server in a terminal of its own, and the
clients in another:

  $examples/hello_server$hello
  $examples/echo_client${hello:- localhost:2525}

  $examples/echo_server --keep$echo
  $examples/echo_client$echo
  $examples/echo_client --udp$echo

  $examples/chat
  $examples/echo_client localhost:2527

Each has --help. README.md says how to write a handler; sh tests/run.sh runs
all tests.
END
