#!/bin/sh
# socketserverd --log: files that are rotated, FIFOs that nobody reads, a full disk, a syslog that is away,
# and JSON as Python reads it.
#
# usage: check_log.sh SOURCE_DIR BUILD_DIR
set -u

if [ $# -ne 2 ] || [ ! -x "$2/handlers/socketserverd" ]; then
	echo "usage: check_log.sh SOURCE_DIR BUILD_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$1/tests/support/report.sh"
build=$(cd "$2" && pwd) || exit 2
# shellcheck source=tests/support/daemon.sh
. "$1/tests/support/daemon.sh"
# shellcheck source=tests/support/talk.sh
. "$1/tests/support/talk.sh"
limit="timeout 100" # each rotation takes up to a second, and much more beside other work
cp "$build/tests/plugins/logs.so" "$tmp/handlers/"
cp "$1/tests/support/client.py" "$tmp/" # in front of the clients below

# ---- what is wrong ----

refuses "--log-level: a level that is none" 2 "--log-level loud: must be error, warn, info or debug" \
    "$daemon" logs --log-level loud
refuses "--log-format: a format that is none" 2 "--log-format xml: must be text or json" \
    "$daemon" logs --log-format xml
refuses "--log: a file that cannot be opened" 1 "--log $tmp/none/log: No such file or directory" \
    "$daemon" logs --listen "unix:$tmp/s" --log "$tmp/none/log"
refuses "--log: a folder" 1 "--log $tmp: Is a directory" \
    "$daemon" logs --listen "unix:$tmp/s" --log "$tmp"
none "nothing is left half started" "$(find "$tmp" -type s)"
[ ! -x "$build/examples/echo_server" ] || refuses "the examples: a level that is none" 2 "--log-level: 'loud' is not error, warn, info or debug" \
    "$build/examples/echo_server" --log-level loud

# ---- what it logs, and where ----

# talk ARGUMENT...: serves with these arguments, and runs the client that is read from standard input. The
# socket listens before the daemon starts, so nobody waits for it.
talk() {
	cat >"$tmp/client_itself.py"
	cat >"$tmp/begin.py" <<-'END'
	import json, os, signal, subprocess, time
	tmp = sys.argv[1]
	log = tmp + "/log"
	listening = socket.socket(socket.AF_UNIX)
	if os.path.exists(tmp + "/s"):
	    os.unlink(tmp + "/s")
	listening.bind(tmp + "/s")
	listening.listen()
	for number in signal.SIGINT, signal.SIGHUP:
	    signal.signal(number, signal.SIG_DFL) # a shell may have them ignored in the background
	daemon = subprocess.Popen([sys.argv[2], "logs", "--listen", "fd:%d" % listening.fileno()] + sys.argv[3:],
	    pass_fds=[listening.fileno()], stderr=open(tmp + "/stderr", "wb"))

	class Client:
	    def __init__(self):
	        self.socket = connect("unix:" + tmp + "/s")
	        self.answers = self.socket.makefile("rb")

	    def say(self, line):
	        self.socket.sendall(line + b"\n")
	        assert self.answers.readline() == line + b"\n"

	def serve():
	END
	cat >"$tmp/end.py" <<-'END'
	try:
	    serve()
	finally:
	    daemon.terminate()
	    code = daemon.wait()
	assert code == 0, code
	END
	sed 's/^/    /' "$tmp/client_itself.py" | cat "$tmp/client.py" "$tmp/begin.py" - "$tmp/end.py" >"$tmp/whole.py"
	$limit python3 "$tmp/whole.py" "$tmp" "$daemon" "$@" 2>&1
}

for mode in fibers threads processes; do
	rm -f "$tmp"/log*
	same "$mode: no line is lost or doubled in three rotations" "[] 0 4" "$(talk --mode "$mode" --log "$tmp/log" <<-'END'
	# Two clients, so that with processes a child has been there since before each rotation.
	clients, said = (Client(), Client()), []

	def say():
	    said.append("line %d" % len(said))
	    clients[len(said) % 2].say(said[-1].encode())

	for rotation in range(3):
	    for _ in range(250):
	        say()
	    os.rename(log, log + ".%d" % rotation)
	    daemon.send_signal(signal.SIGHUP)
	    while not os.path.exists(log):
	        say()
	for _ in range(250):
	    say()
	names = [tmp + "/" + name for name in os.listdir(tmp) if name.startswith("log")]
	texts = [line.split("said: ")[1] for name in names for line in open(name).read().splitlines() if "said: " in line]
	last = open(log).read()
	assert said[-1] in last and said[-2] in last
	print(sorted(set(said) ^ set(texts)), len(texts) - len(said), len(names))
	END
	)"
done

mkdir "$tmp/folder"
rm -f "$tmp"/log*
same "a file that cannot be opened again goes on, and says so once" "1 line" "$(talk --log "$tmp/folder/log" <<-'END'
client = Client()
client.say(b"before")
old = open(tmp + "/folder/log")
os.rename(tmp + "/folder", tmp + "/moved")
daemon.send_signal(signal.SIGHUP)
text = ""
while "not opened again: No such file or directory" not in text:
    client.say(b"meanwhile")
    text += old.read()
