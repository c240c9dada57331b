#!/bin/sh
# socketserverd and sockets that it inherits from a service manager: it serves them, by name too,
# and refuses what does not fit.
#
# usage: check_inherited.sh SOURCE_DIR BUILD_DIR
set -u

if [ $# -ne 2 ] || [ ! -x "$2/handlers/socketserverd" ]; then
	echo "usage: check_inherited.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$1/tests/support/report.sh"
build=$(cd "$2" && pwd) || exit 2
# shellcheck source=tests/support/daemon.sh
. "$1/tests/support/daemon.sh"
# shellcheck source=tests/support/talk.sh
. "$1/tests/support/talk.sh"
# shellcheck source=tests/support/stock.sh
. "$1/tests/support/stock.sh"

# pass.py ENVIRONMENT COMMAND...: runs the command with a listening socket as descriptor 3 and a
# datagram socket as 4; LISTEN_PID is right unless it is given
cat >"$tmp/pass.py" <<'END'
import os, socket, sys
fds = [socket.socket(), socket.socket(type=socket.SOCK_DGRAM)]
fds[0].bind(("127.0.0.1", 0))
fds[0].listen()
fds[1].bind(("127.0.0.1", 0))
for i, s in enumerate([os.dup(s.fileno()) for s in fds]):
    os.dup2(s, 20 + i)
for i in (0, 1):
    os.dup2(20 + i, 3 + i, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
for assignment in sys.argv[1].split():
    name, value = assignment.split("=")
    os.environ[name] = value
os.execv(sys.argv[2], sys.argv[2:])
END

# passed LINES ENVIRONMENT ARGUMENT...: as start
passed() {
	passed_lines=$1 passed_environment=$2
	shift 2
	daemon_itself=$daemon daemon=python3
	start "$passed_lines" "$tmp/pass.py" "$passed_environment" "$daemon_itself" "$@"
	daemon=$daemon_itself
}

# not_passed NAME WORDS ENVIRONMENT ARGUMENT...: as refused
not_passed() {
	passed_name=$1 passed_words=$2 passed_environment=$3
	shift 3
	daemon_itself=$daemon daemon=python3
	refused "$passed_name" 1 "$passed_words" "$tmp/pass.py" "$passed_environment" "$daemon_itself" "$@"
	daemon=$daemon_itself
}

# read.py ADDRESS...: what the first says
cat >"$tmp/read.py" <<'END'
import socket, sys
host, port = sys.argv[1].split(":", 1)[1].rsplit(":", 1)
print(socket.create_connection((host, int(port)), 15).makefile().read(), end="")
END

if command -v python3 >/dev/null; then
	cp "$build/tests/plugins/passed.so" "$tmp/"
	passed 2 LISTEN_FDS=2 echo --listen systemd:
	# shellcheck disable=SC2086
	asked "systemd:" echo $addresses
	stop "systemd:, SIGTERM" TERM
	passed 1 "LISTEN_FDS=2 LISTEN_FDNAMES=a:b" echo --listen systemd:b
	case $addresses in
	udp:*) ok "systemd:b is the one of that name" ;;
	*) not_ok "systemd:b is the one of that name" "$addresses" ;;
	esac
	stop "systemd:b, SIGTERM" TERM
	passed 2 "LISTEN_FDS=2 LISTEN_FDNAMES=a:b" "$tmp/passed.so" --listen systemd:
	# shellcheck disable=SC2086
	same "taken sockets are forgotten by the environment" \
	    " LISTEN_PID=(unset) LISTEN_FDS=(unset) LISTEN_FDNAMES=(unset)" \
	    "$($limit python3 "$tmp/read.py" $addresses)"
	stop "taken sockets are forgotten, SIGTERM" TERM
	not_passed "LISTEN_PID of another process" "LISTEN_PID=1: not for this one" \
	    "LISTEN_FDS=2 LISTEN_PID=1" echo --listen systemd:
	not_passed "LISTEN_FDS=-1" "LISTEN_FDS=-1: not a number of sockets" LISTEN_FDS=-1 \
	    echo --listen systemd:
	not_passed "LISTEN_FDS=1000000000" "Bad file descriptor" LISTEN_FDS=1000000000 \
	    echo --listen systemd:
	not_passed "a name that was not passed" "systemd:c: no socket of that name" \
	    "LISTEN_FDS=2 LISTEN_FDNAMES=a:b" echo --listen systemd:c
	not_passed "names that do not match" "not a name for each" \
	    "LISTEN_FDS=2 LISTEN_FDNAMES=a" echo --listen systemd:
else
	skip "systemd:" "no python3"
fi
refused "systemd: without a service manager" 1 "no sockets were passed" echo --listen systemd:

report_end
