"""Runs the steps of the tutorial as its pages show them: python3 tutorial.py SOURCE BUILD TMP

Each command of a page's console blocks must print what stands below it, in each mode of the step. The
sockets of a server are made here and inherited, so that a client may connect from the beginning: nothing
waits for a server, and no port is taken twice.
"""
import glob, os, re, shutil, signal, socket, subprocess, sys

from pages import blocks, sessions

source, build, tmp = sys.argv[1:]
LIMIT = 30
failed = False


def report(name, why):
    global failed
    failed = failed or bool(why)
    print(("not ok - " if why else "ok - ") + name)
    for line in (why or "").splitlines():
        print("#   " + line)


def clean(output):
    return output.replace("\r", "").rstrip("\n").split("\n") if output.strip() else []


class Server:
    """A step that serves on sockets of ours, each in the place of a port of its page."""

    def __init__(self, command, mode):
        words = command.removesuffix("&").split()
        sockets = {}
        if words[0] == "socketserverd":
            words += ["--mode", mode]
        else:
            words += ["localhost:6380", mode]
        for i, word in enumerate(words):
            if match := re.fullmatch(r"(tls:)?localhost:(\d+)", word):
                made = socket.create_server(("127.0.0.1", 0))
                sockets[match[2]] = made
                words[i] = f"{match[1] or ''}fd:{made.fileno()}"
        self.ports = {port: made.getsockname()[1] for port, made in sockets.items()}
        self.log = open(f"{tmp}/log", "w+")
        self.process = subprocess.Popen(words, cwd=tmp, stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, pass_fds=[made.fileno() for made in sockets.values()])
        for made in sockets.values():
            made.close()

    def at_our_ports(self, command):
        return re.sub(r"\b(6380|6390)\b", lambda match: str(self.ports[match[1]]), command)

    def stop(self):
        """Returns its exit code and what it has said."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = f"{self.process.wait()}, after {LIMIT} seconds"
        self.log.seek(0)
        return code, self.log.read()


def run(command, server):
    """Runs a client, or a server that refuses to start. Returns the lines that it prints."""
    if server is not None and not command.startswith("./"):
        command = server.at_our_ports(command)
    done = subprocess.run(["sh", "-c", command], cwd=tmp, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT)
    return clean(done.stdout.decode(errors="backslashreplace"))


def compile(command):
    """Has the step checked against the public headers, without a library. Returns what the compiler says."""
    flags = f"-fsyntax-only -Wall -Wextra -Werror -I '{source}/include'"
    command = re.sub(r"\$\(pkg-config [^)]* socketserver\)", lambda match: flags, command)
    done = subprocess.run(["sh", "-c", command], cwd=f"{source}/examples/tutorial", stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=4 * LIMIT)
    return done.stdout.decode(errors="backslashreplace")


def converse(server):
    """Sends commands byte by byte, and then at once. Returns what is wrong with the answers."""
    def command(*words):
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)

    pieces = command(b"SET", b"two lines", b"a\r\nb") + command(b"GET", b"two lines") + command(b"MSET", *b"k v l w".split())
    answers = b"+OK\r\n$4\r\na\r\nb\r\n-ERR unknown command\r\n"
    many = command(b"SET", b"key", b"7") + command(b"GET", b"key") * 1000
    all_answers = b"+OK\r\n" + b"$1\r\n7\r\n" * 1000
    client = socket.create_connection(("127.0.0.1", server.ports["6380"]), LIMIT)
    with client, client.makefile("rb") as replies:
        for i in range(len(pieces)):
            client.sendall(pieces[i:i + 1])
        got = replies.read(len(answers))
        if got != answers:
            return f"byte by byte: {got!r}"
        client.sendall(many)
        got = replies.read(len(all_answers))
        return "" if got == all_answers else f"at once: {got[:200]!r} and so on, {len(got)} bytes"


def missing(command):
    """The program that this command needs and that is not here."""
    for program in "redis-cli", "socat":
        if program in command and shutil.which(program) is None:
            return program


def check(page, step, mode):
    text = open(page).read()
    server = None
    for command, expected in sessions(text):
        name = f"step {step}, {mode}: {command}"
        if command.startswith("cc "):
            if mode == "fibers":
                report(name, compile(command))
        elif command.endswith("&"):
            server = Server(command, mode)
        elif program := missing(command):
            print(f"skip - {name}: no {program}")
        else:
            try:
                got = run(command, server)
            except subprocess.TimeoutExpired:
                got = [f"(nothing within {LIMIT} seconds)"]
            report(name, "" if got == expected else "expected: %s\ngot: %s" % (expected, got))
    if step >= 5: # where it speaks the protocol of Redis
        try:
            wrong = converse(server)
        except OSError as error:
            wrong = str(error)
        report(f"step {step}, {mode}: commands in pieces, and many at once", wrong)
    code, log = server.stop()
    report(f"step {step}, {mode}: SIGTERM ends it", "" if code == 0 else f"exit code {code}\n{log}")
    for language, lines in blocks(text):
        for line in lines if language == "text" and shutil.which("socat") else []:
            said = re.sub(r"\d{4,5}", "[0-9]+", re.escape(line))
            report(f"step {step}, {mode}: the log says {line}",
                "" if re.search(f"^{said}$", log, re.M) else log)


for step in range(1, 7):
    os.symlink(f"{build}/examples/tutorial/step{step}", f"{tmp}/step{step}")
shutil.copy(f"{build}/examples/tutorial/step7.so", tmp)
os.environ["PATH"] = f"{build}/handlers:{os.environ['PATH']}"
for page in sorted(glob.glob(f"{source}/docs/tutorial/[1-9]-*.md")):
    step = int(os.path.basename(page)[0])
    refuses = "SKS_REFUSES" in open(f"{source}/examples/tutorial/step{step}.c").read()
    for mode in ["fibers", "serial", "threads"] + ([] if refuses else ["processes"]):
        check(page, step, mode)
sys.exit(failed)
