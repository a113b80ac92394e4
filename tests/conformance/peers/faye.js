#!/usr/bin/env node
// npm `websocket-driver`, on which `faye-websocket` stands, on Node's http server: an echo server.
// Its option `allowDrafts` is what makes it speak draft75 and draft76; the rest are defaults.

import http from "node:http";
import driver from "websocket-driver";

const server = http.createServer((_, response) => {
  response.writeHead(426, { Connection: "Upgrade, close", Upgrade: "websocket" }).end();
});
server.on("upgrade", (request, stream, head) => {
  stream.on("error", () => {});
  if (!driver.isWebSocket(request)) {
    stream.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    return;
  }
  const socket = driver.http(request, { allowDrafts: true });
  socket.io.write(head);
  stream.pipe(socket.io).pipe(stream);
  socket.messages.on("data", (message) => socket.messages.write(message));
  // As faye-websocket does it: the stream ends with the connection.
  socket.on("close", () => stream.end());
  stream.on("end", () => stream.end());
  socket.start();
});
server.listen(0, "127.0.0.1", () => console.log(`listening on 127.0.0.1:${server.address().port}`));
