#!/usr/bin/env python3
"""What greedy and hostile clients do to a server, in figures.

usage: hostile.py BUILD_DIR long|short PART MODE

PART is one of these, each bounded in time:
  files    the table of descriptors is full, and 100 clients wait for one
  slow     clients that send a byte each 5 s, and clients that never read a large answer
  crashes  child processes crash, or are killed, under load (MODE is processes)
  greedy   clients from one address that send a byte and hold what serves them; one from another

Prints one line. Exit code 1 when a client was lost or served wrongly; with long also when a figure
is beyond its bound, which the line says. The short form asserts no times.
"""
import os, random, resource, select, signal, socket, subprocess, sys, tempfile, threading, time
from served import Process, ask

HERTZ = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")

class Server(Process):
    def __init__(self, build, mode, files, **options):
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        self.log = tempfile.TemporaryFile("w+")
        program = [build + "/tests/hostile_server", "tcp:127.0.0.1:0", "mode=" + mode,
            *("%s=%s" % (name.replace("_", "-"), value) for name, value in options.items())]
        if mode == "bare":
            program = [build + "/tests/bare_server", "tcp:127.0.0.1:0"]
        super().__init__(program, stdout=subprocess.PIPE, stderr=self.log, preexec_fn=limit)
        self.port = int(self.process.stdout.readline().decode().rsplit(":", 1)[1])
        self.proc = "/proc/%d/" % self.process.pid

    def stat(self):
        with open(self.proc + "stat") as f:
            return f.read().rsplit(")", 1)[1].split()

    def cpu(self):
        return sum(int(n) for n in self.stat()[11:13]) / HERTZ

    def memory(self):
        return int(self.stat()[21]) * PAGE

    def files(self):
        return len(os.listdir(self.proc + "fd"))

    def children(self):
        with open(self.proc + "task/%d/children" % self.process.pid) as f:
            return [int(n) for n in f.read().split()]

    def zombies(self):
        n = 0
        for pid in self.children():
            try:
                with open("/proc/%d/stat" % pid) as f:
                    n += f.read().rsplit(")", 1)[1].split()[0] == "Z"
            except OSError:
                pass
        return n

    def lines(self):
        self.log.seek(0)
        return len(self.log.readlines())

    def client(self, text=b"", source=None):
        s = socket.socket()
        if source is not None:
            s.bind((source, 0))
        s.settimeout(30)
        s.connect(("127.0.0.1", self.port))
        if text:
            s.sendall(text)
        return s

def readable(sockets, seconds):
    """Which of them have an answer, once there is one. (Not select(2), which has a bound.)"""
    poll = select.poll()
    by_fd = {s.fileno(): s for s in sockets}
    for fd in by_fd:
        poll.register(fd, select.POLLIN)
    return [by_fd[fd] for fd, _ in poll.poll(seconds * 1000)]

def settle(sockets, seconds, least=0):
    """Which of them are answered, when no more come for so long; `least` are waited for."""
    answered, waiting = [], list(sockets)
    while waiting:
        some = readable(waiting, 30 if len(answered) < least else seconds)
        if not some:
            break
        for s in some:
            s.recv(100)
            waiting.remove(s)
        answered += some
    return answered, waiting

class Judge:
    """Collects the figures that are beyond their bounds."""
    def __init__(self, strict):
        self.strict, self.bad = strict, []

    def bound(self, is_well, text):
        if self.strict:
            self.need(is_well, text)

    def need(self, is_well, text):
        if not is_well:
            self.bad.append(text)

    def end(self, text):
        print(text + ("; BEYOND ITS BOUND: " + ", ".join(self.bad) if self.bad else ""), flush=True)
        return not self.bad

# ---- the table of descriptors is full ----

