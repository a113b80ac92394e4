#!/usr/bin/env node
// npm `faye-websocket` as the client, with `permessage-deflate` of the same author.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import faye from "faye-websocket";
import deflate from "permessage-deflate";
import { begin, end, test } from "../lib/judge.js";

const { DEFLATE, ECHO, LIMITED, TAKEOVER } = process.env;
const SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 1_048_576];

/** Opens a connection whose messages can be awaited one by one. */
async function open(host = ECHO, { protocols = [], origin = `http://${host}`, extensions = [], fails = false } = {}) {
  const socket = new faye.Client(`ws://${host}/`, protocols, { headers: { Origin: origin }, extensions });
  const waiting = [];
  const arrived = [];
  let error;
  socket.on("message", ({ data }) => (waiting.length > 0 ? waiting.shift()(data) : arrived.push(data)));
  socket.on("error", ({ message }) => { error = message; });
  socket.next = () => (arrived.length > 0 ? arrived.shift() : new Promise((resolve) => waiting.push(resolve)));
  socket.closed = new Promise((resolve) => socket.on("close", ({ code, reason }) => resolve([code, reason])));
  const opened = await Promise.race([
    new Promise((resolve) => socket.on("open", () => resolve(true))),
    socket.closed.then(() => false),
  ]);
  assert.equal(opened, !fails, opened ? "the connection is open" : error);
  return socket;
}

async function echo(socket, message) {
  socket.send(message);
  const back = await socket.next();
  if (typeof message === "string") assert.ok(back === message, "another text came back");
  else assert.ok(message.equals(back), "other bytes came back");
}

async function messages() {
  const socket = await open();
  for (const size of SIZES) {
    await test(`text of ${size} bytes`, () => echo(socket, "t".repeat(size)));
    await test(`binary of ${size} bytes`, () => echo(socket, randomBytes(size)));
  }
  await test("text of every length in UTF-8", () => echo(socket, "a é 世 👋 \u0000 \u{10FFFF}"));
  await test("500 messages without waiting, in order", async () => {
    for (let index = 0; index < 500; index += 1) socket.send(String(index));
    for (let index = 0; index < 500; index += 1) assert.equal(await socket.next(), String(index));
  });
  for (const payload of ["", "there?", "p".repeat(125)]) {
    await test(`a ping of ${payload.length} bytes is answered`, () => new Promise((resolve) => { socket.ping(payload, resolve); }));
  }
}

async function closes() {
  for (const [code, reason] of [[1000, ""], [1000, "grüße"], [3000, "y"], [4999, "z"]]) {
    await test(`close ${code} "${reason}" is answered with ${code}`, async () => {
      const socket = await open();
      socket.close(code, reason);
      assert.equal((await socket.closed)[0], code);
    });
  }
  await test("the server closes with 1000", async () => {
    const socket = await open();
    socket.send("close, please");
    assert.equal((await socket.closed)[0], 1000);
  });
}

async function handshakes() {
  await test("the server's first choice of the subprotocols offered", async () => {
    const socket = await open(ECHO, { protocols: ["unheard-of", "chat", "superchat"] });
    assert.equal(socket.protocol, "superchat");
  });
  await test("no subprotocol when none was asked for", async () => {
    assert.equal((await open()).protocol, "");
  });
  for (const [name, host, origin] of [["server's own list", LIMITED, `http://${LIMITED}`], ["same host", ECHO, "http://evil.example"]]) {
    await test(`an origin outside the ${name} gets 403`, async () => {
      assert.equal((await open(host, { origin, fails: true })).statusCode, 403);
    });
  }
}

async function limits() {
  await test("a message one byte above the limit is closed with 1009", async () => {
    const socket = await open(LIMITED, { origin: "http://friend.example" });
    await echo(socket, "x".repeat(1_000));
    socket.send("x".repeat(1_001));
    assert.equal((await socket.closed)[0], 1009);
  });
}

/** How the client is configured, and what must be in the answer of our server. */
const OFFERS = [
  ["nothing", {}, /^permessage-deflate/],
  ["server_no_context_takeover", { requestNoContextTakeover: true }, /server_no_context_takeover/],
  ["client_no_context_takeover", { noContextTakeover: true }, /^permessage-deflate/],
  ["server_max_window_bits=9", { requestMaxWindowBits: 9 }, /server_max_window_bits=9/],
  ["client_max_window_bits=10", { maxWindowBits: 10 }, /^permessage-deflate/],
];

async function deflates() {
  for (const [name, options, agreed] of OFFERS) {
    for (const [server, host] of [["alone", DEFLATE], ["in context", TAKEOVER]]) {
      await test(`messages compressed ${server}, the client asks for ${name}`, async () => {
        const socket = await open(host, { extensions: [deflate.configure(options)] });
        assert.match(socket.headers["sec-websocket-extensions"] ?? "", agreed);
        for (let round = 0; round < 3; round += 1) {
          for (const text of ["", "short", "the same words again, ".repeat(20), `round ${round} `.repeat(10_000), "é世👋".repeat(7_000)]) {
            await echo(socket, text);
          }
          await echo(socket, randomBytes(70_000));
        }
        socket.close(1000);
        assert.equal((await socket.closed)[0], 1000);
      });
    }
  }
}

begin("faye-websocket");
for (const group of [messages, closes, handshakes, limits, deflates]) await group();
end();
