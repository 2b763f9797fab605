// Uses the npm package `ws` as its own documentation does, and prints what happens, one JSON value a line.
'use strict';

const WebSocket = require('ws');

const { WS_URL, WS_HEADERS, WS_SEND } = process.env;
const ws = new WebSocket(WS_URL, { headers: JSON.parse(WS_HEADERS) });
const print = (event) => console.log(JSON.stringify(event));

ws.on('open', () => {
  print({ open: true });
  if (WS_SEND) ws.send(WS_SEND);
});
ws.on('message', (data, isBinary) => {
  print({ message: data.toString(), isBinary });
  if (WS_SEND) ws.close(1000);
});
ws.on('unexpected-response', (request, response) => {
  print({ refused: response.statusCode });
  request.destroy();
});
ws.on('error', (error) => print({ error: error.message }));
ws.on('close', (code) => print({ close: code }));
