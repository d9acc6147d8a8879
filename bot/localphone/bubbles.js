// Turns messages into elements.

import { element } from "./elements.js";
import { photo, preview, savedFile } from "./media.js";

const TAGS = {
  bold: "b",
  italic: "i",
  underline: "u",
  strikethrough: "s",
  code: "code",
  pre: "pre",
  blockquote: "blockquote",
  expandable_blockquote: "blockquote",
};
const SWIPE_PX = 56;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const thisYear = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "long" });
const otherYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });

export function dayKey(message) {
  return new Date(message.date * 1000).toDateString();
}

export function dayName(key) {
  const day = new Date(key);
  const today = new Date();
  const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
  if (key === today.toDateString()) return "Today";
  if (key === yesterday.toDateString()) return "Yesterday";
  return (day.getFullYear() === today.getFullYear() ? thisYear : otherYear).format(day);
}

// Entities come outer before inner; offsets are UTF-16 units, which is what strings count here.
function fill(parent, text, from, to, entities, actions) {
  let at = from;
  let index = 0;
  while (index < entities.length) {
    const entity = entities[index++];
    const end = Math.min(entity.offset + entity.length, to);
    if (entity.offset < at || end <= entity.offset) continue;
    const inner = [];
    while (index < entities.length && entities[index].offset < end) inner.push(entities[index++]);
    parent.append(text.slice(at, entity.offset));
    const part = marked(entity, text.slice(entity.offset, end), actions);
    fill(part, text, entity.offset, end, inner, actions);
    parent.append(part);
    // The block ends its line by itself: as in Telegram, the line end after it makes no empty line.
    at = entity.type === "pre" && end < to && text[end] === "\n" ? end + 1 : end;
  }
  parent.append(text.slice(at, to));
}

function marked(entity, content, actions) {
  switch (entity.type) {
    case "url":
    case "text_link":
      return anchor(entity.url || content);
    case "bot_command": {
      const command = element("button", "command");
      command.type = "button";
      command.addEventListener("click", () => actions.send(content));
      return command;
    }
    case "spoiler": {
      const spoiler = element("span", "spoiler");
      const reveal = () => {
        spoiler.classList.add("shown");
        for (const name of ["role", "tabindex", "aria-label"]) spoiler.removeAttribute(name);
      };
      spoiler.setAttribute("role", "button");
      spoiler.setAttribute("aria-label", "Hidden text. Show");
      spoiler.tabIndex = 0;
      spoiler.addEventListener("click", reveal);
      spoiler.addEventListener("keydown", (event) => { if (event.key === "Enter") reveal(); });
      return spoiler;
    }
    case "pre": {
      const block = element("pre");
      block.tabIndex = 0;
      return block;
    }
    case "code": {
      const code = element("code");
      code.title = "Copy";
      code.addEventListener("click", () => actions.copy(content));
      return code;
    }
    default:
      return element(TAGS[entity.type] || "span");
  }
}

function anchor(address) {
  const link = element("a");
  const safe = /^(https?|mailto):/i.test(address) ? address : `https://${address}`;
  link.href = safe;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  return link;
}

function quoted(replied, actions) {
  const message = actions.asItReadsNow(replied);
  const box = element("button", "quote");
  box.type = "button";
  box.dataset.of = message.message_id;
  box.setAttribute("aria-label", `In reply to ${message.from.first_name}: ${preview(message)}. Show it`);
  box.append(element("span", "quote-who", message.from.first_name));
  box.append(element("span", "quote-text", preview(message)));
  box.addEventListener("click", () => actions.show(message.message_id));
  return box;
}

function replier(message, actions) {
  const made = element("button", "answer");
  made.type = "button";
  made.setAttribute("aria-label", `Reply to: ${preview(message)}`);
  made.addEventListener("click", () => actions.reply(message));
  return made;
}

