// What the clients in JavaScript share: checks with a deadline, and what becomes of them.

import { readFileSync } from "node:fs";

const DEADLINE = 10_000; // ms

let checks = 0;
let unused = [];

/** Says which library is judged, and which checks its known faults make fail. */
export function begin(name, deviations = []) {
  console.log(`library Node ${name} ${version(name)}`);
  unused = [...deviations];
}

export function version(name) {
  return JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url))).version;
}

export async function test(name, body) {
  checks += 1;
  const known = unused.includes(name);
  unused = unused.filter((deviation) => deviation !== name);
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(reject, DEADLINE, new Error(`not done within ${DEADLINE} ms`)); });
  try {
    await Promise.race([body(), late]);
    console.log(known ? `not ok ${name}: it is listed as a deviation, and passes` : `ok ${name}`);
  } catch (error) {
    console.log(`${known ? "deviates" : "not ok"} ${name}: ${error.message.replaceAll("\n", " ")}`);
  } finally {
    clearTimeout(timer);
  }
}

export function end() {
  for (const name of unused) console.log(`not ok ${name}: it is listed as a deviation, but was not run`);
  console.log(`done ${checks + unused.length}`);
  process.exit(0);
}
