// Turns messages into elements. Text reaches the page only as text nodes, never as markup.

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
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const thisYear = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "long" });
const otherYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

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
      spoiler.addEventListener("click", () => spoiler.classList.add("shown"));
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

function quoted(message) {
  const box = element("div", "quote");
  box.append(element("span", "quote-who", message.from.first_name));
  box.append(element("span", "quote-text", message.text.split("\n", 1)[0]));
  return box;
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

// actions: send(text), copy(text), tap(messageId, data, element)
export function bubble(message, mine, actions) {
  const box = element("article", mine ? "message mine" : "message");
  box.dataset.id = message.message_id;
  box.dataset.day = dayKey(message);
  const time = clock.format(new Date(message.date * 1000));
  box.setAttribute("aria-label", `${mine ? "You" : message.from.first_name}, ${time}`);
  const body = element("div", "bubble");
  if (message.reply_to_message) body.append(quoted(message.reply_to_message));
  const text = element("div", "text");
  const entities = message.entities || [];
  fill(text, message.text, 0, message.text.length, entities, actions);
  if (entities.some((entity) => entity.type === "pre")) box.classList.add("wide");
  body.append(text);
  const stamp = element("span", "stamp", message.edit_date ? `edited ${time}` : time);
  stamp.title = new Date((message.edit_date || message.date) * 1000).toLocaleString();
  body.append(stamp);
  box.append(body);
  if (message.reply_markup) box.append(keys(message, actions));
  return box;
}
