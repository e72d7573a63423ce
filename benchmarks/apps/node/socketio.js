// socket.io, as its documentation has it: rooms, and emits to a room.

import { createServer } from "node:http";
import { Server } from "socket.io";

const server = createServer();
const io = new Server(server);

io.on("connection", (socket) => {
  socket.on("echo", (data) => socket.emit("echo", data));
  socket.on("join", () => {
    socket.join("everyone");
    socket.emit("joined");
  });
  socket.on("go", ({ count, payload }) => {
    for (let i = 0; i < count; i++) io.to("everyone").emit("news", payload);
  });
});
server.listen({ fd: Number(process.argv[2]) });
