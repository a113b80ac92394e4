#!/usr/bin/env python3
"""PyPI `aiohttp` as the server."""

import asyncio
import sys
from pathlib import Path

from aiohttp import WSMsgType, web

sys.path.append(str(Path(__file__).parent.parent / "lib"))
from commands import Commands, announce


class Peer:
    def __init__(self, request, socket):
        self.request = request
        self.socket = socket
        self.pings = []
        self.asked = set()
        self.send = socket.send_str

    def header(self, name):
        return self.request.headers.get(name, "")

    async def close(self, code, reason):
        await self.socket.close(code=code, message=reason.encode())

    async def ping(self, payload):
        self.asked.add(payload.encode())
        await self.socket.ping(payload.encode())

    async def pong(self, payload):
        if payload in self.asked:  # and not one that nobody asked for
            await self.send(f"pong {payload.decode()}")


async def handle(request):
    # hybi-07 and -08 have another name for it.
    origin = request.headers.get("Sec-WebSocket-Origin", request.headers.get("Origin"))
    if origin == "http://evil.example":
        return web.Response(status=403)
    # Pings are answered here, so that they can be told.
    socket = web.WebSocketResponse(protocols=["chat"], autoping=False)
    await socket.prepare(request)
    peer = Peer(request, socket)
    while True:
        message = await socket.receive()
        match message.type:
            case WSMsgType.TEXT:
                await Commands.answer(message.data, peer)
            case WSMsgType.BINARY:
                await socket.send_bytes(message.data)
            case WSMsgType.PING:
                peer.pings.append(bytes(message.data).decode(errors="replace"))
                await socket.pong(message.data)
            case WSMsgType.PONG:
                await peer.pong(bytes(message.data))
            case WSMsgType.CLOSE:
                Commands.closed(message.data, message.extra)
            case _:
                return socket


async def main():
    application = web.Application()
    application.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    lines = ["speaks hybi-07,hybi-08,rfc6455", "cannot echoed-code fragments"]
    announce("aiohttp", lines, runner.addresses[0][1])
    await asyncio.Event().wait()


asyncio.run(main())
