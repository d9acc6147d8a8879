// The conversation on the page: keeps the log, the header and the title in step with the server.

import { bubble, dayKey, react } from "./bubbles.js";
import { Composer } from "./composer.js";
import { follow, history, send } from "./link.js";
import { dropEmptyDays, group, separator, showEmpty } from "./log.js";
import { preview } from "./media.js";
import { edited, followPins, pin } from "./pinned.js";
import { answered, tapButton, toast } from "./taps.js";

const NEAR_BOTTOM_PX = 80;
const NEAR_TOP_PX = 200;
const ACTION_MS = 5000;
const RESTING = "on this computer only";

const byId = (id) => document.getElementById(id);
const log = byId("log");
const scroll = byId("scroll");
const status = byId("status");
const downButton = byId("down");
const belowCount = byId("below");

const messages = new Map();
const reactions = new Map();
let ownerId = 0;
let botName = "AutoTrader";
let hasOlder = false;
let loadingOlder = false;
let unread = 0;
let below = 0;
let actionTimer = 0;
let stuck = true;

// The key has done its work in the request for this page; it need not stay in sight.
window.history.replaceState(null, "", "/");

const actions = {
  send: (text) => sendText(text),
  tap: tapButton,
  reply: (message) => composer.reply(message),
  show,
  asItReadsNow: (message) => messages.get(message.message_id) ?? message,
  async copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      toast("Copied");
    } catch {
      toast("The browser did not allow copying");
    }
  },
};
const composer = new Composer(sendText);
followPins(show);

function atBottom() {
  return scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR_BOTTOM_PX;
}

function toBottom() {
  stuck = true;
  scroll.scrollTop = scroll.scrollHeight;
}

function redraw() {
  const elements = [];
  let day = "";
  for (const message of [...messages.values()].sort((a, b) => a.message_id - b.message_id)) {
    if (dayKey(message) !== day) {
      day = dayKey(message);
      elements.push(separator(day));
    }
    elements.push(draw(message));
  }
  log.replaceChildren(...elements);
  group();
  showEmpty(messages.size === 0);
}

function draw(message) {
  const drawn = bubble(message, message.from.id === ownerId, actions);
  if (reactions.has(message.message_id)) react(drawn, reactions.get(message.message_id));
  return drawn;
}

// Brings a message into sight and marks it for a moment, fetching earlier ones where it is not on the page.
async function show(messageId) {
  while (!messages.has(messageId) && hasOlder && !loadingOlder) {
    const before = messages.size;
    await loadOlder();
    if (messages.size === before) break;
  }
  const found = find(messageId);
  if (!found) {
    toast("That message is gone");
    return;
  }
  found.scrollIntoView({ block: "center" });
  found.classList.remove("sought");
  void found.offsetWidth;  // so that the same mark can begin again
  found.classList.add("sought");
}

function add(message) {
  const follows = atBottom() || message.from.id === ownerId;
  messages.set(message.message_id, message);
  const day = dayKey(message);
  const last = log.lastElementChild;
  if (!last || last.dataset.day !== day) log.append(separator(day));
  const drawn = draw(message);
  drawn.classList.add("fresh");
  log.append(drawn);
  group();
  showEmpty(messages.size === 0);
  if (message.from.id !== ownerId) {
    rest();
    if (document.hidden) unread += 1;
    if (!follows) below += 1;
  }
  if (follows) toBottom();
  showCounts();
}

function replace(message) {
  const old = find(message.message_id);
  if (!old) return;
  const follows = atBottom();
  messages.set(message.message_id, message);
  const drawn = draw(message);
  drawn.classList.add("changed");
  old.replaceWith(drawn);
  group();
  edited(message);
  for (const quote of log.querySelectorAll(`.quote[data-of="${message.message_id}"] .quote-text`)) {
    quote.textContent = preview(message);
  }
  if (follows) toBottom();
}

function remove(messageId) {
  messages.delete(messageId);
  reactions.delete(messageId);
  composer.forget(messageId);
  const old = find(messageId);
  if (!old) return;
  old.remove();
  dropEmptyDays();
  group();
  showEmpty(messages.size === 0);
}

