#!/usr/bin/env node
// npm `ws` as the client: sizes, fragments, control frames, close codes, versions, origins, limits.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import WebSocket from "ws";
import { begin, end, test } from "../lib/judge.js";

const { DEFLATE, ECHO, LIMITED, TAKEOVER } = process.env;
const SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 1_048_576];

/** Opens a connection whose messages can be awaited one by one. */
async function open(host = ECHO, protocols = [], options = {}) {
  const socket = new WebSocket(`ws://${host}/`, protocols, { origin: `http://${host}`, ...options });
  const waiting = [];
  const arrived = [];
  socket.on("message", (data, isBinary) => {
    const message = isBinary ? data : data.toString();
    if (waiting.length > 0) waiting.shift()(message);
    else arrived.push(message);
  });
  socket.next = () => (arrived.length > 0 ? arrived.shift() : new Promise((resolve) => waiting.push(resolve)));
  socket.unread = arrived;
  socket.closed = new Promise((resolve) => socket.on("close", (code, reason) => resolve([code, reason.toString()])));
  socket.once("upgrade", (response) => { socket.agreed = response.headers["sec-websocket-extensions"] ?? ""; });
  await once(socket, "open");
  socket.on("error", () => {}); // "close" tells
  return socket;
}

/** The status and the headers with which an upgrade is refused. */
async function refusal(host, options) {
  const socket = new WebSocket(`ws://${host}/`, [], options);
  socket.on("error", () => {}); // the abort below
  const answer = await Promise.race([
    once(socket, "unexpected-response").then(([, response]) => response),
    once(socket, "open").then(() => null),
  ]);
  socket.terminate();
  assert.ok(answer, "the upgrade was accepted");
  return answer;
}

async function echoes() {
  const socket = await open();
  for (const size of SIZES) {
    await test(`text of ${size} bytes`, async () => {
      const text = "t".repeat(size);
      socket.send(text);
      assert.ok((await socket.next()) === text, "another text came back");
    });
    await test(`binary of ${size} bytes`, async () => {
      const bytes = randomBytes(size);
      socket.send(bytes);
      const back = await socket.next();
      assert.ok(Buffer.isBuffer(back) && back.equals(bytes), "other bytes came back");
    });
  }
  await test("text of every length in UTF-8", async () => {
    const text = "a é 世 👋 \u0000 \u{10FFFF}";
    socket.send(text);
    assert.equal(await socket.next(), text);
  });
  await test("2000 messages without waiting, in order", async () => {
    for (let index = 0; index < 2_000; index += 1) socket.send(String(index));
    for (let index = 0; index < 2_000; index += 1) assert.equal(await socket.next(), String(index));
  });
  socket.close();
  await socket.closed;
}

async function fragments() {
  await test("a text in fragments, cut inside a character", async () => {
    const socket = await open();
    const bytes = Buffer.from("one 世界 text");
    for (const [from, to] of [[0, 5], [5, 5], [5, 9], [9, bytes.length]]) {
      socket.send(bytes.subarray(from, to), { binary: false, fin: to === bytes.length });
    }
    assert.equal(await socket.next(), bytes.toString());
    socket.close();
  });
  await test("a ping between two fragments is answered at once", async () => {
    const socket = await open();
    socket.send("first ", { fin: false });
    socket.ping("between");
    assert.equal(String((await once(socket, "pong"))[0]), "between");
    socket.send("second", { fin: true });
    assert.equal(await socket.next(), "first second");
    socket.close();
  });
}

async function pings() {
  for (const size of [0, 1, 125]) {
    await test(`a ping of ${size} bytes`, async () => {
      const socket = await open();
      const payload = randomBytes(size);
      socket.ping(payload);
      assert.deepEqual((await once(socket, "pong"))[0], payload);
      socket.close();
    });
  }
  await test("a pong nobody asked for is ignored", async () => {
    const socket = await open();
    socket.pong("hello?");
    socket.send("after it");
    assert.equal(await socket.next(), "after it");
    socket.close();
  });
}

