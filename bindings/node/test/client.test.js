// Agents that talk over a relay.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';

import {
  AbortError,
  Client,
  Identity,
  LocalStoreError,
  Message,
  NotTrustedError,
  RelayRefusedError,
  RelayUnreachableError,
  TimedOutError,
  UsageError,
} from 'ctalk';

import { call, look } from '../src/native.js';
import { program, Scene } from './agents.js';

test('a message arrives as it was sent, and not again once it is committed', async (t) => {
  const scene = await Scene.start(t);
  const [alice, bob] = [await scene.agent('alice'), await scene.agent('bob')];
  const options = {
    type: 'notification',
    topic: 'lab',
    correlationId: 'c-1',
    replyTo: 'r-1',
    contentType: 'application/json',
  };
  const sent = await alice.send('bob', '{"n":1.50}', options);
  assert.equal(sent.to, 'bob');
  assert.equal(sent.state, 'sent');
  const message = await bob.next();
  assert.ok(message instanceof Message);
  assert.equal(message.text(), '{"n":1.50}');
  assert.deepEqual(message.json(), { n: 1.5 });
  assert.equal(message.contentType, 'application/json');
  assert.equal(message.id, sent.id);
  assert.equal(message.from, 'alice');
  assert.equal(message.relayFrom, 'alice');
  assert.equal(message.fingerprint.length, 64);
  assert.equal(message.trust, 'pinned');
  assert.equal(message.type, 'notification');
  assert.equal(message.topic, 'lab');
  assert.equal(message.correlationId, 'c-1');
  assert.equal(message.replyTo, 'r-1');
  assert.equal(message.attempt, 1);
  assert.equal(message.settled, false);
  await assert.rejects(message.reply('hi'), { name: 'UsageError', code: 'CTALK_NOT_ASKED' });
  await message.commit();
  assert.equal(message.settled, true);
  await assert.rejects(message.retry(), { code: 'CTALK_ALREADY_SETTLED' });
  assert.equal(await bob.next({ timeout: 0 }), null);
  assert.equal((await alice.takeEvents())[0].event, 'pinned');
});

test('a call gets the answer of whoever follows', async (t) => {
  const scene = await Scene.start(t);
  const [alice, bob] = [await scene.agent('alice'), await scene.agent('bob')];
  const answering = (async () => {
    for await (const message of bob.follow()) {
      await message.reply(String(Number(message.text()) * 7));
    }
  })();
  const responses = await Promise.all(['1', '6', '60'].map((number) => alice.call('bob', number)));
  assert.deepEqual(
    responses.map((response) => response.text()),
    ['7', '42', '420'],
  );
  assert.equal(responses[0].type, 'response');
  await assert.rejects(responses[0].commit(), { code: 'CTALK_ALREADY_SETTLED' });
  // Whoever closes a client ends its loop.
  bob.close();
  await answering;
});

test('whoever closes a client within its loop ends the loop', async (t) => {
  const scene = await Scene.start(t);
  const [alice, bob] = [await scene.agent('alice'), await scene.agent('bob')];
  await alice.send('bob', 'hello');
  for await (const message of bob.follow()) {
    await message.commit();
    bob.close();
  }
});

test('a message comes again after a retry, and not after a rejection', async (t) => {
  const scene = await Scene.start(t);
  const [alice, bob] = [await scene.agent('alice'), await scene.agent('bob')];
  await alice.send('bob', 'first');
  await alice.send('bob', 'second');
  const seen = [];
  for await (const message of bob.follow({ retryAfterMs: 1 })) {
    seen.push([message.text(), message.attempt]);
    if (message.text() === 'first' && message.attempt < 3) {
      await message.retry({ why: 'not yet' });
    } else if (message.text() === 'first') {
      await message.commit();
    } else {
      await message.reject('never');
      break;
    }
  }
  assert.deepEqual(seen, [
    ['first', 1],
    ['first', 2],
    ['first', 3],
    ['second', 1],
  ]);
  assert.equal(await bob.next({ timeout: 0 }), null);
});

