#!/bin/sh
# The log files of the example servers are renamed, and opened again at SIGHUP. Prints "ok - NAME" or
# "not ok - NAME" for each check; exit code 1 when one failed.
#
# usage: check_example_logs.sh BUILD_DIR
set -u

if [ $# -ne 1 ] || [ ! -x "$1/examples/echo_server" ]; then
	echo "usage: check_example_logs.sh BUILD_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$(dirname "$0")/../support/report.sh"
# shellcheck source=tests/support/examples.sh
. "$(dirname "$0")/../support/examples.sh"
limit="timeout 100" # a rotation takes up to a second, and much more beside other work

# Sends SIGHUP when the file was renamed, and tells where the lines of a later client are.
cat >"$tmp/rotate.py" <<'END'
import os, signal, struct
address, pid, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]

def text(name):
    return open(name).read() if os.path.exists(name) else ""

def reset():
    """A client that is served, and then breaks its connection, which is logged. Returns its name."""
    s = connect(address)
    s.sendall(b"a line\n")
    lines_of(s).readline()
    name = "127.0.0.1:%d" % s.getsockname()[1]
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
    return name

def is_logged(name, path):
    return any(name in line for line in text(path).splitlines())

while not is_logged(reset(), path):
    pass
os.rename(path, path + ".1")
os.kill(pid, signal.SIGHUP)
early = [reset()]
while not is_logged(early[-1], path):
    early.append(reset())
before = text(path + ".1")
for _ in range(5):
    reset()
while not is_logged(reset(), path):
    pass
# A process that was begun with the old file may have its line there later, and nobody else.
for line in text(path + ".1")[len(before):].splitlines():
    assert any(name in line for name in early), "the old file has grown: " + line
END

# rotates NAME OPTION PROGRAM ARGUMENT...
rotates() {
	what="$1: $2 follows a file that was renamed"
	option=$2
	shift 2
	rm -f "$tmp"/file*
	must_start 3 "$@" "$option" "$tmp/file" tcp:127.0.0.1:0
	python "$what" "$address" "$pid" "$tmp/file" <"$tmp/rotate.py"
	stop 3 TERM
}

for option in --log --access-log; do
	for mode in fibers threads processes; do
		rotates "echo_server, $mode" "$option" echo_server --mode "$mode"
	done
	rotates prefork_server "$option" prefork_server
done
rotates embed --access-log embed

# Without a file the signal ends a program, as when its terminal is closed.
must_start 3 echo_server tcp:127.0.0.1:0
stop 3 HUP
same "without a log file SIGHUP ends it" 129 "$code"

report_end
