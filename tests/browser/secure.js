// The chat over wss://, with a certificate that this run made: two pages talk, and a picture is kept.
// Usage: secure.js BINARY CHROMIUM PICTURES NAME CERTIFICATE KEY

import assert from "node:assert/strict";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { Checks } from "./checks.js";
import { ChatPage } from "./page.js";
import { ChatServer } from "./server.js";

const [binary, executablePath, pictures, name, certificate, key] = process.argv.slice(2);
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--ignore-certificate-errors"];
const checks = new Checks(`browser over wss://, ${name}`);

async function main() {
  const browser = await chromium.launch({ executablePath, headless: true, args: FLAGS });
  try {
    const server = await ChatServer.start(binary, "127.0.0.1:0", ["--tls-cert", certificate, "--tls-key", key]);
    const context = await browser.newContext({ viewport: { width: 1100, height: 720 }, locale: "en-GB", ignoreHTTPSErrors: true });
    let ann, bob;
    await checks.check("the address is an https:// one", async () => assert.ok(server.url.startsWith("https://"), server.url));
    await checks.check("two pages join over TLS", async () => {
      ann = await ChatPage.open(context, server.url, "Ann");
      bob = await ChatPage.open(context, server.url, "Bob");
      assert.equal(await ann.ask("location.protocol"), "https:");
    });
    await checks.check("they hear each other", async () => {
      await ann.say(`Hello over wss:// on ${name}`);
      await bob.heard("Ann", `Hello over wss:// on ${name}`);
      await bob.say("Grüße, κόσμε, мир!");
      await ann.heard("Bob", "Grüße, κόσμε, мир!");
    });
    await checks.check("they see what their addresses say", async () => {
      await ann.say(`My page came from ${await ann.ask("location.origin")}.`);
      await bob.heard("Ann", `My page came from ${server.url.replace(/\/$/, "")}.`);
      await bob.say("Mine, too: only a wss:// socket may be opened from here.");
      await ann.heard("Bob", "Mine, too: only a wss:// socket may be opened from here.");
    });
    await checks.check("a picture", () => bob.screenshot(join(pictures, `wss-${name}.png`)));
    await checks.check("a long message goes through", async () => {
      await ann.say("long ".repeat(390).trim());
      await bob.heard("Ann", "long ".repeat(390).trim());
      await bob.say("That was long, 世界 👋🏽.");
      await ann.heard("Bob", "That was long, 世界 👋🏽.");
    });
    await checks.check("SIGINT closes the pages with 1001 and ends the server with exit code 0", async () => {
      assert.deepEqual(await server.stop("SIGINT"), { code: 0, signal: null });
      assert.equal((await ann.closeCodes())[0], 1001);
    });
    await checks.check("the pages had nothing to complain about", async () => assert.deepEqual([...ann.complaints, ...bob.complaints], []));
  } finally {
    await browser.close();
  }
}

try {
  await main();
} catch (error) {
  await checks.check("the suite runs to its end", () => { throw error; });
}
process.exit(checks.close());