async function closes() {
  for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999]) {
    await test(`close ${code} is answered with ${code}`, async () => {
      const socket = await open();
      socket.close(code, "grüße");
      assert.equal((await socket.closed)[0], code);
    });
  }
  await test("a close without a code is answered without one", async () => {
    const socket = await open();
    socket.close();
    assert.deepEqual(await socket.closed, [1005, ""]);
  });
  await test("the server closes with 1000", async () => {
    const socket = await open();
    socket.send("close, please");
    assert.equal((await socket.closed)[0], 1000);
  });
  await test("what was sent before a close is answered before it", async () => {
    const socket = await open();
    for (let index = 0; index < 100; index += 1) socket.send(`message ${index}`);
    socket.close(1000);
    assert.equal((await socket.closed)[0], 1000);
    assert.equal(socket.unread.length, 100);
  });
}

async function violations() {
  const expected = [
    ["a text that is not UTF-8", 1007, (socket) => socket.send(Buffer.from([0x61, 0xff, 0x62]), { binary: false })],
    ["a surrogate in UTF-8", 1007, (socket) => socket.send(Buffer.from([0xed, 0xa0, 0x80]), { binary: false })],
    ["a text cut inside a character", 1007, (socket) => socket.send(Buffer.from([0x61, 0xe4, 0xb8]), { binary: false })],
    ["a frame without mask", 1002, (socket) => socket.send("plain", { mask: false })],
    ["a frame with a bit of an extension not agreed", 1002, (socket) => socket._socket.write(Buffer.from("c1810000000061", "hex"))],
    ["a continuation of nothing", 1002, (socket) => socket._socket.write(Buffer.from("80810000000061", "hex"))],
    ["a ping of 126 bytes", 1002, (socket) => socket._socket.write(Buffer.from("89fe007e00000000", "hex"))],
    ["close code 1005 on the wire", 1002, (socket) => socket._socket.write(Buffer.from("88820000000003ed", "hex"))],
  ];
  for (const [name, code, act] of expected) {
    await test(`${name} is closed with ${code}`, async () => {
      const socket = await open();
      act(socket);
      assert.equal((await socket.closed)[0], code);
    });
  }
}

async function handshakes() {
  await test("the server's first choice of the subprotocols offered", async () => {
    const socket = await open(ECHO, ["unheard-of", "chat", "superchat"]);
    assert.equal(socket.protocol, "superchat");
    socket.close();
  });
  await test("no subprotocol when none was asked for", async () => {
    const socket = await open();
    assert.equal(socket.protocol, "");
    socket.close();
  });
  await test("an offer of permessage-deflate does no harm", async () => {
    const socket = await open(ECHO, [], { perMessageDeflate: { threshold: 0 } });
    const text = "compress me ".repeat(1_000);
    socket.send(text);
    assert.ok((await socket.next()) === text, "another text came back");
    socket.close();
  });
  await test("a client without Origin is served", async () => {
    const socket = await open(ECHO, [], { origin: undefined });
    socket.send("no origin");
    assert.equal(await socket.next(), "no origin");
    socket.close();
  });
  await test("hybi-08 is served", async () => {
    const socket = await open(ECHO, [], { protocolVersion: 8 });
    socket.send("version 8");
    assert.equal(await socket.next(), "version 8");
    socket.close(1000);
    assert.equal((await socket.closed)[0], 1000);
  });
  for (const protocolVersion of [8, 13]) {
    await test(`a wrong Origin in version ${protocolVersion} gets 403`, async () => {
      assert.equal((await refusal(ECHO, { origin: "http://evil.example", protocolVersion })).statusCode, 403);
    });
  }
  await test("200 connections at once", async () => {
    const sockets = await Promise.all(Array.from({ length: 200 }, () => open()));
    await Promise.all(sockets.map(async (socket, index) => {
      socket.send(`connection ${index}`);
      assert.equal(await socket.next(), `connection ${index}`);
      socket.close();
      await socket.closed;
    }));
  });
}

