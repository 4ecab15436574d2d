// The most rows of one table.
const MAX_LISTED = 200;

// Shows these rows, each an array of cells of which the first names it.
function fill(id, lines, total = lines.length) {
  const made = lines.slice(0, MAX_LISTED).map((cells) => {
    const line = document.createElement("tr");
    line.setAttribute("role", "row");
    cells.forEach((cell, place) => {
      const box = element(place === 0 ? "th" : "td", cell);
      box.setAttribute("role", place === 0 ? "rowheader" : "cell");
      if (place === 0) {
        box.scope = "row";
      }
      line.append(box);
    });
    return line;
  });
  const table = at(id);
  table.tBodies[0].replaceChildren(...made);
  table.hidden = made.length === 0;
  if (made.length === 0) {
    note(id, "None.");
  } else {
    note(id, total > made.length ? `${number(made.length)} of ${number(total)} are shown.` : "");
  }
}

function note(id, text) {
  const place = at(`${id}-note`);
  place.textContent = text;
  place.hidden = text === "";
}

function state(text, className) {
  return element("span", text, `status ${className}`);
}

function showAgents(agents) {
  const online = agents.filter((agent) => agent.online === true).length;
  at("online").textContent = `${number(online)} of ${number(agents.length)}`;
  const seen = (agent) => Date.parse(agent.lastSeen) || 0;
  const inOrder = agents.toSorted((one, other) => seen(other) - seen(one));
  fill(
    "agents",
    inOrder.map((agent) => [
      foreign(agent.name),
      agent.online === true ? state("online", "good") : state("away", ""),
      moment(agent.lastSeen, age),
    ]),
  );
}

function showChannels(listed) {
  const all = new Map(listed.map((topic) => [topic, 0]));
  for (const [topic, count] of topics) {
    all.set(topic, count);
  }
  const inOrder = Array.from(all).sort((one, other) => other[1] - one[1]);
  fill("channels", inOrder.map(([topic, count]) => [foreign(topic), number(count)]));
}

function showWebhooks({ webhooks, total }) {
  const stateOf = ({ lastDelivered, lastFailure }) => {
    if (lastFailure && !(Date.parse(lastDelivered) >= Date.parse(lastFailure.ts))) {
      const why = [lastFailure.reason, lastFailure.status].filter((it) => it !== undefined);
      return state(`failing: ${why.map(shown).join(" ")}`, "bad");
    }
    return lastDelivered ? state("works", "good") : state("not used yet", "");
  };
  fill(
    "webhooks",
    webhooks.map((webhook) => [
      foreign(webhook.agent),
      foreign(webhook.target),
      stateOf(webhook),
      number(webhook.queued),
      number(webhook.delivered),
      number(webhook.failed + webhook.skipped),
    ]),
    total,
  );
}

// Asks for one table's content; what the relay does not have is said in its place.
async function refreshTable(session, id, path, show) {
  try {
    const content = await askJson(session, path);
    if (!session.signal.aborted) {
      show(content);
    }
  } catch (error) {
    if (error instanceof Refused && error.status === 404) {
      at(id).hidden = true;
      note(id, "Not offered by this relay.");
    } else if (!session.signal.aborted) {
      note(id, "Not up to date: the relay did not answer.");
    }
  }
}

async function refreshHealth(session) {
  try {
    const health = await askJson(session, "health");
    const ahead = Date.parse(health.ts) - Date.now();
    skew = Number.isNaN(ahead) ? 0 : ahead;
    at("health").textContent = health.status === "ok" ? "Running" : "In trouble";
  } catch {
    at("health").textContent = "Not reached";
  }
}

async function refreshTables(session) {
  const { isOperator } = session;
  await Promise.all([
    refreshHealth(session),
    refreshTable(session, "agents", isOperator ? "admin/agents" : "agents", showAgents),
    refreshTable(session, "webhooks", "webhooks", showWebhooks),
    // The operator has no channels of its own: those of the messages that were seen are shown.
    isOperator ? showChannels([]) : refreshTable(session, "channels", "channels", showChannels),
  ]);
}

function clearTables() {
  for (const id of ["agents", "channels", "webhooks"]) {
    at(id).tBodies[0].replaceChildren();
    note(id, "");
  }
  for (const id of ["health", "online"]) {
    at(id).textContent = "–";
  }
}

