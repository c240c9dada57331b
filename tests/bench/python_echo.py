#!/usr/bin/env python3
"""An echo server by Python's socketserver, to compare with: python_echo.py --mode MODE PORT"""

import argparse
import socketserver


class Echo(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        while line := self.rfile.readline():
            self.wfile.write(line)


class Serial(socketserver.TCPServer):
    allow_reuse_address = True
    request_queue_size = 1024       # its own 5 would time the clients' SYN retries

    def handle_error(self, request, client_address):
        pass                        # a client that leaves is no news


class Threads(socketserver.ThreadingMixIn, Serial):
    daemon_threads = True
    block_on_close = False


class Processes(socketserver.ForkingMixIn, Serial):
    max_children = 1024


MODES = {"serial": Serial, "threads": Threads, "processes": Processes}

parser = argparse.ArgumentParser()
parser.add_argument("--mode", choices=MODES, default="threads")
parser.add_argument("port", type=int, help="0: any free one")
args = parser.parse_args()

with MODES[args.mode](("127.0.0.1", args.port), Echo) as server:
    print("listening", server.server_address[1], flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
