#!/usr/bin/env python3
"""PyPI `websockets` as the server, and what its hook for responses makes of good ones."""

import asyncio
import logging
import sys
from http import HTTPStatus
from pathlib import Path

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode

sys.path.append(str(Path(__file__).parent.parent / "lib"))
from commands import Commands, announce

# What the server wants of permessage-deflate.
DEFLATE = {
    "server_no_context_takeover": {"server_no_context_takeover": True},
    "client_no_context_takeover": {"client_no_context_takeover": True},
    "server_max_window_bits=9": {"server_max_window_bits": 9},
    "client_max_window_bits=9": {"client_max_window_bits": 9, "require_client_max_window_bits": True},
}
# The header of the answer that is changed, by the path, and its value.
WRONG = {
    "wrong-accept": ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    "no-accept": ("Sec-WebSocket-Accept", None),
    "wrong-upgrade": ("Upgrade", "carrier-pigeon"),
    "wrong-connection": ("Connection", "close"),
    "wrong-protocol": ("Sec-WebSocket-Protocol", "not-offered"),
    "wrong-extension": ("Sec-WebSocket-Extensions", "x-not-offered"),
    "wrong-window": ("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=16"),
    "wrong-parameter": ("Sec-WebSocket-Extensions", "permessage-deflate; no_such_parameter"),
}


class Connection(ServerConnection):
    """Notes the pings that come; the library answers them."""

    def process_event(self, event):
        if isinstance(event, Frame) and event.opcode is Opcode.PING:
            self.__dict__.setdefault("seen", []).append(bytes(event.data).decode(errors="replace"))
        super().process_event(event)


class Peer:
    def __init__(self, connection):
        self.connection = connection
        self.send = connection.send
        self.close = connection.close
        self.fragments = connection.send

    @property
    def pings(self):
        return getattr(self.connection, "seen", [])

    def header(self, name):
        return self.connection.request.headers.get(name, "")

    async def ping(self, payload):
        answered = await self.connection.ping(payload)

        async def tell():
            await answered
            await self.send(f"pong {payload}")

        self.telling = asyncio.create_task(tell())


async def handle(connection):
    peer = Peer(connection)
    try:
        async for message in connection:
            if isinstance(message, str):
                await Commands.answer(message, peer)
            else:
                await connection.send(message)
    except ConnectionClosed:
        pass
    received = connection.protocol.close_rcvd
    Commands.closed(received.code if received else 1006, received.reason if received else "")


def choose(_, offered):
    # Without this function, clients that offer none would be refused.
    return "chat" if "chat" in offered else None


def check_origin(connection, request):
    if request.headers.get("Origin") == "http://evil.example":
        return connection.respond(HTTPStatus.FORBIDDEN, "another origin, please\n")


def change(_, request, response):
    name, value = WRONG.get(request.path.strip("/"), (None, None))
    if name:
        del response.headers[name]
        if value:
            response.headers[name] = value


async def start(**options):
    server = await serve(
        handle, "127.0.0.1", 0, select_subprotocol=choose, create_connection=Connection,
        process_request=check_origin, process_response=change, **options,
    )
    return server.sockets[0].getsockname()[1]


async def main():
    logging.disable(logging.CRITICAL)
    port = await start()
    lines = ["speaks rfc6455"]
    for name, options in DEFLATE.items():
        other = await start(compression=None, extensions=[ServerPerMessageDeflateFactory(**options)])
        lines.append(f"variant deflate:{name} ws://127.0.0.1:{other}/")
    lines += [f"variant {name} ws://127.0.0.1:{port}/{name}" for name in WRONG]
    announce("websockets", lines, port)
    await asyncio.Event().wait()


asyncio.run(main())
