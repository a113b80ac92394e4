// One conversation of two pages, a draft76 and a draft75 socket; see README.md.

import assert from "node:assert/strict";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { Checks, eventually } from "./checks.js";
import { Draft75, Draft76 } from "./hixie.js";
import { ChatPage } from "./page.js";
import { ChatServer } from "./server.js";

const [binary, executablePath, pictures] = process.argv.slice(2);
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

const checks = new Checks("browser");

async function main() {
  const browser = await chromium.launch({ executablePath, headless: true, args: FLAGS });
  try {
    const server = await ChatServer.start(binary);
    await assets(server);
    const context = await browser.newContext({ viewport: { width: 1100, height: 720 }, locale: "en-GB" });
    const room = await everybodyJoins(context, server);
    await conversation(room);
    await latecomer(context, server, room);
    await typing(room);
    await looks(room);
    await limits(room);
    await goodbye(server, room);
    await reconnect(server, room);
    await cleanliness(server, room);
  } finally {
    await browser.close();
  }
}

async function assets(server) {
  const expected = { "/": "text/html", "/chat.css": "text/css", "/chat.js": "text/javascript" };
  for (const [path, type] of Object.entries(expected)) {
    await checks.check(`GET ${path} is ${type}`, async () => {
      const answer = await fetch(server.url + path);
      assert.equal(answer.status, 200);
      assert.ok(answer.headers.get("content-type").startsWith(type), `content-type is ${answer.headers.get("content-type")}`);
      assert.ok((await answer.text()).length > 500, "the body is short");
    });
  }
}

/** Ann and Bob in two windows of one browser, Hix over draft76, and a guest over draft75 who never says a JSON word. */
async function everybodyJoins(context, server) {
  const room = {};
  await checks.check("a page joins and takes a name", async () => { room.ann = await ChatPage.open(context, server.url, "Ann"); });
  await checks.check("a second window joins with another name", async () => { room.bob = await ChatPage.open(context, server.url, "Bob"); });
  await checks.check("a draft76 socket joins, its key3 sent after the head of the answer", async () => {
    room.hix = await Draft76.open(server.host);
    const { version, history } = await room.hix.heard("welcome", {});
    assert.equal(version, "draft76");
    assert.deepEqual(history, []);
    room.hix.send({ type: "name", name: "Hix" });
  });
  await checks.check("a draft75 socket joins", async () => {
    room.old = await Draft75.open(server.host);
    const welcome = await room.old.heard("welcome", {});
    assert.equal(welcome.version, "draft75");
    room.guest = welcome.name;
  });
  if (!(room.ann && room.bob && room.hix && room.old)) throw new Error("not everybody could join; the rest makes no sense");
  for (const [page, me, other] of [["ann", "Ann", "Bob"], ["bob", "Bob", "Ann"]]) {
    await checks.check(`${me} sees who is here, and over which version`, async () => {
      const people = [`${me} (you) rfc6455`, `${other} rfc6455`, "Hix draft76", `${room.guest} draft75`].sort();
      await eventually("the list of four people", async () => (await room[page].people()).length === 4 && (await room[page].people()).includes("Hix draft76"));
      assert.deepEqual((await room[page].people()).sort(), people);
    });
  }
  await checks.check("the draft76 socket sees who is here", async () => {
    await eventually("a list of four people", () => room.hix.messages.some((message) => message.type === "people" && message.people.length === 4));
  });
  return room;
}

