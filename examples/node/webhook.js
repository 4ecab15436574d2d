// Hands what arrives over to an agent runtime that takes webhooks, as OpenClaw does: a POST with a bearer
// token and a JSON body `{"message": …, "name": …, "sessionKey": …}`. The message was opened and its
// sender checked before the runtime sees it; it is committed once the runtime took it, and tried again
// when the runtime is away.
//
// Run with: npm install --prefix examples/node && node examples/node/webhook.js
// With a profile of your own: HOOK_TOKEN=… node examples/node/webhook.js NAME http://127.0.0.1:18789/hooks/agent

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';

import { Client, Identity, Relay, profileFolder } from 'ctalk';

/** Hands over one message after the other, until the client is closed. */
async function forward(client, hook, token) {
  for await (const message of client.follow({ retryAfterMs: 100 })) {
    const body = {
      message: message.text(),
      name: message.from,
      // One conversation for each sender, by the keys and not by the name.
      sessionKey: `ctalk:${message.fingerprint}`,
    };
    const answer = await fetch(hook, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }).catch((error) => ({ ok: false, status: 0, statusText: error.message }));
    if (answer.ok) {
      await message.commit();
    } else if (answer.status === 0 || answer.status === 429 || answer.status >= 500) {
      await message.retry({ why: `the hook answered ${answer.status} ${answer.statusText}` });
    } else {
      await message.reject(`the hook answered ${answer.status} ${answer.statusText}`);
    }
  }
}

/** A runtime that is away at first, and that says what it took. */
async function runtime(token) {
  let requests = 0;
  const server = createServer(async (request, response) => {
    const body = await json(request);
    requests += 1;
    if (request.headers.authorization !== `Bearer ${token}`) {
      response.writeHead(401).end();
    } else if (requests === 1) {
      response.writeHead(503).end();
    } else {
      response.writeHead(202).end();
      server.emit('took', body);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** Makes an agent and registers it. */
async function agent(folder, name, relay) {
  await Identity.generate().save({ folder: join(folder, name), name, keyStore: 'plain' });
  const client = await Client.open({ folder: join(folder, name) });
  await client.register({ relay: relay.url, adminKey: relay.adminKey });
  return client;
}

async function demonstrate() {
  const folder = mkdtempSync(join(tmpdir(), 'ctalk-webhook-'));
  const relay = await Relay.start();
  const [claw, alice] = [await agent(folder, 'claw', relay), await agent(folder, 'alice', relay)];
  const server = await runtime('secret');
  const forwarding = forward(claw, `http://127.0.0.1:${server.address().port}/hooks/agent`, 'secret');
  await alice.send('claw', 'Summarise what is new.', { type: 'notification' });
  const [body] = await once(server, 'took');
  console.log(`the runtime got: ${body.message} (from ${body.name})`);
  claw.close();
  await forwarding.catch(() => {});
  server.close();
  server.closeAllConnections();
  alice.close();
  relay.close();
  rmSync(folder, { recursive: true });
}

const [name, hook] = process.argv.slice(2);
if (name === undefined) {
  await demonstrate();
} else {
  await forward(await Client.open({ folder: profileFolder(name) }), hook, process.env.HOOK_TOKEN);
}
