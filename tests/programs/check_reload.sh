#!/bin/sh
# No request fails while certificates are read again: the short form of tests/soak/reload.sh. Prints
# "ok - NAME" and the like for each check; exit code 1 when one failed.
#
# usage: check_reload.sh BUILD_DIR
set -u

exec sh "$(dirname "$0")/../soak/reload.sh" 2 500 "$1"
