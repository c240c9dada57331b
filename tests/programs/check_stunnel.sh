#!/bin/sh
# TLS between our programs and stunnel: it is the client of a TLS server of ours and verifies its
# certificate, and it is the server that our client talks to.
#
# usage: check_stunnel.sh SOURCE_DIR BUILD_DIR
#
# Nothing sleeps: a daemon is ready when its line is read, stunnel has its socket from the beginning, and
# a time limit bounds each client.
set -u

if [ $# -ne 2 ] || [ ! -f "$1/meson.build" ] || [ ! -x "$2/examples/echo_client" ]; then
	echo "usage: check_stunnel.sh SOURCE_DIR BUILD_DIR" >&2
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

for need in stunnel openssl python3; do
	command -v $need >/dev/null || {
		skip "stunnel" "no $need"
		report_end
	}
done
for name in server other; do
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=$name \
	    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$tmp/$name.key" -out "$tmp/$name.pem" \
	    2>"$tmp/out" || {
		not_ok "openssl makes a certificate" "$(cat "$tmp/out")"
		report_end
	}
done

# through PREFIX OPTIONS COMMAND...: what the command prints, with a line as its input and the address of
# a stunnel that has these options as its last argument, behind PREFIX.
through() {
	$limit python3 - "$tmp" "$@" 2>&1 <<'END'
import os, signal, socket, subprocess, sys
tmp, prefix, options = sys.argv[1:4]
front = socket.socket()
front.bind(("127.0.0.1", 0))
front.listen()
with open(tmp + "/stunnel.conf", "w") as f:
    f.write("""
foreground = yes
syslog = no
pid =
[service]
accept = 127.0.0.1:%d
%s
""" % (front.getsockname()[1], options))

def socket_of_systemd(): # descriptor 3, in this process
    os.dup2(front.fileno(), 3)
    os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
    os.execvp("stunnel", ["stunnel", tmp + "/stunnel.conf"])

with open(tmp + "/stunnel.log", "w") as log:
    stunnel = subprocess.Popen(["stunnel"], preexec_fn=socket_of_systemd, close_fds=False, stdout=log, stderr=log)
try:
    address = "%s127.0.0.1:%d" % (prefix, front.getsockname()[1])
    done = subprocess.run(sys.argv[4:] + [address], input=b"a line\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
    print(done.stdout.decode().strip())
finally:
    stunnel.send_signal(signal.SIGTERM)
    stunnel.wait()
END
}

client=$build/examples/echo_client
for mode in fibers serial threads processes; do
	start 1 echo --listen tls:127.0.0.1:0 --mode $mode --cert "$tmp/server.pem" --key "$tmp/server.key" || continue
	refusal=
	trusting="client = yes
connect = 127.0.0.1:${ports# }
verifyChain = yes
checkHost = localhost
CAfile = $tmp"
	same "stunnel is the client, $mode" "a line" "$(through tcp: "$trusting/server.pem" "$client")"
	if [ $mode = fibers ]; then
		through tcp: "$trusting/other.pem" "$client" >"$tmp/out"
		same "stunnel refuses a certificate that it does not trust" "" "$(grep "a line" "$tmp/out")"
		refusal="TLS handshake: the peer refuses: unknown CA"
	fi
	stop
	same "stunnel, $mode: the log names what was refused, and no other fault" "$refusal" \
	    "$(sed -n '/listening on\|stopped:/d; s/.*: TLS handshake/TLS handshake/; p' "$tmp/log")"
done

if start 1 echo --listen tcp:127.0.0.1:0; then
	serving="cert = $tmp/server.pem
key = $tmp/server.key
connect = 127.0.0.1:${ports# }"
	same "stunnel is the server" "a line" "$(through tls: "$serving" "$client" --ca "$tmp/server.pem")"
	case $(through tls: "$serving" "$client" --ca "$tmp/other.pem") in
	*"a line"*) not_ok "our client refuses a certificate that it does not trust" "it talks" ;;
	*certificate*) ok "our client refuses a certificate that it does not trust" ;;
	*) not_ok "our client refuses a certificate that it does not trust" ;;
	esac
	stop
fi

report_end