test('a message that is closed, or whose client is, comes again', async (t) => {
  const scene = await Scene.start(t);
  const [alice, bob] = [await scene.agent('alice'), await scene.agent('bob')];
  await alice.send('bob', 'hello');
  for await (const message of bob.follow({ retryAfterMs: 1 })) {
    if (message.attempt === 1) {
      message[Symbol.dispose]();
    } else {
      break;
    }
  }
  await bob[Symbol.asyncDispose]();
  const again = await scene.open('bob');
  const message = await again.next();
  assert.equal(message.attempt, 3);
  await message.commit();
});

test('to several recipients each has its outcome', async (t) => {
  const scene = await Scene.start(t);
  const alice = await scene.agent('alice');
  await scene.agent('bob');
  const [sent, not] = await alice.send(['bob', 'nobody'], Buffer.from([0, 255]));
  assert.equal(sent.state, 'sent');
  assert.deepEqual([not.to, not.class], ['nobody', 'relay-refused']);
  await assert.rejects(alice.send('nobody', 'hello'), RelayRefusedError);
  await assert.rejects(alice.send('bob', 'hello', { tpoic: 'x' }), { code: 'CTALK_BAD_OPTIONS' });
  await assert.rejects(alice.send('bob', undefined), TypeError);
  await assert.rejects(alice.send(7, ''), TypeError);
});

test('a signal ends whatever waits, at once', async (t) => {
  const scene = await Scene.start(t);
  const [alice, bob] = [await scene.agent('alice'), await scene.agent('bob')];
  const reason = new Error('enough');
  const waits = [
    (signal) => bob.next({ signal }),
    (signal) => alice.call('bob', 'anybody there?', { signal }),
    (signal) => bob.follow({ signal }).next(),
  ];
  for (const wait of waits) {
    const abort = new AbortController();
    const waiting = wait(abort.signal);
    setImmediate(() => abort.abort(reason));
    await assert.rejects(waiting, (error) => {
      assert.ok(error instanceof AbortError);
      assert.deepEqual([error.name, error.code], ['AbortError', 'CTALK_INTERRUPTED']);
      assert.equal(error.cause, reason);
      return true;
    });
    await assert.rejects(wait(AbortSignal.abort()), AbortError);
  }
  await assert.rejects(bob.next({ signal: {} }), TypeError);
  // The client goes on.
  await alice.send('bob', 'hello', { correlationId: 'c-2' });
  while ((await bob.next()).text() !== 'hello');
});

test('a call that nobody answers ends in time', async (t) => {
  const scene = await Scene.start(t);
  const alice = await scene.agent('alice');
  await scene.agent('bob');
  await assert.rejects(alice.call('bob', 'hello', { timeout: 1 }), TimedOutError);
});

test('more waiting calls than Node has threads keep nobody from reading a file', async (t) => {
  const scene = await Scene.start(t);
  const bob = await scene.agent('bob');
  const { readFile } = await import('node:fs/promises');
  const abort = new AbortController();
  const waiting = Array.from({ length: 8 }, () => bob.next({ signal: abort.signal }));
  assert.ok((await readFile(new URL(import.meta.url))).length > 0);
  assert.equal((await bob.whoami()).name, 'bob');
  abort.abort();
  for (const outcome of await Promise.allSettled(waiting)) {
    assert.equal(outcome.reason.name, 'AbortError');
  }
});

test('more waiting calls than there are threads keep nobody from sending, and each can be stopped', async (t) => {
  const scene = await Scene.start(t);
  const [alice, bob] = [await scene.agent('alice'), await scene.agent('bob')];
  const waiting = Array.from({ length: 64 }, () => alice.next());
  const abort = new AbortController();
  const queued = alice.next({ signal: abort.signal });
  abort.abort();
  await assert.rejects(queued, AbortError);
  assert.equal((await alice.send('bob', 'hello')).state, 'sent');
  const last = alice.next();
  alice.close();
  for (const { reason } of await Promise.allSettled([...waiting, last])) {
    assert.ok(reason instanceof AbortError || reason.code === 'CTALK_WRONG_HANDLE', `${reason}`);
  }
  await (await bob.next()).commit();
});

