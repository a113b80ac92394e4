#!/usr/bin/env node
// Firefox, headless, as the client.

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { browse } from "../lib/browser.js";

/** No first-run pages, and no talk with its makers. */
const PREFERENCES = {
  "app.normandy.enabled": false,
  "app.update.disabledForTesting": true,
  "browser.aboutwelcome.enabled": false,
  "browser.safebrowsing.downloads.remote.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.homepage_override.mstone": "ignore",
  "datareporting.policy.dataSubmissionEnabled": false,
  "extensions.systemAddon.update.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "network.proxy.type": 0,
  "services.settings.server": "",
  "toolkit.telemetry.enabled": false,
};

browse(process.env.FIREFOX ?? "firefox-esr", (profile, url) => {
  const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});`);
  writeFileSync(path.join(profile, "user.js"), lines.join("\n"));
  const certutil = (...options) => execFileSync("certutil", [...options, "-d", `sql:${profile}`]);
  certutil("-N", "--empty-password");
  certutil("-A", "-n", "ours", "-t", "C,,", "-i", process.env.AUTHORITY);
  return ["--headless", "--no-remote", "--profile", profile, url];
}, () => ({ MOZ_HEADLESS: "1" }));
