// An echo and broadcast server over ws, as its README shows both.
'use strict';

const fs = require('fs');
const http = require('http');
const https = require('https');
const { WebSocket, WebSocketServer } = require('ws');

const args = process.argv.slice(2);
const has = (name) => args.includes(name);
const after = (name, n = 1) => args[args.indexOf(name) + n];

const [host, port] = (has('--listen') ? after('--listen') : '127.0.0.1:9001').split(':');
const takeover = has('--deflate-takeover');
const perMessageDeflate = (takeover || has('--deflate')) && {
  serverNoContextTakeover: !takeover,
  clientNoContextTakeover: !takeover,
};
const web = has('--tls')
  ? https.createServer({ cert: fs.readFileSync(after('--tls')), key: fs.readFileSync(after('--tls', 2)) })
  : http.createServer();
const server = new WebSocketServer({ server: web, perMessageDeflate });
const broadcast = has('--broadcast');

server.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', (data, isBinary) => {
    if (!broadcast) {
      socket.send(data, { binary: isBinary });
      return;
    }
    server.clients.forEach((client) => {
      if (client !== socket && client.readyState === WebSocket.OPEN) {
        client.send(data, { binary: isBinary });
      }
    });
  });
});
web.listen({ host, port: Number(port), backlog: 4096 });
