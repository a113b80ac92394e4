// Starts and stops the chat example.

import { spawn } from "node:child_process";
import { eventually } from "./checks.js";

export class ChatServer {
  #child;
  #output = "";
  #exit = null;

  /** Starts `binary` and waits until it has said where it listens. */
  static async start(binary, listen = "127.0.0.1:0", options = []) {
    const server = new ChatServer(spawn(binary, ["--listen", listen, ...options], { stdio: ["ignore", "pipe", "pipe"] }));
    const said = await eventually(`an address of ${binary}`, () => server.#address(), 10_000);
    [server.url, server.host, server.port] = [said[0], `127.0.0.1:${said[1]}`, Number(said[1])];
    return server;
  }

  constructor(child) {
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => { this.#output += data; });
    child.on("error", (error) => { this.#exit = { code: null, signal: error.message }; });
    child.on("exit", (code, signal) => { this.#exit = { code, signal }; });
    process.on("exit", () => child.kill("SIGKILL"));
  }

  /** Sends the signal and waits for the end; answers `{ code, signal }`. */
  async stop(signal, ms = 10_000) {
    this.#child.kill(signal);
    return eventually(`the end of the server after ${signal}`, () => this.#exit, ms);
  }

  #address() {
    if (this.#exit) throw new Error(`the server ended at once (${JSON.stringify(this.#exit)}): ${this.#output.trim()}`);
    return /https?:\/\/127\.0\.0\.1:(\d+)/.exec(this.#output);
  }
}
