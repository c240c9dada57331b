#!/bin/sh
# The SMTP server of examples/smtp under socketserverd, by real clients in each mode: Python's
# smtplib, swaks and curl. What they send has to be in the Maildir.
#
# usage: check_smtp.sh SOURCE_DIR BUILD_DIR
#
# Nothing sleeps: a daemon is ready when its line is read, and a time limit bounds each client.
set -u

if [ $# -ne 2 ] || [ ! -f "$1/meson.build" ] || [ ! -f "$2/examples/smtp/smtp.so" ]; then
	echo "usage: check_smtp.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$1/tests/support/report.sh"
build=$(cd "$2" && pwd) || exit 2
# shellcheck source=tests/support/daemon.sh
. "$1/tests/support/daemon.sh"
# shellcheck source=tests/support/talk.sh
. "$1/tests/support/talk.sh"
cp "$build/examples/smtp/smtp.so" "$tmp/handlers/" || exit 2

# start ARGUMENT...: with an empty Maildir; sets pid and port. Its log is read at descriptor 3.
start() {
	rm -rf "$tmp/log" "$tmp/mail"
	mkdir -p "$tmp/mail/tmp" "$tmp/mail/new" "$tmp/mail/cur"
	mkfifo "$tmp/log" || exit 2
	"$daemon" smtp --listen tcp:127.0.0.1:0 -o maildir="$tmp/mail" -o size=100k "$@" 2>"$tmp/log" &
	pid=$!
	exec 3<"$tmp/log"
	port=
	while read -r line <&3; do
		case $line in
		*": listening on "*) port=${line##*:}; return 0 ;;
		esac
	done
	not_ok "socketserverd smtp $*" "it ended"
	pid=
	return 1
}

# stop NAME: holds when it ends with 0 after SIGTERM
stop() {
	kill -TERM "$pid" 2>/dev/null
	$limit cat <&3 >"$tmp/rest"
	wait "$pid"
	same "$1" 0 $?
	pid=
	exec 3<&-
}

# The subjects of all mails, in order
subjects() {
	cat "$tmp"/mail/new/* 2>/dev/null | sed -n 's/^Subject: //p' | sort | tr '\n' ' '
}

# smtplib sends, is refused, and pipelines; the last line is what went wrong.
with_smtplib() {
	$limit python3 - "$port" 2>&1 <<'END' | tail -n 1
import smtplib, socket, sys, threading
port = int(sys.argv[1])

def send(name):
    with smtplib.SMTP("127.0.0.1", port, timeout=15) as s:
        s.sendmail("a@x", ["b@y", "c@y"], "Subject: smtplib-%s\r\n\r\n.dots\r\n..\r\n" % name)

threads = [threading.Thread(target=send, args=(i,)) for i in range(5)]
for t in threads: t.start()
for t in threads: t.join()
with smtplib.SMTP("127.0.0.1", port, timeout=15) as s:
    assert s.ehlo()[0] == 250 and s.has_extn("pipelining") and s.esmtp_features["size"] == "102400"
    assert s.docmd("DATA")[0] == 503 and s.noop()[0] == 250 and s.rset()[0] == 250
    try:
        s.sendmail("a@x", "b@y", b"x" * 200000)
        raise SystemExit("too large, and taken")
    except smtplib.SMTPSenderRefused as e:
        assert e.smtp_code == 552
    s.mail("a@x")
    s.rcpt("b@y")
    assert s.data(b"Subject: large\r\n\r\n" + (b"y" * 900 + b"\r\n") * 120)[0] == 552
    assert s.verify("b")[0] == 252
s = socket.create_connection(("127.0.0.1", port), 15)
mail = b"MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\nSubject: piped\r\n\r\n.\r\n"
s.sendall(b"EHLO me\r\n" + mail + mail + b"QUIT\r\n")
codes = [line[:3] for line in s.makefile("rb")]
assert codes == [b"220"] + [b"250"] * 3 + [b"250", b"250", b"354", b"250"] * 2 + [b"221"], codes
print("well")
END
}

with_swaks() {
	$limit swaks --server 127.0.0.1 --port "$port" --from a@x --to b@y --helo me --pipeline \
	    --header "Subject: swaks" --body ".a dot" >"$tmp/out" 2>&1 || cat "$tmp/out"
	echo $?
}

with_curl() {
	printf 'Subject: curl\r\n\r\n.a dot\r\n' >"$tmp/text"
	$limit curl -sS --url "smtp://127.0.0.1:$port/me" --mail-from a@x --mail-rcpt b@y \
	    --upload-file "$tmp/text" 2>&1
	echo $?
}

for mode in "--mode fibers" "--mode serial" "--mode threads" "--mode processes" "--workers 2"; do
	# shellcheck disable=SC2086
	start $mode || continue
	want=
	if command -v curl >/dev/null; then
		same "curl, $mode" 0 "$(with_curl)"
		want="curl "
	else
		skip "curl, $mode" "no curl"
	fi
	if command -v python3 >/dev/null; then
		same "smtplib, $mode" well "$(with_smtplib)"
		want="${want}piped piped smtplib-0 smtplib-1 smtplib-2 smtplib-3 smtplib-4 "
	else
		skip "smtplib, $mode" "no python3"
	fi
	if command -v swaks >/dev/null; then
		same "swaks, $mode" 0 "$(with_swaks)"
		want="${want}swaks "
	else
		skip "swaks, $mode" "no swaks"
	fi
	same "the mails, $mode" "$want" "$(subjects)"
	same "dots are as they were, $mode" "$(echo "$want" | tr ' ' '\n' | grep -c -e curl -e swaks)" \
	    "$(cat "$tmp"/mail/new/* | grep -c '^\.a dot')"
	none "nothing is left half, $mode" "$(ls "$tmp/mail/tmp")"
	stop "$mode, SIGTERM"
done

# A client that is silent when the server stops
told() {
	$limit python3 - "$port" "$pid" <<'END'
import os, signal, socket, sys
f = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 15).makefile("r")
greeting = f.readline()
os.kill(int(sys.argv[2]), signal.SIGTERM)
print(greeting.split()[0], f.readline().split()[0], len(f.read()))
END
}

if command -v python3 >/dev/null && start; then
	same "a silent client is told of the end" "220 421 0" "$(told)"
	stop "a silent client, SIGTERM"
fi
same "a Maildir that is not there" "1 socketserver: smtp: init: No such file or directory" \
    "$($limit "$daemon" smtp --listen tcp:127.0.0.1:0 -o maildir="$tmp/none" 2>"$tmp/err"
	echo $? "$(cat "$tmp/err")")"

report_end
