#!/usr/bin/env python3
"""PyPI `websockets` as the client."""

import asyncio
import os
import sys
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

sys.path.append(str(Path(__file__).parent.parent / "lib"))
from commands import FRAGMENTS
from judge import Judge, same

DEFLATE, ECHO, LIMITED, TAKEOVER = (os.environ[name] for name in ("DEFLATE", "ECHO", "LIMITED", "TAKEOVER"))
SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 1_048_576]


def opened(host=ECHO, **options):
    return connect(f"ws://{host}/", proxy=None, **{"origin": f"http://{host}", "compression": None} | options)


async def echo(connection, message):
    await connection.send(message)
    same(await connection.recv(), message, "the echo")


async def one(message):
    async with opened() as connection:
        await echo(connection, message)


async def pipelined():
    async with opened() as connection:
        for index in range(500):
            await connection.send(str(index))
        for index in range(500):
            same(await connection.recv(), str(index), "the echo")


async def fragments(text):
    async with opened() as connection:
        await connection.send(FRAGMENTS, text=text)
        whole = b"".join(FRAGMENTS)
        same(await connection.recv(), whole.decode() if text else whole, "the echo")


async def ping(payload):
    async with opened() as connection:
        await (await connection.ping(payload))


async def close(code, reason):
    async with opened() as connection:
        await connection.close(code, reason)
        same(connection.protocol.close_rcvd.code, code, "the code")


async def close_after_messages():
    # Room for them all: nobody takes them while the close is waited for.
    async with opened(max_queue=None) as connection:
        for index in range(100):
            await connection.send(f"message {index}")
        await connection.close()
        same([message async for message in connection], [f"message {index}" for index in range(100)], "what came")


async def closed_by(host, text, code, **options):
    async with opened(host, **options) as connection:
        await connection.send(text)
        try:
            same(await connection.recv(), "nothing", "what came")
        except ConnectionClosed as closed:
            same(closed.rcvd.code, code, "the code")


async def subprotocol(offered, agreed):
    async with opened(subprotocols=offered) as connection:
        same(connection.subprotocol, agreed, "the subprotocol")


async def refused(host, origin):
    try:
        async with opened(host, origin=origin):
            raise AssertionError("the connection is open")
    except InvalidStatus as invalid:
        same(invalid.response.status_code, 403, "the status")


async def compressed(host, options, agreed):
    factory = ClientPerMessageDeflateFactory(**options)
    async with opened(host, extensions=[factory]) as connection:
        answer = connection.response.headers.get("Sec-WebSocket-Extensions", "")
        if agreed not in answer:
            raise AssertionError(f"{agreed} is not in the answer: {answer}")
        for index in range(3):
            for text in ("", "short", "the same words again, " * 20, f"round {index} " * 10_000, "é世👋" * 7_000):
                await echo(connection, text)
            await echo(connection, os.urandom(70_000))
            await connection.send(["in thr", "ee part", "s"])
            same(await connection.recv(), "in three parts", "the echo")


# What the client offers, and what must be in the answer of our server.
OFFERS = [
    ("nothing but the name", {}, "permessage-deflate"),
    ("server_no_context_takeover", {"server_no_context_takeover": True}, "server_no_context_takeover"),
    ("client_no_context_takeover", {"client_no_context_takeover": True}, "permessage-deflate"),
    ("server_max_window_bits=9", {"server_max_window_bits": 9}, "server_max_window_bits=9"),
    ("server_max_window_bits=15", {"server_max_window_bits": 15}, "server_max_window_bits=15"),
    ("client_max_window_bits", {"client_max_window_bits": True}, "permessage-deflate"),
    ("client_max_window_bits=10", {"client_max_window_bits": 10}, "permessage-deflate"),
    (
        "everything",
        {"server_no_context_takeover": True, "client_no_context_takeover": True,
         "server_max_window_bits": 10, "client_max_window_bits": 11},
        "server_no_context_takeover",
    ),
]


async def main():
    judge = Judge("websockets")
    for size in SIZES:
        await judge.test(f"text of {size} bytes", one, "t" * size)
        await judge.test(f"binary of {size} bytes", one, os.urandom(size))
    await judge.test("text of every length in UTF-8", one, "a é 世 👋 \0 \U0010ffff")
    await judge.test("500 texts without waiting, in order", pipelined)
    await judge.test("a text in fragments, cut inside a character", fragments, True)
    await judge.test("binary in fragments", fragments, False)
    for payload in ("", "there?", "p" * 125):
        await judge.test(f"a ping of {len(payload)} bytes is answered", ping, payload)
    for code, reason in ((1000, ""), (1001, "grüße"), (1008, "x"), (1011, "y"), (3000, "z"), (4999, "last")):
        await judge.test(f"close {code} {reason!r} is answered with {code}", close, code, reason)
    await judge.test("what was sent before a close is answered before it", close_after_messages)
    await judge.test("the server closes with 1000", closed_by, ECHO, "close, please", 1000)
    friend = "http://friend.example"
    limited = lambda: closed_by(LIMITED, "x" * 1001, 1009, origin=friend)
    await judge.test("a message over the limit is closed with 1009", limited)
    await judge.test("the server's first choice of the subprotocols", subprotocol, ["unheard-of", "chat", "superchat"], "superchat")
    await judge.test("no subprotocol when none was asked for", subprotocol, None, None)
    await judge.test("a wrong Origin gets 403", refused, ECHO, "http://evil.example")
    await judge.test("an Origin outside the list gets 403", refused, LIMITED, f"http://{LIMITED}")
    for name, options, agreed in OFFERS:
        for how, host in (("alone", DEFLATE), ("in context", TAKEOVER)):
            await judge.test(f"messages compressed {how}, the offer has {name}", compressed, host, options, agreed)
    judge.end()


asyncio.run(main())
