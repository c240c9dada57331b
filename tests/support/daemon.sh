# shellcheck shell=sh
# What a shell test of socketserverd begins with, to be sourced with $build set:
# sets $daemon, $tmp and $pid, kills that process and removes the folder at the
# end.

# shellcheck disable=SC2034 # for who sources this
daemon=$build/handlers/socketserverd
tmp=$(mktemp -d) || exit 2
pid=

# shellcheck disable=SC2317 # called by traps
cleanup() {
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 143' HUP INT TERM

# Whoever owns the build: these are ours.
umask 022
mkdir "$tmp/handlers" && cp "$build"/handlers/*.so "$tmp/handlers/" && chmod 755 "$tmp" || exit 2
export SOCKETSERVER_HANDLERS="$tmp/handlers"
unset LISTEN_FDS LISTEN_PID LISTEN_FDNAMES
