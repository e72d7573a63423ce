"use strict";
const $ = (id) => document.getElementById(id);
const KEEP_POSTS = 200, KEEP_TICKS = 60, SILENCE = 10000;

// Text only ever enters the page as text: there is no innerHTML in these files.
function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

// ---------------------------------------------------------------- the board
const board = {
  position: null, early: null, people: new Map(), tabs: {}, ticks: [], limits: null,
  skipped: 0, strikes: 0, flooding: null,
};

// First of all on a connection: tell how far we are, and get what we have missed.
async function enter() {
  const socket = wire.socket;
  board.early = [];
  let view;
  try {
    view = await wire.ask("enter", { since: board.position });
  } catch (error) {
    if (error.code === "bad_position") board.position = null;
    return wire.lost(socket, 1006, error.message);
  }
  const early = board.early, returns = board.position !== null;
  board.early = null;
  // Not recovered: the posts that came early are all there are.
  if (!view.recovered) $("posts").replaceChildren();
  if (returns) noteReturn(view);
  Object.assign(board, { position: view.position, ticks: view.ticks, limits: view.limits, strikes: 0 });
  board.people = new Map(view.people.map((user) => [user, true]));
  early.forEach((packet) => handlers[packet.event](packet, view.recovered));
  showState("connected");
  showLimits();
  showTicks();
  showPeople();
}

const handlers = {
  post({ data, offset }, fresh = true) {
    // What we come back with, should the connection break.
    board.position.offset = Math.max(board.position.offset, offset);
    showPost(data, fresh);
  },
  presence({ data }) {
    for (const { user } of data.joined) board.people.set(user, true);
    for (const user of data.left) board.people.delete(user);
    showPeople();
  },
  tick({ data }) {
    const last = board.ticks.at(-1);
    if (last && data.number > last.number) board.skipped += data.number - last.number - 1;
    board.ticks = [...board.ticks, data].slice(-KEEP_TICKS);
    board.tabs = data.tabs;
    showTicks();
    showPeople();
  },
  expiring() { session.prolong(); },
  error({ error }) {
    if (error.code !== "rate_limited") return;
    board.strikes++;
    if (board.flooding) board.flooding.refused++;
    showSoon();
  },
};

// -------------------------------------------------------------- what is shown
const sentence = ({ message }) => `${message[0].toUpperCase()}${message.slice(1)}.`;
const plural = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

let before = "";
function showState(state, why = "") {
  const words = { out: "signed out", waiting: "reconnecting", parked: "put out" };
  $("status").dataset.state = state;
  $("status").textContent = words[state] ?? state;
  $("why").textContent = why || `${wire.why} · trying…`;
  $("now").textContent = state === "parked" ? "Come back" : "Try now";
  if (document.activeElement === $("now") && state !== "parked" && state !== "waiting") $("text").focus();
  $("now").hidden = state === "connecting";
  // The first connecting is no loss worth a strip.
  $("strip").hidden = state === "connected" || state === "out" || !wire.why;
  $("door").hidden = state !== "out";
  $("board").hidden = state === "out" || (!board.limits && $("board").hidden && state !== "connected");
  $("me").hidden = $("sign-out").hidden = state === "out";
  $("me").textContent = session.user ?? "";
  // Not disabled: that would take the keyboard's place away.
  for (const id of ["send", "flood", "cut"]) $(id).setAttribute("aria-disabled", state !== "connected");
  if (state !== before && state !== "connecting") {
    $("spoken").textContent = state === "waiting" ? wire.why : $("status").textContent;
    if (state === "connected" && before === "out") $("text").focus();
    before = state;
  }
  if (state === "connected") wire.why = "";
}

function signOut(why = "") {
  clearInterval(wire.ticker);
  wire.turn++;
  wire.drop();
  wire.why = "";
  session.forget();
  $("user").value ||= session.user ?? "";
  $("refusal").textContent = why;
  $("refusal").hidden = !why;
  showState("out");
  $("user").focus();
}