async function conversation({ ann, bob, hix, old, guest }) {
  const everybody = { ann, bob, hix, old };
  const said = [
    ["Ann", "Hello from a page", (text) => ann.say(text)],
    ["Bob", "Grüße, 世界 👋🏽", (text) => bob.say(text)],
    ["Hix", "draft76 says ça va?", (text) => hix.send({ type: "message", text })],
    [guest, "a bare line over draft75", (text) => old.send(text)],
    ["Hix", '{"type":"weather","text":"rain"}', (text) => hix.send(text)],
    ["Ann", "<img src=x onerror=alert(1)><b>not bold</b>", (text) => ann.say(text)],
    ["Bob", "first line\nsecond line", (text) => bob.say(text)],
  ];
  for (const [name, text, say] of said) {
    await checks.check(`everybody hears ${name}: ${JSON.stringify(text)}`, async () => {
      await say(text);
      await Promise.all(Object.values(everybody).map((one) => (one instanceof ChatPage ? one.heard(name, text) : one.heard("message", { name, text }))));
    });
  }
  await checks.check("nobody hears a message twice", async () => {
    for (const [name, text] of said) {
      for (const page of [ann, bob]) assert.equal((await page.messages()).filter((message) => message.name === name && message.text === text).length, 1);
      for (const socket of [hix, old]) assert.equal(socket.messages.filter((message) => message.name === name && message.text === text).length, 1);
    }
  });
  await checks.check("messages come in the same order everywhere, with a time", async () => {
    const expected = said.map(([name, text]) => `${name}: ${text}`);
    const lines = (messages) => messages.map((message) => `${message.name}: ${message.text}`);
    assert.deepEqual(lines(await ann.messages()), expected);
    assert.deepEqual(lines(await bob.messages()), expected);
    assert.deepEqual(lines(hix.messages.filter(({ type }) => type === "message")), expected);
    assert.ok((await ann.messages()).every(({ time }) => Math.abs(Date.now() - Date.parse(time)) < 60_000));
  });
  await checks.check("markup in a message makes no element", async () => {
    assert.equal(await ann.ask("document.querySelectorAll('#messages img, #messages b').length"), 0);
  });
}

async function latecomer(context, server, { ann, hix }) {
  await checks.check("a latecomer sees what was said, and is seen coming and going", async () => {
    const cem = await ChatPage.open(context, server.url, "Cem");
    await cem.heard("Ann", "Hello from a page");
    assert.deepEqual((await cem.messages()).map(({ text }) => text), (await ann.messages()).map(({ text }) => text));
    await eventually("Cem in the list", async () => (await ann.people()).includes("Cem rfc6455"));
    await cem.close();
    await eventually("Cem out of the list", async () => !(await ann.people()).includes("Cem rfc6455"));
    assert.equal(hix.messages.findLast(({ type }) => type === "people").people.length, 4);
  });
}

async function typing({ ann, bob, hix, old }) {
  await checks.check("the others see who is typing", async () => {
    await ann.type("I am about to");
    await eventually("Ann is typing…", async () => (await bob.typing()) === "Ann is typing…");
    await hix.heard("typing", { name: "Ann" });
    await old.heard("typing", { name: "Ann" });
    assert.equal(await ann.typing(), "");
    assert.equal(await ann.draft(), "I am about to");
  });
  await checks.check("Shift+Enter starts a line, Enter sends and ends the typing", async () => {
    await ann.press("Shift+Enter");
    await ann.type("say this");
    await ann.press("Enter");
    await bob.heard("Ann", "I am about to\nsay this");
    assert.equal(await bob.typing(), "");
    assert.equal(await ann.draft(), "");
  });
  await checks.check("a page shows that a raw socket is typing, and for how long", async () => {
    hix.send({ type: "typing" });
    await eventually("Hix is typing…", async () => (await ann.typing()) === "Hix is typing…");
    await eventually("an end of the typing", async () => (await ann.typing()) === "", 6_000);
  });
}

async function limits({ ann, bob, hix }) {
  await checks.check("a long word wraps inside the page", async () => {
    await hix.send("w".repeat(600));
    await bob.heard("Hix", "w".repeat(600));
    assert.equal(await bob.ask("document.documentElement.scrollWidth <= innerWidth"), true);
    assert.equal(await bob.ask("(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth)(document.getElementById('messages'))"), true);
  });
  await checks.check("the page types no more than 2000 characters, the server passes on no more", async () => {
    assert.equal(await ann.ask("document.getElementById('text').maxLength"), 2000);
    await hix.send(`long ${"é".repeat(3000)}`);
    await ann.heard("Hix", `long ${"é".repeat(1995)}`);
  });
  await checks.check("empty messages and names are ignored", async () => {
    const before = (await ann.messages()).length;
    await hix.send("   ");
    await hix.send({ type: "name", name: " \n " });
    await hix.send("after the empty ones");
    await ann.heard("Hix", "after the empty ones");
    assert.equal((await ann.messages()).length, before + 1);
  });
}

