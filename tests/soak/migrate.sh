#!/bin/sh
# Runs a command where the kernel moves a client whose socket is closed before it was accepted to
# another one on the same port. In a network of its own, by unshare(1).
#
# usage: unshare -rn sh migrate.sh COMMAND [ARGUMENT]...
set -u

ip link set lo up && echo 1 >/proc/sys/net/ipv4/tcp_migrate_req && exec "$@"
