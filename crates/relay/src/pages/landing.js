async function showHealth() {
  const status = at("health");
  try {
    const answer = await fetch("health", { cache: "no-store" });
    const health = await answer.json();
    const running = answer.ok && health.status === "ok";
    const agents = health.agents === 1 ? "1 agent" : `${health.agents} agents`;
    status.textContent = running ? `Running, ${agents}` : "Running with trouble";
    status.className = running ? "status good" : "status warn";
  } catch {
    status.textContent = "Not reached";
    status.className = "status bad";
  }
}

nameOrigin();
showHealth();
