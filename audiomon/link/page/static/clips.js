// Clips: lists what the keeper has, plays it, and sends what people say of it. Every text goes in as text, never as
// markup: labels come from models that strangers made.

import { draw, fetchSound, isPlaying, play, stop } from "/sound.js";

const $ = (id) => document.getElementById(id);
// A request has at most 4 kB.
const AT_ONCE = 100;

// One for each event in the table: the event, its row.
let entries = [];
let more = null;
let chosen = -1;
let asked = 0;
const ticked = new Set();

function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

function complain(text) {
  $("problem").textContent = text;
  $("problem").hidden = !text;
}

async function ask(path, options) {
  const answer = await fetch(path, options);
  if (answer.status === 401) location.assign("/login");
  if (!answer.ok) throw new Error((await answer.text()).trim() || `${answer.status}`);
  return answer.json();
}

async function guarded(work) {
  complain("");
  try {
    await work();
  } catch (error) {
    complain(error.message);
  }
}

// ---- the list ----

async function list(fresh) {
  const mine = ++asked;
  const query = new URLSearchParams({ only: $("only").value });
  if (!fresh && more) {
    query.set("time_ns", more.time_ns);
    query.set("number", more.number);
  }
  const answer = await fetch(`/clips/list?${query}`);
  if (answer.status === 401) location.assign("/login");
  const text = await answer.text();
  if (!answer.ok) throw new Error(text.trim());
  if (mine !== asked) return;
  // Nanoseconds are more than a number here holds: they stay texts.
  const { events = [], more: further = false } = JSON.parse(text.replace(/"(time_ns|began_ns)":(\d+)/g, '"$1":"$2"'));
  if (fresh) {
    entries = [];
    ticked.clear();
    chosen = -1;
    $("rows").replaceChildren();
  }
  for (const event of events) add(event);
  more = further ? events.at(-1) : null;
  $("more").hidden = !more;
  $("no-events").hidden = entries.length > 0;
  $("labels").replaceChildren(...[...new Set(entries.map(({ event }) => event.label))].map((value) => make("option", { value })));
  showTicked();
  if (chosen < 0 && entries.length) choose(0);
}

function add(event) {
  const entry = { event, row: make("tr") };
  const tick = make("input", { type: "checkbox", disabled: !event.clip, title: "Tick" });
  tick.setAttribute("aria-label", `Tick ${event.label}`);
  tick.addEventListener("change", () => setTicked(entry, tick.checked));
  entry.tick = tick;
  const when = new Date(Number(event.time_ns.slice(0, -6)));
  entry.row.append(
    make("td", {}, tick),
    make("td", {}, make("span", { textContent: event.label })),
    make("td", {}, make("time", { dateTime: when.toISOString(), textContent: when.toLocaleString() })),
    make("td", { className: "number", textContent: event.score.toFixed(2) }),
    make("td", { className: "number", textContent: event.clip ? `${event.clip.seconds.toFixed(1)} s` : event.outcome }),
    make("td", { textContent: said(event) }),
  );
  entry.row.addEventListener("click", ({ target }) => target === tick || choose(entries.indexOf(entry)));
  entries.push(entry);
  $("rows").append(entry.row);
}

function said({ clip, reason }) {
  if (!clip) return reason;
  const review = clip.review === "label" ? `is ${clip.label}` : clip.review;
  return [review, clip.locked && "locked", clip.exported && "exported"].filter(Boolean).join(", ");
}

function setTicked(entry, on) {
  entry.tick.checked = on;
  if (on) ticked.add(entry);
  else ticked.delete(entry);
  showTicked();
}

function showTicked() {
  $("ticked").textContent = ticked.size ? `${ticked.size} ticked` : "";
}

async function choose(index) {
  if (index < 0 || index >= entries.length) return;
  entries[chosen]?.row.removeAttribute("aria-selected");
  chosen = index;
  const entry = entries[index];
  entry.row.setAttribute("aria-selected", "true");
  entry.row.scrollIntoView({ block: "nearest" });
  stop();
  const { event } = entry;
  $("clip-title").textContent = event.clip ? event.clip.labels.join(", ") : `${event.label}: ${event.outcome}`;
  $("clip-hint").textContent = event.clip
    ? `${event.clip.id} · ${event.clip.source}${event.clip.never_label ? ` · ${event.clip.never_label} ${event.clip.never_score.toFixed(2)}` : ""}`
    : event.reason;
  const canvas = $("picture");
  canvas.width = canvas.width;
  delete canvas.dataset.clip;
  if (!event.clip) return;
  await guarded(async () => {
    entry.sound ??= await fetchSound(event.clip);
    if (entries[chosen] !== entry) return;
    draw(canvas, entry.sound);
    canvas.dataset.clip = event.clip.id;
  });
}