function avatar(user) {
  const node = make("span", "avatar", [...user][0]);
  let hue = 0;
  for (const letter of user) hue = (hue * 31 + letter.codePointAt(0)) % 360;
  node.style.setProperty("--hue", hue);
  node.setAttribute("aria-hidden", "true");
  return node;
}

function append(item) {
  const posts = $("posts"), follows = posts.scrollHeight - posts.scrollTop - posts.clientHeight < 40;
  posts.append(item);
  while (posts.children.length > KEEP_POSTS) posts.firstElementChild.remove();
  if (follows) posts.scrollTop = posts.scrollHeight;
}

function showPost({ by, text, at }, fresh) {
  const item = make("li", `${by === null ? "server" : "person"}${fresh ? " fresh" : ""}`), time = make("time");
  time.dateTime = new Date(at).toISOString();
  time.textContent = new Date(at).toLocaleTimeString();
  const said = make("span", "text", text);
  said.dir = "auto";
  item.append(make("span", by === null ? "unseen" : "by", by ?? "the server"), time, said);
  append(item);
}

function noteReturn({ recovered, missed }) {
  const words = recovered ? `Caught up: ${plural(missed, "post")} missed` : "Missed too much: loaded anew";
  $("caught").textContent = words;
  $("caught").dataset.kind = recovered ? "good" : "lost";
  append(make("li", `note${recovered ? "" : " lost"}`, words));
}

function showPeople() {
  const people = [...board.people.keys()].sort((a, b) => a.localeCompare(b));
  $("headcount").textContent = plural(people.length, "user");
  $("people").replaceChildren(...people.map((user) => {
    const item = make("li");
    item.append(avatar(user), make("span", "name", user));
    if (Object.hasOwn(board.tabs, user)) item.append(make("span", "tag tabs", `${board.tabs[user]} tabs`));
    if (user === session.user) item.append(make("small", "", "you"));
    return item;
  }));
}

function showToken() {
  const left = session.left, notice = board.limits?.renew_seconds ?? 0;
  $("left").textContent = Math.ceil(left);
  $("token").value = Math.min(1, left / session.seconds);
  $("token").toggleAttribute("data-near", left <= notice);
  $("renewals").textContent = session.renewals ? `renewed ${plural(session.renewals, "time")}` : "not renewed yet";
}

function list(id, entries) {
  $(id).replaceChildren(...entries.flatMap(([name, value]) => [make("dt", "", name), make("dd", "", String(value))]));
}

function showLimits() {
  const limits = board.limits, flooding = board.flooding;
  if (!limits) return;
  const round = (number) => Math.round(number * 10) / 10;
  $("token-rule").textContent = `It holds for ${round(limits.token_seconds)} s. The server says so ${round(limits.renew_seconds)} s before the end, and the page renews it without reconnecting.`;
  list("limits", [
    ["Messages a second", limits.message_rate],
    ["At once, after a silence", limits.message_burst],
    ["Strikes until the end", limits.max_strikes],
    ["Connections of one address", limits.max_connections_per_address],
    ["Posts kept for who comes back", `${limits.history_messages}, ${limits.history_seconds} s`],
  ]);
  $("strikes").textContent = `${board.strikes} of ${limits.max_strikes}`;
  $("strikes-bar").value = Math.min(1, board.strikes / limits.max_strikes);
  $("flood").textContent = `Flood: ${floodSize()} at once`;
  if (flooding) $("flooded").textContent = `${flooding.sent} sent at once: ${flooding.handled} handled, ${flooding.refused} refused${flooding.ended ? ", then disconnected" : ""}.`;
}

// Not sixty times for sixty answers: what is said here is read aloud.
let soon = 0;
function showSoon() { soon ||= setTimeout(() => { soon = 0; showLimits(); }, 150); }

