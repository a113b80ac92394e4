// The chat page. It speaks small JSON texts with the server, and shows what peers wrote as text only, never as HTML.

const MAX_TEXT = 2000; // characters, as in the server
const MAX_SHOWN = 500; // messages kept on the page
const TYPING_SENT_EVERY = 2_000; // ms
const TYPING_SHOWN_FOR = 4_000; // ms; more than one interval above, so that the line does not flicker
const FIRST_RETRY = 500; // ms
const LONGEST_RETRY = 15_000; // ms

const $ = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

let socket = null;
let myId = null;
let failures = 0; // attempts since the last welcome
let retryTimer = null;
let lastTypingSent = 0;
let following = true; // the newest message stays in view until the reader scrolls up
const typing = new Map(); // id -> { name, timer }
const shown = new Set(); // keys of the messages on the page, as a reconnect brings the history again

// --- connection ---

function connect() {
  clearTimeout(retryTimer);
  $("retry").hidden = true;
  showState("connecting", "Connecting…");
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(`${scheme}//${location.host}/chat`);
  socket.onmessage = ({ data }) => receive(data);
  socket.onclose = (event) => retryLater(event);
}

/** Waits longer after each failure, and never as long as the neighbour: a restarted server is not stormed. */
function retryLater({ code, reason }) {
  socket = null;
  clearTyping();
  const longest = Math.min(FIRST_RETRY * 2 ** failures, LONGEST_RETRY);
  const wait = longest * (0.5 + Math.random() / 2);
  failures += 1;
  const why = code === 1001 ? "The server went away" : "Connection lost";
  const detail = reason ? `${code}, ${reason}` : code;
  showState("waiting", `${why} (${detail}), next try in ${Math.ceil(wait / 1000)} s`, code);
  $("retry").hidden = false;
  retryTimer = setTimeout(connect, wait);
}

/** Does not sit out the wait when there is a sign that the network is back or that somebody looks. */
function retryNow() {
  if (socket === null) connect();
}

function send(message) {
  if (socket?.readyState !== WebSocket.OPEN) return false;
  socket.send(JSON.stringify(message));
  return true;
}

function showState(state, text, code = "") {
  const line = $("state");
  line.dataset.state = state;
  line.dataset.code = code;
  line.textContent = text;
  $("send").disabled = state !== "open";
}

// --- from the server ---

function receive(data) {
  let message;
  try {
    message = JSON.parse(data);
  } catch {
    return; // not ours
  }
  switch (message?.type) {
    case "welcome": return welcome(message);
    case "people": return showPeople(message.people);
    case "message": return showMessage(message, true);
    case "typing": return showTyping(message);
  }
}

function welcome({ id, name, version, history }) {
  myId = id;
  failures = 0;
  showState("open", `Connected over ${version}`);
  const chosen = sessionStorage.getItem("name");
  if (chosen) {
    send({ type: "name", name: chosen });
  } else {
    $("name").value = name;
  }
  const list = $("messages");
  list.ariaBusy = "true"; // old messages are not read out
  for (const message of history) showMessage(message, false);
  list.ariaBusy = "false";
}

function showPeople(people) {
  $("count").textContent = people.length;
  $("people").replaceChildren(...people.map(({ id, name, version }) => {
    const label = id === myId ? `${name} (you)` : name;
    const row = element("li", id === myId ? "me" : "", face(name), element("span", "name", label), element("span", "version", version));
    row.title = `${label}, over ${version}`;
    return row;
  }));
  const here = new Set(people.map(({ id }) => id));
  for (const id of typing.keys()) if (!here.has(id)) stopTyping(id);
}

