// SPDX-License-Identifier: Apache-2.0
// usage: node node_server.js <port>
// GET (any path) is answered with an event stream. POST (any path) publishes its body, one line of data, to all streams.
"use strict";

const http = require("node:http");

const MOST_PENDING = 1 << 20; // bytes; a client that has more to take is cut
const subscribers = new Set();

function subscribe(response) {
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
  response.flushHeaders();
  subscribers.add(response);
  response.on("close", () => subscribers.delete(response));
}

function publish(data) {
  const event = Buffer.from(`data: ${data}\n\n`);
  for (const subscriber of subscribers) {
    subscriber.write(event);
    if (subscriber.writableLength > MOST_PENDING) subscriber.destroy();
  }
}

function receive(request, response) {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    publish(Buffer.concat(chunks).toString());
    response.writeHead(200, { "Content-Length": 0 }).end();
  });
}

const server = http.createServer((request, response) => {
  if (request.method === "POST") receive(request, response);
  else subscribe(response);
});
server.listen(Number(process.argv[2]), "127.0.0.1");