test('what a relay cannot take now leaves later', async (t) => {
  const scene = await Scene.start(t);
  const [alice, bob] = [await scene.agent('alice'), await scene.agent('bob')];
  await alice.send('bob', 'one');
  const queued = await alice.send('bob', 'two', { noWait: true });
  assert.equal(queued.state, 'queued');
  await alice.flush();
  for (const text of ['one', 'two']) {
    const message = await bob.next();
    assert.equal(message.text(), text);
    await message.commit();
  }
  await scene.relay[Symbol.asyncDispose]();
  await assert.rejects(alice.send('bob', 'three'), { name: 'RelayUnreachableError', code: 'CTALK_QUEUED' });
  await assert.rejects(alice.flush(), RelayUnreachableError);
});

test('contacts are added, verified, renamed, blocked and forgotten', async (t) => {
  const scene = await Scene.start(t);
  const [alice, bob] = [await scene.agent('alice'), await scene.agent('bob')];
  const added = await alice.contacts.add(await bob.card(), { as: 'robert' });
  assert.equal(added.name, 'robert');
  const mine = await alice.contacts.compare('robert');
  await bob.contacts.add('alice');
  assert.equal((await bob.contacts.compare('alice')).safetyNumber, mine.safetyNumber);
  const verified = await alice.contacts.verify('robert', added.fingerprint);
  assert.equal(verified.standing, 'verified');
  await assert.rejects(alice.contacts.verify('robert', '00'.repeat(32)), NotTrustedError);
  await assert.rejects(alice.contacts.verify('robert', 'xyz'), UsageError);
  assert.equal((await alice.contacts.rename('robert', 'bob')).name, 'bob');
  await alice.contacts.note('bob', 'met in the lab');
  await alice.contacts.block('bob');
  await assert.rejects(alice.send('bob', 'hello'));
  await alice.contacts.unblock('bob');
  const lines = await alice.contacts.export();
  assert.equal((await alice.contacts.list()).length, 1);
  assert.equal((await alice.contacts.show('bob')).cards.length, 1);
  await alice.contacts.remove('bob');
  await assert.rejects(alice.contacts.show('bob'), { code: 'CTALK_UNKNOWN_CONTACT' });
  assert.equal((await alice.contacts.import(lines)).added, 1);
  await alice.contacts.remove('bob');
  await alice.contacts.add((await bob.card()).text);
  const [known] = await bob.contacts.list();
  assert.equal((await bob.contacts.acceptKey('alice', known.fingerprint)).name, 'alice');
  await assert.rejects(alice.contacts.show(7), TypeError);
});

test("a client's identity opens what is sealed to its card", async (t) => {
  const scene = await Scene.start(t);
  const bob = await scene.agent('bob');
  const identity = await bob.identity();
  const loaded = await Identity.load({ folder: scene.profile('bob') });
  assert.equal(loaded.fingerprint, identity.fingerprint);
  const sealed = Identity.generate().sealSync('hello', [loaded.card()]);
  assert.equal((await identity.open(sealed)).text(), 'hello');
  assert.throws(() => loaded.card({ name: 'x' }), { code: 'CTALK_BAD_OPTIONS' });
});

