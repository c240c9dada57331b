#!/bin/sh
# TLS between our programs and real peers: socketserverd, the examples, and curl, openssl,
# gnutls-cli, socat, ncat, Python, swaks and HAProxy as far as they are there. Prints "ok - NAME",
# "not ok - NAME" or "skip - NAME: REASON" for each check; exit code 1 when one failed.
#
# usage: check_tls.sh SOURCE_DIR BUILD_DIR
set -u

if [ $# -ne 2 ] || [ ! -x "$2/examples/echo_server" ]; then
	echo "usage: check_tls.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
source=$(cd "$1" && pwd) && build=$(cd "$2" && pwd) || exit 2
# shellcheck source=tests/support/report.sh
. "$(dirname "$0")/../support/report.sh"
# shellcheck source=tests/support/examples.sh
set -- "$build"
. "$source/tests/support/examples.sh"
unset SSL_CERT_FILE SSL_CERT_DIR

has openssl || {
	skip "TLS" "no openssl to make certificates with"
	report_end
}

# ---- certificates, for a day ----

# certificate NAME NAMES [CA]: $tmp/NAME.pem and $tmp/NAME.key, signed by CA or by itself
certificate() {
	if [ $# -eq 2 ]; then
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj "/CN=$1" \
		    -addext "$2" -keyout "$tmp/$1.key" -out "$tmp/$1.pem" 2>/dev/null
	else
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" \
		    -keyout "$tmp/$1.key" -out "$tmp/$1.csr" 2>/dev/null &&
		    echo "$2" | openssl x509 -req -in "$tmp/$1.csr" -days 1 -CA "$tmp/$3.pem" \
			-CAkey "$tmp/$3.key" -CAcreateserial -extfile /dev/stdin -out "$tmp/$1.pem" 2>/dev/null
	fi || {
		not_ok "openssl makes a certificate"
		exit 1
	}
}

certificate ca basicConstraints=critical,CA:TRUE
certificate server subjectAltName=DNS:localhost,IP:127.0.0.1 ca
certificate other subjectAltName=DNS:other.example ca
certificate client subjectAltName=DNS:alice.example ca

# ---- socketserverd; its log is read at descriptor 9 ----

mkdir "$tmp/handlers" && cp "$build"/handlers/*.so "$tmp/handlers/" && chmod 755 "$tmp" || exit 2
export SOCKETSERVER_HANDLERS="$tmp/handlers"
daemon=$build/handlers/socketserverd

# logged WORDS: the log says so, now or soon; else the test ends with it
logged() {
	while read -r line <&9; do
		case $line in *"$1"*) return 0 ;; esac
	done
	return 1
}

# serve ARGUMENT...: sets daemon_pid and port, of the last address
serve() {
	rm -f "$tmp/log"
	mkfifo "$tmp/log" || exit 2
	$hears_signals "$daemon" "$@" 2>"$tmp/log" >"$tmp/out" &
	daemon_pid=$!
	pid_9=$daemon_pid slots=9
	exec 9<"$tmp/log"
	logged "listening on tls:" || {
		not_ok "socketserverd $*" "it ended"
		exit 1
	}
	port=${line##*:}
}

# ended NAME: SIGTERM ends it, in order
ended() {
	kill -TERM "$daemon_pid"
	wait "$daemon_pid"
	same "$1" 0 "$?"
	exec 9<&-
	slots=
}

# peer NAME EXPECTED COMMAND...: what the command prints, with a line to it as its input
peer() {
	peer_name=$1 expected=$2
	shift 2
	if has "$1"; then
		same "$peer_name" "$expected" "$({ echo "a line"; cat "$tmp/wait"; } | $limit "$@" 2>"$tmp/err" |
		    { read -r first; echo "$first"; })"
	else
		skip "$peer_name" "no $1"
	fi
}
: >"$tmp/wait"

# ---- each client, in each mode ----

python_client='
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
with socket.create_connection(("localhost", int(sys.argv[1])), 20) as plain:
    with context.wrap_socket(plain, server_hostname="localhost") as s:
        s.sendall(b"a line\n")
        print(s.makefile("r").readline().strip())
        s.unwrap()
'

for mode in fibers serial threads processes; do
	serve echo --mode $mode --listen tls:localhost:0 --cert "$tmp/server.pem" --key "$tmp/server.key"
	if has socat; then
		same "echo --mode $mode, socat" "a line" "$(echo "a line" | $limit socat -t 5 - \
		    "OPENSSL:localhost:$port,cafile=$tmp/ca.pem" 2>&1)"
	else
		skip "echo --mode $mode, socat" "no socat"
	fi
	if has gnutls-cli; then
		same "echo --mode $mode, gnutls-cli" "a line" "$(echo "a line" | $limit gnutls-cli --logfile \
		    "$tmp/out" --x509cafile "$tmp/ca.pem" -p "$port" localhost 2>&1 | grep "a line")"
	else
		skip "echo --mode $mode, gnutls-cli" "no gnutls-cli"
	fi
	if has python3; then
		same "echo --mode $mode, Python" "a line" \
		    "$($limit python3 -c "$python_client" "$port" "$tmp/ca.pem" 2>&1)"
	else
		skip "echo --mode $mode, Python" "no python3"
	fi
	SSL_CERT_FILE=$tmp/ca.pem ask_echo_client "a line" "tls:localhost:$port" >"$tmp/got" 2>&1
	same "echo --mode $mode, echo_client" "a line" "$(cat "$tmp/got")"
	same "echo --mode $mode, echo_client --ca" "a line" "$(echo "a line" |
	    $limit "$build/examples/echo_client" --ca "$tmp/ca.pem" "tls:localhost:$port" 2>&1)"
	ended "echo --mode $mode ends"
done

# ---- curl, s_client, names, and the files again ----

serve hello --listen tls:localhost:0 --cert "$tmp/server.pem" --key "$tmp/server.key" \
    --cert "$tmp/other.pem" --key "$tmp/other.key"
if has curl; then
	same "curl --cacert reaches hello" "Hello World!" "$(printf 'GET / HTTP/1.0\r\n\r\n' |
	    $limit curl -sS --http0.9 --cacert "$tmp/ca.pem" "https://localhost:$port/" 2>&1)"
else
	skip "curl --cacert reaches hello" "no curl"
fi
if has ncat; then
	same "ncat --ssl-verify" "Hello World!" "$($limit ncat --ssl-verify --ssl-trustfile "$tmp/ca.pem" \
	    localhost "$port" </dev/null 2>&1)"
else
	skip "ncat --ssl-verify" "no ncat"
fi

# subject NAME: of the certificate that who asks for this name is shown
subject() {
	$limit openssl s_client -connect "localhost:$port" -servername "$1" </dev/null 2>/dev/null |
	    sed -n 's/^subject=CN = //p'
}

same "who asks for localhost is shown its certificate" server "$(subject localhost)"
same "who asks for other.example is shown that one" other "$(subject other.example)"
same "who asks for nobody is shown the first" server "$(subject nobody.example)"
for version in tls1 tls1_1; do
	if $limit openssl s_client -connect "localhost:$port" -$version -cipher 'ALL:@SECLEVEL=0' </dev/null 2>&1 |
	    grep -q "^    Cipher *: [A-Z0-9-]*[A-Z1-9]$"; then
		not_ok "$version is refused"
	else
		ok "$version is refused"
	fi
done

# What a scanner looks for: s_client says it of TLS 1.2, and of 1.3 with a session to resume.
$limit openssl s_client -connect "localhost:$port" -tls1_2 </dev/null >"$tmp/got" 2>&1
same "no compression" "Compression: NONE" "$(grep -o 'Compression: .*' "$tmp/got" | sort -u)"
$limit openssl s_client -connect "localhost:$port" -tls1_3 -sess_out "$tmp/session" -ign_eof </dev/null >"$tmp/got" 2>&1
same "no early data is offered" "Max Early Data: 0" "$(grep -o 'Max Early Data: .*' "$tmp/got" | sort -u)"
if has sslscan; then
	$limit sslscan --no-colour "localhost:$port" >"$tmp/got" 2>&1
	same "sslscan: the versions" "TLSv1.2 TLSv1.3" "$(sed -n 's/^\(TLSv1[.0-9]*\) *enabled.*/\1/p' "$tmp/got" | xargs)"
	none "sslscan: no weak cipher" "$(grep -E '^(Preferred|Accepted)' "$tmp/got" | grep -vE 'GCM|CHACHA20')"
else
	skip "sslscan" "no sslscan"
fi

certificate renewed subjectAltName=DNS:localhost,IP:127.0.0.1 ca
cp "$tmp/renewed.key" "$tmp/server.key" && cp "$tmp/renewed.pem" "$tmp/server.pem"
kill -HUP "$daemon_pid"
yes "SIGHUP has the files read again" logged "server.pem: reloaded: CN=renewed"
same "and the new one is shown" renewed "$(subject localhost)"
echo garbage >"$tmp/other.pem"
kill -HUP "$daemon_pid"
yes "a file that is not good is named" logged "other.pem: there is no certificate in it"
same "and nothing changes" other "$(subject other.example)"
ended "hello ends"

# ---- clients with certificates ----

serve echo --listen tls:localhost:0 --cert "$tmp/server.pem" --key "$tmp/server.key" \
    --client-ca "$tmp/ca.pem"
if has socat; then
	same "who shows a certificate is served" "a line" "$(echo "a line" | $limit socat -t 5 - \
	    "OPENSSL:localhost:$port,cafile=$tmp/ca.pem,cert=$tmp/client.pem,key=$tmp/client.key" 2>&1)"
	echo "a line" | $limit socat -t 5 - "OPENSSL:localhost:$port,cafile=$tmp/ca.pem" >"$tmp/got" 2>/dev/null
	same "who does not is not" "" "$(cat "$tmp/got")"
	yes "and the log says why" logged "the peer has shown no certificate"
else
	skip "clients with certificates" "no socat"
fi
ended "echo --client-ca ends"

# ---- a peer that ends without close_notify ----

cut_off='
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
with socket.create_connection(("localhost", int(sys.argv[1])), 20) as plain:
    s = context.wrap_socket(plain, server_hostname="localhost")
    s.sendall(b"a line\n")
    assert s.recv(100) == b"a line\n"
    s.shutdown(socket.SHUT_WR) # of the socket: Python says nothing by TLS
    while s.recv(100):
        pass
'
cutting_server='
import socket, ssl, sys
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(*sys.argv[1:])
listener = socket.create_server(("localhost", 0))
print(listener.getsockname()[1], flush=True)
s = context.wrap_socket(listener.accept()[0], server_side=True)
s.settimeout(20)
s.sendall(b"a line\n")
s.shutdown(socket.SHUT_WR)
while s.recv(100):
    pass
'
for lenient in "" --tls-lenient-end; do
	failed=1 reason=reset
	[ -z "$lenient" ] || failed=0 reason=closed
	if ! has python3; then
		skip "a peer that is cut off, $lenient" "no python3"
		continue
	fi
	# shellcheck disable=SC2086
	serve echo --listen tls:localhost:0 --cert "$tmp/server.pem" --key "$tmp/server.key" $lenient \
	    --access-log "$tmp/access"
	$limit python3 -c "$cut_off" "$port" "$tmp/ca.pem" 2>"$tmp/err"
	same "a client that is cut off, $lenient" "" "$(cat "$tmp/err")"
	ended "echo $lenient ends"
	same "why the request has ended, $lenient" 1 "$(grep -c " $reason " "$tmp/access")"
	rm -f "$tmp/access"
	mkfifo "$tmp/port"
	$limit python3 -c "$cutting_server" "$tmp/server.pem" "$tmp/server.key" >"$tmp/port" 2>/dev/null &
	peer=$!
	read -r port <"$tmp/port"
	rm -f "$tmp/port"
	# shellcheck disable=SC2086
	lines=$($limit "$build/examples/echo_client" --ca "$tmp/ca.pem" $lenient "localhost:$port" </dev/null 2>"$tmp/err")
	same "echo_client and a server that is cut off, $lenient" "$failed a line" "$? $lines"
	wait "$peer"
done
refuses "--tls-lenient-end without --cert" 2 "there is no --cert for it" "$daemon" echo --tls-lenient-end

refuses "a certificate that is not there" 1 "nowhere.pem: No such file" "$daemon" echo \
    --listen tls:localhost:0 --cert "$tmp/nowhere.pem"
refuses "no certificate" 2 "--listen tls:localhost:0: there is no --cert for it" "$daemon" echo --listen tls:localhost:0
refuses "--key without --cert" 2 "of which certificate?" "$daemon" echo --key "$tmp/server.key"
refuses "--client-ca without --cert" 2 "there is no --cert for it" "$daemon" echo --client-ca "$tmp/ca.pem"

refuses "echo_client --ca of a file that is not there" 1 "nowhere.pem: No such file" \
    "$build/examples/echo_client" --ca "$tmp/nowhere.pem" tls:localhost:1
refuses "echo_client --udp --ca" 2 "do not go together" "$build/examples/echo_client" --udp --ca "$tmp/ca.pem"

serve echo --listen tls:localhost:0 --tls-self-signed
if has socat; then
	same "--tls-self-signed" "a line" "$(echo "a line" | $limit socat -t 5 - \
	    "OPENSSL:localhost:$port,verify=0" 2>&1)"
else
	skip "--tls-self-signed" "no socat"
fi
echo R | $limit openssl s_client -connect "localhost:$port" -tls1_2 >"$tmp/got" 2>&1
same "no renegotiation" "RENEGOTIATING no renegotiation" \
    "$(grep -oE 'RENEGOTIATING|no renegotiation' "$tmp/got" | sort -u | xargs)"
ended "--tls-self-signed ends"

# ---- the examples: STARTTLS, and a proxy that ends and begins TLS ----

must_start 3 starttls --cert "$tmp/server.pem" --key "$tmp/server.key" localhost:0
if ! has swaks; then
	skip "swaks sends a mail behind STARTTLS" "no swaks"
elif ! perl -MNet::SSLeay -e 1 2>/dev/null; then
	skip "swaks sends a mail behind STARTTLS" "no Net::SSLeay, which it needs for TLS"
else
	$limit swaks --server "localhost:${address##*:}" --tls --tls-verify --tls-ca-path "$tmp/ca.pem" \
	    --to a@example.org --from b@example.org --helo localhost >"$tmp/got" 2>&1
	same "swaks sends a mail behind STARTTLS" 0 $?
	grep -q "TLS started" "$tmp/got" || not_ok "swaks speaks TLS" "$(cat "$tmp/got")"
fi
same "s_client -starttls smtp" renewed "$(echo QUIT | $limit openssl s_client -starttls smtp \
    -connect "localhost:${address##*:}" 2>/dev/null | sed -n 's/^subject=CN = //p')"
stop 3 TERM
stopped "starttls, SIGTERM"

must_start 3 echo_server tcp:127.0.0.1:0
plain=${address#tcp:}
must_start 4 proxy --cert "$tmp/server.pem" --key "$tmp/server.key" tls:127.0.0.1:0 "$plain"
secure=$address
SSL_CERT_FILE=$tmp/ca.pem
export SSL_CERT_FILE
must_start 5 proxy 127.0.0.1:0 "$secure"
unset SSL_CERT_FILE
ask "echo through a proxy that begins TLS and one that ends it" echo_client "${address}" "a line" "a line"
head -c 3000000 /dev/urandom >"$tmp/big"
if has socat; then
	$limit socat -t 20 - "TCP4:${address#tcp:}" <"$tmp/big" | cmp - "$tmp/big" >"$tmp/out" 2>&1
	same "3 MB there and back" "" "$(cat "$tmp/out")"
else
	skip "3 MB there and back" "no socat"
fi
stop 5 TERM
stopped "the proxy that begins TLS ends"
stop 4 TERM
stopped "the proxy that ends TLS ends"
stop 3 TERM

# ---- HAProxy in front: it speaks TLS to us ----

if has haproxy && has socat; then
	serve echo --listen tls:localhost:0 --cert "$tmp/server.pem" --key "$tmp/server.key"
	front=$("$build/tests/bench/load" --free-port)
	cat >"$tmp/haproxy.cfg" <<END
defaults
	mode tcp
	timeout connect 5s
	timeout client 20s
	timeout server 20s
listen front
	bind 127.0.0.1:$front
	server ours localhost:$port ssl verify required ca-file $tmp/ca.pem verifyhost localhost
END
	haproxy -db -f "$tmp/haproxy.cfg" >"$tmp/out" 2>&1 &
	pid_8=$! slots="8 9"
	"$build/tests/bench/load" 127.0.0.1 "$front" --ready --pid "$pid_8"
	same "behind HAProxy" "a line" "$(echo "a line" | $limit socat -t 5 - "TCP4:127.0.0.1:$front" 2>&1)"
	kill -TERM "$pid_8" && wait "$pid_8" 2>/dev/null
	ended "behind HAProxy, it ends"
else
	skip "behind HAProxy" "no haproxy"
fi

report_end