function showTicks() {
  const last = board.ticks.at(-1);
  if (!last) return;
  for (const name of ["received", "sent", "limited", "dropped"]) $(name).textContent = Math.round(last[name]);
  $("connected").textContent = last.connections;
  $("skipped").textContent = board.skipped;
  draw("messages", { in: "received", out: "sent" });
  draw("connections", { in: "connections" });
  draw("losses", { bad: "limited", off: "dropped" });
  list("counters", Object.entries(last.counters).map(([name, value]) => [name.replaceAll("_", " "), value]));
}

// ---------------------------------------------------------------- the charts
const WIDTH = 600, HEIGHT = 120;

function shape(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

// The next round number: 1, 2, 5, 10, 20, 50 and so on.
function ceiling(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
  return power * [1, 2, 5, 10].find((step) => step * power >= most);
}

function draw(id, lines) {
  const names = Object.values(lines), newest = board.ticks.at(-1).number;
  const top = ceiling(Math.max(4, ...board.ticks.flatMap((tick) => names.map((name) => tick[name]))));
  const at = (tick, name) => [
    WIDTH - (newest - tick.number) * WIDTH / (KEEP_TICKS - 1), HEIGHT - tick[name] * HEIGHT / top,
  ].map((number) => number.toFixed(1)).join(" ");
  const parts = [0, 0.5, 1].map((part) => shape("line", { x1: 0, x2: WIDTH, y1: part * HEIGHT, y2: part * HEIGHT }));
  for (const [color, name] of Object.entries(lines)) {
    const path = `M${board.ticks.map((tick) => at(tick, name)).join("L")}`;
    const [first] = at(board.ticks[0], name).split(" ");
    parts.push(shape("path", { class: `area ${color}`, d: `${path}V${HEIGHT}H${first}Z` }));
    parts.push(shape("path", { class: `line ${color}`, d: path }));
  }
  $(id).replaceChildren(...parts);
  $(id).setAttribute("aria-label", names.map((name) => `${name} ${Math.round(board.ticks.at(-1)[name])}`).join(", "));
  $(`${id}-top`).textContent = top;
}

// -------------------------------------------------------------- what is done
const floodSize = () => board.limits.message_burst + 20;

$("login").onsubmit = async (event) => {
  event.preventDefault();
  $("login-go").disabled = true;
  try {
    await session.login($("user").value);
    Object.assign(board, { position: null, ticks: [], flooding: null });
    wire.open();
  } catch (error) {
    $("refusal").textContent = error.status ? sentence(error) : "The server does not answer. Try again.";
    $("refusal").hidden = false;
  }
  $("login-go").disabled = false;
};
$("sign-out").onclick = () => signOut();
$("now").onclick = () => wire.hurry();
$("write").onsubmit = async (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text || !wire.opened) return;
  $("text").value = "";
  $("problem").hidden = true;
  try {
    await wire.ask("post", { text });
  } catch (error) {
    $("text").value ||= text;  // nothing typed is lost
    $("problem").textContent = `Not posted: ${error.message}.`;
    $("problem").hidden = false;
  }
};
$("flood").onclick = () => {
  if (!wire.opened) return;
  const flooding = board.flooding = { sent: floodSize(), handled: 0, refused: 0 };
  for (let sent = 0; sent < flooding.sent; sent++) {
    // Those that are refused get no answer: nobody has read whom to give it to.
    wire.ask("flood", null, 4000).then(() => { flooding.handled++; showSoon(); }, () => {
      if (wire.opened) return;
      flooding.ended = true;
      showSoon();
    });
  }
};
$("cut").onclick = () => wire.tell("cut", 5);

addEventListener("online", () => wire.hurry());
addEventListener("pageshow", (event) => { if (event.persisted) wire.hurry(); });
setInterval(showToken, 250);
setInterval(() => {
  // A laptop that slept holds a socket that looks open; ticks prove that it is.
  if (wire.opened && Date.now() - wire.heard > SILENCE) wire.lost(wire.socket);
}, 1000);

if (session.token) wire.open();
else signOut();
