// Runs in a browser: its WebSocket against our servers, a line per check to the program that opened it.

const SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 1_048_576];
const LIMIT = 4_194_304; // --max-message of the servers
const DEADLINE = 10_000; // ms

const tell = (line) => fetch("/line", { method: "POST", body: line });

/** Opens a connection whose messages can be awaited one by one. */
async function open(url, protocols = []) {
  const socket = new WebSocket(url, protocols);
  socket.binaryType = "arraybuffer";
  const waiting = [];
  const arrived = [];
  socket.onmessage = ({ data }) => (waiting.length > 0 ? waiting.shift()(data) : arrived.push(data));
  socket.next = () => (arrived.length > 0 ? arrived.shift() : new Promise((resolve) => waiting.push(resolve)));
  socket.closed = new Promise((resolve) => { socket.onclose = resolve; });
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error("it did not open"));
  });
  return socket;
}

function same(is, due, what) {
  if (is !== due) throw new Error(`${what} is ${String(is).slice(0, 80)} and not ${String(due).slice(0, 80)}`);
}

function noise(size) {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

async function echo(socket, data) {
  socket.send(data);
  const back = await socket.next();
  if (typeof data === "string") return same(back, data, "the text that came back");
  same(back.byteLength, data.length, "the length of what came back");
  same(new Uint8Array(back).every((byte, at) => byte === data[at]), true, "that the bytes are the same");
}

async function test(name, body) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(reject, DEADLINE, new Error("not done in time")); });
  try {
    await Promise.race([body(), late]);
    await tell(`ok ${name}`);
  } catch (error) {
    await tell(`not ok ${name}: ${error.message}`);
  } finally {
    clearTimeout(timer);
  }
}

async function ended(socket, code, reason = "") {
  const event = await socket.closed;
  same(event.code, code, "the code");
  same(event.reason, reason, "the reason");
  same(event.wasClean, true, "that the end is clean");
}

/** `extensions` says whether what was agreed on is right. */
async function suite(name, url, extensions) {
  const socket = await open(url).catch(() => null);
  await test(`${name}, it opens`, async () => same(socket?.readyState, WebSocket.OPEN, "the state"));
  if (socket === null) return;
  await test(`${name}, what is agreed on is right: ${socket.extensions || "no extension"}`, async () =>
    same(extensions(socket.extensions), true, "whether it is"));
  for (const size of SIZES) {
    await test(`${name}, text of ${size} bytes`, () => echo(socket, "t".repeat(size)));
    await test(`${name}, binary of ${size} bytes`, () => echo(socket, noise(size)));
  }
  await test(`${name}, text in UTF-8, with U+0000`, () => echo(socket, "a é 世 👋 \u0000 \u{10FFFF}"));
  await test(`${name}, a blob`, async () => {
    socket.send(new Blob(["a ", "blob"]));
    same(new TextDecoder().decode(await socket.next()), "a blob", "what came back");
  });
  await test(`${name}, the same words again and again`, async () => {
    for (let round = 0; round < 20; round += 1) await echo(socket, "the same words again, ".repeat(5_000));
  });
  await test(`${name}, 500 texts without waiting, in order`, async () => {
    for (let at = 0; at < 500; at += 1) socket.send(`text ${at}`);
    for (let at = 0; at < 500; at += 1) same(await socket.next(), `text ${at}`, "the text");
  });
  await test(`${name}, 20 connections at once`, async () => {
    const sockets = await Promise.all(Array.from({ length: 20 }, () => open(url)));
    await Promise.all(sockets.map((each, at) => echo(each, `connection ${at}`)));
    sockets.forEach((each) => each.close());
    await Promise.all(sockets.map((each) => each.closed));
  });
  await test(`${name}, a subprotocol`, async () =>
    same((await open(url, ["chat", "superchat"])).protocol, "superchat", "the subprotocol"));
  await test(`${name}, the page closes with a code`, async () => {
    socket.close(4001, "grüße");
    await ended(socket, 4001); // the code comes back, the reason need not
  });
  await test(`${name}, the page closes without a code`, async () => {
    const other = await open(url);
    other.close();
    await ended(other, 1005);
  });
  await test(`${name}, the server closes`, async () => {
    const other = await open(url);
    other.send("close, please");
    await ended(other, 1000);
  });
  await test(`${name}, a message over the limit gets 1009`, async () => {
    const other = await open(url);
    other.send("x".repeat(LIMIT + 1));
    same((await other.closed).code, 1009, "the code");
  });
}

const { PAGES, PAGES_DEFLATE, PAGES_SECURE, ECHO } = await (await fetch("/servers")).json();
const deflates = (extensions) => extensions.startsWith("permessage-deflate");
// Firefox leaves the parameters out.
const forgets = (extensions) => extensions.includes("server_no_context_takeover") || navigator.userAgent.includes("Firefox");
const remembers = (extensions) => !extensions.includes("server_no_context_takeover");
await suite("ws", `ws://${PAGES}/`, (extensions) => extensions === "");
await suite("ws, deflate", `ws://${PAGES_DEFLATE}/`, (extensions) => deflates(extensions) && forgets(extensions));
await suite("wss, deflate with contexts", `wss://${PAGES_SECURE}/`, (extensions) => deflates(extensions) && remembers(extensions));
// Last, since browsers wait before they connect again to where they failed.
await test("a page of another host is refused", async () => {
  const refused = await open(`ws://${ECHO}/`).then(() => false, () => true);
  same(refused, true, "that it is refused");
});
await fetch("/done", { method: "POST" });
