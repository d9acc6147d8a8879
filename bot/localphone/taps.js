// A tapped button from the tap to its answer, and the two ways in which an answer is shown.

import { tap } from "./link.js";

const TOAST_MS = 4000;
const ANSWER_WITHIN_MS = 20000;

const toastBox = document.getElementById("toast");
const alertBox = document.getElementById("alert");
const pendingTaps = new Map();
const earlyAnswers = new Map();
let toastTimer = 0;

export function toast(text) {
  clearTimeout(toastTimer);
  toastBox.textContent = text;
  toastBox.hidden = false;
  toastTimer = setTimeout(() => { toastBox.hidden = true; }, TOAST_MS);
}

// Disables the keyboard under the message until the bot answers, or for ANSWER_WITHIN_MS.
export async function tapButton(messageId, data, button) {
  const board = button.closest(".keys");
  if (board.classList.contains("busy")) return;
  board.classList.add("busy");
  button.classList.add("waiting");
  button.setAttribute("aria-busy", "true");
  for (const key of board.querySelectorAll("button")) key.disabled = true;
  const release = () => {
    clearTimeout(patience);
    board.classList.remove("busy");
    button.classList.remove("waiting");
    button.removeAttribute("aria-busy");
    for (const key of board.querySelectorAll("button")) key.disabled = false;
  };
  const patience = setTimeout(release, ANSWER_WITHIN_MS);
  try {
    const { id } = await tap(messageId, data);
    pendingTaps.set(id, release);
    setTimeout(() => pendingTaps.delete(id), ANSWER_WITHIN_MS);
    if (earlyAnswers.delete(id)) answered({ id, text: "" });
  } catch (error) {
    release();
    toast(error.code === 409 ? "This button is no longer there" : "Not sent: no connection to AutoTrader");
  }
}

export function answered({ id, text, show_alert: asAlert }) {
  const release = pendingTaps.get(id);
  if (release) {
    pendingTaps.delete(id);
    release();
  } else {
    // The stream can be faster than the reply to the tap itself.
    earlyAnswers.set(id, true);
    setTimeout(() => earlyAnswers.delete(id), ANSWER_WITHIN_MS);
  }
  if (!text) return;
  if (asAlert) {
    document.getElementById("alert-text").textContent = text;
    if (!alertBox.open) alertBox.showModal();
  } else {
    toast(text);
  }
}
