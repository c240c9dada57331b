#!/bin/sh
# Examples that show one hard part of a service each: syslog_relay, json_server, redis_pool, limited.
#
# usage: check_services.sh BUILD_DIR
set -u

if [ $# -ne 1 ] || [ ! -x "$1/examples/echo_server" ]; then
	echo "usage: check_services.sh BUILD_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$(dirname "$0")/../support/report.sh"
# shellcheck source=tests/support/examples.sh
. "$(dirname "$0")/../support/examples.sh"

in_one_memory='--mode=fibers --mode=threads --workers=2'

# ---- syslog_relay ----

for options in $in_one_memory; do
	must_start 3 syslog_relay "$options" udp:127.0.0.1:0 "unix:$tmp/up"
	python "syslog_relay $options: nothing is lost before the server is there" "$address" "$tmp/up" <<'END'
u = connect(sys.argv[1])
for i in range(20):
    u.send(b"<13>message %d" % i)
f = upstream(sys.argv[2]).accept()[0].makefile("rb")
got = []
for i in range(20):
    n = b""
    while not n.endswith(b" "):
        n += f.read(1)
    got.append(f.read(int(n)))
assert sorted(got) == sorted(b"<13>message %d" % i for i in range(20)), got
END
	rm -f "$tmp/up"
	stop 3 TERM
	same "syslog_relay $options, SIGTERM" 0 "$code"
done
must_start 3 syslog_relay udp:127.0.0.1:0 "unix:$tmp/none"
python "syslog_relay: a server that never comes keeps nobody" "$address" <<'END'
connect(sys.argv[1]).send(b"<13>lost")
END
stop 3 TERM
same "syslog_relay without a server, SIGTERM" 0 "$code"
# The backlog of a server that is stopped is full with two clients, also when these are gone: then a
# connection gets no answer, not even a refusal.
must_start 4 hello_server --backlog 1 tcp:127.0.0.1:0
full=$address
kill -STOP "$pid"
must_start 3 syslog_relay udp:127.0.0.1:0 "${full#tcp:}"
python "syslog_relay: a server that does not answer gets many messages" "$address" "$full" <<'END'
for i in range(2):
    connect(sys.argv[2]).close()
u = connect(sys.argv[1])
for i in range(100):
    u.send(b"<13>lost")
END
stop 3 TERM
same "syslog_relay: they do not keep it from its end" 0 "$code"
eval "kill -CONT \$pid_4"
stop 4 TERM
same "a server that was stopped meanwhile, SIGTERM" 0 "$code"
refused "syslog_relay in processes" 2 "not in the mode processes" syslog_relay --mode processes \
    udp:127.0.0.1:0 "unix:$tmp/up"

# ---- json_server ----

for options in --mode=fibers --mode=processes; do
	must_start 3 json_server "$options" 127.0.0.1:0
	python "json_server $options: requests with their length, in pieces, at once" "$address" <<'END'
import json
def request(body):
    return b"Content-Length: %d\r\nContent-Type: application/json\r\n\r\n%s" % (len(body), body)
def answer(f):
    n = int(f.readline().split(b":")[1])
    assert f.readline() == b"\r\n"
    return json.loads(f.read(n))
s = connect(sys.argv[1])
f = s.makefile("rb")
first = request(b'{"a":[1,2]}')
for part in (first[:5], first[5:-3], first[-3:] + request(b"7") + request(b'"' + b"x" * 60000 + b'"')):
    s.sendall(part)
assert answer(f) == {"bytes": 11, "request": {"a": [1, 2]}}
assert answer(f) == {"bytes": 1, "request": 7}
assert answer(f)["bytes"] == 60002
END
	python "json_server $options: what is no request ends the connection" "$address" <<'END'
for wrong in (b"Content-Length: 65537\r\n\r\n", b"Content-Length: -1\r\n\r\n", b"Content-Length: 1x\r\n\r\n",
    b"\r\n", b"a\r\n" * 21, b"Content-Length: 5\r\n\r\n1", b"POST / HTTP/1.1\r\n"):
    s = connect(sys.argv[1])
    s.sendall(wrong)
    s.shutdown(socket.SHUT_WR)
    assert all_of(s) == b"", wrong
END
	stop 3 TERM
	same "json_server $options, SIGTERM" "0 7" "$code $(echo "$error" | wc -l)"
done

# ---- redis_pool ----

for options in $in_one_memory; do
	must_start 3 redis_pool "$options" 127.0.0.1:0 "unix:$tmp/redis"
	python "redis_pool $options: many clients, few connections, and one that breaks" "$address" "$tmp/redis" <<'END'
import threading
counts, made, lock = {}, [], threading.Lock()
def serve(s):
    f = s.makefile("rb")
    while f.readline():
        _, _, _, word = (f.readline().strip() for _ in range(4))
        if word == b"break":
            s.shutdown(socket.SHUT_RDWR)
            return
        with lock:
            counts[word] = counts.get(word, 0) + 1
            n = counts[word]
        s.sendall(b":%d\r\n" % n)
def accept(up):
    while True:
        s = up.accept()[0]
        made.append(s)
        threading.Thread(target=serve, args=(s,), daemon=True).start()
clients = [connect(sys.argv[1]) for _ in range(20)]
files = [lines_of(c) for c in clients]
clients[0].sendall(b"early\n")
assert files[0].readline() == "early: No such file or directory\n"
threading.Thread(target=accept, args=(upstream(sys.argv[2]),), daemon=True).start()
for c in clients:
    c.sendall(b"word\n" * 5)
numbers = sorted(int(f.readline().split()[1]) for f in files for _ in range(5))
assert numbers == list(range(1, 101)), numbers
assert 1 <= len(made) <= 4, made
clients[0].sendall(b"break\nafter\n")
assert files[0].readline() == "break: Connection reset by peer\n"
assert files[0].readline() == "after: 1\n"
END
	rm -f "$tmp/redis"
	stop 3 TERM
	same "redis_pool $options, SIGTERM" 0 "$code"
done
refused "redis_pool in processes" 2 "not in the mode processes" redis_pool --mode processes \
    127.0.0.1:0 "unix:$tmp/redis"

# ---- limited ----

for options in --mode=fibers --mode=processes; do
	must_start 3 limited "$options" 127.0.0.1:0
	python "limited $options: what is too much is told" "$address" <<'END'
s = connect(sys.argv[1])
f = lines_of(s)
s.sendall(b"four\n" + b"x" * 100000 + b"\n" + b"five5\r\n")
assert [f.readline() for _ in range(3)] == ["4 bytes\n", "error: the line is too long\n", "5 bytes\n"]
s.sendall(b"\n" * 99)
assert f.read().splitlines() == ["0 bytes"] * 97 + ["error: enough"]
END
	python "limited $options: lines that are too long count, too" "$address" <<'END'
s = connect(sys.argv[1])
s.sendall((b"x" * 100 + b"\n") * 101)
assert lines_of(s).read().splitlines() == ["error: the line is too long"] * 100 + ["error: enough"]
END
	stop 3 TERM
	stopped "limited $options, SIGTERM"
done
for options in --mode=fibers --mode=processes; do
	must_start 3 limited "$options" --timeout 50ms 127.0.0.1:0
	python "limited $options: half a line is told that it is too slow" "$address" <<'END'
s = connect(sys.argv[1])
s.sendall(b"half")
assert all_of(s) == b"error: too slow\n"
END
	stop 3 TERM
	stopped "limited $options, SIGTERM after a slow one"
done

report_end