function showMessage({ id, name, text, at }, isNew) {
  stopTyping(id);
  const key = `${at} ${id} ${text}`;
  if (shown.has(key)) return;
  shown.add(key);

  const list = $("messages");
  const mine = id === myId;
  const when = new Date(at);
  const time = element("time", "", clock.format(when));
  time.dateTime = when.toISOString();
  time.title = when.toLocaleString();
  const row = element("li", "message", face(name), element("div", "by", element("span", "name", name), time), element("div", "text", text));
  row.classList.toggle("mine", mine);
  row.classList.toggle("new", isNew);
  row.messageKey = key;
  list.append(row);
  while (list.childElementCount > MAX_SHOWN) {
    shown.delete(list.firstElementChild.messageKey);
    list.firstElementChild.remove();
  }
  following ||= mine;
  follow();
}

function follow() {
  if (following) $("messages").scrollTop = $("messages").scrollHeight;
}

function noteScroll() {
  const { scrollHeight, scrollTop, clientHeight } = $("messages");
  following = scrollHeight - scrollTop - clientHeight < 80;
}

// --- typing ---

function showTyping({ id, name }) {
  if (id === myId) return;
  clearTimeout(typing.get(id)?.timer);
  typing.set(id, { name, timer: setTimeout(stopTyping, TYPING_SHOWN_FOR, id) });
  renderTyping();
}

function stopTyping(id) {
  if (!typing.has(id)) return;
  clearTimeout(typing.get(id).timer);
  typing.delete(id);
  renderTyping();
}

function clearTyping() {
  for (const id of typing.keys()) stopTyping(id);
}

function renderTyping() {
  const names = [...typing.values()].map(({ name }) => name);
  let line = "";
  if (names.length === 1) line = `${names[0]} is typing…`;
  if (names.length === 2) line = `${names[0]} and ${names[1]} are typing…`;
  if (names.length > 2) line = `${names.length} people are typing…`;
  $("typing").textContent = line;
}

// --- from the person ---

function submit() {
  const text = $("text").value.trim().toWellFormed(); // JSON cannot carry half a surrogate pair
  if (text === "" || !send({ type: "message", text })) return;
  $("text").value = "";
  lastTypingSent = 0;
  showCharactersLeft();
}

function noteTyping() {
  showCharactersLeft();
  const now = Date.now();
  if ($("text").value.trim() === "" || now - lastTypingSent < TYPING_SENT_EVERY) return;
  if (send({ type: "typing" })) lastTypingSent = now;
}

function showCharactersLeft() {
  const left = MAX_TEXT - $("text").value.length;
  $("left").textContent = left < 200 ? `${left} characters left.` : "";
}

function rename() {
  const name = $("name").value.trim();
  if (name === "" || name === sessionStorage.getItem("name")) return;
  sessionStorage.setItem("name", name); // of this window alone, so two windows are two people
  send({ type: "name", name });
}

// --- theme ---

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function showTheme() {
  $("theme").ariaPressed = String(isDark());
}

function toggleTheme() {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
  showTheme();
}

// --- small parts ---

/** An element from its children; strings become text nodes, so markup in them stays text. */
function element(tag, className, ...children) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

function face(name) {
  let hue = 0;
  for (const character of name) hue = (hue * 31 + character.codePointAt(0)) % 360;
  const made = element("span", "face", [...name][0]?.toUpperCase() ?? "?");
  made.style.setProperty("--hue", hue);
  made.ariaHidden = "true";
  return made;
}

// --- start ---

$("composer").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
});
$("text").addEventListener("input", noteTyping);
$("messages").addEventListener("scroll", noteScroll);
new ResizeObserver(follow).observe($("messages"));
$("identity").addEventListener("submit", (event) => { event.preventDefault(); $("text").focus(); });
$("name").addEventListener("change", rename);
$("retry").addEventListener("click", retryNow);
$("theme").addEventListener("click", toggleTheme);
addEventListener("online", retryNow);
document.addEventListener("visibilitychange", () => { if (!document.hidden) retryNow(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);

const savedTheme = localStorage.getItem("theme");
if (savedTheme === "light" || savedTheme === "dark") document.documentElement.dataset.theme = savedTheme;
$("name").value = sessionStorage.getItem("name") ?? "";
showTheme();
connect();
