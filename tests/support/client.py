"""Sockets for the shell tests; the scripts that use it have it in front of them."""
import socket, sys

def connect(address):
    """A socket connected to an address in the notation of our programs."""
    scheme, rest = address.split(":", 1)
    kind = socket.SOCK_DGRAM if scheme in ("udp", "unix-dgram") else socket.SOCK_STREAM
    if scheme.startswith("unix"):
        s = socket.socket(socket.AF_UNIX, kind)
        if kind == socket.SOCK_DGRAM:
            s.bind("")
        target = "\0" + rest[1:] if rest[0] == "@" else rest
    else:
        host, port = rest.rsplit(":", 1)
        family, kind, _, _, target = socket.getaddrinfo(host.strip("[]"), port, 0, kind)[0]
        s = socket.socket(family, kind)
    s.settimeout(15)
    s.connect(target)
    return s

def all_of(s):
    parts = []
    while True:
        part = s.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)

def lines_of(s):
    return s.makefile("r", newline="\n")

def upstream(path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.listen()
    s.settimeout(15)
    return s
