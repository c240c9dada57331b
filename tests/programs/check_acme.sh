#!/bin/sh
# The round of a certificate from an ACME server, all on this machine: uacme gets one from pebble,
# socketserverd serves with it, uacme renews it, and SIGHUP has it shown, while clients come.
#
# usage: check_acme.sh SOURCE_DIR BUILD_DIR
#
# Nothing sleeps but uacme, for up to 5 s, before it asks again whether pebble has seen the challenge.
set -u

if [ $# -ne 2 ] || [ ! -f "$1/meson.build" ] || [ ! -x "$2/handlers/socketserverd" ]; then
	echo "usage: check_acme.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$1/tests/support/report.sh"
build=$(cd "$2" && pwd) || exit 2
# shellcheck source=tests/support/daemon.sh
. "$1/tests/support/daemon.sh"
limit="timeout 60"
load=$build/tests/bench/load
bundle=/etc/ssl/certs/ca-certificates.crt

helpers=
# shellcheck disable=SC2317,SC2154 # called by a trap; daemon.sh sets tmp
end() {
	for helper in $helpers; do
		kill -TERM "$helper" 2>/dev/null && wait "$helper" 2>/dev/null
	done
	cleanup
}
trap end EXIT

for need in pebble uacme openssl python3 unshare; do
	command -v $need >/dev/null || {
		skip "ACME" "no $need"
		report_end
	}
done

openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=pebble -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$tmp/pebble.key" -out "$tmp/pebble.pem" 2>"$tmp/out" || {
	not_ok "openssl makes a certificate" "$(cat "$tmp/out")"
	report_end
}

# trusting COMMAND...: it takes pebble's certificate for one of the system's, the only place where uacme's
# library looks.
trusting() {
	# shellcheck disable=SC2016 # for the shell inside
	$limit unshare -r -m sh -c 'mount --bind "$0" "$1" && shift && exec "$@"' "$tmp/pebble.pem" $bundle "$@"
}
if ! trusting true 2>"$tmp/out"; then
	skip "ACME" "$(tail -n 1 "$tmp/out")"
	report_end
fi

# ---- pebble, and who answers its challenge ----

mkdir -p "$tmp/www/.well-known/acme-challenge" || exit 2
mkfifo "$tmp/web" "$tmp/lines" "$tmp/said" || exit 2
python3 -u -m http.server --bind 127.0.0.1 --directory "$tmp/www" 0 >"$tmp/web" 2>/dev/null &
helpers=$!
exec 4<"$tmp/web"
read -r line <&4 # Serving HTTP on 127.0.0.1 port PORT (...) ...
web=${line#* port }
cat >"$tmp/hook" <<END
#!/bin/sh
# METHOD TYPE NAME TOKEN AUTHORIZATION
[ "\$2" = http-01 ] || exit 1
[ "\$1" != begin ] || printf %s "\$5" >"$tmp/www/.well-known/acme-challenge/\$4"
END
chmod +x "$tmp/hook"

ready=
for _ in 1 2 3; do # somebody else may take the port meanwhile
	acme=$("$load" --free-port)
	cat >"$tmp/pebble.json" <<-END
	{"pebble": {"listenAddress": "127.0.0.1:$acme", "certificate": "$tmp/pebble.pem",
	    "privateKey": "$tmp/pebble.key", "httpPort": ${web%% *}, "tlsPort": 1}}
	END
	PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=0 PEBBLE_AUTHZREUSE=100 \
	    pebble -config "$tmp/pebble.json" >"$tmp/pebble.log" 2>&1 &
	helpers="$helpers $!"
	"$load" 127.0.0.1 "$acme" --ready --pid $! && ready=1 && break
done
[ -n "$ready" ] || {
	not_ok "pebble" "$(tail "$tmp/pebble.log")"
	report_end
}

# acme ARGUMENT...: uacme with our folder and pebble
acme() {
	trusting uacme -y -a "https://127.0.0.1:$acme/dir" -c "$tmp/acme" -h "$tmp/hook" -t EC "$@" >"$tmp/out" 2>&1 || {
		not_ok "uacme $*" "$(cat "$tmp/out")" "$(tail "$tmp/pebble.log")"
		report_end
	}
}
cert=$tmp/acme/127.0.0.1/cert.pem
key=$tmp/acme/private/127.0.0.1/key.pem

serial() {
	openssl x509 -noout -serial 2>/dev/null
}

shown() {
	$limit openssl s_client -connect "127.0.0.1:$port" </dev/null 2>/dev/null | serial
}

# ---- issue, serve ----

acme new
acme issue 127.0.0.1
first=$(serial <"$cert")
ok "uacme gets a certificate"

$hears_signals "$daemon" echo --listen tls:127.0.0.1:0 --cert "$cert" --key "$key" 2>"$tmp/lines" &
pid=$!
exec 3<"$tmp/lines"
read -r line <&3
port=${line##*:}
same "socketserverd serves with it" "$first" "$(shown)"

# ---- renew, reload under load ----

# It trusts who signed, so each certificate is verified. It ends when it has seen the new one often.
cp "$cert" "$tmp/ca.pem"
cat >"$tmp/client.py" <<'END'
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
context.verify_flags |= 0x80000 # X509_V_FLAG_PARTIAL_CHAIN: the root is not there
serials, after = [], 0
while after < 50:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20) as plain:
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as s:
            serial = s.getpeercert()["serialNumber"]
            s.sendall(b"a line\n")
            if s.makefile("rb").readline() != b"a line\n":
                sys.exit("another answer")
    if serial not in serials:
        serials.append(serial)
        print("serial=" + serial, flush=True)
    after += len(serials) > 1
print("served each time", flush=True)
END
$limit python3 "$tmp/client.py" "$port" "$tmp/ca.pem" >"$tmp/said" 2>"$tmp/client.log" &
client=$!
helpers="$helpers $client"
exec 5<"$tmp/said"
read -r line <&5
same "a client verifies it" "$first" "$line"

acme -f issue 127.0.0.1
second=$(serial <"$cert")
if [ -n "$second" ] && [ "$first" != "$second" ]; then
	ok "uacme renews it"
else
	not_ok "uacme renews it" "$(cat "$tmp/out")"
fi
kill -HUP "$pid"
reloaded=
while read -r line <&3; do
	case $line in *": reloaded: "*) reloaded=1 && break ;; esac
done
same "SIGHUP has it read" 1 "$reloaded"
same "and it is shown" "$second" "$(shown)"
same "no client's request failed" "$second served each time" "$($limit cat <&5 | xargs)$(cat "$tmp/client.log")"

kill -TERM "$pid"
$limit cat <&3 >"$tmp/out"
wait "$pid"
same "the server ends" 0 $?
report_end
