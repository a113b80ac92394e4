#!/usr/bin/env node
// npm `websocket-driver`, on which `faye-websocket` stands, on Node's http server. Its option
// `allowDrafts` is what makes it speak draft75 and draft76.

import http from "node:http";
import deflate from "permessage-deflate";
import driver from "websocket-driver";
import { announce, answer, closed } from "../lib/commands.js";
import { version } from "../lib/judge.js";

/** What the server wants of permessage-deflate, at a path of its own each. */
const DEFLATE = new Map([
  ["/1", ["deflate:server_no_context_takeover", { noContextTakeover: true }]],
  ["/2", ["deflate:client_no_context_takeover", { requestNoContextTakeover: true }]],
  ["/3", ["deflate:client_max_window_bits=10", { requestMaxWindowBits: 10 }]],
]);

const server = http.createServer((_, response) => {
  response.writeHead(426, { Connection: "Upgrade, close", Upgrade: "websocket" }).end();
});
server.on("upgrade", (request, stream, head) => {
  stream.on("error", () => {});
  const origin = request.headers.origin;
  if (!driver.isWebSocket(request) || origin === "http://evil.example") {
    const status = origin === "http://evil.example" ? "403 Forbidden" : "400 Bad Request";
    stream.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    return;
  }
  const socket = driver.http(request, { allowDrafts: true, protocols: ["chat"] });
  const [, options] = DEFLATE.get(request.url) ?? [];
  socket.addExtension(options ? deflate.configure(options) : deflate);
  const peer = {
    request,
    pings: [],
    send: (text) => socket.text(text),
    close: (code, reason) => socket.close(reason, code),
    ping: (payload) => socket.ping(payload, () => socket.text(`pong ${payload}`)),
  };
  socket.io.write(head);
  stream.pipe(socket.io).pipe(stream);
  socket.on("ping", ({ data }) => peer.pings.push(data.toString()));
  socket.on("message", ({ data }) => (typeof data === "string" ? answer(data, peer) : socket.binary(data)));
  // As faye-websocket does it: the stream ends with the connection.
  socket.on("close", ({ code, reason }) => {
    closed(code, reason);
    stream.end();
  });
  stream.on("end", () => stream.end());
  socket.start();
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address();
  announce({
    library: `Node websocket-driver ${version("websocket-driver")} (of faye-websocket)`,
    speaks: "draft75,draft76,rfc6455",
    cannot: "fragments subprotocol/draft75 subprotocol/draft76",
    variant: [...DEFLATE].map(([path, [name]]) => `${name} ws://127.0.0.1:${port}${path}`),
  }, { port });
});
