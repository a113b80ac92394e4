// An echo server over ws, as its README shows one.
'use strict';

const { WebSocketServer } = require('ws');

const args = process.argv.slice(2);
const at = args.indexOf('--listen');
const address = at < 0 ? '127.0.0.1:9001' : args[at + 1];
const [host, port] = address.split(':');

const server = new WebSocketServer({ host, port: Number(port), backlog: 1024 });
server.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