test('what cannot be opened says why', async (t) => {
  const scene = await Scene.start(t);
  await assert.rejects(Client.open({ folder: scene.profile('nobody') }), {
    name: 'LocalStoreError',
    code: 'CTALK_NO_PROFILE',
  });
  await assert.rejects(Client.open({}), { code: 'CTALK_BAD_OPTIONS' });
  await assert.rejects(Client.open(), UsageError);
  await assert.rejects(Client.open({ folder: 'x', password: 'x' }), { code: 'CTALK_BAD_OPTIONS' });
  const identity = Identity.generate();
  const folder = scene.profile('locked');
  await identity.save({ folder, name: 'locked', keyStore: 'file', passphrase: 'open sesame' });
  await assert.rejects(identity.save({ folder, name: 'locked', keyStore: 'plain' }), { code: 'CTALK_PROFILE_EXISTS' });
  await assert.rejects(Client.open({ folder, passphrase: 'wrong' }), LocalStoreError);
  await assert.rejects(Identity.load({ folder }), { code: 'CTALK_BAD_PASSPHRASE' });
  await assert.rejects(Identity.load({ folder: null }), TypeError);
});

test('a closed client says so, and the calls that waited end', async (t) => {
  const scene = await Scene.start(t);
  const bob = await scene.agent('bob');
  const waiting = bob.next();
  bob.close();
  await assert.rejects(waiting, (error) => error instanceof AbortError || error.code === 'CTALK_WRONG_HANDLE');
  const gone = { name: 'UsageError', code: 'CTALK_WRONG_HANDLE' };
  await assert.rejects(bob.send('bob', 'hello'), gone);
  await assert.rejects(bob.next(), gone);
  await assert.rejects(bob.contacts.list(), gone);
  await assert.rejects(bob.follow().next(), gone);
});

test('a message that cannot be taken over is given back', async (t) => {
  const scene = await Scene.start(t);
  const [alice, bob] = [await scene.agent('alice'), await scene.agent('bob')];
  await alice.send('bob', 'hello');
  const following = bob.follow({ retryAfterMs: 1 });
  await (await following.next()).value.retry();
  const before = look('ctalk_handle_count');
  const { from } = Buffer;
  Buffer.from = () => {
    throw new RangeError('no memory left');
  };
  try {
    assert.throws(() => call('ctalk_client_next', Client.of(bob, 'bob'), 60_000, 0), RangeError);
  } finally {
    Buffer.from = from;
  }
  assert.equal(look('ctalk_handle_count'), before);
  const { value } = await following.next();
  assert.equal(value.attempt, 3);
  await value.commit();
});

test('a thread that ends gives back what it had in hand, and keeps nothing', async (t) => {
  const scene = await Scene.start(t);
  const [alice, bob] = [await scene.agent('alice'), await scene.agent('bob')];
  await alice.send('bob', 'hello');
  const before = look('ctalk_handle_count');
  const code = `
    const { workerData } = require('node:worker_threads');
    import('ctalk').then(async ({ Client }) => {
      const client = await Client.open({ folder: workerData });
      globalThis.message = await client.next();
    });
  `;
  await once(new Worker(code, { eval: true, workerData: scene.profile('bob') }), 'exit');
  assert.ok(look('ctalk_handle_count') <= before);
  const { value } = await bob.follow({ retryAfterMs: 1 }).next();
  assert.equal(value.attempt, 2);
  await value.commit();
});

// What keeps the process would keep it for ever.
test('a program that waits for messages can exit, and one that is idle ends by itself', { timeout: 60_000 }, async (t) => {
  const scene = await Scene.start(t);
  await scene.agent('bob');
  // By then a thread is waiting in the library.
  const waiting = `
    await client.next({ timeout: 0 });
    client.next();
    await client.whoami();
  `;
  const ending = async (code) => once(program(waiting + code, scene.profile('bob'), t.signal), 'exit');
  assert.deepEqual(await ending('process.exit(7);'), [7, null]);
  const throwing = `process.on('uncaughtException', () => process.exit(8)); throw new Error('on purpose');`;
  assert.deepEqual(await ending(throwing), [8, null]);
  const idle = program(`await client.next({ timeout: 0 });`, scene.profile('bob'), t.signal);
  assert.deepEqual(await once(idle, 'exit'), [0, null]);
});
