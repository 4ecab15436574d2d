const KEPT = "ctalk-monitor-key";
// The tables are read again after this time, and after many times what reading them took.
const REFRESH = 10_000;
const REFRESH_FACTOR = 20;

// What is watched with one key; null while there is none.
let current = null;

function showConnection(text, className) {
  const place = at("connection");
  place.textContent = text;
  place.className = `status ${className}`;
}

// Browsers may refuse storage altogether.
function storages() {
  try {
    return { tab: sessionStorage, browser: localStorage };
  } catch {
    return {};
  }
}

function keep(key, where) {
  try {
    storages()[where]?.setItem(KEPT, key);
  } catch {
    // It is full or switched off: the key stays in memory.
  }
}

function keptKey() {
  const { tab, browser } = storages();
  return tab?.getItem(KEPT) ?? browser?.getItem(KEPT) ?? null;
}

function dropKept() {
  for (const storage of Object.values(storages())) {
    storage.removeItem(KEPT);
  }
}

// Whether the relay answers there; it may refuse to with this status.
async function isTaken(session, path, status) {
  try {
    await ask(session, path);
    return true;
  } catch (error) {
    if (error instanceof Refused && error.status === status) {
      return false;
    }
    throw error;
  }
}

// Refuses a key that the relay does not know, and tells the operator's from an agent's.
async function isOperators(session) {
  // Every agent's key begins so, and the operator's may.
  if (session.key.startsWith("ct_") && (await isTaken(session, "channels", 401))) {
    return false;
  }
  // The operator may not be allowed to see messages.
  await isTaken(session, "messages?limit=0", 403);
  return true;
}

async function begin(key) {
  const stop = new AbortController();
  const session = { key, stop, signal: stop.signal, isOperator: false };
  session.isOperator = await isOperators(session);
  current = session;
  at("board-title").textContent = session.isOperator ? "Everybody's traffic" : "One agent's traffic";
  at("key").value = "";
  at("entry").hidden = true;
  at("board").hidden = false;
  // The chart goes by the relay's clock.
  await refreshHealth(session);
  drawChart();
  keepWatching(session);
  keepRefreshing(session);
}

async function keepRefreshing(session) {
  let took = 0;
  while (!session.signal.aborted) {
    await pauseFor(Math.max(REFRESH, REFRESH_FACTOR * took), session.signal);
    if (!session.signal.aborted && !document.hidden) {
      const began = performance.now();
      await refreshTables(session);
      took = performance.now() - began;
    }
  }
}

// Forgets the key and all that was seen with it.
function end(why) {
  current?.stop.abort();
  current = null;
  dropKept();
  clearFeed();
  clearChart();
  clearTables();
  at("board").hidden = true;
  at("entry").hidden = false;
  showConnection("No key", "");
  showProblem(why);
  at("key").focus();
}

function showProblem(text) {
  at("problem").textContent = text;
  at("problem").hidden = text === "";
}

function reasonOf(error) {
  return error instanceof Refused && error.status === 401
    ? "The relay does not know this key."
    : "The relay did not answer as expected. Try again.";
}

at("key-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const key = at("key").value.trim();
  const where = at("keep").value;
  showProblem("");
  at("connect").disabled = true;
  try {
    await begin(key);
    keep(key, where);
    at("board-title").focus();
  } catch (error) {
    showProblem(reasonOf(error));
  } finally {
    at("connect").disabled = false;
  }
});
at("forget").addEventListener("click", () => end(""));
at("pause").addEventListener("click", () => pauseFeed(!paused));
at("filter").addEventListener("input", filterFeed);

setInterval(() => {
  if (current !== null) {
    noteWatching(at("connection").classList.contains("good"));
    drawChart();
  }
}, 1000);

const kept = keptKey();
if (kept !== null) {
  begin(kept).catch((error) => end(reasonOf(error)));
}