def files(build, long, mode, judge):
    seconds, waiting_wanted = (10, 100) if long else (1, 20)
    server = Server(build, mode, 64, max_connections=10000, max_running=1000, idle=0, timeout=0)
    clients = [server.client(b"hello\n") for _ in range(64 + waiting_wanted)]
    served, waiting = settle(clients, 1 if long else .3, 32)
    cpu, lines, began = server.cpu(), server.lines(), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    share, said = (server.cpu() - cpu) / took * 100, server.lines() - lines
    worst = 0
    for _ in range(5 if waiting else 0):
        began = time.monotonic()
        served.pop(0).close()
        some = readable(waiting, 30)
        judge.need(some, "nobody was served")
        worst = max(worst, time.monotonic() - began)
        for s in some:
            s.recv(100)
            waiting.remove(s)
        served += some
    n = len(waiting)
    while waiting: # all of the others, as those before them go
        for s in served:
            s.close()
        served, waiting = settle(waiting, 5)
        if not served:
            break
    judge.need(not waiting, "%d were never served" % len(waiting))
    judge.need(said <= took + 2, "lines")
    judge.bound(share < 5, "CPU time")
    judge.bound(worst <= .1, "the first that waits")
    judge.need(server.stop() == 0, "exit code")
    if n == 0:
        return judge.end("%s: no descriptor is missing for any of %d clients" % (mode, len(clients)))
    return judge.end("%s: no descriptor for %.0f s, %d wait: %.1f %% of a core, %d lines; "
        "with a free one the first is served after %.0f ms" % (mode, took, n, share, said, worst * 1000))

# ---- slow ones ----

class Slow:
    """Clients that send a byte each 5 s, and clients that do not read."""
    def __init__(self, server, writers):
        self.poll, self.writers, self.cut, self.deaf = select.epoll(), {}, [], []
        self.queue = []
        for _ in range(writers):
            s = server.client(b"x")
            now = time.monotonic()
            self.writers[s.fileno()] = s, now
            self.queue.append((now + 5, s.fileno()))
            self.poll.register(s.fileno(), select.EPOLLIN | select.EPOLLRDHUP)

    def open_deaf(self, server, deaf):
        for _ in range(deaf):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(("127.0.0.1", server.port))
            s.sendall(b"big 1000000000\n")
            self.deaf.append(s)
        self.opened = time.monotonic()

    def leave(self):
        for s in self.deaf + [s for s, _ in self.writers.values()]:
            s.close()

    def turn(self):
        """Lets 50 ms pass."""
        for fd, _ in self.poll.poll(.05, 1000):
            s, first = self.writers.pop(fd)
            self.cut.append(time.monotonic() - first)
            self.poll.unregister(fd)
            s.close()
        now = time.monotonic()
        while self.queue and self.queue[0][0] <= now:
            due, fd = self.queue.pop(0)
            if fd in self.writers:
                try:
                    self.writers[fd][0].send(b"x")
                except OSError:
                    pass
                self.queue.append((due + 5, fd))

def latency(build, server, seconds, begin=lambda: None, turn=lambda: time.sleep(.05)):
    """
    p99 of 20 good clients, and of newcomers who connect, say a line and go, in microseconds, while
    begin and then turn are called. The load fails where an answer is wrong or missing.
    """
    each = [build + "/tests/bench/load", "127.0.0.1", str(server.port), "--seconds", str(seconds), "--sleep"]
    loads = [subprocess.Popen(each + more, stdout=subprocess.PIPE) for more in
        (["--rate", "2000", "--connections", "20"], ["--connect", "1000", "--concurrency", "1"])]
    begin()
    while None in [load.poll() for load in loads]:
        turn()
    texts = [load.stdout.read().decode() for load in loads]
    if any(load.returncode != 0 for load in loads):
        sys.exit("a good client failed")
    return [p99_of(text) for text in texts]

def p99_of(text):
    return int(text.split("p99_ns=")[1].split()[0]) / 1000

def phases(build, server, writers, deaf, seconds):
    """The latencies alone, while the slow ones come, and beside them; and who these are."""
    alone = latency(build, server, seconds)
    before = server.memory()
    them = Slow(server, writers)
    coming = latency(build, server, seconds, lambda: them.open_deaf(server, deaf), them.turn)
    beside = latency(build, server, seconds, turn=them.turn)
    return (alone, coming, beside), them, (server.memory() - before) / (writers + deaf)

