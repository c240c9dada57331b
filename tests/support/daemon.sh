# shellcheck shell=sh
# What a shell test of socketserverd begins with, to be sourced with $build set
# and the source folder in $1: sets $daemon, and what scratch.sh sets.

# shellcheck disable=SC2034 # for who sources this
daemon=$build/handlers/socketserverd
# shellcheck source=tests/support/scratch.sh
. "$1/tests/support/scratch.sh"
# shellcheck source=tests/support/signals.sh
. "$1/tests/support/signals.sh"

# Whoever owns the build: these are ours.
umask 022
mkdir "$tmp/handlers" && cp "$build"/handlers/*.so "$tmp/handlers/" && chmod 755 "$tmp" || exit 2
export SOCKETSERVER_HANDLERS="$tmp/handlers"
unset LISTEN_FDS LISTEN_PID LISTEN_FDNAMES