// A drag to the left, as on a phone: the message follows the finger and is answered where it went far enough.
function swipes(box, reply) {
  let from = null;
  let way = 0;
  const end = () => {
    if (way <= -SWIPE_PX) reply();
    from = null;
    way = 0;
    box.style.removeProperty("translate");
  };
  box.addEventListener("touchstart", (event) => {
    from = event.touches.length === 1 ? event.touches[0] : null;
    way = 0;
  }, { passive: true });
  box.addEventListener("touchmove", (event) => {
    if (!from) return;
    const [dx, dy] = [event.touches[0].clientX - from.clientX, event.touches[0].clientY - from.clientY];
    if (way === 0 && Math.abs(dy) > Math.abs(dx)) from = null;
    else way = Math.max(Math.min(dx, 0), -SWIPE_PX * 1.3);
    if (from && way < -8) box.style.translate = `${way}px 0`;
  }, { passive: true });
  box.addEventListener("touchend", end);
  box.addEventListener("touchcancel", () => {
    way = 0;
    end();
  });
}

// What is said about the conversation, between its messages.
function notice(message, actions) {
  const words = element("button", "");
  words.type = "button";
  words.append(`${message.from.first_name} pinned “${preview(message.pinned_message)}”`);
  words.addEventListener("click", () => actions.show(message.pinned_message.message_id));
  const line = element("div", "message notice", words);
  line.dataset.id = message.message_id;
  line.dataset.day = dayKey(message);
  return line;
}

function keys(message, actions) {
  const board = element("div", "keys");
  for (const row of message.reply_markup.inline_keyboard) {
    const line = element("div", "keys-row");
    for (const button of row) line.append(key(message, button, actions));
    board.append(line);
  }
  return board;
}

function key(message, button, actions) {
  const style = button.style ? ` ${button.style}` : "";
  if (button.url) {
    const link = anchor(button.url);
    link.className = `key link${style}`;
    link.append(element("span", "", button.text));
    return link;
  }
  const made = element("button", `key${style}`, element("span", "", button.text));
  made.type = "button";
  made.addEventListener("click", () => {
    if (button.copy_text) actions.copy(button.copy_text.text);
    else actions.tap(message.message_id, button.callback_data, made);
  });
  return made;
}

// The emoji under a bubble; an empty one takes it away.
export function react(box, emoji) {
  box.querySelector(".reaction")?.remove();
  if (!emoji) return;
  const mark = element("span", "reaction", emoji);
  mark.setAttribute("role", "img");
  mark.setAttribute("aria-label", `Reaction: ${emoji}`);
  box.querySelector(".bubble")?.append(mark);
}

function words(message, actions) {
  const text = message.text ?? message.caption;
  if (text === undefined) return null;
  const entities = message.entities || message.caption_entities || [];
  const box = element("div", "text");
  fill(box, text, 0, text.length, entities, actions);
  if (entities.some((entity) => entity.type === "pre")) box.classList.add("has-table");
  return box;
}

// actions: send(text), copy(text), tap(messageId, data, element), reply(message), show(messageId), asItReadsNow(message)
export function bubble(message, mine, actions) {
  if (message.pinned_message) return notice(message, actions);
  const box = element("article", mine ? "message mine" : "message");
  box.dataset.id = message.message_id;
  box.dataset.day = dayKey(message);
  const time = clock.format(new Date(message.date * 1000));
  box.setAttribute("aria-label", `${mine ? "You" : message.from.first_name}, ${time}`);
  const body = element("div", "bubble");
  if (message.reply_to_message) body.append(quoted(message.reply_to_message, actions));
  const said = words(message, actions);
  const media = message.photo ? photo(message) : message.document ? savedFile(message) : null;
  const parts = message.show_caption_above_media ? [said, media] : [media, said];
  body.append(...parts.filter(Boolean));
  if (media && !said) body.classList.add("bare");
  if (message.photo) {
    const { width, height } = message.photo.at(-1);
    box.classList.add("pictured");
    box.style.setProperty("--width", `${width}px`);
    box.style.setProperty("--ratio", width / height);
  }
  if (said?.classList.contains("has-table")) box.classList.add("wide");
  const stamp = element("span", "stamp", message.edit_date ? `edited ${time}` : time);
  stamp.title = new Date((message.edit_date || message.date) * 1000).toLocaleString();
  body.append(stamp);
  box.append(body);
  box.append(replier(message, actions));
  swipes(box, () => actions.reply(message));
  if (message.reply_markup) box.append(keys(message, actions));
  return box;
}
