// A bot that answers sums, and somebody who asks it, over a relay in this process.
//
// Run with: npm install --prefix examples/node && node examples/node/bot.js
// With a profile of your own (`ctalk keygen`, `ctalk register`) the bot alone: node examples/node/bot.js NAME

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Client, Identity, Relay, profileFolder } from 'ctalk';

/** Answers what it can, until the client is closed or the signal aborts. */
async function serve(client, signal) {
  for await (const message of client.follow({ signal })) {
    const sum = /^\s*(-?\d+)\s*\+\s*(-?\d+)\s*$/.exec(message.text());
    if (message.type !== 'request') {
      await message.commit();
    } else if (sum) {
      await message.reply(String(BigInt(sum[1]) + BigInt(sum[2])));
    } else {
      await message.reply('I add two numbers, such as 1 + 2.');
    }
  }
}

/** Makes an agent and registers it. */
async function agent(folder, name, relay) {
  await Identity.generate().save({ folder: join(folder, name), name, keyStore: 'plain' });
  const client = await Client.open({ folder: join(folder, name) });
  await client.register({ relay: relay.url, adminKey: relay.adminKey });
  return client;
}

async function demonstrate() {
  const folder = mkdtempSync(join(tmpdir(), 'ctalk-bot-'));
  const relay = await Relay.start();
  const [bot, alice] = [await agent(folder, 'bot', relay), await agent(folder, 'alice', relay)];
  const serving = serve(bot);
  for (const question of ['19 + 23', '9007199254740993 + 1', 'hello']) {
    const response = await alice.call('bot', question);
    console.log(`${question} -> ${response.text()}`);
  }
  bot.close();
  await serving;
  alice.close();
  relay.close();
  rmSync(folder, { recursive: true });
}

const [name] = process.argv.slice(2);
if (name === undefined) {
  await demonstrate();
} else {
  const client = await Client.open({ folder: profileFolder(name) });
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => abort.abort());
  }
  await serve(client, abort.signal).catch((error) => {
    if (error.name !== 'AbortError') {
      throw error;
    }
  });
}
