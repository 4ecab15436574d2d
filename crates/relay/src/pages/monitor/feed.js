const MAX_ROWS = 200;

// Newest first, and what came while the feed was paused.
let rows = [];
let waiting = [];
let paused = false;
// Topics of the messages that were seen, with their number.
let topics = new Map();
const MAX_TOPICS = 1000;

function keyOf(envelope) {
  return JSON.stringify([envelope.id, envelope.to]);
}

// Takes a message that may have been taken before.
function take(envelope, length) {
  if (envelope === null || typeof envelope !== "object") {
    return;
  }
  const key = keyOf(envelope);
  if (rows.some((row) => row.key === key) || waiting.some((row) => row.key === key)) {
    return;
  }
  countMessage(envelope.ts);
  countTopic(envelope.topic);
  const row = makeRow(key, envelope, length);
  if (paused) {
    waiting.push(row);
    waiting.splice(0, waiting.length - MAX_ROWS);
  } else {
    insert(row);
  }
  noteFeed();
}

function countTopic(topic) {
  if (typeof topic === "string" && topic !== "") {
    if (topics.has(topic) || topics.size < MAX_TOPICS) {
      topics.set(topic, (topics.get(topic) ?? 0) + 1);
    }
  }
}

function makeRow(key, envelope, length) {
  const marks = [envelope.encrypted === true ? "encrypted" : "plaintext"];
  if (typeof envelope.signature === "string") {
    marks.push("signed");
  }
  const line = element("tr", "");
  line.setAttribute("role", "row");
  const add = (content, className) => {
    const cell = element("td", content, className);
    cell.setAttribute("role", "cell");
    line.append(cell);
  };
  add(moment(envelope.ts, clockTime), "time");
  add(foreign(envelope.from), "from");
  add(foreign(envelope.to), "to");
  add(foreign(envelope.type), "type");
  add(foreign(envelope.topic), "topic");
  add(marks.join(", "), marks[0] === "plaintext" ? "mark plain" : "mark");
  add(size(length), "number");
  const texts = [envelope.from, envelope.to, envelope.type, envelope.topic, marks.join(" ")];
  return { key, ts: shown(envelope.ts), line, text: texts.map(shown).join(" ").toLowerCase() };
}

function insert(row) {
  const found = rows.findIndex((other) => other.ts <= row.ts);
  const place = found === -1 ? rows.length : found;
  if (place >= MAX_ROWS) {
    return;
  }
  at("feed").tBodies[0].insertBefore(row.line, rows[place]?.line ?? null);
  rows.splice(place, 0, row);
  row.line.hidden = !fits(row);
  for (const old of rows.splice(MAX_ROWS)) {
    old.line.remove();
  }
}

function fits(row) {
  return row.text.includes(at("filter").value.trim().toLowerCase());
}

function filterFeed() {
  for (const row of rows) {
    row.line.hidden = !fits(row);
  }
  noteFeed();
}

function pauseFeed(pause) {
  paused = pause;
  at("pause").setAttribute("aria-pressed", String(pause));
  if (!pause) {
    waiting.splice(0).forEach(insert);
  }
  noteFeed();
}

function noteFeed() {
  const visible = rows.filter((row) => !row.line.hidden).length;
  let note = rows.length === 0 ? "Nothing yet." : "";
  if (visible < rows.length) {
    note = `${visible} of ${rows.length} fit the filter.`;
  }
  if (paused) {
    note = `Paused; ${waiting.length} came meanwhile. ${note}`;
  }
  if (at("feed-note").textContent !== note) {
    at("feed-note").textContent = note;
  }
}

function clearFeed() {
  for (const row of rows.splice(0)) {
    row.line.remove();
  }
  waiting = [];
  topics = new Map();
  at("filter").value = "";
  pauseFeed(false);
}