def bare_phases(build, writers, deaf, seconds):
    """The same of a bare loop over epoll(7), which does the least that must be done."""
    server = Server(build, "bare", 20000)
    found, them, _ = phases(build, server, writers, deaf, seconds)
    them.leave()
    server.stop()
    return found

def judge_latency(judge, whom, i, found, bare):
    """In microseconds: a text. The machine is shared with thousands of clients, so bare counts, too."""
    alone, coming, beside = [each[i] for each in found]
    judge.bound(coming <= max(2 * alone, 1.5 * bare[1][i]), "p99 of %s while they come" % whom)
    judge.bound(beside <= max(2 * alone, 1.5 * bare[2][i]), "p99 of %s beside them" % whom)
    return "%s: %.0f us alone, %.0f while they come, %.0f beside them (a bare epoll loop: %s)" % (whom, alone,
        coming, beside, ", ".join("%.0f" % each[i] for each in bare))

def slow(build, long, mode, judge):
    writers, deaf, seconds, limit = (9000, 500, 5, 30) if long else (200, 20, 1, 2)
    bare = bare_phases(build, writers, deaf, seconds)
    server = Server(build, mode, 20000 if long else 1024, max_connections=10000 if long else 500,
        timeout="%ds" % limit, max_running=10000 if long else 1000)
    free = server.files()
    found, them, each = phases(build, server, writers, deaf, seconds)
    while server.files() > free and time.monotonic() < them.opened + limit * 3 + 10:
        them.turn()
    gone = time.monotonic() - them.opened
    while len(them.cut) < writers and time.monotonic() < them.opened + gone + 10:
        them.turn()
    judge.need(server.files() <= free, "%d are not cut" % (server.files() - free))
    judge.need(len(them.cut) == writers, "%d writers learned it" % len(them.cut))
    judge.bound(max(them.cut, default=0) <= limit + 1, "the last writer")
    judge.bound(gone <= limit + 2, "the last") # what their kernels take at first is seen after a second
    good = judge_latency(judge, "20 good clients", 0, found, bare)
    newcomers = judge_latency(judge, "newcomers", 1, found, bare)
    judge.bound(each <= 8192, "memory")
    judge.need(server.stop() == 0, "exit code")
    return judge.end("%s: %d slow writers, %d that never read: p99 of %s; of %s; %.0f bytes for each slow one; "
        "writers cut %.1f to %.1f s after their first byte (limit %d), all gone %.1f s after the last came" % (mode,
        writers, deaf, good, newcomers, each, min(them.cut, default=0), max(them.cut, default=0), limit, gone))

# ---- crashes and kills ----

class Good(threading.Thread):
    """A client that talks without end on one connection, and takes a new one where that breaks."""
    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.broken, self.answered, self.wrong, self.over = server, 0, 0, 0, False

    def talk(self):
        s = self.server.client()
        try:
            while not self.over:
                text = b"%d\n" % self.answered
                self.wrong += ask(s, text) != text
                self.answered += 1
        finally:
            s.close()

    def run(self):
        while not self.over:
            try:
                self.talk()
            except OSError:
                self.broken += 1

def crash(server, n):
    """Connections whose process crashes. How many of them have ended, as they should."""
    ended = 0
    for _ in range(n):
        s = server.client(b"crash\n")
        try:
            ended += s.recv(100) == b""
        except OSError:
            ended += 1
        s.close()
    return ended

def kill_some(server, n, good):
    """Kills processes at random; each serves one of the good clients."""
    killed = set()
    while len(killed) < n:
        pids = [pid for pid in server.children() if pid not in killed]
        if not pids:
            time.sleep(.001)
            continue
        pid = random.choice(pids)
        os.kill(pid, signal.SIGKILL)
        killed.add(pid)
        deadline = time.monotonic() + 30 # each is noticed before the next
        while sum(g.broken for g in good) < len(killed) and time.monotonic() < deadline:
            time.sleep(.0005)

