#!/usr/bin/env python3
"""Restarts echo_server again and again while clients ask it; counts the requests that are lost.

usage: restart.py BUILD_DIR RESTARTS REQUESTS KIND MODE

REQUESTS are answered, at least, between two restarts.

KIND says how the old server and the new one share their address:
  tcp, unix    one listening socket, which both inherit (fd:N)
  reuse-port   a socket each, bound with SO_REUSEPORT
  haproxy      HAProxy is in front of two servers, which restart in turn; retries 0

A request is lost when a new connection gets no answer. A client that has had an answer may find its
connection closed, and asks again on a new one. Prints one line; exit code 1 when a request was lost
or a server did not end with 0.
"""
import atexit, collections, multiprocessing, os, random, signal, socket, subprocess, sys, tempfile, time

CLIENTS = 4
HAPROXY = """
global
    stats socket {dir}/admin mode 600 level admin
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    retries 0
listen front
    bind {dir}/front
    server s0 127.0.0.1:{ports[0]}
    server s1 127.0.0.1:{ports[1]}
"""

# ---- clients ----

def connect(target):
    s = socket.socket(socket.AF_UNIX if isinstance(target, str) else socket.AF_INET)
    s.settimeout(30)
    while True:
        try:
            s.connect(target)
            return s
        except BlockingIOError: # a Unix socket whose backlog is full
            time.sleep(.001)

def ask(s, text):
    """The answer, or what came of it until the end."""
    s.sendall(text)
    got = b""
    while not got.endswith(b"\n"):
        part = s.recv(100)
        if not part:
            break
        got += part
    return got

def talk(target, number, lost):
    """A connection with one request or more. How many were answered."""
    s, answered = None, 0
    try:
        s = connect(target)
        if random.random() < .2:
            time.sleep(random.random() / 300) # connected, and silent so far
        for _ in range(random.choice((1, 1, 1, 5))):
            text = b"%d\n" % (number + answered)
            got = ask(s, text)
            if got == b"" and answered > 0:
                break
            if got != text:
                raise OSError("got %r" % got)
            answered += 1
    except OSError as error:
        if answered == 0 or isinstance(error, TimeoutError):
            lost[str(error)] += 1
    finally:
        if s is not None:
            s.close()
    return answered

def client(target, answered, stop, results):
    lost = collections.Counter()
    random.seed(os.getpid())
    while not stop.is_set():
        n = talk(target, answered.value, lost)
        with answered.get_lock():
            answered.value += n
    results.put(lost)

# ---- servers ----

class Server:
    def __init__(self, build, mode, address, options=(), fds=()):
        self.process = subprocess.Popen([build + "/examples/echo_server", "--mode", mode, *options,
            "--keep", address], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=fds)
        atexit.register(self.process.kill)
        if not self.process.stdout.readline():
            sys.exit("the server did not start")

    def stop(self):
        atexit.unregister(self.process.kill)
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self.process.stdout.close()
        return code

def free_port():
    s = socket.create_server(("127.0.0.1", 0))
    return s.getsockname()[1], s

class Shared:
    """One listening socket."""
    def __init__(self, build, mode, listener):
        listener.listen(1024)
        self.start = lambda: Server(build, mode, "fd:%d" % listener.fileno(), (), (listener.fileno(),))
        self.target = listener.getsockname()
        self.server = self.start()

    def restart(self):
        old, self.server = self.server, self.start()
        return old.stop()

    def end(self):
        return self.server.stop()

class ReusePort(Shared):
    def __init__(self, build, mode):
        port, reserved = free_port()
        reserved.close()
        self.start = lambda: Server(build, mode, "tcp:127.0.0.1:%d" % port, ("--reuse-port", "yes"))
        self.target = ("127.0.0.1", port)
        self.server = self.start()

class Balanced:
    def __init__(self, build, mode, folder):
        reserved = [free_port() for _ in range(2)]
        self.ports = [port for port, _ in reserved]
        for _, s in reserved:
            s.close()
        self.start = lambda i: Server(build, mode, "tcp:127.0.0.1:%d" % self.ports[i])
        self.servers = [self.start(0), self.start(1)]
        self.folder, self.next, self.target = folder, 0, folder + "/front"
        with open(folder + "/cfg", "w") as cfg:
            cfg.write(HAPROXY.format(dir=folder, ports=self.ports))
        self.haproxy = subprocess.Popen(["haproxy", "-db", "-f", folder + "/cfg"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not os.path.exists(self.target):
            time.sleep(.01)

    def tell(self, state):
        """What an operator does, or an agent check: no new connections for this one, or again."""
        s = socket.socket(socket.AF_UNIX)
        s.connect(self.folder + "/admin")
        s.sendall(b"set server front/s%d state %s\n" % (self.next, state))
        while s.recv(100):
            pass
        s.close()

    def restart(self):
        self.tell(b"drain")
        code = self.servers[self.next].stop()
        self.servers[self.next] = self.start(self.next)
        self.tell(b"ready")
        self.next = 1 - self.next
        return code

    def end(self):
        self.haproxy.terminate()
        self.haproxy.wait()
        return max(s.stop() for s in self.servers)

def service(build, kind, mode, folder):
    if kind == "tcp":
        return Shared(build, mode, socket.create_server(("127.0.0.1", 0)))
    if kind == "unix":
        s = socket.socket(socket.AF_UNIX)
        s.bind(folder + "/socket")
        return Shared(build, mode, s)
    if kind == "reuse-port":
        return ReusePort(build, mode)
    return Balanced(build, mode, folder)

# ---- all together ----

def restart_often(served, restarts, requests, answered):
    codes = []
    for _ in range(restarts):
        enough = answered.value + requests
        while answered.value < enough:
            time.sleep(.001)
        codes.append(served.restart())
    return codes

def run(build, restarts, requests, kind, mode, folder):
    served = service(build, kind, mode, folder)
    stop, results = multiprocessing.Event(), multiprocessing.Queue()
    answered = multiprocessing.Value("q")
    clients = [multiprocessing.Process(target=client, args=(served.target, answered, stop, results),
        daemon=True)
        for _ in range(CLIENTS)]
    for c in clients:
        c.start()
    begun = time.monotonic()
    codes = restart_often(served, restarts, requests, answered)
    stop.set()
    lost = sum((results.get(timeout=60) for _ in clients), collections.Counter())
    codes.append(served.end())
    for c in clients:
        c.join()
    print("%s, %s: %d restarts in %.1f s, %d requests answered, %d lost%s; exit codes %s" % (kind, mode,
        restarts, time.monotonic() - begun, answered.value, sum(lost.values()),
        " %s" % dict(lost) if lost else "", sorted(set(codes))), flush=True)
    return not lost and set(codes) == {0}

def main():
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    build, restarts, requests, kind, mode = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(0 if run(build, int(restarts), int(requests), kind, mode, folder) else 1)

main()
