// The page: follows the stream, and shows what it says. Every text goes in as text, never as markup: labels come from
// models that strangers made.

import { Spectrogram } from "/drawing.js";
import { follow } from "/stream.js";

const $ = (id) => document.getElementById(id);
const MAX_ROWS = 200;
const LEVEL_FLOOR = -90;

const spectrogram = new Spectrogram($("spectrogram"));
const listeners = new Map();
const days = new Map();
let chosen = null;
let link = null;
// How far this browser's clock is ahead of the machine's, in seconds.
let ahead = 0;

const now = () => Date.now() / 1000 - ahead;

function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

// ---- what comes in ----

const handlers = {
  whole(message) {
    ahead = Date.now() / 1000 - message.now_s;
    $("to-clips").hidden = !message.clips;
    handlers.link(message.link);
    listeners.clear();
    days.clear();
    for (const listener of message.listeners) listeners.set(listener.name, listener);
    for (const day of message.days) days.set(day.listener, day);
    handlers.actions(message.actions);
    choose(listeners.has(chosen) ? chosen : (message.listeners[0]?.name ?? null));
  },
  listener(message) {
    listeners.set(message.name, message);
    if (chosen === null) choose(message.name);
    else showChoice();
    if (message.name === chosen) showListener();
  },
  day(message) {
    days.set(message.listener, message);
    if (message.listener === chosen) showDay();
  },
  occurrence({ listener, occurrence, ...bars }) {
    const day = days.get(listener);
    if (!day) return;
    Object.assign(day, bars);
    const known = day.occurrences.findIndex(
      (one) => one.label === occurrence.label && Math.abs(one.began_s - occurrence.began_s) < 0.01,
    );
    if (known >= 0) day.occurrences[known] = occurrence;
    else day.occurrences.push(occurrence);
    if (listener !== chosen) return;
    showDay();
    if (occurrence.duration_s === null) say(`${occurrence.label} is on`);
  },
  prediction(message) {
    if (message.listener === chosen) showScores(message.scores);
  },
  level(message) {
    if (message.listener === chosen) showLevel(message);
  },
  columns(message) {
    if (message.listener === chosen) spectrogram.add(message);
  },
  link(message) {
    link = message;
    if (listeners.has(chosen)) showDetails(listeners.get(chosen));
  },
  actions({ rules, paused, outcomes }) {
    $("controls").hidden = !rules;
    const { done = 0, failed = 0, late = 0, crowded = 0 } = outcomes;
    const lost = failed + late + crowded;
    $("actions-sum").textContent =
      `${rules} ${rules === 1 ? "action" : "actions"}${paused ? ", paused" : ""}: ${done} done, ${lost} failed`;
    $("pause").setAttribute("aria-pressed", String(paused));
    $("pause").textContent = paused ? "Resume actions" : "Pause actions";
  },
};

// ---- what is shown ----

function choose(name) {
  if (name !== chosen) spectrogram.clear();
  chosen = name;
  showChoice();
  showListener();
  showDay();
  showScores([]);
  showLevel(null);
}

function showChoice() {
  const names = [...listeners.keys()].sort();
  const select = $("listeners");
  if (names.join("\n") !== [...select.options].map((option) => option.value).join("\n")) {
    select.replaceChildren(...names.map((name) => make("option", { value: name, textContent: name })));
  }
  select.value = chosen;
  $("choice").hidden = names.length < 2;
}

function showListener() {
  const listener = listeners.get(chosen);
  if (!listener) {
    showCondition({
      level: "note",
      title: "No listener yet",
      text: "No listener on this machine has a feed.",
      advice: "`systemctl status audiomon audiomon-feed.socket` says why.",
    });
    return;
  }
  showCondition(listener.condition, listener);
  showOn(listener);
  const drawn = listener.spectrogram;
  $("spectrogram-frame").hidden = $("freeze").hidden = !drawn;
  $("no-spectrogram").hidden = drawn || !listener.up;
  if (!listener.up) {
    showScores([]);
    showLevel(null);
  }
  showDetails(listener);
}

function showCondition({ level, title, text, advice }, listener) {
  $("condition").dataset.level = level;
  $("condition-title").textContent = title;
  const state = listener?.state;
  const well = state ? [state.microphone, listener.model && `model ${listener.model}`].filter(Boolean).join(" · ") : "";
  $("condition-text").textContent = text || well;
  showCode($("condition-advice"), advice);
}

// What stands between backticks is a command.
function showCode(element, text) {
  element.hidden = !text;
  element.replaceChildren(
    ...text.split("`").map((part, index) => (index % 2 ? make("code", { textContent: part }) : part)),
  );
}

function showOn(listener) {
  const labels = Object.entries(listener.on);
  $("on").replaceChildren(
    ...(labels.length
      ? labels.map(([label, since]) =>
          aged(make("li", {}, label, make("small", { className: "since" })), Date.parse(since) / 1000),
        )
      : [make("li", { className: "none", textContent: listener.up ? "Nothing is on" : "Nothing is heard" })]),
  );
  document.title = labels.length ? `● ${labels.map(([label]) => label).join(", ")} – audiomon` : "audiomon";
  showAges();
}

