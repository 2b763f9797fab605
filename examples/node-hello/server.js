// A small app to deploy first: a page, a health check and a WebSocket echo.
//
// Listens on PORT, and on SIGTERM finishes the requests under way before it ends, so that a deploy drops none.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const express = require('express');
const { WebSocketServer } = require('ws');

const port = Number(process.env.PORT || 3000);
const greeting = process.env.GREETING || 'Hello from TOSE';
const version = fs.readFileSync(path.join(__dirname, 'version.txt'), 'utf8').trim();
const drainMs = 10_000;

const escapes = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = (text) => text.replace(/[&<>"']/g, (character) => escapes[character]);

const page = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${escape(greeting)}</title>
  <style>
    body { font: 1.1rem/1.6 system-ui, sans-serif; max-width: 36rem; margin: 18vh auto; padding: 0 1.5rem; color: #1c2330; }
    code { background: #eef1f6; border-radius: .3rem; padding: .1rem .4rem; }
    @media (prefers-color-scheme: dark) { body { background: #12161d; color: #e8ecf3; } code { background: #232a36; } }
  </style>
</head>
<body>
  <h1>${escape(greeting)}</h1>
  <p>Version <code>${escape(version)}</code>, Node.js <code>${process.version}</code>.</p>
  <p>Change <code>version.txt</code>, commit, and deploy again.</p>
</body>
</html>
`;

const app = express();
app.disable('x-powered-by');
app.get('/', (request, response) => response.type('html').send(page));
app.get('/healthz', (request, response) => response.type('text').send('ok\n'));

const server = http.createServer(app);
const sockets = new WebSocketServer({ server, path: '/ws' });
sockets.on('connection', (socket) => {
  socket.on('error', (error) => console.error(`websocket: ${error.message}`));
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});

server.listen(port, () => console.log(`listening on port ${port}, version ${version}`));

function shutdown(signal) {
  console.log(`${signal}: finishing`);
  server.close(() => process.exit(0));
  for (const socket of sockets.clients) socket.close(1001, 'going away');
  setTimeout(() => process.exit(1), drainMs).unref();
}

process.once('SIGTERM', shutdown);
process.once('SIGINT', shutdown);
