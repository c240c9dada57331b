#!/bin/sh
# No request is lost when a server is restarted: the short form of tests/soak/restart.sh, without
# reuse-port, where the kernel loses some. Prints "ok - NAME" and the like for each check; exit code 1
# when one failed.
#
# usage: check_restart.sh BUILD_DIR
set -u

exec sh "$(dirname "$0")/../soak/restart.sh" 3 "$1" 50 tcp unix haproxy
