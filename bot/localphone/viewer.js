// One picture over the whole page: as large as fits, or zoomed in, by tap, wheel, pinch, key or button.

const LARGEST = 8;
const STEP = 1.6;

const box = document.getElementById("viewer");
const stage = document.getElementById("viewer-stage");
const image = document.getElementById("viewer-image");
const save = document.getElementById("viewer-save");
const zoomButton = document.getElementById("viewer-zoom");

const pointers = new Map();
let scale = 1;
let spread = 0;
let moved = false;

export function view(address, words) {
  image.src = address;
  image.alt = words;
  save.href = `${address}?save=1`;
  zoom(1);
  box.showModal();
}

// Keeps the point at (x, y), in the stage, where it is.
function zoom(wanted, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const before = scale;
  scale = Math.min(Math.max(wanted, 1), LARGEST);
  image.style.setProperty("--zoom", scale);
  box.classList.toggle("zoomed", scale > 1);
  zoomButton.setAttribute("aria-pressed", String(scale > 1));
  stage.scrollLeft = (stage.scrollLeft + x) * (scale / before) - x;
  stage.scrollTop = (stage.scrollTop + y) * (scale / before) - y;
}

// As large as the picture's own dots, or twice as large as it fits, whichever is more.
function natural() {
  const shown = image.getBoundingClientRect().width / scale;
  return Math.max(2, image.naturalWidth / (window.devicePixelRatio || 1) / Math.max(shown, 1));
}

function toggle(x, y) {
  zoom(scale > 1 ? 1 : natural(), x, y);
}

function inStage(event) {
  const edge = stage.getBoundingClientRect();
  return [event.clientX - edge.left, event.clientY - edge.top];
}

function distance() {
  const [one, other] = [...pointers.values()];
  return Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
}

stage.addEventListener("pointerdown", (event) => {
  pointers.set(event.pointerId, event);
  moved = false;
  if (pointers.size === 2) spread = distance();
});

stage.addEventListener("pointermove", (event) => {
  const last = pointers.get(event.pointerId);
  if (!last) return;
  const [dx, dy] = [event.clientX - last.clientX, event.clientY - last.clientY];
  pointers.set(event.pointerId, event);
  if (Math.abs(dx) + Math.abs(dy) > 2) moved = true;
  if (pointers.size === 2) {
    const wider = distance();
    zoom(scale * (wider / spread), ...inStage(event));
    spread = wider;
  } else if (scale > 1) {
    stage.scrollLeft -= dx;
    stage.scrollTop -= dy;
  }
});

for (const kind of ["pointerup", "pointercancel", "pointerleave"]) {
  stage.addEventListener(kind, (event) => pointers.delete(event.pointerId));
}

stage.addEventListener("click", (event) => {
  if (moved) return;
  if (event.target === image) toggle(...inStage(event));
  else box.close();
});

stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(scale * (event.deltaY < 0 ? STEP : 1 / STEP), ...inStage(event));
}, { passive: false });

box.addEventListener("keydown", (event) => {
  if (event.key === "+" || event.key === "=") zoom(scale * STEP);
  else if (event.key === "-") zoom(scale / STEP);
  else if (event.key === "0") zoom(1);
  else return;
  event.preventDefault();
});

box.addEventListener("close", () => {
  pointers.clear();
  image.removeAttribute("src");
});

zoomButton.addEventListener("click", () => toggle());
document.getElementById("viewer-close").addEventListener("click", () => box.close());