def crashes(build, long, mode, judge):
    n = 1000 if long else 20
    server = Server(build, mode, 1024)
    crash(server, 3)
    good = [Good(server) for _ in range(4)]
    for g in good:
        g.start()
    while len(server.children()) < len(good) or min(g.answered for g in good) < 10:
        time.sleep(.001)
    before = server.files(), server.memory()
    began = time.monotonic()
    ended = crash(server, n)
    broken_by_crashes = sum(g.broken for g in good)
    while len(server.children()) > len(good): # the last that has crashed is not waited for yet
        time.sleep(.001)
    kill_some(server, n, good)
    took = time.monotonic() - began
    broken = sum(g.broken for g in good) - broken_by_crashes
    deadline = time.monotonic() + 10
    while (server.files() > before[0] or server.zombies() > 0) and time.monotonic() < deadline:
        time.sleep(.01)
    after, zombies = (server.files(), server.memory()), server.zombies()
    for g in good:
        g.over = True
    for g in good:
        g.join(30)
    judge.need(ended == n, "crashed ones")
    judge.need(broken_by_crashes == 0, "others failed")
    judge.need(broken == n, "%d failed by %d kills" % (broken, n))
    judge.need(sum(g.wrong for g in good) == 0, "wrong answers")
    judge.need(after[0] <= before[0], "descriptors")
    judge.need(zombies == 0, "zombies")
    judge.bound(after[1] <= before[1] + 262144, "memory")
    judge.need(server.stop() == 0, "exit code")
    return judge.end("%s: %d crashes and %d kills in %.1f s, %d answers meanwhile: %d of the others failed; "
        "descriptors %d, then %d; zombies %d; memory of the parent %d KiB, then %d" % (mode, n, n, took,
        sum(g.answered for g in good), broken_by_crashes + broken - n, before[0], after[0], zombies,
        before[1] // 1024, after[1] // 1024))

# ---- greedy ones ----

def worst_wait(server, rounds, judge, them):
    """How long good clients of another address wait at most. A greedy one takes the place of each."""
    worst = 0
    for _ in range(rounds):
        began = time.monotonic()
        s = server.client(source="127.0.0.2")
        judge.need(ask(s, b"good\n") == b"good\n", "a wrong answer")
        worst = max(worst, time.monotonic() - began)
        s.close()
        them.append(server.client(b"x"))
    judge.bound(worst <= .1, "the wait")
    return worst * 1000

def greedy(build, long, mode, judge):
    places = {"threads": 256, "processes": 64}.get(mode, 256)
    rounds = 50 if long else 3
    server = Server(build, mode, 2048, max_per_peer=places // 2, timeout=0, idle=0)
    them = [server.client(b"x") for _ in range(places)]
    by_peer = worst_wait(server, rounds, judge, them)
    turned_away, _ = settle(them, .3, places - places // 2)
    judge.need(len(turned_away) == places - places // 2 + rounds, "%d were turned away" % len(turned_away))
    for s in them:
        s.close()
    judge.need(server.stop() == 0, "exit code")
    server = Server(build, mode, 2048, max_connections=places, make_room="50ms", timeout=0, idle=0)
    them = [server.client(b"x") for _ in range(places)]
    by_room = worst_wait(server, rounds, judge, them)
    for s in them:
        s.close()
    judge.need(server.stop() == 0, "exit code")
    return judge.end("%s: %d one-byte clients of one address: one of another address waits %.1f ms at most by "
        "max_per_peer, which turned %d away, and %.1f ms by make_room" % (mode, places, by_peer, len(turned_away),
        by_room))

PARTS = {"files": files, "slow": slow, "crashes": crashes, "greedy": greedy}

def main():
    if len(sys.argv) != 5 or sys.argv[2] not in ("long", "short") or sys.argv[3] not in PARTS:
        sys.exit(__doc__)
    build, length, part, mode = sys.argv[1:]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.exit(0 if PARTS[part](build, length == "long", mode, Judge(length == "long")) else 1)

main()