client.say(b"after")
text += old.read()
assert "said: after" in text
print("%d line" % text.count("not opened again"))
END
)"

mkfifo "$tmp/log"
same "a FIFO that nobody reads keeps nobody waiting, and tells what it lost" "True" "$(talk --log "$tmp/log" <<-'END'
client = Client()
for i in range(3000):
    client.say(b"x" * 60)
fifo = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
text = os.read(fifo, 1 << 20).decode()
client.say(b"after")
text += os.read(fifo, 1 << 20).decode()
dropped = int(text.split(" lines dropped")[0].split()[-1])
print(dropped + text.count("said: x") == 3000 and "said: after" in text)
END
)"
rm "$tmp/log"

same "a full disk keeps nobody waiting" "served" "$(talk --log /dev/full <<-'END'
client = Client()
for i in range(100):
    client.say(b"a line")
print("served")
END
)"
same "and it is told once" "socketserver: log /dev/full: No space left on device; its lines are dropped" \
    "$(cat "$tmp/stderr")"

same "a syslog may be away, and come" "<30>socketserverd logs: said: there" "$(talk --log "syslog:$tmp/syslog" <<-'END'
client = Client()
client.say(b"lost")
syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
syslog.bind(tmp + "/syslog")
daemon.syslog = syslog # it stays to the end
client.say(b"there")
first, second = syslog.recv(2000).decode(), syslog.recv(2000).decode()
assert " lines dropped" in first and first.startswith("<28>socketserverd["), first
print(second.split("[")[0], second.split("]: ")[1].split("unix:: ")[0] + second.split("unix:: ")[1])
END
)"
same "that it was away is told once" 1 "$(wc -l <"$tmp/stderr")"

same "the journal gets the level of each line" "served" "$(talk --log journal <<-'END'
Client().say(b"a line")
print("served")
END
)"
none "each line has one" "$(grep -v '^<6>logs: ' "$tmp/stderr")"

same "JSON is what Python reads, whatever was said" "good" "$(talk --log "$tmp/log" --log-format json <<-'END'
client = Client()
nasty = [bytes([i]) for i in range(1, 256) if i != 10] + [b'"', b'\\', b'\\"', b'a"b\\c', b"\xc3", b"\xc3\xa9",
    b"\xf0\x9f\x98", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"\xc0\x80", b"\xe2\x80\xa8", b"\x7f\xff" * 300,
    b'"' * 1000, b"\xe2\x82\xac" * 400]
for line in nasty:
    client.say(line)
records = [json.loads(line) for line in open(log, encoding="utf-8", newline="\n").read().split("\n")[:-1]]
said = [r for r in records if r["text"].startswith("said: ")]
assert len(said) == len(nasty), len(said)
for r in records:
    assert time.strptime(r["time"], "%Y-%m-%dT%H:%M:%S.%fZ") and r["level"] == "info" and r["pid"] == daemon.pid
    assert all(c.isprintable() for c in r["text"]), r
for r, line in zip(said, nasty):
    assert r["handler"] == "logs" and r["peer"] == "unix:", r
    if line.isalnum() and line.isascii():
        assert r["text"] == "said: " + line.decode(), r
assert said[-11]["text"] == "said: a\"b\\c" and said[-9]["text"] == "said: \u00e9"
print("good")
END
)"
rm "$tmp/log"

same "what is less grave than the level is not there" "0" "$(talk --log "$tmp/log" --log-level error <<-'END'
Client().say(b"a line")
print(os.path.getsize(log))
END
)"

# ---- the access log ----

refuses "--access-log-format: a format that is none" 2 "--access-log-format xml: must be text or json" \
    "$daemon" logs --access-log-format xml
refuses "--access-log: a file that cannot be opened" 1 "access log $tmp/none/log: No such file or directory" \
    "$daemon" logs --listen "unix:$tmp/s" --access-log "$tmp/none/log"

for mode in fibers threads processes; do
	rm -f "$tmp"/access*
	same "$mode: the access log has a line for each request, also behind a rotation" "60 60 closed 7 7" \
	    "$(talk --mode "$mode" --access-log "$tmp/access" --access-log-format json <<-'END'
	access = tmp + "/access"
	def entries():
	    names = [tmp + "/" + name for name in os.listdir(tmp) if name.startswith("access")]
	    return [json.loads(line) for name in names for line in open(name).read().splitlines()]
	for rotation in range(2):
	    for _ in range(30):
	        client = Client()
	        client.say(b"a line")
	        client.answers.close()
	        client.socket.close()
	    os.rename(access, access + ".%d" % rotation)
	    daemon.send_signal(signal.SIGHUP)
	    while not os.path.exists(access):
	        time.sleep(0.01)
	while len(entries()) < 60:
	    time.sleep(0.01)
	ours = [e for e in entries() if e["handler"] == "logs" and e["note"] is None and e["duration"] >= e["first"]]
	print(len(entries()), len(ours), ours[0]["reason"], ours[0]["bytes_in"], ours[0]["bytes_out"])
	END
	)"
done

report_end
