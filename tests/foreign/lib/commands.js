// The commands that our client sends to servers in JavaScript; README.md has the list.

let lastClose = "";

/** Notes how a connection ended, for `!last-close`. */
export function closed(code, reason) {
  lastClose = `closed ${code} ${reason}`;
}

/**
 * Answers a text, which is a command if it begins with "!" and echoed otherwise.
 * `peer` has request (of Node's http), pings, send(text), and what its library has of
 * close(code, reason), ping(payload) and fragments(binary).
 */
export function answer(text, peer) {
  const [, command, rest] = /^!(\S+) ?(.*)$/s.exec(text) ?? [];
  const [code, ...reason] = (rest ?? "").split(" ");
  switch (command) {
    case "close": return peer.close(code === "" ? undefined : Number(code), reason.join(" "));
    case "fragments": return peer.fragments(rest === "binary");
    case "header": return peer.send(`header ${peer.request.headers[rest] ?? ""}`);
    case "last-close": return peer.send(lastClose);
    case "ping": return peer.ping(rest);
    case "pings": return peer.send(`pings ${peer.pings.join()}`);
    default: return peer.send(text);
  }
}

/** Says what our client needs to know. */
export function announce(about, address) {
  for (const [word, values] of Object.entries(about)) {
    for (const value of [values].flat()) console.log(`${word} ${value}`);
  }
  console.log(`listening on 127.0.0.1:${address.port}`);
}
