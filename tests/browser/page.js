// The chat page as its visitor sees it.

import { eventually } from "./checks.js";

export class ChatPage {
  /** Addresses asked for; none may leave the server. */
  requests = [];
  /** Exceptions and complaints of the page. */
  complaints = [];

  #page;

  /** Opens a window, waits until it is connected and gives its visitor a name. */
  static async open(context, url, name) {
    const page = new ChatPage(await context.newPage());
    await page.#page.goto(url);
    await page.connected();
    await page.#page.evaluate(noteCloseCodes);
    await page.#page.fill("#name", name);
    await page.#page.press("#name", "Enter");
    return page;
  }

  constructor(page) {
    this.#page = page;
    page.setDefaultTimeout(5_000);
    page.on("request", (request) => this.requests.push(request.url()));
    page.on("pageerror", (error) => this.complaints.push(error.message));
    page.on("console", (line) => {
      // Chromium reports each refused attempt of a reconnect by itself.
      if (line.type() === "error" && !line.text().startsWith("WebSocket connection to")) this.complaints.push(line.text());
    });
  }

  async type(text) {
    await this.#page.focus("#text");
    await this.#page.keyboard.type(text);
  }

  async say(text) {
    await this.#page.fill("#text", text);
    await this.#page.press("#text", "Enter");
  }

  connected(ms) {
    return eventually("a connected page", async () => (await this.state()).state === "open", ms);
  }

  /** Waits for a message of `name` that reads `text`, letter for letter. */
  heard(name, text) {
    return eventually(`message ${JSON.stringify(text)} of ${name}`, async () =>
      (await this.messages()).find((message) => message.name === name && message.text === text));
  }

  messages() {
    return this.#page.$$eval("#messages > li", (rows) => rows.map((row) => ({
      name: row.querySelector(".name").textContent,
      text: row.querySelector(".text").textContent,
      time: row.querySelector("time").dateTime,
    })));
  }

  people() {
    return this.#page.$$eval("#people > li", (rows) => rows.map((row) =>
      `${row.querySelector(".name").textContent} ${row.querySelector(".version").textContent}`));
  }

  state() {
    return this.#page.$eval("#state", (line) => ({ ...line.dataset, text: line.textContent }));
  }

  /** The close codes the page has shown, oldest first; the next attempt replaces a code soon. */
  closeCodes() {
    return this.#page.evaluate("closeCodes");
  }

  typing() {
    return this.#page.textContent("#typing");
  }

  draft() {
    return this.#page.inputValue("#text");
  }

  /** Evaluates an expression in the page. */
  ask(expression) {
    return this.#page.evaluate(expression);
  }

  click(selector) {
    return this.#page.click(selector);
  }

  press(key) {
    return this.#page.press("#text", key);
  }

  setColours(colorScheme) {
    return this.#page.emulateMedia({ colorScheme });
  }

  setSize(width, height) {
    return this.#page.setViewportSize({ width, height });
  }

  screenshot(path) {
    return this.#page.screenshot({ path, animations: "disabled" });
  }

  close() {
    return this.#page.close();
  }
}

/** Runs in the page. */
function noteCloseCodes() {
  const line = document.getElementById("state");
  globalThis.closeCodes = [];
  new MutationObserver(() => { if (line.dataset.code) globalThis.closeCodes.push(Number(line.dataset.code)); })
    .observe(line, { attributeFilter: ["data-code"] });
}
