#!/bin/sh
# socketserverd and its service manager: what it tells by sd_notify(3), and when it tells nothing.
#
# usage: check_notify.sh SOURCE_DIR BUILD_DIR
set -u

if [ $# -ne 2 ] || [ ! -x "$2/handlers/socketserverd" ]; then
	echo "usage: check_notify.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$1/tests/support/report.sh"
build=$(cd "$2" && pwd) || exit 2
# shellcheck source=tests/support/daemon.sh
. "$1/tests/support/daemon.sh"
limit="timeout 60"
cp "$build/tests/plugins/spins.so" "$tmp/handlers/"

# The manager. It prints a line for each step, and what went wrong instead.
cat >"$tmp/manager.py" <<'EOT'
import os, signal, socket, subprocess, sys, time
daemon, folder, kind = sys.argv[1:]
name = folder + "/notify"
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind("\0" + name if kind == "abstract" else name)
if kind == "dead":
    manager.close()
if kind == "full":
    other = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    other.setblocking(False)
    try:
        while True:
            other.sendto(b"x", name)
    except BlockingIOError:
        pass
served = socket.create_server(("127.0.0.1", 0))
environment = dict(os.environ, NOTIFY_SOCKET={"abstract": "@" + name, "wrong": "notify"}.get(kind, name),
    WATCHDOG_USEC="200000")
log = open(folder + "/log", "w")
program = subprocess.Popen([daemon, "spins", "--lame-duck", "1h", "--listen", "fd:%d" % served.fileno()],
    pass_fds=[served.fileno()], stderr=log, env=environment)

def told():
    manager.settimeout(20)
    return manager.recv(1000).decode()

def wait_for(first):
    while True:
        lines = told()
        if lines.startswith(first + "\n") or lines == first:
            return lines

def ask(path):
    s = socket.create_connection(served.getsockname(), 20)
    s.sendall(path.encode() + b"\n")
    assert s.recv(9) == b"spinning\n"
    return s

try:
    if kind in ("path", "abstract"):
        print("ready" if told() == "READY=1\nSTATUS=listening on tcp:127.0.0.1:%d" % served.getsockname()[1] else "not ready")
        wait_for("WATCHDOG=1")
        print("turns")
        before = time.monotonic_ns() // 1000
        program.send_signal(signal.SIGHUP)
        lines = wait_for("RELOADING=1").splitlines()
        moment = int(lines[1].removeprefix("MONOTONIC_USEC="))
        print("reloads" if before <= moment <= time.monotonic_ns() // 1000 else lines)
        wait_for("READY=1")
        print("ready again")
        open(folder + "/stuck", "w").close()
        client = ask(folder + "/stuck")
        try: # what was told before
            manager.settimeout(0)
            while True:
                manager.recv(1000)
        except BlockingIOError:
            pass
        try:
            manager.settimeout(1) # ten times as long as it may be silent
            print("told while stuck:", manager.recv(1000))
        except TimeoutError:
            print("silent while stuck")
        os.unlink(folder + "/stuck")
        client.recv(1)
        wait_for("WATCHDOG=1")
        print("turns again")
        program.send_signal(signal.SIGTERM)
        print(wait_for("STOPPING=1").splitlines()[0])
        ask("/none").recv(1)
        print("still serves")
    else:
        ask("/none").recv(1)
        program.send_signal(signal.SIGHUP)
        ask("/none").recv(1)
        print("serves")
        program.send_signal(signal.SIGTERM)
        ask("/none").recv(1)
    while program.poll() is None: # the second one ends it, as soon as the first was heard
        program.send_signal(signal.SIGTERM)
        time.sleep(0.01)
    print("ends with", program.wait())
finally:
    program.kill()
EOT

step() {
	same "$kind: $1" "$3" "$(sed -n "$2p" "$tmp/steps")"
}

talk() {
	kind=$1
	rm -f "$tmp/notify"
	$limit python3 "$tmp/manager.py" "$daemon" "$tmp" "$kind" >"$tmp/steps" 2>"$tmp/err" ||
	    not_ok "$kind: the manager" "$(cat "$tmp/err" "$tmp/log")"
}

for kind in path abstract; do
	talk $kind
	step "it says that it listens, and where" 1 ready
	step "its loop turns" 2 turns
	step "SIGHUP: it reads files again, with the time" 3 reloads
	step "and is ready again" 4 "ready again"
	step "a handler keeps its loop: it says nothing" 5 "silent while stuck"
	step "it turns again" 6 "turns again"
	step "SIGTERM: a lame duck stops" 7 "STOPPING=1"
	step "and still serves" 8 "still serves"
	step "it ends" 9 "ends with 0"
done

for kind in dead full wrong; do
	talk $kind
	step "a manager that cannot be told harms nobody" 1 serves
	step "it ends" 2 "ends with 0"
	same "$kind: one line says so" 1 "$(grep -c NOTIFY_SOCKET "$tmp/log")"
done

report_end
