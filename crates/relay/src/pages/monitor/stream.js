// The longest event, in UTF-16 code units: longer than any envelope.
const MAX_EVENT = 1 << 20;
// The relay is heard of every 15 seconds.
const SILENCE = 45_000;
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 30_000;

// A refusal by the relay.
class Refused extends Error {
  constructor(status) {
    super(`the relay answered ${status}`);
    this.status = status;
  }
}

async function ask(session, path, signal = session.signal) {
  const answer = await fetch(path, {
    headers: { Authorization: `Bearer ${session.key}` },
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
    signal,
  });
  if (!answer.ok) {
    throw new Refused(answer.status);
  }
  return answer;
}

async function askJson(session, path) {
  return (await ask(session, path)).json();
}

// The data of each event, and null for each heartbeat (WHATWG HTML, section 9.2).
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      return;
    }
    buffer += value;
    for (let end = buffer.indexOf("\n\n"); end !== -1; end = buffer.indexOf("\n\n")) {
      const lines = buffer.slice(0, end).split("\n");
      buffer = buffer.slice(end + 2);
      yield lines.find((line) => line.startsWith("data: "))?.slice(6) ?? null;
    }
    if (buffer.length > MAX_EVENT) {
      throw new Error("an event that is too long");
    }
  }
}

// What is stored: the newest 100. Returns the time of the newest, if any.
async function takeStored(session) {
  const page = await askJson(session, "messages?limit=100");
  for (const envelope of page.messages) {
    take(envelope, JSON.stringify(envelope).length);
  }
  return page.newestTs;
}

// Takes messages until the stream ends or fails. An agent's stream goes on after the newest message
// that is stored; the operator's begins now, so what is stored is read when it is open.
async function watch(session, whenOpen) {
  const patience = new AbortController();
  const signal = AbortSignal.any([session.signal, patience.signal]);
  let timer = setTimeout(() => patience.abort(), SILENCE);
  try {
    const newest = session.isOperator ? undefined : await takeStored(session);
    const query = newest === undefined ? "" : `?after=${encodeURIComponent(newest)}`;
    const answer = await ask(session, `messages/stream${query}`, signal);
    let isOpen = false;
    for await (const data of events(answer.body)) {
      clearTimeout(timer);
      timer = setTimeout(() => patience.abort(), SILENCE);
      if (!isOpen) {
        isOpen = true;
        if (session.isOperator) {
          await takeStored(session);
        }
        whenOpen();
      }
      if (data !== null) {
        take(JSON.parse(data), data.length);
      }
    }
  } finally {
    clearTimeout(timer);
    patience.abort();
  }
}

function pauseFor(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

// Watches until the session ends or its key does, over all interruptions.
async function keepWatching(session) {
  let pause = FIRST_PAUSE;
  while (!session.signal.aborted) {
    showConnection("Connecting", "warn");
    try {
      await watch(session, () => {
        pause = FIRST_PAUSE;
        showConnection("Live", "good");
        refreshTables(session);
      });
    } catch (error) {
      if (error instanceof Refused && error.status === 401) {
        end("The relay does not know this key any more.");
        return;
      }
      if (error instanceof Refused && error.status === 403) {
        refreshTables(session);
        showConnection("Hidden: this relay does not show messages to its operator", "bad");
        return;
      }
    }
    if (session.signal.aborted) {
      return;
    }
    const jittered = Math.round(pause * (0.75 + Math.random() / 2));
    showConnection(`Interrupted, trying again in ${Math.ceil(jittered / 1000)} s`, "bad");
    await pauseFor(jittered, session.signal);
    pause = Math.min(2 * pause, LONGEST_PAUSE);
  }
}