function find(messageId) {
  return log.querySelector(`.message[data-id="${Number(messageId)}"]`);
}

function showCounts() {
  document.title = unread ? `(${unread}) ${botName}` : botName;
  downButton.hidden = atBottom();
  belowCount.hidden = below === 0;
  belowCount.textContent = below;
}

function rest() {
  clearTimeout(actionTimer);
  if (document.body.dataset.link === "open") status.textContent = RESTING;
}

async function sendText(text, replyTo = null) {
  try {
    await send(text, replyTo);
    return true;
  } catch (error) {
    toast(error.code ? error.message : "Not sent: no connection to AutoTrader");
    return false;
  }
}

function acting(action) {
  clearTimeout(actionTimer);
  if (action === "cancel") {
    rest();
    return;
  }
  status.textContent = action === "typing" ? "typing…" : "working…";
  actionTimer = setTimeout(rest, ACTION_MS);
}

async function loadOlder() {
  if (!hasOlder || loadingOlder || messages.size === 0) return;
  loadingOlder = true;
  try {
    const older = await history(Math.min(...messages.keys()));
    const fromEnd = scroll.scrollHeight - scroll.scrollTop;
    take(older);
    redraw();
    scroll.scrollTop = scroll.scrollHeight - fromEnd;
  } catch {
    // The link itself reports the break and fetches the state again.
  } finally {
    loadingOlder = false;
  }
}

// Messages with what stands on them, from the state or the history.
function take(page) {
  for (const message of page.messages) messages.set(message.message_id, message);
  for (const [messageId, emoji] of Object.entries(page.reactions)) reactions.set(Number(messageId), emoji);
  hasOlder = page.has_older;
}

function reacted({ message_id: messageId, emoji }) {
  if (emoji) reactions.set(messageId, emoji);
  else reactions.delete(messageId);
  const found = find(messageId);
  if (found) react(found, emoji);
}

// The bot wants a reply to one of its messages; without an id, no longer.
let askedFor = null;
function asked(question) {
  const messageId = question ? question.message_id : null;
  if (messageId === null) {
    composer.forget(askedFor);
  } else if (messageId !== askedFor && messages.has(messageId)) {
    composer.reply(messages.get(messageId), question.placeholder);
  }
  askedFor = messageId;
}

const changes = {
  message: add,
  edit: replace,
  reaction: reacted,
  pin: ({ message }) => pin(message),
  ask: asked,
  delete: ({ message_id: messageId }) => remove(messageId),
  answer: answered,
  action: ({ action }) => acting(action),
  commands: ({ commands }) => composer.setCommands(commands),
};

follow({
  onState(state) {
    const stays = messages.size > 0 && !atBottom();
    const known = messages.size > 0 ? Math.max(...messages.keys()) : Infinity;
    if (document.hidden) unread += state.messages.filter((one) => one.message_id > known).length;
    ownerId = state.owner_id;
    botName = state.bot_name;
    byId("name").textContent = botName;
    composer.setCommands(state.commands);
    messages.clear();
    reactions.clear();
    take(state);
    pin(state.pinned);
    const top = scroll.scrollTop;
    redraw();
    if (stays) scroll.scrollTop = top;
    else toBottom();
    asked(state.asked);
    showCounts();
  },
  onChange(kind, data) {
    changes[kind](data);
  },
  onLink(link) {
    document.body.dataset.link = link;
    if (link === "open") rest();
    else status.textContent = link === "refused" ? "open the address AutoTrader printed" : "reconnecting…";
  },
});

scroll.addEventListener("scroll", () => {
  if (scroll.scrollTop < NEAR_TOP_PX) loadOlder();
  stuck = atBottom();
  if (stuck) below = 0;
  showCounts();
}, { passive: true });
downButton.addEventListener("click", () => scroll.scrollTo({ top: scroll.scrollHeight, behavior: "smooth" }));
// A keyboard that opens, a picture that comes, the line of a reply: who read the newest message still sees it.
const stay = new ResizeObserver(() => { if (stuck) toBottom(); });
stay.observe(scroll);
stay.observe(log);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unread = 0;
  showCounts();
});
