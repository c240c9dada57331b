#!/bin/sh
# What greedy and hostile clients do to a server: the short form of tests/soak/hostile.sh. Prints
# "ok - NAME" and the like for each check; exit code 1 when one failed.
#
# usage: check_hostile.sh BUILD_DIR
set -u

exec sh "$(dirname "$0")/../soak/hostile.sh" "$1" short
