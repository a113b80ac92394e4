#!/usr/bin/env node
// npm `ws` with its defaults: an echo server.

import { WebSocketServer } from "ws";

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
server.on("connection", (socket) => {
  socket.on("error", () => {}); // it closes by itself
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.on("listening", () => console.log(`listening on 127.0.0.1:${server.address().port}`));
