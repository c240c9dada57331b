#!/usr/bin/env python3
"""An echo server by gevent, to compare with: gevent_echo.py PORT

A greenlet for each connection. It looks for no lines.
"""

import socket
import sys

from gevent.server import StreamServer


def echo(client, address):
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while data := client.recv(16384):
            client.sendall(data)
    except OSError:
        pass                            # a client that leaves is no news


if len(sys.argv) != 2:
    sys.exit("usage: gevent_echo.py PORT (0: any free one)")
server = StreamServer(("127.0.0.1", int(sys.argv[1])), echo, backlog=4096)
server.start()
print("listening", server.server_port, flush=True)
server.serve_forever()
