#!/usr/bin/env python3
"""PyPI `aiohttp` as the client."""

import asyncio
import os
import sys
from pathlib import Path

from aiohttp import ClientSession, WSMsgType, WSServerHandshakeError

sys.path.append(str(Path(__file__).parent.parent / "lib"))
from judge import Judge, same

DEFLATE, ECHO, LIMITED, TAKEOVER = (os.environ[name] for name in ("DEFLATE", "ECHO", "LIMITED", "TAKEOVER"))
SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 1_048_576]


class Client:
    """The checks, over one session."""

    def __init__(self, session):
        self.session = session

    def opened(self, host=ECHO, **options):
        return self.session.ws_connect(f"ws://{host}/", **{"origin": f"http://{host}"} | options)

    async def one(self, message):
        async with self.opened() as socket:
            await echo(socket, message)

    async def pipelined(self):
        async with self.opened() as socket:
            for index in range(500):
                await socket.send_str(str(index))
            for index in range(500):
                same(await socket.receive_str(), str(index), "the echo")

    async def ping(self, payload):
        async with self.opened(autoping=False) as socket:
            await socket.ping(payload)
            message = await socket.receive()
            same((message.type, bytes(message.data)), (WSMsgType.PONG, payload), "what came")

    async def close(self, code, reason):
        async with self.opened(autoclose=False) as socket:
            await socket.close(code=code, message=reason)
            same(socket.close_code, code, "the code")

    async def closed_by(self, host, text, code, origin):
        async with self.opened(host, origin=origin) as socket:
            await socket.send_str(text)
            message = await socket.receive()
            same((message.type, message.data), (WSMsgType.CLOSE, code), "what came")

    async def subprotocol(self, offered, agreed):
        async with self.opened(protocols=offered) as socket:
            same(socket.protocol, agreed, "the subprotocol")

    async def refused(self, host, origin):
        try:
            async with self.opened(host, origin=origin):
                raise AssertionError("the connection is open")
        except WSServerHandshakeError as error:
            same(error.status, 403, "the status")

    async def compressed(self, host, window):
        async with self.opened(host, compress=window) as socket:
            if not socket.compress:
                raise AssertionError("the server declined the offer")
            for index in range(3):
                for text in ("", "short", "the same words again, " * 20, f"round {index} " * 10_000, "é世👋" * 7_000):
                    await echo(socket, text)
                await echo(socket, os.urandom(70_000))


async def echo(socket, message):
    if isinstance(message, str):
        await socket.send_str(message)
        same(await socket.receive_str(), message, "the echo")
    else:
        await socket.send_bytes(message)
        same(await socket.receive_bytes(), message, "the echo")


async def main():
    judge = Judge("aiohttp")
    async with ClientSession() as session:
        client = Client(session)
        for size in SIZES:
            await judge.test(f"text of {size} bytes", client.one, "t" * size)
            await judge.test(f"binary of {size} bytes", client.one, os.urandom(size))
        await judge.test("text of every length in UTF-8", client.one, "a é 世 👋 \0 \U0010ffff")
        await judge.test("500 texts without waiting, in order", client.pipelined)
        for payload in (b"", b"there?", b"p" * 125):
            await judge.test(f"a ping of {len(payload)} bytes is answered", client.ping, payload)
        for code, reason in ((1000, b""), (1001, "grüße".encode()), (1008, b"x"), (3000, b"y"), (4999, b"z")):
            await judge.test(f"close {code} {reason} is answered with {code}", client.close, code, reason)
        own = f"http://{ECHO}"
        await judge.test("the server closes with 1000", client.closed_by, ECHO, "close, please", 1000, own)
        friend = "http://friend.example"
        await judge.test("a message over the limit is closed with 1009", client.closed_by, LIMITED, "x" * 1001, 1009, friend)
        await judge.test("the server's first choice of the subprotocols", client.subprotocol, ("unheard-of", "chat", "superchat"), "superchat")
        await judge.test("no subprotocol when none was asked for", client.subprotocol, (), None)
        await judge.test("a wrong Origin gets 403", client.refused, ECHO, "http://evil.example")
        await judge.test("an Origin outside the list gets 403", client.refused, LIMITED, f"http://{LIMITED}")
        for how, host in (("alone", DEFLATE), ("in context", TAKEOVER)):
            for window in (15, 12, 9):
                await judge.test(f"messages compressed {how}, the window has {window} bits", client.compressed, host, window)
    judge.end()


asyncio.run(main())
