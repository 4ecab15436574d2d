const BUCKET = 10_000;
const BUCKETS = 60;
const HEIGHT = 90;
// As many messages fill the chart's height at least, so that one alone does not look like many.
const LOW_PEAK = 5;

// By the number of their 10 seconds: how many messages there were, and whether they were all seen.
let buckets = new Map();
let firstWatched = Infinity;

function bucketOf(ms) {
  return Math.floor(ms / BUCKET);
}

function bucket(number) {
  let found = buckets.get(number);
  if (found === undefined) {
    found = { count: 0, partial: number <= firstWatched };
    buckets.set(number, found);
  }
  return found;
}

function countMessage(iso) {
  const newest = bucketOf(relayNow());
  const number = Math.min(bucketOf(Date.parse(iso)), newest);
  if (number > newest - BUCKETS) {
    bucket(number).count += 1;
  }
}

// Called every second.
function noteWatching(watching) {
  const now = bucketOf(relayNow());
  if (watching) {
    firstWatched = Math.min(firstWatched, now);
  }
  const current = bucket(now);
  current.partial ||= !watching;
  for (const number of buckets.keys()) {
    if (number <= now - BUCKETS) {
      buckets.delete(number);
    }
  }
}

function clearChart() {
  buckets = new Map();
  firstWatched = Infinity;
}

function drawChart() {
  const newest = bucketOf(relayNow());
  const chart = at("chart");
  while (chart.childElementCount < BUCKETS) {
    chart.append(document.createElementNS("http://www.w3.org/2000/svg", "rect"));
  }
  const counts = Array.from(chart.children, (_, place) => {
    return buckets.get(newest - BUCKETS + 1 + place) ?? { count: 0, partial: true };
  });
  const peak = Math.max(...counts.map((it) => it.count));
  counts.forEach(({ count, partial }, place) => {
    const bar = chart.children[place];
    // What is there at all can be seen.
    const height = count === 0 ? 0 : Math.max(2, (count / Math.max(peak, LOW_PEAK)) * (HEIGHT - 4));
    const shape = { x: place * 10 + 1, width: 8, y: HEIGHT - height, height };
    for (const [name, value] of Object.entries(shape)) {
      bar.setAttribute(name, value);
    }
    bar.classList.toggle("partial", partial);
  });
  const total = counts.reduce((sum, it) => sum + it.count, 0);
  at("peak").textContent = peak === 0 ? "" : `at most ${number(peak)}`;
  chart.setAttribute(
    "aria-label",
    `Messages in the last 10 minutes: ${total}, at most ${peak} in 10 seconds`,
  );
  const lastMinute = counts.slice(-6).reduce((sum, it) => sum + it.count, 0);
  at("per-minute").textContent = number(lastMinute);
}