// Have an element say for how long something has been so.
function aged(element, since) {
  element.dataset.since = since;
  return element;
}

function showAges() {
  for (const element of document.querySelectorAll("[data-since]")) {
    const text = lasting(Math.max(0, now() - element.dataset.since));
    const target = element.querySelector(".since") ?? element;
    if (target.textContent !== text) target.textContent = text;
  }
}

function showScores(scores) {
  const list = $("scores");
  $("no-scores").hidden = scores.length > 0;
  $("scores-hint").hidden = !scores.some(([, , on]) => on !== null);
  const on = listeners.get(chosen)?.on ?? {};
  const rows = new Map([...list.children].map((row) => [row.dataset.label, row]));
  const next = scores.map(([label, score, turnsOn, turnsOff]) => {
    const row = rows.get(label) ?? scoreRow(label);
    row.classList.toggle("is-on", label in on);
    row.meter.setAttribute("aria-valuenow", score.toFixed(2));
    row.fill.style.transform = `scaleX(${score})`;
    row.number.textContent = score.toFixed(2);
    for (const [mark, at] of [[row.marks[0], turnsOn], [row.marks[1], turnsOff]]) {
      mark.hidden = at === null;
      if (at !== null) mark.style.left = `calc(${at * 100}% - 1px)`;
    }
    return row;
  });
  const order = next.map((row) => row.dataset.label).join("\n");
  if (order !== list.dataset.order) {
    list.dataset.order = order;
    list.replaceChildren(...next);
  }
}

function scoreRow(label) {
  const fill = make("i", { className: "fill" });
  const marks = [make("i", { className: "mark" }), make("i", { className: "mark off" })];
  const meter = make("div", { className: "meter" }, fill, ...marks);
  const attributes = { role: "meter", "aria-label": `Score of ${label}`, "aria-valuemin": 0, "aria-valuemax": 1 };
  for (const [name, value] of Object.entries(attributes)) meter.setAttribute(name, value);
  const number = make("span", { className: "value" });
  const row = make("li", {}, make("span", { className: "name", textContent: label, title: label }), meter, number);
  row.dataset.label = label;
  return Object.assign(row, { meter, fill, marks, number });
}

function showLevel(level) {
  const meter = $("level");
  const share = (dbfs) => Math.max(0, Math.min(1, 1 - dbfs / LEVEL_FLOOR));
  const words = level ? `${level.rms.toFixed(0)} dBFS, peak ${level.peak.toFixed(0)}` : "–";
  meter.querySelector(".fill").style.clipPath = `inset(0 ${level ? 100 - share(level.rms) * 100 : 100}% 0 0)`;
  meter.querySelector(".peak").hidden = !level;
  if (level) meter.querySelector(".peak").style.left = `calc(${share(level.peak) * 100}% - 3px)`;
  meter.setAttribute("aria-valuenow", String(level ? Math.round(Math.max(LEVEL_FLOOR, level.rms)) : LEVEL_FLOOR));
  meter.setAttribute("aria-valuetext", level ? words : "unknown");
  $("level-value").textContent = words;
}

function showDay() {
  const day = days.get(chosen);
  const occurrences = day ? [...day.occurrences].sort((a, b) => b.began_s - a.began_s).slice(0, MAX_ROWS) : [];
  $("no-events").hidden = occurrences.length > 0;
  $("rows").replaceChildren(...occurrences.map(eventRow));
  showBars(day);
  $("events-since").textContent = day && day.since_s > now() - 86400 ? `since ${clock(day.since_s)}` : "last 24 hours";
  showAges();
}

function eventRow({ label, began_s: began, score, duration_s: duration }) {
  const lasted = make("td", { className: "number lasted" });
  const row = make(
    "tr",
    { className: duration === null ? "is-on" : "" },
    make("td", {}, make("time", { dateTime: new Date(began * 1000).toISOString(), textContent: clock(began) })),
    make("td", { textContent: label }),
    make("td", { className: "number", textContent: score.toFixed(2) }),
    lasted,
  );
  if (duration === null) aged(lasted, began);
  else lasted.textContent = lasting(duration);
  return row;
}

