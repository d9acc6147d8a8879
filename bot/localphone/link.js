// Talks to the local phone's server: one state, then a stream of changes, again and again after every break.

const RETRY_FIRST_MS = 400;
const RETRY_LAST_MS = 5000;
// A stream that could not be opened for this long is taken for broken.
const OPEN_WITHIN_MS = 8000;
const KINDS = ["message", "edit", "delete", "answer", "action", "commands", "reaction", "pin", "ask"];

export class Refused extends Error {}

async function call(path, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  const answer = await response.json();
  if (!response.ok) {
    throw Object.assign(new Refused(answer.description), { code: answer.error_code });
  }
  return answer;
}

export const send = (text, replyTo) => call("/phone/send", replyTo === null ? { text } : { text, reply_to: replyTo });
export const tap = (messageId, data) => call("/phone/tap", { message_id: messageId, data });
export const history = (before) => call(`/phone/history?before=${before}`);

const pause = (milliseconds) => new Promise((resolve) => {
  const done = () => {
    clearTimeout(timer);
    window.removeEventListener("online", done);
    resolve();
  };
  const timer = setTimeout(done, milliseconds);
  window.addEventListener("online", done);
});

// Calls onState with everything, then onChange for each change; onLink with "open", "broken" or "refused".
export async function follow({ onState, onChange, onLink }) {
  let wait = RETRY_FIRST_MS;
  for (;;) {
    try {
      const state = await call("/phone/state");
      onState(state);
      await stream(state.number, onChange, () => {
        wait = RETRY_FIRST_MS;
        onLink("open");
      });
    } catch (error) {
      if (error instanceof Refused && error.code === 403) {
        onLink("refused");
        wait = RETRY_LAST_MS;
        await pause(wait);
        continue;
      }
    }
    onLink("broken");
    await pause(wait);
    wait = Math.min(wait * 1.7, RETRY_LAST_MS);
  }
}

function stream(after, onChange, onOpen) {
  return new Promise((resolve) => {
    const source = new EventSource(`/phone/events?after=${after}`);
    const end = () => {
      clearTimeout(patience);
      source.close();
      resolve();
    };
    const patience = setTimeout(end, OPEN_WITHIN_MS);
    source.onopen = () => {
      clearTimeout(patience);
      onOpen();
    };
    // The browser would reconnect by itself, but not learn what changed meanwhile: ask for the state again instead.
    source.onerror = end;
    source.addEventListener("reset", end);
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => onChange(kind, JSON.parse(event.data)));
    }
  });
}
