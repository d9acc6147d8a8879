// Pictures and documents in a bubble, and what stands for a message where there is room for one line only.

import { element } from "./elements.js";
import { view } from "./viewer.js";

const KILO = 1024;
const UNITS = ["B", "KB", "MB"];

export const fileAddress = (fileId) => `/phone/file/${encodeURIComponent(fileId)}`;

// One line: for quotes, the pinned bar and the line over the text field.
export function preview(message) {
  const words = message.text || message.caption;
  if (words) return words.split("\n", 1)[0];
  if (message.photo) return "Picture";
  return message.document ? message.document.file_name : "Message";
}

export function photo(message) {
  const size = message.photo.at(-1);
  const what = message.caption ? `Picture: ${preview(message)}` : "Picture";
  const image = element("img");
  image.src = fileAddress(size.file_id);
  image.alt = what;
  image.width = size.width;
  image.height = size.height;
  image.loading = "lazy";
  image.decoding = "async";
  image.draggable = false;
  const opener = element("button", "photo", image);
  opener.type = "button";
  image.addEventListener("error", () => opener.replaceWith(element("span", "lost", "This picture is no longer kept.")));
  const open = `${what}. Open`;
  opener.setAttribute("aria-label", message.has_media_spoiler ? "Hidden picture. Show" : open);
  opener.classList.toggle("hidden-photo", Boolean(message.has_media_spoiler));
  opener.addEventListener("click", () => {
    if (!opener.classList.contains("hidden-photo")) {
      view(image.src, what);
      return;
    }
    opener.classList.remove("hidden-photo");
    opener.setAttribute("aria-label", open);
  });
  return opener;
}

export function savedFile(message) {
  const { file_id: fileId, file_name: name, file_size: bytes } = message.document;
  const link = element("a", "file");
  link.href = fileAddress(fileId);
  link.download = name;
  link.setAttribute("aria-label", `Save ${name}, ${sizeOf(bytes)}`);
  const words = element("span", "file-words");
  words.append(element("span", "file-name", name), element("span", "file-size", sizeOf(bytes)));
  link.append(element("span", "file-icon"), words);
  return link;
}

function sizeOf(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= KILO && unit < UNITS.length - 1) {
    value /= KILO;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}
