// What stands in the log besides its messages: the days, the distances between neighbours, a word where it is empty.

import { dayName } from "./bubbles.js";

const log = document.getElementById("log");

export function separator(day) {
  const line = document.createElement("div");
  line.className = "day";
  line.dataset.day = day;
  const label = document.createElement("span");
  label.append(dayName(day));
  line.append(label);
  return line;
}

// Neighbours of one sender stand closer, and only the last of them has a tail.
export function group() {
  const boxes = [...log.querySelectorAll(".message")];
  boxes.forEach((box, index) => {
    const next = box.nextElementSibling;
    const same = next && next === boxes[index + 1] && next.classList.contains("mine") === box.classList.contains("mine");
    box.classList.toggle("joined", Boolean(same));
  });
}

export function showEmpty(isEmpty) {
  const shown = log.querySelector(".empty");
  if (!isEmpty) {
    if (shown) shown.remove();
  } else if (!shown) {
    const hint = document.createElement("div");
    hint.className = "empty";
    hint.append("No messages yet. Say hello with /start.");
    log.append(hint);
  }
}

export function dropEmptyDays() {
  for (const line of log.querySelectorAll(".day")) {
    const next = line.nextElementSibling;
    if (!next || next.classList.contains("day")) line.remove();
  }
}
