#!/usr/bin/env node
// npm `ws` as the server, and what its hook for headers makes of good answers.

import http from "node:http";
import { WebSocketServer } from "ws";
import { announce, answer, closed } from "../lib/commands.js";
import { version } from "../lib/judge.js";

/** What the server wants of permessage-deflate, at a path of its own each. */
const DEFLATE = {
  server_no_context_takeover: { serverNoContextTakeover: true },
  client_no_context_takeover: { clientNoContextTakeover: true },
  "server_max_window_bits=9": { serverMaxWindowBits: 9 },
  "client_max_window_bits=9": { clientMaxWindowBits: 9 },
  "server_no_context_takeover,client_no_context_takeover,server_max_window_bits=10,client_max_window_bits=11": {
    serverNoContextTakeover: true, clientNoContextTakeover: true, serverMaxWindowBits: 10, clientMaxWindowBits: 11,
  },
};

/** Changes of the answer. */
const WRONG = {
  "wrong-accept": (lines) => put(lines, "Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
  "no-accept": (lines) => put(lines, "Sec-WebSocket-Accept"),
  "wrong-upgrade": (lines) => put(lines, "Upgrade", "carrier-pigeon"),
  "wrong-connection": (lines) => put(lines, "Connection", "close"),
  "wrong-protocol": (lines) => put(lines, "Sec-WebSocket-Protocol", "not-offered"),
  "wrong-extension": (lines) => put(lines, "Sec-WebSocket-Extensions", "x-not-offered"),
  "wrong-window": (lines) => put(lines, "Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=16"),
  "wrong-parameter": (lines) => put(lines, "Sec-WebSocket-Extensions", "permessage-deflate; no_such_parameter"),
};

function put(lines, name, value) {
  const at = lines.findIndex((line) => line.startsWith(`${name}:`));
  if (at >= 0) lines.splice(at, 1);
  if (value !== undefined) lines.push(`${name}: ${value}`);
}

function serve(options) {
  const server = new WebSocketServer({
    verifyClient: ({ origin }, decide) => decide(origin !== "http://evil.example", 403),
    ...options,
  });
  server.on("connection", (socket, request) => {
    const peer = {
      request,
      pings: [],
      send: (text) => socket.send(text),
      close: (code, reason) => socket.close(code, reason),
      ping: (payload) => {
        socket.once("pong", (data) => socket.send(`pong ${data}`));
        socket.ping(payload);
      },
      fragments: (binary) => {
        const bytes = Buffer.from("one 世界 text");
        socket.send(bytes.subarray(0, 5), { binary, fin: false });
        socket.send(bytes.subarray(5, 9), { binary, fin: false });
        socket.send(bytes.subarray(9), { binary, fin: true });
      },
    };
    socket.on("error", () => {}); // it closes by itself
    socket.on("ping", (data) => peer.pings.push(data.toString()));
    socket.on("close", (code, reason) => closed(code, reason));
    socket.on("message", (data, isBinary) => (isBinary ? socket.send(data) : answer(data.toString(), peer)));
  });
  return server;
}

const variants = new Map();
for (const [name, options] of Object.entries(DEFLATE)) {
  variants.set(`deflate:${name}`, serve({ noServer: true, perMessageDeflate: { threshold: 0, ...options } }));
}
for (const [name, change] of Object.entries(WRONG)) {
  variants.set(name, serve({ noServer: true }).on("headers", change));
}
const sites = new Map([...variants.values()].map((site, index) => [`/${index}`, site]));

const beside = http.createServer();
beside.on("upgrade", (request, socket, head) => {
  const site = sites.get(request.url);
  site.handleUpgrade(request, socket, head, (opened) => site.emit("connection", opened, request));
});
beside.listen(0, "127.0.0.1", () => {
  const { port } = beside.address();
  const main = serve({ host: "127.0.0.1", port: 0, perMessageDeflate: { threshold: 0 } });
  main.on("listening", () => announce({
    library: `Node ws ${version("ws")}`,
    speaks: "hybi-08,rfc6455",
    variant: [...variants.keys()].map((name, index) => `${name} ws://127.0.0.1:${port}/${index}`),
  }, main.address()));
});
