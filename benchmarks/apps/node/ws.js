// ws, as its documentation has it: a loop over the open sockets.

import { createServer } from "node:http";
import { WebSocket, WebSocketServer } from "ws";

const members = new Set();

function envelope(event, data) {
  return JSON.stringify({ event, data, namespace: "/" });
}

function obey(socket, { event, data }) {
  if (event === "echo") {
    socket.send(envelope("echo", data));
  } else if (event === "join") {
    members.add(socket);
    socket.send(envelope("joined", null));
  } else if (event === "go") {
    for (let i = 0; i < data.count; i++) {
      const text = envelope("news", data.payload);
      for (const member of members) {
        if (member.readyState === WebSocket.OPEN) member.send(text);
      }
    }
  }
}

const server = createServer();
new WebSocketServer({ server, path: "/ws" }).on("connection", (socket) => {
  socket.on("message", (text) => obey(socket, JSON.parse(text)));
  socket.on("close", () => members.delete(socket));
  socket.on("error", () => {});
});
server.listen({ fd: Number(process.argv[2]) });
