#!/bin/sh
# socketserverd --agent behind HAProxy, in each mode: the weight of a server follows its load, a
# server that is about to stop is drained while it still serves, and it is used again after a restart.
#
# usage: check_agent.sh SOURCE_DIR BUILD_DIR
#
# Nothing sleeps but between two looks at what HAProxy says, and a time limit bounds each of them.
set -u

if [ $# -ne 2 ] || [ ! -x "$2/handlers/socketserverd" ]; then
	echo "usage: check_agent.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$1/tests/support/report.sh"
build=$(cd "$2" && pwd) || exit 2
# shellcheck source=tests/support/daemon.sh
. "$1/tests/support/daemon.sh"
# shellcheck source=tests/support/talk.sh
. "$1/tests/support/talk.sh"
PATH=$PATH:/usr/sbin

refuses "--agent: no address" 2 "address nonsense: " "$daemon" hello --listen "unix:$tmp/s" --agent nonsense
refuses "--agent: no datagrams" 2 "agent: listen on udp:127.0.0.1:0: it does not serve datagrams" \
    "$daemon" hello --listen "unix:$tmp/s" --agent udp:127.0.0.1:0

if ! command -v haproxy >/dev/null; then
	skip "--agent behind HAProxy" "no haproxy"
	report_end
fi

# Python has the sockets, so that a restart finds its ports free. It prints a line for each step.
cat >"$tmp/drive.py" <<'EOT'
import signal, socket, subprocess, sys, time
daemon, mode, folder = sys.argv[1:]

def listener():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen()
    return s

def start(lame_duck):
    return subprocess.Popen([daemon, "echo", "--mode", mode, "--max-connections", "10", "--lame-duck", lame_duck,
        "--listen", "fd:%d" % served.fileno(), "--agent", "fd:%d" % agent.fileno()],
        pass_fds=[served.fileno(), agent.fileno()])

def ask_haproxy():
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(folder + "/stats")
    s.sendall(b"show stat\n")
    lines = s.makefile().read().lstrip("# ").splitlines()
    s.close()
    one = next(line for line in lines if line.startswith("all,one,"))
    return dict(zip(lines[0].split(","), one.split(",")))

def wait_for(step, status, weight):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            now = ask_haproxy()
            if now["status"].startswith(status) and (weight is None or int(now["weight"]) == weight):
                print(step, flush=True)
                return
        except OSError as error: # not there yet
            now = {"error": str(error)}
        time.sleep(0.01)
    print(step, "not:", now.get("status"), now.get("weight"), now.get("error"), flush=True)

def echo(address, word):
    s = socket.create_connection(address, 20)
    s.sendall(word)
    assert s.recv(100) == word
    return s

front, served, agent = listener(), listener(), listener()
with open(folder + "/haproxy.cfg", "w") as f:
    f.write("""
global
    stats socket unix@%s/stats
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
listen all
    bind fd@%d
    server one 127.0.0.1:%d weight 100 check inter 200ms agent-check agent-port %d agent-inter 20ms
""" % (folder, front.fileno(), served.getsockname()[1], agent.getsockname()[1]))
server = start("1h")
haproxy = subprocess.Popen(["haproxy", "-db", "-q", "-f", folder + "/haproxy.cfg"], pass_fds=[front.fileno()])
try:
    wait_for("idle", "UP", 100)
    clients = [echo(front.getsockname(), b"a") for _ in range(5)]
    wait_for("busy", "UP", 50)
    for client in clients:
        client.close()
    wait_for("idle", "UP", 100)
    client = echo(front.getsockname(), b"a")
    server.send_signal(signal.SIGTERM)
    wait_for("drained", "DRAIN", None)
    client.sendall(b"b")
    print("serves" if client.recv(100) == b"b" else "cut")
    echo(served.getsockname(), b"c").close()
    print("accepts")
    client.close()
    server.send_signal(signal.SIGTERM)
    print("ends with", server.wait(20))
    server = start("0")
    wait_for("back", "UP", 100)
finally:
    haproxy.terminate()
    haproxy.wait()
    server.send_signal(signal.SIGTERM)
    server.wait(20)
EOT

step() {
	line=$(sed -n "$2p" "$tmp/steps")
	same "$mode: $1" "$3" "$line"
}

for mode in fibers threads processes; do
	timeout 120 python3 "$tmp/drive.py" "$daemon" "$mode" "$tmp" >"$tmp/steps" 2>"$tmp/err" ||
	    not_ok "$mode: HAProxy" "$(cat "$tmp/err")"
	step "without load the weight is whole" 1 idle
	step "half of the places are half of the weight" 2 busy
	step "which comes back" 3 idle
	step "a lame duck is drained" 4 drained
	step "who is there is served" 5 serves
	step "and newcomers are, too" 6 accepts
	step "it ends" 7 "ends with 0"
	step "the next one gets clients again" 8 back
done

report_end
