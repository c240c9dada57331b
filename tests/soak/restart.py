#!/usr/bin/env python3
"""Restarts a server again and again while restart_load asks it; counts the requests that are lost.

usage: restart.py BUILD_DIR RESTARTS REQUESTS KIND PROGRAM MODE

After each REQUESTS requests that are answered comes a restart, or as soon as the one before is over.

KIND says how the old server and the new one share their address:
  tcp, unix    one listening socket, which both inherit (fd:N)
  reuse-port   a socket each, bound with SO_REUSEPORT
  haproxy      HAProxy is in front of two servers, which restart in turn; retries 0

PROGRAM is echo or prefork: examples/echo_server, or examples/prefork_server, where four processes
accept from the socket, and each of them has the mode. With reuse-port it may be bare, too: a server
without libsocketserver or a mode, which shows what the kernel loses.

Prints one line; exit code 1 when a request was lost, but for what the kernel loses with reuse-port,
or a server did not end with 0.
"""
import os, socket, subprocess, sys, tempfile, time
from served import Process

CLIENTS = 32
KERNEL_LOSES = 2 # in 100 restarts with reuse-port, at most; see restart.sh
# One thread: another one may just have chosen a server when that is told to drain, and connect later.
HAPROXY = """
global
    nbthread 1
    stats socket {dir}/admin mode 600 level admin
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    retries 0
listen front
    bind {dir}/front
    server s0 {host}:{ports[0]}
    server s1 {host}:{ports[1]}
"""

# ---- clients ----

class Load:
    def __init__(self, build, target, requests):
        where = (target, "0") if isinstance(target, str) else (target[0], str(target[1]))
        self.process = subprocess.Popen([build + "/tests/restart_load", *where, str(CLIENTS),
            str(requests)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def wait_for_more(self):
        if self.process.stdout.readline() != "more\n":
            sys.exit("the clients have failed")

    def end(self):
        """How many requests were answered, and how many are lost."""
        last = self.process.communicate()[0].splitlines()[-1]
        return [int(n) for n in last.split()]

# ---- servers ----

class Server(Process):
    def __init__(self, command, address, options=(), fds=()):
        with tempfile.TemporaryFile("w+") as log:
            super().__init__([*command, *options, address], stdout=subprocess.PIPE, stderr=log,
                pass_fds=fds)
            if not self.process.stdout.readline():
                log.seek(0)
                sys.exit("the server did not start: " + log.read())

# An address of the loopback that nobody else uses: a port that is left for a moment is not taken.
HOST = "127.%d.%d.1" % (1 + (os.getpid() >> 8) % 254, os.getpid() % 256)

def free_port():
    with socket.create_server((HOST, 0)) as s:
        return s.getsockname()[1]

def accepts(path):
    """Whether somebody listens on this Unix socket."""
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(path) == 0

class Shared:
    """One listening socket."""
    def __init__(self, command, listener):
        listener.listen(1024)
        self.start = lambda: Server(command, "fd:%d" % listener.fileno(), (), (listener.fileno(),))
        self.target = listener.getsockname()
        self.server = self.start()

    def restart(self):
        old, self.server = self.server, self.start()
        return old.stop()

    def end(self):
        return self.server.stop()

class ReusePort(Shared):
    def __init__(self, command):
        self.target = (HOST, free_port())
        self.start = lambda: Server(command, "tcp:%s:%d" % self.target, ("--reuse-port", "yes"))
        self.server = self.start()

class Balanced:
    def __init__(self, command, folder):
        first = free_port()
        self.ports = [first, first - 1]
        self.start = lambda i: Server(command, "tcp:%s:%d" % (HOST, self.ports[i]))
        self.servers = [self.start(0), self.start(1)]
        self.folder, self.next, self.target = folder, 0, folder + "/front"
        with open(folder + "/cfg", "w") as cfg:
            cfg.write(HAPROXY.format(dir=folder, host=HOST, ports=self.ports))
        self.haproxy = subprocess.Popen(["haproxy", "-db", "-f", folder + "/cfg"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not accepts(self.target):
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

def command_of(build, program, mode):
    if program == "bare":
        return [build + "/tests/bare_server"]
    command = ["%s/examples/%s_server" % (build, program), "--mode", mode]
    return command + ["--keep"] if program == "echo" else command

def service(command, kind, folder):
    if kind == "tcp":
        return Shared(command, socket.create_server(("127.0.0.1", 0)))
    if kind == "unix":
        s = socket.socket(socket.AF_UNIX)
        s.bind(folder + "/socket")
        return Shared(command, s)
    if kind == "reuse-port":
        return ReusePort(command)
    return Balanced(command, folder)

# ---- all together ----

def run(build, restarts, requests, kind, program, mode, folder):
    served = service(command_of(build, program, mode), kind, folder)
    begun = time.monotonic()
    load = Load(build, served.target, requests)
    codes = []
    for _ in range(restarts):
        load.wait_for_more()
        codes.append(served.restart())
    answered, lost = load.end()
    seconds = time.monotonic() - begun
    codes.append(served.end())
    print("%-10s  %-7s  %-9s  %5d restarts  %8d requests  %d lost  %6.1f s%s" % (kind, program, mode,
        restarts, answered, lost, seconds,
        "" if set(codes) == {0} else "  exit codes %s" % sorted(set(codes))), flush=True)
    fine = KERNEL_LOSES * restarts // 100 if kind == "reuse-port" else 0
    return lost <= fine and set(codes) == {0}

def main():
    if len(sys.argv) != 7:
        sys.exit(__doc__)
    build, restarts, requests, *rest = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(0 if run(build, int(restarts), int(requests), *rest, folder) else 1)

main()
