// The pinned message under the header: always as it reads now.

import { preview } from "./media.js";

const bar = document.getElementById("pinned");
const words = document.getElementById("pinned-text");
let pinned = null;

// show(messageId) brings a message into sight.
export function followPins(show) {
  bar.addEventListener("click", () => { if (pinned) show(pinned); });
}

export function pin(message) {
  pinned = message ? message.message_id : null;
  bar.hidden = !message;
  words.textContent = message ? preview(message) : "";
}

export function edited(message) {
  if (message.message_id === pinned) pin(message);
}