async function looks({ ann, bob }) {
  const backgrounds = {};
  for (const scheme of ["light", "dark"]) {
    await checks.check(`a picture in ${scheme}`, async () => {
      await ann.setColours(scheme);
      await ann.type("…");
      await eventually("somebody typing in the picture", async () => (await bob.typing()) !== "");
      await bob.setColours(scheme);
      backgrounds[scheme] = await bob.ask("getComputedStyle(document.body).backgroundColor");
      await bob.screenshot(join(pictures, `${scheme}.png`));
    });
  }
  await checks.check("light and dark follow the system, and the button turns them round", async () => {
    assert.notEqual(backgrounds.light, backgrounds.dark);
    await bob.click("#theme");
    assert.equal(await bob.ask("getComputedStyle(document.body).backgroundColor"), backgrounds.light);
    assert.equal(await bob.ask("document.getElementById('theme').ariaPressed"), "false");
    await bob.click("#theme");
    assert.equal(await bob.ask("getComputedStyle(document.body).backgroundColor"), backgrounds.dark);
  });
  await checks.check("a picture on a narrow screen, without sideways scrolling", async () => {
    await ann.setColours("light");
    await ann.setSize(380, 760);
    await eventually("the newest message in view", () => ann.ask("(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight < 2)(document.getElementById('messages'))"));
    assert.equal(await ann.ask("document.documentElement.scrollWidth <= innerWidth"), true);
    await ann.screenshot(join(pictures, "narrow.png"));
    await ann.setSize(1100, 720);
  });
  await checks.check("every field has a label", async () => {
    assert.equal(await ann.ask("[...document.querySelectorAll('input, textarea')].every((field) => field.labels.length === 1)"), true);
  });
}

/** SIGINT: everybody is told in the words of their own version. */
async function goodbye(server, { ann, bob, hix, old }) {
  const ending = server.stop("SIGINT");
  for (const [name, page] of Object.entries({ Ann: ann, Bob: bob })) {
    await checks.check(`SIGINT closes the page of ${name} with 1001`, async () => {
      const [code] = await eventually("a close code", async () => (await page.closeCodes()).length > 0 && page.closeCodes());
      assert.equal(code, 1001);
      assert.equal(await page.ask("document.getElementById('send').disabled"), true);
    });
  }
  await checks.check("SIGINT sends FF 00 to draft76 and then ends the stream", async () => {
    await eventually("FF 00", () => hix.closing);
    await eventually("the end of the stream", () => hix.ended);
    assert.equal(hix.fault, null);
  });
  await checks.check("SIGINT ends the stream of draft75, without another byte", async () => {
    await eventually("the end of the stream", () => old.ended);
    assert.equal(old.fault, null);
  });
  await checks.check("the server ends with exit code 0", async () => assert.deepEqual(await ending, { code: 0, signal: null }));
  await bob.screenshot(join(pictures, "waiting.png"));
}

async function reconnect(server, { ann, bob }) {
  let again;
  await checks.check("the pages come back by themselves to a restarted server, with their names", async () => {
    again = await ChatServer.start(binary, server.host);
    await Promise.all([ann.connected(20_000), bob.connected(20_000)]);
    await eventually("both names", async () => (await ann.people()).sort().join() === "Ann (you) rfc6455,Bob rfc6455");
    await bob.say("back again");
    await ann.heard("Bob", "back again");
    await ann.heard("Ann", "Hello from a page"); // what was said before is still on the page
  });
  await checks.check("the pages notice a server that dies, and come back at the press of a button", async () => {
    await again.stop("SIGKILL");
    await eventually("code 1006", async () => (await ann.state()).code === "1006");
    again = await ChatServer.start(binary, server.host);
    await Promise.all([ann, bob].map(async (page) => {
      await page.click("#retry").catch(() => {}); // it may be back before the click
      await page.connected(20_000);
    }));
    await ann.say("and again");
    await bob.heard("Ann", "and again");
  });
  await checks.check("a server without company ends with exit code 0, too", async () => {
    await Promise.all([ann.close(), bob.close()]);
    assert.deepEqual(await again.stop("SIGINT"), { code: 0, signal: null });
  });
}

async function cleanliness(server, { ann, bob }) {
  await checks.check("the pages asked nobody but the server", async () => {
    const foreign = [...ann.requests, ...bob.requests].filter((url) => !url.startsWith(`${server.url}/`) && !url.startsWith("data:"));
    assert.deepEqual(foreign, []);
  });
  await checks.check("the pages had nothing to complain about", async () => assert.deepEqual([...ann.complaints, ...bob.complaints], []));
}

try {
  await main();
} catch (error) {
  await checks.check("the suite runs to its end", () => { throw error; });
}
process.exit(checks.close());
