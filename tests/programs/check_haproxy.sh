#!/bin/sh
# socketserverd behind HAProxy, which says by the PROXY protocol who its clients are: the users
# handler lists their own addresses, not HAProxy's.
#
# usage: check_haproxy.sh SOURCE_DIR BUILD_DIR
#
# Nothing sleeps: a daemon is ready when its line is read, HAProxy has its sockets from the
# beginning, and a time limit bounds each client.
set -u

if [ $# -ne 2 ] || [ ! -f "$1/meson.build" ] || [ ! -x "$2/handlers/socketserverd" ]; then
	echo "usage: check_haproxy.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$1/tests/support/report.sh"
build=$(cd "$2" && pwd) || exit 2
# shellcheck source=tests/support/daemon.sh
. "$1/tests/support/daemon.sh"
# shellcheck source=tests/support/serve.sh
. "$1/tests/support/serve.sh"
limit="timeout 60"
PATH=$PATH:/usr/sbin

# ask VERSION TLS PORT [PROXY]: a client from 127.0.0.2 that asks by HAProxy, which it reaches by the
# example PROXY, if it is given. Prints whether it was listed, which needs the client's own port, and
# HAProxy's health checks meanwhile.
ask() {
	$limit python3 - "$1" "$2" "$3" "$tmp/haproxy.cfg" "${4-}" <<'EOT'
import signal, socket, ssl, subprocess, sys
version, tls, port, file, ours = sys.argv[1:]
front = socket.socket()
front.bind(("127.0.0.1", 0))
front.listen()
with open(file, "w") as f:
    f.write("""
defaults
    mode tcp
    timeout connect 10s
    timeout client 30s
    timeout server 30s
listen all
    bind fd@%d %s
    server one 127.0.0.1:%s %s check inter 50ms
""" % (front.fileno(), "accept-proxy" if ours else "", port, version))
haproxy = subprocess.Popen(["haproxy", "-db", "-q", "-f", file], pass_fds=[front.fileno()])
address, proxy = front.getsockname(), None
if ours:
    proxy = subprocess.Popen([ours, "127.0.0.1:0", "proxy:127.0.0.1:%d" % address[1]], stdout=subprocess.PIPE)
    address = "127.0.0.1", int(proxy.stdout.readline().decode().rsplit(":", 1)[1])
try:
    client = socket.create_connection(address, 20, ("127.0.0.2", 0))
    own = "%s:%d" % client.getsockname()
    if tls == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        client = context.wrap_socket(client)
    client.sendall(b"\r\n")
    answer = client.makefile("rb").read().decode()
    print("listed" if any(line.startswith(own + " ") for line in answer.splitlines()) else "%r, not %s" % (answer, own))
    client.close()
finally:
    for process in (proxy, haproxy):
        if process is not None:
            process.send_signal(signal.SIGTERM)
            process.wait()
EOT
}

if ! command -v haproxy >/dev/null; then
	skip "behind HAProxy" "no haproxy"
	report_end
fi

# With TLS where the library has it.
tls=tls
"$daemon" --check --tls-self-signed --listen tls:127.0.0.1:0 users >"$tmp/out" 2>&1 || tls=
[ -n "$tls" ] || skip "TLS behind HAProxy" "$(tail -n 1 "$tmp/out")"

for mode in fibers serial threads; do # users needs one memory
	start 2 users --mode $mode --proxy-from 127.0.0.0/8,::1 ${tls:+--tls-self-signed} \
	    --listen proxy:127.0.0.1:0 --listen "proxy:${tls:+tls:}127.0.0.1:0" || continue
	# shellcheck disable=SC2086
	set -- $ports
	for version in send-proxy send-proxy-v2 send-proxy-v2-ssl; do
		same "HAProxy, $version, $mode" listed "$(ask $version plain "$1")"
		[ -z "$tls" ] || same "HAProxy, $version, TLS, $mode" listed "$(ask $version tls "$2")"
	done
	if [ -x "$build/examples/proxy" ]; then
		same "our proxy tells HAProxy, $mode" listed "$(ask send-proxy-v2 plain "$1" "$build/examples/proxy")"
	fi
	stop
	none "HAProxy, $mode: no line of a fault" \
	    "$(grep -vE 'listening on|stopped:|TLS|certificate' "$tmp/log")"
done

# Its peer is no proxy that is believed.
if start 2 users --proxy-from 10.0.0.0/8 --listen proxy:127.0.0.1:0 --listen proxy:127.0.0.1:0; then
	# shellcheck disable=SC2086
	set -- $ports
	case $(ask send-proxy plain "$1" 2>&1) in
	"'', not "*) ok "HAProxy, refused where it is not in --proxy-from" ;;
	*ConnectionResetError*) ok "HAProxy, refused where it is not in --proxy-from" ;;
	*) not_ok "HAProxy, refused where it is not in --proxy-from" "$(cat "$tmp/log")" ;;
	esac
	stop
	if grep -q "users: 127.0.0.1:[0-9]*: PROXY header: not from a proxy of proxy_from" "$tmp/log"; then
		ok "HAProxy, refused and named"
	else
		not_ok "HAProxy, refused and named" "$(cat "$tmp/log")"
	fi
fi

for wrong in "--listen proxy:127.0.0.1:0" "--proxy-from 10.0.0.0/33 --listen proxy:127.0.0.1:0"; do
	# shellcheck disable=SC2086
	$limit "$daemon" $wrong users >"$tmp/out" 2>&1
	code=$?
	if [ $code -ne 0 ] && [ $code -le 2 ] && [ "$(wc -l <"$tmp/out")" -eq 1 ] && grep -q proxy_from "$tmp/out"; then
		ok "$wrong is refused in one line"
	else
		not_ok "$wrong is refused in one line" "exit code $code" "$(cat "$tmp/out")"
	fi
done

report_end
