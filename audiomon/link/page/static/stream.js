// Follows the server's events, and again when the connection ends: soon the first time, then after ever longer waits.
// Read with fetch, since EventSource hides why it was refused.

const MIN_WAIT_MS = 500;
const MAX_WAIT_MS = 10_000;
// The server sends something every 15 s at least.
const SILENT_MS = 35_000;

export async function follow(path, { message, state }) {
  let wait = MIN_WAIT_MS;
  let since = null;
  for (;;) {
    let reason = "";
    try {
      await once(path, (data) => {
        if (data.type === "whole") {
          wait = MIN_WAIT_MS;
          since = null;
          state("live", "Live");
        }
        message(data);
      });
    } catch (error) {
      if (error.status === 401) {
        location.assign("/login");
        return;
      }
      reason = error.status === 503 ? ": as many pages are open as there may be" : "";
    }
    since ??= new Date();
    const time = since.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    state("gone", `No connection since ${time}${reason}. Trying again…`);
    await pause(wait);
    wait = Math.min(wait * 2, MAX_WAIT_MS);
  }
}

// A phone that wakes up, or finds its network again, does not wait.
function pause(wait) {
  const ended = new AbortController();
  return new Promise((done) => {
    setTimeout(done, wait);
    for (const kind of ["online", "visibilitychange"]) {
      window.addEventListener(kind, () => document.hidden || done(), { signal: ended.signal });
    }
  }).finally(() => ended.abort());
}

async function once(path, message) {
  const abort = new AbortController();
  let timer = setTimeout(() => abort.abort(), SILENT_MS);
  try {
    const answer = await fetch(path, { signal: abort.signal, cache: "no-store" });
    if (!answer.ok) throw Object.assign(new Error(answer.statusText), { status: answer.status });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => abort.abort(), SILENT_MS);
      const events = (text + value).split("\n\n");
      text = events.pop();
      for (const event of events) if (event.startsWith("data: ")) message(JSON.parse(event.slice(6)));
    }
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
}
