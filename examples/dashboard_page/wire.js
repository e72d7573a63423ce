"use strict";

// The token and the wire. What is shown, and what is done with it, is in page.js.

// Storage may be forbidden; the page works without.
function stored(key, value) {
  try {
    if (value === undefined) return sessionStorage.getItem(key);
    sessionStorage.setItem(key, value);
  } catch { /* private mode */ }
  return null;
}

// ---------------------------------------------------------------- the token
// It lives for seconds: a new one is had for the old one, before that expires.
const session = {
  user: null, token: stored("token") || "", until: 0, seconds: 1, renewals: 0,

  async post(path, headers, body) {
    const signal = AbortSignal.timeout(8000), turn = wire.turn;
    const response = await fetch(path, { method: "POST", cache: "no-store", headers, body, signal });
    const answer = await response.json();
    if (!response.ok) throw Object.assign(new Error(answer.error), { status: response.status });
    if (turn !== wire.turn) throw new Error("signed out, or come again, meanwhile");
    this.user = answer.user;
    this.token = answer.token;
    this.seconds = answer.seconds;
    this.until = Date.now() + answer.seconds * 1000;
    stored("token", this.token);
  },

  login(user) { return this.post("login", { "content-type": "application/json" }, JSON.stringify({ user })); },
  renew() { return this.post("renew", { authorization: `Bearer ${this.token}` }); },
  get left() { return Math.max(0, (this.until - Date.now()) / 1000); },
  forget() { this.token = ""; this.until = 0; stored("token", ""); },

  // The connection stays: the server takes the new token in a message.
  async prolong() {
    const socket = wire.socket;
    while (socket === wire.socket && this.left > 0) {
      try {
        await this.renew();
        await wire.ask("renew", { token: this.token }, 2000);
        this.renewals++;
        return showToken();
      } catch (error) {
        if (error.status === 401) return signOut(sentence(error));
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }
  },
};

// ----------------------------------------------------------------- the wire
// One socket at a time, in Greenroom's JSON envelope. A request is an event
// with an id; its promise ends with the ack, a timeout, or the connection.
const wire = {
  socket: null, opened: false, doubt: false, turn: 0, lastId: 0, waiting: new Map(),
  attempt: 0, retryAt: 0, ticker: 0, stable: 0, heard: 0, why: "",

  async open() {
    clearInterval(this.ticker);
    this.drop();
    const turn = ++this.turn;
    showState("connecting");
    try {
      // A token in a URL gets into logs: one that is about to expire is no loss. And
      // why a handshake was refused no browser tells: it may have been the token.
      if (this.doubt || session.left < session.seconds / 2) await session.renew();
    } catch (error) {
      if (turn !== this.turn) return;
      if (error.status === 401) return signOut(sentence(error));
      return this.wait("The server does not answer");
    }
    if (turn !== this.turn) return;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const url = `${scheme}://${location.host}/ws?access_token=${encodeURIComponent(session.token)}`;
    const socket = this.socket = new WebSocket(url);
    const slow = setTimeout(() => this.lost(socket), 8000);
    socket.onopen = () => {
      clearTimeout(slow);
      this.opened = true;
      this.doubt = false;
      this.heard = Date.now();
      // Only a connection that lasts earns a fresh start.
      this.stable = setTimeout(() => { this.attempt = 0; }, 5000);
      enter();
    };
    socket.onmessage = (message) => this.read(message.data);
    socket.onclose = ({ code, reason }) => { clearTimeout(slow); this.lost(socket, code, reason); };
  },

  read(text) {
    const packet = JSON.parse(text);
    this.heard = Date.now();
    if ("ack" in packet) {
      const pending = this.waiting.get(packet.ack);
      this.waiting.delete(packet.ack);
      if (!pending) return;
      clearTimeout(pending.timer);
      if (packet.error) pending.reject(Object.assign(new Error(packet.error.message), packet.error));
      else pending.resolve(packet.data);
    } else if (packet.event === "ping") {
      this.socket.send(JSON.stringify({ ack: packet.id }));
    } else if (Object.hasOwn(handlers, packet.event)) {
      // What overtakes the answer of `enter` has to wait for it.
      if (board.early && packet.event !== "error") board.early.push(packet);
      else handlers[packet.event](packet);
    }
  },

  tell(event, data, id) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify({ event, data, id }));
    return true;
  },

  ask(event, data, patience = 8000) {
    return new Promise((resolve, reject) => {
      const id = ++this.lastId;
      if (!this.tell(event, data, id)) return reject(new Error("not connected"));
      const timer = setTimeout(() => {
        this.waiting.delete(id);
        reject(new Error("the server did not answer"));
      }, patience);
      this.waiting.set(id, { resolve, reject, timer });
    });
  },

  drop() {
    clearTimeout(this.stable);
    const socket = this.socket;
    this.socket = null;
    this.opened = false;
    if (socket) { socket.onopen = socket.onmessage = socket.onclose = null; socket.close(); }
    for (const pending of this.waiting.values()) {
      clearTimeout(pending.timer);
      pending.reject(new Error("the connection was lost"));
    }
    this.waiting.clear();
  },

  // What the close code says decides whether to come back, and when.
  lost(socket, code = 1006, reason = "") {
    if (socket !== this.socket) return;  // news of one already replaced
    const opened = this.opened, [words, hint] = reason.split("; retry-after=");
    this.doubt = !opened;
    this.drop();
    if (code === 3000) return signOut("Your token has expired. Sign in again.");
    if (code === 3003 && !hint) return this.park(`You were put out: ${words}`);
    const after = Number.parseFloat(hint);
    if (code === 1012) return this.wait("The server restarts", after);
    if (code === 1008) return this.wait(`Disconnected: ${words}`, 5);
    if (!opened) return this.wait("Refused at the door: the server is full, or restarts, or has too many from your address");
    this.wait(words ? `Disconnected: ${words}` : "Connection lost", after);
  },

  // At *seconds*, if the server has said so. Else doubling, capped, and half of it
  // chance, so that not everybody comes back in one instant.
  wait(why, seconds) {
    if (!Number.isFinite(seconds)) seconds = Math.min(15, 0.5 * 2 ** this.attempt++) * (0.5 + Math.random() / 2);
    this.why = why;
    this.retryAt = Date.now() + seconds * 1000;
    const tick = () => {
      const left = this.retryAt - Date.now();
      if (left <= 0) return this.open();
      showState("waiting", `${why} · back in ${Math.ceil(left / 1000)} s`);
    };
    clearInterval(this.ticker);
    this.ticker = setInterval(tick, 250);
    tick();
  },

  park(why) {
    clearInterval(this.ticker);
    this.turn++;
    this.drop();
    this.why = why;
    showState("parked", why);
  },

  hurry() { if (this.socket === null && session.token) this.open(); },
};