function showBars(day) {
  const frame = $("day");
  if (!day) {
    frame.replaceChildren();
    return;
  }
  // Time passes between messages: quarters that have begun since are empty.
  const passed = Math.max(0, Math.floor(now() / day.bar_s) - Math.floor(day.first_bar_s / day.bar_s) - day.bars.length + 1);
  const bars = [...day.bars, ...Array(Math.min(passed, day.bars.length)).fill(0)].slice(-day.bars.length);
  const first = day.first_bar_s + passed * day.bar_s;
  const most = Math.max(4, ...bars);
  frame.replaceChildren(
    ...bars.map((count, index) => {
      const from = first + index * day.bar_s;
      const unknown = from + day.bar_s <= day.since_s && !count;
      const bar = make("i", { className: unknown ? "unknown" : count ? "some" : "", title: `${clock(from)}: ${unknown ? "not known" : count}` });
      if (count) bar.style.height = `${8 + 92 * Math.sqrt(count / most)}%`;
      return bar;
    }),
  );
  const total = bars.reduce((sum, count) => sum + count, 0);
  const busiest = bars.indexOf(Math.max(...bars));
  const sum = `${total} ${total === 1 ? "event" : "events"}`;
  $("day-sum").textContent = sum;
  frame.setAttribute("aria-label", total ? `${sum} in 24 hours, most of them from ${clock(first + busiest * day.bar_s)} on` : "No events in 24 hours");
  showHours(first, bars.length * day.bar_s);
}

function showHours(first, span) {
  const marks = [];
  const at = new Date(first * 1000);
  at.setHours(at.getHours() + 1, 0, 0, 0);
  for (; at / 1000 < first + span; at.setHours(at.getHours() + 1)) {
    const place = (at / 1000 - first) / span;
    if (at.getHours() % 6 || place < 0.03 || place > 0.97) continue;
    const mark = make("span", { textContent: `${String(at.getHours()).padStart(2, "0")}:00` });
    mark.style.left = `${place * 100}%`;
    marks.push(mark);
  }
  $("hours").replaceChildren(...marks);
}

function showDetails(listener) {
  const { state } = listener;
  const rows = [["Model", listener.model ? `${listener.model}${listener.fingerprint ? ` (${listener.fingerprint})` : ""}` : "–"]];
  if (state) {
    const lost = state.lost + state.shed + state.undelivered;
    const heard = state.classified + state.shed + state.lost + state.left_over;
    rows.push(
      ["Microphone", state.microphone || "none"],
      ["Speed", `${state.per_s.toFixed(1)} predictions a second, ${micro(state.inference_us)} each`],
      ["Lag", `${state.lag_ms.toFixed(0)} ms, 99 % within ${state.lag_ms_p99.toFixed(0)} ms`],
      ["Lost", lost && heard ? `${lost.toLocaleString()} of ${heard.toLocaleString()} samples` : "nothing", lost > 0],
      ["Running", `${lasting(state.up_s)}, ${state.predictions.toLocaleString()} predictions`],
      ["Settings", state.config],
    );
    if (state.gated) rows.push(["Below the gate", `${state.gated.toLocaleString()} windows`]);
    if (state.stage_failures) rows.push(["Failures", `${state.stage_failures} stages restarted`, true]);
  }
  if (listener.missed) rows.push(["Not received", `${listener.missed} lines of the feed`, true]);
  if (link?.mqtt) rows.push(["MQTT", link.mqtt, link.mqtt !== "connected"]);
  rows.push(["Versions", [listener.version && `listener ${listener.version}`, link && `page ${link.version}`].filter(Boolean).join(", ")]);
  $("details").replaceChildren(
    ...rows.map(([name, text, wrong]) =>
      make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: text, className: wrong ? "wrong" : "" })),
    ),
  );
}

function say(text) {
  $("said").replaceChildren(make("span", { textContent: text }));
}

function lasting(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

function micro(us) {
  return us < 1000 ? `${us.toFixed(0)} µs` : `${(us / 1000).toFixed(us < 10000 ? 1 : 0)} ms`;
}

function clock(seconds) {
  const at = new Date(seconds * 1000);
  const time = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const today = at.toDateString() === new Date(now() * 1000).toDateString();
  return today ? time : `${at.toLocaleDateString([], { weekday: "short" })} ${time}`;
}

// ---- what people do ----

$("listeners").addEventListener("change", (event) => choose(event.target.value));
$("freeze").addEventListener("click", ({ currentTarget }) => {
  spectrogram.frozen = !spectrogram.frozen;
  currentTarget.setAttribute("aria-pressed", String(spectrogram.frozen));
  currentTarget.textContent = spectrogram.frozen ? "Go on" : "Pause";
});
$("pause").addEventListener("click", async ({ currentTarget }) => {
  const paused = currentTarget.getAttribute("aria-pressed") !== "true";
  currentTarget.disabled = true;
  try {
    const answer = await fetch("/actions", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ paused }),
    });
    if (!answer.ok) $("actions-sum").textContent = `Not done: ${(await answer.text()).trim()}`;
  } catch {
    $("actions-sum").textContent = "Not done: the connection is gone.";
  }
  currentTarget.disabled = false;
});

setInterval(showAges, 1000);
setInterval(() => showBars(days.get(chosen)), 60_000);

follow("/stream", {
  message(message) {
    try {
      handlers[message.type]?.(message);
    } catch (error) {
      reportError(error); // one message that cannot be shown is no reason to show no others
    }
  },
  state(state, words) {
    $("link").dataset.state = state;
    $("link").textContent = words;
    $("main").dataset.stale = String(state !== "live");
  },
});