// ---- what is done ----

// Those that are ticked, or else the one that is chosen; an event's clip may be another's as well.
function meant() {
  const some = ticked.size ? [...ticked] : chosen >= 0 ? [entries[chosen]] : [];
  return [...new Set(some.filter(({ event }) => event.clip).map(({ event }) => event.clip.id))];
}

async function change(body, note) {
  const clips = meant();
  if (!clips.length) throw new Error("No clip is chosen.");
  let changed = 0;
  for (let at = 0; at < clips.length; at += AT_ONCE) {
    const some = clips.slice(at, at + AT_ONCE);
    const reply = await ask("/clips/change", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ...body, clips: some }),
    });
    changed += reply.changed ?? 0;
  }
  for (const { event, row } of entries) {
    if (!event.clip || !clips.includes(event.clip.id)) continue;
    note(event);
    row.cells[4].textContent = event.clip ? row.cells[4].textContent : event.outcome;
    row.cells[5].textContent = said(event);
  }
  const next = chosen + (ticked.size ? 0 : 1);
  for (const entry of [...ticked]) setTicked(entry, false);
  $("said").textContent = `${changed} done`;
  await choose(next);
}

const mark = (review, label = "") =>
  change({ do: "mark", review, label }, ({ clip }) => Object.assign(clip, { review, label }));
const lock = (locked) => change({ do: "lock", locked }, ({ clip }) => Object.assign(clip, { locked }));

async function remove() {
  const { length } = meant();
  if (!length) return;
  $("sure-text").textContent = `Delete ${length} ${length === 1 ? "clip" : "clips"}? The events stay.`;
  $("sure").returnValue = "no";
  $("sure").showModal();
  await new Promise((done) => $("sure").addEventListener("close", done, { once: true }));
  if ($("sure").returnValue !== "yes") return;
  await change({ do: "delete" }, (event) => Object.assign(event, { clip: null, outcome: "deleted", reason: "" }));
}

const deeds = {
  play: async () => {
    const entry = entries[chosen];
    if (!entry?.event.clip) return;
    if (isPlaying()) {
      stop();
      return;
    }
    entry.sound ??= await fetchSound(entry.event.clip);
    play(entry.sound, () => {});
  },
  right: () => mark("right"),
  wrong: () => mark("wrong"),
  none: () => mark(""),
  lock: () => lock(true),
  unlock: () => lock(false),
  delete: remove,
  all: async () => {
    const on = entries.some(({ event, tick }) => event.clip && !tick.checked);
    for (const entry of entries) if (entry.event.clip) setTicked(entry, on);
  },
  label: async () => $("label").focus(),
  tick: async () => {
    const entry = entries[chosen];
    if (entry?.event.clip) setTicked(entry, !entry.tick.checked);
  },
  next: () => choose(chosen + 1),
  previous: () => choose(chosen - 1),
};
const KEYS = {
  " ": "play", r: "right", w: "wrong", l: "label", u: "none", k: "lock", Delete: "delete", a: "all", x: "tick",
  j: "next", i: "previous", ArrowDown: "next", ArrowUp: "previous",
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]), select, dialog");
  const pressing = event.key === " " && event.target.closest("button, input, a");
  if (typing || pressing || event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
  event.preventDefault();
  guarded(deeds[KEYS[event.key]]);
});
for (const button of document.querySelectorAll("[data-do]")) {
  button.addEventListener("click", () => guarded(deeds[button.dataset.do]));
}
$("other").addEventListener("submit", (event) => {
  event.preventDefault();
  const label = $("label").value.trim();
  if (!label) return;
  $("label").value = "";
  $("label").blur();
  guarded(() => mark("label", label));
});
$("only").addEventListener("change", () => guarded(() => list(true)));
$("more").addEventListener("click", () => guarded(() => list(false)));
guarded(() => list(true));
