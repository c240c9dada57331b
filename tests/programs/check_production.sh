#!/bin/sh
# The files of examples/production, each read by the program that it is for, where that is here; and the
# daemon takes the commands in them.
#
# usage: check_production.sh SOURCE_DIR BUILD_DIR
#
# Nothing sleeps: HAProxy and the daemons have their sockets from the beginning, and a time limit
# bounds each client.
set -u

if [ $# -ne 2 ] || [ ! -f "$1/meson.build" ] || [ ! -x "$2/handlers/socketserverd" ]; then
	echo "usage: check_production.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$1/tests/support/report.sh"
build=$(cd "$2" && pwd) && files=$(cd "$1/examples/production" && pwd) || exit 2
# shellcheck source=tests/support/daemon.sh
. "$1/tests/support/daemon.sh"
limit="timeout 60"
PATH=$PATH:/usr/sbin

# ---- systemd ----

if command -v systemd-analyze >/dev/null; then
	mkdir "$tmp/units"
	cp "$files/echo.socket" "$tmp/units/"
	sed "s,/usr/local/bin/socketserverd,$daemon," "$files/echo.service" >"$tmp/units/echo.service"
	# What it says of units that are not ours does not count.
	$limit systemd-analyze verify --man=no "$tmp/units/echo.socket" "$tmp/units/echo.service" \
	    >"$tmp/out" 2>&1
	none "systemd-analyze verify" "$(grep 'echo\.s' "$tmp/out")"
	if $limit systemd-analyze security --offline=yes --threshold=20 --no-pager "$tmp/units/echo.service" \
	    >"$tmp/out" 2>&1 || grep -q 'offline' "$tmp/out"; then
		ok "systemd-analyze security: an exposure of at most 2.0"
	else
		not_ok "systemd-analyze security: an exposure of at most 2.0" "$(tail -n 1 "$tmp/out")"
	fi
else
	skip "systemd-analyze verify" "no systemd-analyze"
fi

# ---- HAProxy ----

# A client of HAProxy with the file's own lines, but for the ports and how many files it takes: its
# servers are ours.
behind_haproxy() {
	$limit python3 - "$files/haproxy.cfg" "$daemon" "$tmp" <<'EOT'
import re, socket, subprocess, sys
file, daemon, tmp = sys.argv[1:]
text = open(file).read()
command = re.search(r"^#\s+socketserverd (.*)$", text, re.M)[1].split()
front = socket.create_server(("127.0.0.1", 0))
address, programs = front.getsockname(), []
log = open(tmp + "/log", "w")
text = text.replace("bind :7007", f"bind fd@{front.fileno()}").replace("maxconn 5000", "maxconn 100")
for port in "7008", "7009":
    own = socket.create_server(("127.0.0.1", 0))
    arguments = [word.replace("127.0.0.1:7008", f"fd:{own.fileno()}") for word in command]
    programs.append(subprocess.Popen([daemon] + arguments, pass_fds=[own.fileno()], stderr=log))
    text = text.replace(f"127.0.0.1:{port} send", f"127.0.0.1:{own.getsockname()[1]} send")
open(tmp + "/haproxy.cfg", "w").write(text)
programs.append(subprocess.Popen(["haproxy", "-db", "-q", "-f", tmp + "/haproxy.cfg"], pass_fds=[front.fileno()]))
front.close()
try:
    for i in range(4):
        client = socket.create_connection(address, 20)
        client.sendall(b"hello\n")
        client.shutdown(socket.SHUT_WR)
        print(client.makefile().read(), end="")
finally:
    for program in programs:
        program.terminate()
        program.wait()
EOT
}

if command -v haproxy >/dev/null; then
	none "haproxy -c" "$($limit haproxy -c -q -f "$files/haproxy.cfg" 2>&1)"
	same "a client behind haproxy.cfg" "$(printf 'hello\nhello\nhello\nhello')" "$(behind_haproxy 2>&1)"
	none "its servers have nothing to complain of" "$(grep -v ': listening on\|: stopped:\|: drained' "$tmp/log")"
else
	skip "haproxy.cfg" "no haproxy"
fi

# ---- Prometheus ----

if command -v promtool >/dev/null; then
	$limit promtool check config "$files/prometheus.yml" >"$tmp/out" 2>&1 || not_ok "promtool" "$(cat "$tmp/out")"
else
	skip "promtool check config" "no promtool"
fi

none "each metric of alerts.yml is one of the server's" \
    "$(grep -o 'socketserver_[a-z_]*' "$files/alerts.yml" | sed 's/^socketserver_//; s/_total$//' | sort -u |
	while read -r name; do
		grep -qF "\"$name\"" "$1/lib/server/metrics.c" || echo "$name"
	done)"

# ---- the commands ----

# with_free_ports COMMAND: of a unit or a container, with ports that nobody has, and no systemd
with_free_ports() {
	echo "$1" | sed "s/:7007/:0/g; s/:9100/:0/g; s,systemd:,unix:$tmp/s,g"
}

args=$(sed -n 's/^ *args: \[\(.*\)\]$/\1/p' "$files/kubernetes.yaml" | tr -d "',")
start=$(sed -n 's,^ExecStart=/usr/local/bin/socketserverd ,,p' "$files/echo.service")
for command in "$args" "$start"; do
	# shellcheck disable=SC2046
	$limit "$daemon" --check $(with_free_ports "$command") >"$tmp/out" 2>&1
	code=$?
	if [ -n "$command" ] && [ $code -eq 0 ]; then
		ok "socketserverd $command"
	else
		not_ok "socketserverd $command" "exit code $code" "$(cat "$tmp/out")"
	fi
done
if python3 -c 'import yaml' 2>/dev/null; then
	none "YAML: probes go to ports that there are" "$(cd "$files" && python3 - 2>&1 <<'EOT'
import yaml
for name in "prometheus.yml", "alerts.yml":
    yaml.safe_load(open(name))
deployment, service = yaml.safe_load_all(open("kubernetes.yaml"))
pod = deployment["spec"]["template"]
container = pod["spec"]["containers"][0]
ports = {port["name"]: port["containerPort"] for port in container["ports"]}
for probe in "readinessProbe", "livenessProbe":
    target = container[probe].get("tcpSocket") or container[probe]["httpGet"]
    if f":{ports[target['port']]}" not in container["args"]:
        print(f"{probe}: {target}")
if service["spec"]["selector"] != pod["metadata"]["labels"] or service["spec"]["ports"][0]["targetPort"] not in ports:
    print(f"service: {service}")
EOT
)"
else
	skip "YAML" "Python has no yaml here"
fi

report_end
