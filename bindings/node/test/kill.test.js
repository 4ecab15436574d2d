// A program that is killed in the middle of its work.

import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { test } from 'node:test';

import { program, Scene } from './agents.js';

/** Says what it begins and, once that is durable, what it committed. */
const HANDLER = `
  for await (const message of client.follow({ retryAfterMs: 1 })) {
    process.stdout.write('begin ' + message.text() + '\\n');
    await message.commit();
    process.stdout.write('done ' + message.text() + '\\n');
  }
`;

test('what a killed program committed does not come again, and everything else does', async (t) => {
  const scene = await Scene.start(t);
  const alice = await scene.agent('alice');
  await scene.agent('bob');
  const numbers = Array.from({ length: 8 }, (_, number) => String(number));
  for (const number of numbers) {
    await alice.send('bob', number);
  }
  const told = { begin: [], done: [] };
  for (const end of ['begin 3', 'done 7']) {
    const running = program(HANDLER, scene.profile('bob'));
    for await (const line of createInterface(running.stdout)) {
      const [word, number] = line.split(' ');
      told[word].push(number);
      if (line === end) {
        running.kill('SIGKILL');
      }
    }
  }
  assert.deepEqual([...new Set(told.begin)], numbers);
  // Of the one that it was killed with, nobody may have heard.
  const unheard = numbers.filter((number) => !told.done.includes(number));
  assert.ok(unheard.length === 0 || (unheard.length === 1 && unheard[0] === '3'), `${unheard}`);
  assert.equal(new Set(told.done).size, told.done.length);
  const bob = await scene.open('bob');
  assert.equal(await bob.next({ timeout: 0 }), null);
});
