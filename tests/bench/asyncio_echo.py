#!/usr/bin/env python3
"""An echo server by Python's asyncio, to compare with: asyncio_echo.py [--udp | --hello] PORT

Protocols, which are called with the bytes that came; they cost less than asyncio's streams.
"""

import argparse
import asyncio


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport      # asyncio has set TCP_NODELAY

    def data_received(self, data):
        self.transport.write(data)


class Hello(asyncio.Protocol):
    def connection_made(self, transport):
        transport.write(b"Hello World!\n")
        transport.close()


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        self.transport.sendto(data, peer)


async def main(args):
    loop = asyncio.get_running_loop()
    address = ("127.0.0.1", args.port)
    if args.udp:
        transport, _ = await loop.create_datagram_endpoint(Datagrams, local_addr=address)
        port = transport.get_extra_info("sockname")[1]
    else:
        server = await loop.create_server(Hello if args.hello else Echo, *address, backlog=4096)
        port = server.sockets[0].getsockname()[1]
    print("listening", port, flush=True)
    await asyncio.Event().wait()


parser = argparse.ArgumentParser()
parser.add_argument("--udp", action="store_true")
parser.add_argument("--hello", action="store_true")
parser.add_argument("port", type=int, help="0: any free one")
asyncio.run(main(parser.parse_args()))
