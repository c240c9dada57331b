# shellcheck shell=sh
# A folder $tmp for a shell test, and $pid, the program that it has started
# last: that is killed and the folder removed at the test's end.

tmp=$(mktemp -d) || exit 2
pid=

# shellcheck disable=SC2317 # called by traps
cleanup() {
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 143' HUP INT TERM
