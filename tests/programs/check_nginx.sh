#!/bin/sh
# socketserverd behind nginx as a TCP proxy, which says by the PROXY protocol who its clients are: the
# users handler lists their own addresses, not nginx's. TLS ends at nginx, or here, or at both.
#
# usage: check_nginx.sh SOURCE_DIR BUILD_DIR
#
# Nothing sleeps: a daemon is ready when its line is read, nginx has its socket from the beginning, and
# a time limit bounds each client.
set -u

if [ $# -ne 2 ] || [ ! -f "$1/meson.build" ] || [ ! -x "$2/handlers/socketserverd" ]; then
	echo "usage: check_nginx.sh SOURCE_DIR BUILD_DIR" >&2
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
module=/usr/lib/nginx/modules/ngx_stream_module.so

for need in nginx python3; do
	command -v $need >/dev/null || {
		skip "behind nginx" "no $need"
		report_end
	}
done
if [ ! -e $module ]; then
	skip "behind nginx" "no $module"
	report_end
fi

# ask CLIENT LISTEN PORT [DIRECTIVE]...: a client from 127.0.0.2, plain or tls, that asks by nginx, which
# has the options LISTEN at its listen line and the directives besides. Prints whether the client was
# listed, which needs its own port.
ask() {
	$limit python3 - "$tmp" $module "$@" 2>&1 <<'END'
import os, signal, socket, ssl, subprocess, sys
tmp, module, client, options, port = sys.argv[1:6]
front = socket.socket()
front.bind(("127.0.0.1", 0))
front.listen()
front.setblocking(False) # as nginx expects of it
with open(tmp + "/nginx.conf", "w") as f:
    f.write("""
load_module %s;
daemon off;
pid %s/nginx.pid;
error_log stderr crit;
events {}
stream {
    server {
        listen 127.0.0.1:%d %s;
        proxy_pass 127.0.0.1:%s;
        proxy_protocol on;
        %s
    }
}
""" % (module, tmp, front.getsockname()[1], options, port, "\n        ".join(sys.argv[6:])))
# By the variable NGINX it takes over a socket, as from an nginx that it replaces.
nginx = subprocess.Popen(["nginx", "-e", "stderr", "-p", tmp, "-c", tmp + "/nginx.conf"],
    pass_fds=[front.fileno()], env=dict(os.environ, NGINX="%d;" % front.fileno()), stderr=open(tmp + "/nginx.log", "w"))
try:
    client_socket = socket.create_connection(front.getsockname(), 20, ("127.0.0.2", 0))
    own = "%s:%d" % client_socket.getsockname()
    if client == "tls":
        context = ssl.create_default_context(cafile=tmp + "/cert.pem")
        client_socket = context.wrap_socket(client_socket, server_hostname="localhost")
    client_socket.sendall(b"\r\n")
    answer = client_socket.makefile("rb").read().decode()
    print("listed" if any(line.startswith(own + " ") for line in answer.splitlines()) else "%r, not %s" % (answer, own))
finally:
    nginx.send_signal(signal.SIGTERM)
    nginx.wait()
END
}

# With TLS where the library has it, and where there is a certificate to be had.
tls=tls
: >"$tmp/out"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout "$tmp/key.pem" -out "$tmp/cert.pem" 2>"$tmp/out" &&
    "$daemon" --check --tls-self-signed --listen tls:127.0.0.1:0 users >"$tmp/out" 2>&1 || tls=
[ -n "$tls" ] || skip "TLS behind nginx" "$(tail -n 1 "$tmp/out")"
at_nginx="ssl_certificate $tmp/cert.pem; ssl_certificate_key $tmp/key.pem;"
to_us="proxy_ssl on; proxy_ssl_verify on; proxy_ssl_trusted_certificate $tmp/cert.pem;
        proxy_ssl_name localhost; proxy_ssl_server_name on;"

for mode in fibers serial threads; do # users needs one memory
	start 2 users --mode $mode --proxy-from 127.0.0.1 ${tls:+--cert "$tmp/cert.pem" --key "$tmp/key.pem"} \
	    --listen proxy:127.0.0.1:0 --listen "proxy:${tls:+tls:}127.0.0.1:0" || continue
	# shellcheck disable=SC2086
	set -- $ports
	same "nginx, plain, $mode" listed "$(ask plain "" "$1")"
	[ -z "$tls" ] || same "nginx, TLS passes through, $mode" listed "$(ask tls "" "$2")"
	if [ -n "$tls" ] && [ $mode = fibers ]; then # what the modes do not differ in
		same "nginx, TLS ends there, $mode" listed "$(ask tls ssl "$1" "$at_nginx")"
		same "nginx, TLS begins there, $mode" listed "$(ask plain "" "$2" "$to_us")"
		same "nginx, TLS ends and begins there, $mode" listed "$(ask tls ssl "$2" "$at_nginx" "$to_us")"
	fi
	stop
	none "nginx, $mode: no line of a fault" "$(grep -vE 'listening on|stopped:|certificate' "$tmp/log")"
done

# It is a proxy that is not believed.
if start 2 users --proxy-from 10.0.0.0/8 --listen proxy:127.0.0.1:0 --listen proxy:127.0.0.1:0; then
	# shellcheck disable=SC2086
	set -- $ports
	case $(ask plain "" "$1") in
	"'', not "* | *ConnectionResetError*) ok "nginx, refused where it is not in --proxy-from" ;;
	*) not_ok "nginx, refused where it is not in --proxy-from" "$(cat "$tmp/log")" ;;
	esac
	stop
	if grep -q "users: 127.0.0.1:[0-9]*: PROXY header: not from a proxy of proxy_from" "$tmp/log"; then
		ok "nginx, refused and named"
	else
		not_ok "nginx, refused and named" "$(cat "$tmp/log")"
	fi
fi

report_end
