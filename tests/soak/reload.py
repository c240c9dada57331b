#!/usr/bin/env python3
"""Has socketserverd read its certificate again and again while clients ask; counts what fails.

usage: reload.py BUILD_DIR RELOADS REQUESTS MODE

The file has one certificate and the other in turn. REQUESTS are answered, at least, and
between two reloads their share of them; socketserverd looks once in a second whether it shall
reload. A request has failed when its handshake fails, or its answer is not its text.
Prints one line; exit code 1 when one failed, a reload did, or the server did not end with 0.
"""
import collections, multiprocessing, os, shutil, signal, socket, ssl, subprocess, sys, tempfile
from served import Process, ask

CLIENTS = 4
EACH = 20 # requests of a connection

def make_certificate(folder, name):
    """A file with a certificate that signs itself, and its key."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-days", "1", "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:localhost",
        "-keyout", folder + "/key", "-out", folder + "/" + name], check=True, stderr=subprocess.DEVNULL)
    with open(folder + "/" + name, "a") as file, open(folder + "/key") as key:
        file.write(key.read())

def put(folder, name):
    """Another file in the place of the old one, at once."""
    shutil.copy(folder + "/" + name, folder + "/new")
    os.rename(folder + "/new", folder + "/cert.pem")

# ---- clients ----

def talk(context, port, shown):
    """A connection with some requests."""
    with socket.create_connection(("127.0.0.1", port), 60) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as s:
            shown[dict(item[0] for item in s.getpeercert()["subject"])["commonName"]] += 1
            for i in range(EACH):
                text = b"request %d\n" % i
                got = ask(s, text)
                if got != text:
                    raise OSError("got %r" % got)
            s.unwrap()

def client(folder, port, answered, requests, reloaded, results):
    context = ssl.create_default_context(cafile=folder + "/both")
    failed, shown = collections.Counter(), collections.Counter()
    last = False
    while not last: # the last connection begins after the last reload
        last = reloaded.is_set() and answered.value >= requests
        try:
            talk(context, port, shown)
        except OSError as error:
            failed[str(error)] += 1
        with answered.get_lock():
            answered.value += EACH
    results.put((failed, shown))

# ---- the server ----

class Server(Process):
    def __init__(self, build, mode, folder):
        handlers = folder + "/handlers" # whose folders belong to us
        os.mkdir(handlers, 0o755)
        shutil.copy(build + "/handlers/echo.so", handlers)
        super().__init__([build + "/handlers/socketserverd", "--mode", mode,
            "--listen", "tls:127.0.0.1:0", "--cert", folder + "/cert.pem", "echo"],
            stderr=subprocess.PIPE, text=True, env=dict(os.environ, SOCKETSERVER_HANDLERS=handlers))
        self.before = []
        self.port = int(self.await_line("listening on tls:").rsplit(":", 1)[1])

    def await_line(self, text):
        for line in self.process.stderr:
            if text in line:
                return line
            self.before.append(line) # such as of a busy machine
        sys.exit("".join(self.before) + "the server has ended")

    def reload(self, name):
        self.process.send_signal(signal.SIGHUP)
        return name in self.await_line("cert.pem: ")

def breathe():
    """Lets the clients run for a moment."""
    signal.sigtimedwait([], .001)

def run(build, reloads, requests, mode, folder):
    names = ["one", "two"]
    for name in names:
        make_certificate(folder, name)
    with open(folder + "/both", "w") as both:
        for name in names:
            both.write(open(folder + "/" + name).read())
    put(folder, "one")
    server = Server(build, mode, folder)
    answered, results = multiprocessing.Value("l", 0), multiprocessing.Queue()
    reloaded = multiprocessing.Event()
    clients = [multiprocessing.Process(target=client,
        args=(folder, server.port, answered, requests, reloaded, results)) for _ in range(CLIENTS)]
    for process in clients:
        process.start()
    bad = 0
    for i in range(reloads):
        enough = answered.value + requests // (reloads + 1) # more than the connections that are open
        while answered.value < enough:
            breathe()
        put(folder, names[(i + 1) % 2])
        bad += not server.reload("reloaded: CN=" + names[(i + 1) % 2])
    reloaded.set()
    failed, shown = collections.Counter(), collections.Counter()
    for _ in clients:
        one = results.get()
        failed += one[0]
        shown += one[1]
    for process in clients:
        process.join()
    code = server.stop()
    print("%s: %d reloads (%d failed), %d requests on %d connections (%s): %d failed%s" % (mode, reloads,
        bad, answered.value, sum(shown.values()), ", ".join("%d saw %s" % (shown[n], n) for n in names),
        sum(failed.values()), "".join("; %s: %d" % one for one in failed.items())))
    return bad > 0 or sum(failed.values()) > 0 or code != 0 or (reloads > 0 and len(shown) < 2)

if len(sys.argv) != 5:
    sys.exit(__doc__)
with tempfile.TemporaryDirectory() as where:
    os.chmod(where, 0o755)
    sys.exit(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], where))
