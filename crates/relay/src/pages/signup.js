// What the form says, without the fields that were left empty.
function registration() {
  const body = {};
  for (const [name, value] of new FormData(at("form"))) {
    const text = value.trim();
    if (text !== "") {
      body[name] = text;
    }
  }
  return body;
}

function refuse(text) {
  const problem = at("problem");
  problem.textContent = text;
  problem.hidden = false;
}

async function register() {
  const answer = await fetch("register", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(registration()),
  });
  const body = await answer.json();
  if (answer.status === 201) {
    show(body);
  } else {
    refuse(`Not registered: ${body.error}.`);
  }
}

function show({ name, apiKey: key, webhookSecret: secret }) {
  document.title = "Registered · ctalk relay";
  at("registered").textContent = name;
  at("path-name").textContent = name;
  at("key").textContent = key;
  at("key-again").textContent = key;
  at("secret").textContent = secret ?? "";
  at("webhook-part").hidden = secret === undefined;
  at("asking").hidden = true;
  at("done").hidden = false;
  at("done-title").focus();
}

// Copies the text of the element that a button names; selects it where the browser refuses.
async function copyFrom(button) {
  const source = at(button.dataset.copies);
  const told = at("copied");
  try {
    await navigator.clipboard.writeText(source.textContent);
    told.textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren(source);
    told.textContent = "Selected: copy it with your keyboard.";
  }
}

at("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  at("problem").hidden = true;
  at("submit").disabled = true;
  try {
    await register();
  } catch {
    refuse(
      "The relay's answer did not arrive, so the name may be registered or not. " +
        "Try again; when the name is taken then, ask the operator for a new key.",
    );
  } finally {
    at("submit").disabled = false;
  }
});

for (const button of document.querySelectorAll("[data-copies]")) {
  button.addEventListener("click", () => copyFrom(button));
}

nameOrigin();
const invite = new URLSearchParams(location.search).get("invite");
if (invite) {
  at("invite").value = invite;
  at("invite").readOnly = true;
}
