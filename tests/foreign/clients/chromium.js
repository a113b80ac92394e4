#!/usr/bin/env node
// Chromium, headless, as the client.

import { X509Certificate, createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { browse } from "../lib/browser.js";

// The key that it takes for trustworthy, whoever signed it.
const key = new X509Certificate(readFileSync(process.env.CERTIFICATE)).publicKey.export({ type: "spki", format: "der" });
const pin = createHash("sha256").update(key).digest("base64");

browse(process.env.CHROMIUM ?? "chromium", (profile, url) => [
  "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", `--user-data-dir=${profile}`,
  `--ignore-certificate-errors-spki-list=${pin}`, url,
]);
