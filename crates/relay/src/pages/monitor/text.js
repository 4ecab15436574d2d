// What came from others becomes text and nothing else: characters that hide, reorder or break lines
// are spelled out, and what is long is cut.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/gu;
const LONGEST = 120;

function shown(value) {
  if (value === undefined || value === null) {
    return "";
  }
  const whole = typeof value === "string" ? value : JSON.stringify(value);
  const start = Array.from(whole.slice(0, 2 * LONGEST)).slice(0, LONGEST).join("");
  const escape = (character) => `\\u{${character.codePointAt(0).toString(16)}}`;
  return start.replace(HIDDEN, escape) + (start.length < whole.length ? "…" : "");
}

// An element with text in it; `value` may be an element, too.
function element(name, value, className = "") {
  const made = document.createElement(name);
  if (className !== "") {
    made.className = className;
  }
  made.append(value instanceof Node ? value : shown(value));
  return made;
}

// A text of somebody's, whose direction does not reach beyond it.
function foreign(value) {
  return element("bdi", value);
}

// A count that others sent.
function number(value) {
  return Number.isFinite(value) ? value.toLocaleString("en") : "–";
}

function size(length) {
  return length < 1000 ? `${length} B` : `${(length / 1000).toFixed(1)} kB`;
}

// How far the relay's clock is ahead of this one, in milliseconds.
let skew = 0;

function relayNow() {
  return Date.now() + skew;
}

function moment(iso, format) {
  const ms = Date.parse(iso);
  if (Number.isNaN(ms)) {
    return document.createTextNode("–");
  }
  const made = element("time", format(ms));
  made.dateTime = new Date(ms).toISOString();
  return made;
}

function clockTime(ms) {
  return new Date(ms).toLocaleTimeString("en", { hourCycle: "h23" });
}

function age(ms) {
  const seconds = Math.max(0, Math.round((relayNow() - ms) / 1000));
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= length) {
      return `${Math.floor(seconds / length)} ${unit} ago`;
    }
  }
  return "now";
}

