"""Asks a stock handler at each address, as its RFC says: HANDLER ADDRESS... (behind client.py)"""
import re, socket, struct, sys, time

def exactly(s, n):
    data = b""
    while len(data) < n:
        part = s.recv(n - len(data))
        assert part, "it ended after %d bytes" % len(data)
        data += part
    return data

def answer(s, is_stream):
    """What comes without, or for, a word."""
    if is_stream:
        return all_of(s)
    s.send(b"?")
    return s.recv(65536)

def hello(s, is_stream):
    assert answer(s, is_stream) == b"Hello World!\n"

def echo(s, is_stream):
    if not is_stream:
        for text in (b"a\nb", bytes(range(256)) * 100):
            s.send(text)
            assert s.recv(65536) == text
        return
    for text in (b"in ", b"pieces\n", b"\0\n\xff"):
        s.sendall(text)
        assert exactly(s, len(text)) == text
    big = bytes(range(256)) * 200
    s.sendall(big)
    s.shutdown(socket.SHUT_WR)
    assert all_of(s) == big

def discard(s, is_stream):
    for _ in range(3):
        s.send(b"x" * 1000)
    if is_stream:
        s.shutdown(socket.SHUT_WR)
        assert all_of(s) == b""
    else:
        s.settimeout(0.05)
        try:
            raise SystemExit("an answer: %r" % s.recv(100))
        except socket.timeout:
            pass

def daytime(s, is_stream):
    line = answer(s, is_stream).decode()
    assert re.fullmatch(r"[A-Z]\w+, [A-Z]\w+ \d\d, \d{4} \d\d:\d\d:\d\d-\w+\r\n", line), line

def time_(s, is_stream):
    seconds, = struct.unpack("!I", answer(s, is_stream))
    assert abs(seconds - (int(time.time()) + 2208988800) % 2**32) < 100, seconds

def line(n):
    return bytes(32 + (n + i) % 95 for i in range(72)) + b"\r\n"

def chargen(s, is_stream):
    if is_stream:
        text = exactly(s, 74 * 200)
        assert text == b"".join(line(n) for n in range(200))
        return # and closes, with input unread
    lengths = set()
    for _ in range(20):
        s.send(b"?")
        try:
            text = s.recv(65536)
        except socket.timeout:
            continue
        s.settimeout(0.2) # one of 513 has no bytes, and so is none
        assert len(text) <= 512 and text == b"".join(line(n) for n in range(7))[:len(text)]
        lengths.add(len(text))
    assert len(lengths) > 5, lengths

STOCK_PORTS = (1313, 1919, 2525, 3737, 6379, 7007, 7979, 9009)

def from_a_service(address):
    """From such a port comes no question, but what another service, or this one, said."""
    server = (address.split(":")[1], int(address.split(":")[2]))
    services = []
    for port in (*STOCK_PORTS, server[1], *range(1023, 511, -1)):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            s.bind(("127.0.0.2", port))
        except PermissionError:
            break # the others are below 1024 as well
        except OSError:
            continue # somebody has it
        s.sendto(b"?" * 100, server)
        services.append(s)
        if port < 1024:
            break
    assert services
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.settimeout(0.2)
    while True: # of chargen a reply may have no bytes, and so be none
        other.sendto(b"?" * 100, server)
        try:
            other.recv(65536)
            break
        except socket.timeout:
            continue
    for s in services:
        s.setblocking(False)
        try:
            raise SystemExit("an answer to port %d: %r" % (s.getsockname()[1], s.recv(65536)))
        except BlockingIOError:
            pass # and it would have come before the other's

if sys.argv[1] == "from_a_service":
    from_a_service(sys.argv[2])
    sys.exit()
handlers = {"hello": hello, "echo": echo, "discard": discard, "daytime": daytime,
    "time": time_, "chargen": chargen}
for address in sys.argv[2:]:
    s = connect(address)
    is_stream = s.type == socket.SOCK_STREAM
    try:
        handlers[sys.argv[1]](s, is_stream)
    except Exception as error:
        raise SystemExit("%s: %s: %r" % (sys.argv[1], address, error))
    s.close()
