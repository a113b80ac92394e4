// Has a browser open page.js, and passes on what the page tells.

import { execFileSync, spawn } from "node:child_process";
import { readFileSync, rmSync, mkdtempSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";

const PAGE = "<!doctype html><title>checks</title><script type=module src=/page.js></script>";
const { ECHO, PAGES, PAGES_DEFLATE, PAGES_SECURE } = process.env;
const SECONDS = 110; // the runner waits for 120

/** Starts `program` with `options(profile, url)` and ends it when the page is done. */
export function browse(program, options, environment = () => ({})) {
  const script = readFileSync(new URL("page.js", import.meta.url));
  const profile = mkdtempSync(path.join(tmpdir(), "foreign-browser-"));
  let checks = 0;
  let browser;

  console.log(`library ${execFileSync(program, ["--version"], { env: { ...process.env, HOME: profile } }).toString().trim()}`);

  const end = (status) => {
    try {
      process.kill(-browser.pid, "SIGKILL"); // its processes, which are a group of their own
    } catch {
      // It is gone.
    }
    rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    if (status === 0) console.log(`done ${checks}`);
    process.exit(status);
  };

  const answers = {
    "GET /": (_, response) => response.setHeader("Content-Type", "text/html").end(PAGE),
    "GET /page.js": (_, response) => response.setHeader("Content-Type", "text/javascript").end(script),
    "GET /servers": (_, response) => response.end(JSON.stringify({ ECHO, PAGES, PAGES_DEFLATE, PAGES_SECURE })),
    "POST /line": (line, response) => {
      checks += 1;
      console.log(line.replaceAll("\n", " "));
      response.end();
    },
    "POST /done": (_, response) => response.end(() => end(0)),
  };
  const server = http.createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    const answer = answers[`${request.method} ${request.url}`];
    if (answer) answer(body, response);
    else response.writeHead(404).end();
  });
  server.listen(0, "127.0.0.1", () => {
    const url = `http://127.0.0.1:${server.address().port}/`;
    browser = spawn(program, options(profile, url), {
      detached: true, stdio: "ignore", env: { ...process.env, HOME: profile, ...environment(profile) },
    });
    browser.on("error", (error) => { console.error(error.message); end(1); });
    browser.on("exit", (code) => { console.error(`the browser ended with ${code}`); end(1); });
  });
  for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => end(1));
  setTimeout(() => { console.error(`the page was not done within ${SECONDS} s`); end(1); }, SECONDS * 1000);
}