async function limits() {
  const friend = { origin: "http://friend.example" };
  await test("an Origin of the list is served", async () => {
    const socket = await open(LIMITED, [], friend);
    socket.send("friend");
    assert.equal(await socket.next(), "friend");
    socket.close();
  });
  await test("an Origin outside the list gets 403, be it the server's own", async () => {
    assert.equal((await refusal(LIMITED, { origin: `http://${LIMITED}` })).statusCode, 403);
  });
  await test("version 8 gets 426 and the version to use", async () => {
    const { statusCode, headers } = await refusal(LIMITED, { ...friend, protocolVersion: 8 });
    assert.equal(statusCode, 426);
    assert.equal(headers["sec-websocket-version"], "13");
  });
  await test("a message as large as the limit is served", async () => {
    const socket = await open(LIMITED, [], friend);
    socket.send("x".repeat(1_000));
    assert.equal((await socket.next()).length, 1_000);
    socket.close();
  });
  await test("a message one byte above the limit is closed with 1009", async () => {
    const socket = await open(LIMITED, [], friend);
    socket.send("x".repeat(1_001));
    assert.equal((await socket.closed)[0], 1009);
  });
  await test("fragments above the limit together are closed with 1009", async () => {
    const socket = await open(LIMITED, [], friend);
    for (let index = 0; index < 11; index += 1) socket.send("x".repeat(100), { fin: index === 10 });
    assert.equal((await socket.closed)[0], 1009);
  });
}

/** What the client offers, and what our server with and without contexts must make of it. */
const OFFERS = [
  ["nothing but the name", {}, [/^permessage-deflate/, /^permessage-deflate/]],
  ["server_no_context_takeover", { serverNoContextTakeover: true }, [/server_no_context_takeover/, /server_no_context_takeover/]],
  ["client_no_context_takeover", { clientNoContextTakeover: true }, [/client_no_context_takeover/, /^permessage-deflate/]],
  ["server_max_window_bits=9", { serverMaxWindowBits: 9 }, [/server_max_window_bits=9/, /server_max_window_bits=9/]],
  ["client_max_window_bits=10", { clientMaxWindowBits: 10 }, [/^permessage-deflate/, /^permessage-deflate/]],
  ["everything", { serverNoContextTakeover: true, clientNoContextTakeover: true, serverMaxWindowBits: 10, clientMaxWindowBits: 11 },
    [/server_no_context_takeover.*server_max_window_bits=10/, /server_no_context_takeover.*server_max_window_bits=10/]],
];

async function deflates() {
  for (const [offer, options, answers] of OFFERS) {
    for (const [server, host, answer] of [["alone", DEFLATE, answers[0]], ["in context", TAKEOVER, answers[1]]]) {
      await test(`messages compressed ${server}, the offer has ${offer}`, async () => {
        const socket = await open(host, [], { perMessageDeflate: { threshold: 0, ...options } });
        assert.match(socket.agreed, answer);
        for (let round = 0; round < 3; round += 1) {
          for (const text of ["", "short", "the same words again, ".repeat(20), `round ${round} `.repeat(10_000), "é世👋".repeat(7_000)]) {
            socket.send(text);
            assert.ok((await socket.next()) === text, "another text came back");
          }
          const bytes = randomBytes(70_000);
          socket.send(bytes);
          assert.ok(bytes.equals(await socket.next()), "other bytes came back");
          for (const [part, fin] of [["in thr", false], ["ee part", false], ["s", true]]) socket.send(part, { fin });
          assert.equal(await socket.next(), "in three parts");
        }
        socket.close(1000);
        assert.equal((await socket.closed)[0], 1000);
      });
    }
  }
  await test("compressed bytes that inflate beyond the limit are closed with 1009", async () => {
    const socket = await open(DEFLATE, [], { perMessageDeflate: { threshold: 0 } });
    socket.send(Buffer.alloc(4_194_305));
    assert.equal((await socket.closed)[0], 1009);
  });
}

begin("ws");
for (const group of [echoes, fragments, pings, closes, violations, handshakes, deflates, limits]) await group();
end();
