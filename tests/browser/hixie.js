// Clients of draft-hixie-75 and draft-hixie-76, written by hand over a TCP socket so that the tests see each byte.

import { createHash, randomBytes, randomInt } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { eventually } from "./checks.js";

const SENTINEL_START = 0x00;
const SENTINEL_END = 0xff;
const CLOSING = Buffer.from([0xff, 0x00]);
const HEAD_END = Buffer.from("\r\n\r\n");

/** What the two drafts share: `00 text FF`. */
class HixieClient {
  /** True once the handshake is done; what comes then are frames. */
  opened = false;
  /** The messages that came, oldest first, as JSON values. */
  messages = [];
  /** True once `FF 00` came. */
  closing = false;
  /** True once the server has ended the stream. */
  ended = false;
  /** What the server did wrong, if anything. */
  fault = null;

  #socket;
  #input = Buffer.alloc(0);

  /** Opens a connection to `host` ("127.0.0.1:8080") and does the handshake. */
  static async open(host, path = "/chat") {
    const [name, port] = host.split(":");
    const socket = connect({ host: name, port: Number(port) });
    await once(socket, "connect");
    const client = new this(socket);
    await client.handshake(host, path);
    client.#readFrames();
    return client;
  }

  constructor(socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (data) => {
      this.#input = Buffer.concat([this.#input, data]);
      if (this.opened) this.#readFrames();
    });
    socket.on("end", () => { this.ended = true; });
    socket.on("error", (error) => { this.fault ??= error.message; });
  }

  /** Says `text` as it is, or `value` as JSON. */
  send(value) {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    this.write(Buffer.concat([Buffer.from([SENTINEL_START]), Buffer.from(text), Buffer.from([SENTINEL_END])]));
  }

  write(bytes) {
    this.#socket.write(bytes);
  }

  leave() {
    this.#socket.end();
  }

  /** Waits for a message of this type that has all these members. */
  async heard(type, members) {
    const fits = (message) => message.type === type && Object.entries(members).every(([key, value]) => message[key] === value);
    return eventually(`${type} ${JSON.stringify(members)}`, () => {
      if (this.fault) throw new Error(this.fault);
      return this.messages.find(fits);
    });
  }

  /** The lines of the answer's head. */
  async readHead() {
    const at = await eventually("the head of the answer", () => this.#input.indexOf(HEAD_END) + 1 || this.#died());
    return (await this.take(at - 1 + HEAD_END.length)).toString("latin1").split("\r\n").slice(0, -2);
  }

  async take(length) {
    await eventually(`${length} bytes`, () => this.#input.length >= length || this.#died());
    const taken = this.#input.subarray(0, length);
    this.#input = this.#input.subarray(length);
    return taken;
  }

  #died() {
    if (this.ended || this.fault) throw new Error(`the server ended the handshake: ${this.fault ?? this.#input.toString("latin1")}`);
    return false;
  }

  #readFrames() {
    while (this.#input.length > 0) {
      if (this.closing) return this.#blame("bytes after FF 00");
      if (this.closes && this.#input[0] === CLOSING[0]) {
        if (this.#input.length < CLOSING.length) return;
        if (!this.#input.subarray(0, CLOSING.length).equals(CLOSING)) return this.#blame("a frame of type FF that is not FF 00");
        this.#input = this.#input.subarray(CLOSING.length);
        this.closing = true;
        this.write(CLOSING);
        continue;
      }
      if (this.#input[0] !== SENTINEL_START) return this.#blame(`a frame of type ${this.#input[0]}`);
      const end = this.#input.indexOf(SENTINEL_END);
      if (end === -1) return;
      this.messages.push(JSON.parse(this.#input.subarray(1, end).toString()));
      this.#input = this.#input.subarray(end + 1);
    }
  }

  #blame(fault) {
    this.fault ??= `the server sent ${fault}`;
    this.#socket.destroy();
  }
}

export class Draft75 extends HixieClient {
  closes = false; // no closing handshake: the stream just ends

  async handshake(host, path) {
    this.write(`GET ${path} HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: ${host}\r\nOrigin: http://${host}\r\n\r\n`);
    // The draft's client compares bytes, in this order.
    expectLines(await this.readHead(), [
      "HTTP/1.1 101 Web Socket Protocol Handshake",
      "Upgrade: WebSocket",
      "Connection: Upgrade",
      `WebSocket-Origin: http://${host}`,
      `WebSocket-Location: ws://${host}${path}`,
    ]);
    this.opened = true;
  }
}

export class Draft76 extends HixieClient {
  closes = true;

  async handshake(host, path) {
    const [first, second, third] = [makeKey(), makeKey(), randomBytes(8)];
    this.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nSec-WebSocket-Key2: ${second.text}\r\nConnection: Upgrade\r\n`
      + `Sec-WebSocket-Key1: ${first.text}\r\nUpgrade: WebSocket\r\nOrigin: http://${host}\r\n\r\n`);
    // A proxy may hold the last eight bytes back until it has seen the head of the answer.
    const [status, ...fields] = await this.readHead();
    if (!status.startsWith("HTTP/1.1 101 ")) throw new Error(`the answer is ${status}`);
    expectLines(fields.sort(), [
      "Connection: Upgrade",
      `Sec-WebSocket-Location: ws://${host}${path}`,
      `Sec-WebSocket-Origin: http://${host}`,
      "Upgrade: WebSocket",
    ]);
    this.write(third);
    const challenge = Buffer.alloc(16);
    challenge.writeUInt32BE(first.number, 0);
    challenge.writeUInt32BE(second.number, 4);
    third.copy(challenge, 8);
    const expected = createHash("md5").update(challenge).digest();
    const answer = await this.take(16);
    if (!answer.equals(expected)) throw new Error(`the answer to the challenge is ${answer.toString("hex")}, not ${expected.toString("hex")}`);
    this.opened = true;
  }
}

/** A key and the number hidden in it: draft-hixie-76 section 4.1, steps 16 to 22. */
function makeKey() {
  const spaces = randomInt(1, 13);
  const number = randomInt(0, Math.floor(0xffff_ffff / spaces) + 1);
  let text = String(number * spaces);
  for (let count = randomInt(1, 13); count > 0; count -= 1) {
    const code = randomInt(0, 2) ? randomInt(0x21, 0x30) : randomInt(0x3a, 0x7f);
    text = insert(text, String.fromCharCode(code), randomInt(0, text.length + 1));
  }
  for (let count = spaces; count > 0; count -= 1) text = insert(text, " ", randomInt(1, text.length));
  return { number, text };
}

function insert(text, part, at) {
  return text.slice(0, at) + part + text.slice(at);
}

function expectLines(lines, expected) {
  if (lines.join("\n") !== expected.join("\n")) throw new Error(`the answer is ${JSON.stringify(lines)}, not ${JSON.stringify(expected)}`);
}
