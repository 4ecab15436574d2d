// Identities, cards and envelopes without a relay.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';

import {
  Card,
  CannotOpenError,
  Envelope,
  Identity,
  MalformedError,
  NotTrustedError,
  NotVerifiedError,
  Peer,
  UsageError,
  version,
} from 'ctalk';

const [alice, bob] = [Identity.generate(), Identity.generate()];
const [aliceCard, bobCard] = [alice.card({ name: 'alice' }), bob.card({ name: 'bob' })];

test('the version is that of the library', () => {
  assert.match(version, /^\d+\.\d+\.\d+/);
});

test('what is sealed opens for its recipient with everything that was said', async () => {
  const options = {
    type: 'request',
    topic: 'lab',
    correlationId: 'c-1',
    replyTo: 'r-1',
    contentType: 'application/json',
    name: 'n.json',
    receipt: true,
    card: aliceCard,
    created: new Date(),
    ttl: 60,
  };
  const envelope = await alice.seal('{"n":1}', [bobCard], options);
  assert.ok(Buffer.isBuffer(envelope));
  const opened = await bob.open(envelope, { from: aliceCard });
  assert.ok(opened instanceof Envelope);
  assert.deepEqual(opened.json(), { n: 1 });
  assert.equal(opened.fingerprint, alice.fingerprint);
  assert.equal(opened.trust, 'named');
  assert.equal(opened.type, 'request');
  assert.equal(opened.topic, 'lab');
  assert.equal(opened.correlationId, 'c-1');
  assert.equal(opened.replyTo, 'r-1');
  assert.equal(opened.contentType, 'application/json');
  assert.equal(opened.name, 'n.json');
  assert.equal(opened.wantsReceipt, true);
  assert.equal(opened.card, aliceCard.text);
  assert.equal(opened.recipients, 1);
  assert.equal(opened.expires - opened.created, 60_000);
  assert.deepEqual(opened.sender, aliceCard.signingKey);
});

test('bytes of every kind are taken, and as text too', async () => {
  const bytes = Uint8Array.from([0, 255, 128, 10]);
  const shared = new SharedArrayBuffer(4);
  new Uint8Array(shared).set(bytes);
  for (const data of [bytes, Buffer.from(bytes), bytes.buffer, new DataView(bytes.buffer), shared]) {
    const sealed = [alice.sealSync(data, [bobCard]), await alice.seal(data, [bobCard])];
    for (const envelope of sealed) {
      assert.deepEqual(bob.openSync(envelope).payload, Buffer.from(bytes));
    }
  }
  const inside = new Uint16Array([1, 2, 3]).subarray(1, 2);
  assert.deepEqual([...bob.openSync(alice.sealSync(inside, [bobCard])).payload], [2, 0]);
  assert.equal(bob.openSync(alice.sealSync('', [bobCard])).payload.length, 0);
  const armored = alice.sealSync('hé', [bobCard], { armor: true });
  assert.equal(bob.openSync(armored.toString()).text(), 'hé');
});

test('a payload that is changed while it is sealed is sealed as it was', async () => {
  const payload = Buffer.alloc(1 << 20, 1);
  const sealing = alice.seal(payload, [bobCard]);
  payload.fill(2);
  assert.ok(bob.openSync(await sealing).payload.every((byte) => byte === 1));
});

test('a payload that is taken away while it is sealed is sealed all the same', async () => {
  const payload = new Uint8Array(1 << 20);
  const sealing = alice.seal(payload, [bobCard]);
  structuredClone(payload, { transfer: [payload.buffer] });
  assert.equal(bob.openSync(await sealing).payload.length, 1 << 20);
});

test('what a large payload takes in memory is a few times its size', () => {
  const program = `
    import { Identity } from 'ctalk';
    const [own, size] = [Identity.generate(), 16 << 20];
    await own.seal('x', [own.card()]);
    const before = process.resourceUsage().maxRSS;
    const envelope = await own.seal(Buffer.alloc(size, 'x'), [own.card()]);
    const { payload } = await own.open(envelope);
    const grown = (process.resourceUsage().maxRSS - before) * 1024;
    console.log(payload.length === size && grown < 7 * size ? 'good' : \`grew by \${grown} bytes\`);
  `;
  const child = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: new URL('..', import.meta.url),
    encoding: 'utf8',
  });
  assert.equal(child.stdout, 'good\n', child.stderr);
});

test('an envelope for somebody else, from somebody else or altered says which', async () => {
  const envelope = alice.sealSync('hello', [bobCard]);
  assert.throws(() => alice.openSync(envelope), { name: 'CannotOpenError', code: 'CTALK_NOT_FOR_ME' });
  await assert.rejects(bob.open(envelope, { from: bobCard }), NotTrustedError);
  envelope[envelope.length - 1] ^= 1;
  await assert.rejects(bob.open(envelope), NotVerifiedError);
  await assert.rejects(alice.open(alice.sealSync('', [bobCard])), CannotOpenError);
  assert.throws(() => bob.openSync('nothing'), MalformedError);
});

test('a card passes through text and bytes', () => {
  const card = Card.parse(`${bobCard}`);
  assert.equal(card.name, 'bob');
  assert.equal(card.fingerprint, bob.fingerprint);
  const bytes = Buffer.from(bobCard.text.split(':')[1], 'base64url');
  assert.equal(Card.parse(bytes).text, bobCard.text);
  const old = bob.card({ created: 1000, expires: new Date(2000), serial: 7, addresses: ['here'] });
  assert.deepEqual([old.serial, old.addresses, old.expires], [7n, ['here'], 2000]);
  assert.throws(() => old.checkCurrent(), { code: 'CTALK_CARD_NOT_CURRENT' });
  old.checkCurrent(1500);
});

test('keys that were exported open what was sealed to them', () => {
  const { keys, xwingSeeds } = bob.export();
  const again = Identity.import(keys, xwingSeeds);
  assert.equal(again.fingerprint, bob.fingerprint);
  assert.equal(again.openSync(alice.sealSync('hello', [bobCard])).text(), 'hello');
  const sender = Identity.import(JSON.parse(keys));
  assert.equal(alice.openSync(sender.sealSync('hi', [aliceCard])).text(), 'hi');
  assert.throws(() => sender.card(), { code: 'CTALK_BAD_KEYS' });
});

test("a message in ClawTalk's format opens as it was sealed", () => {
  const options = { to: 'bob', type: 'request', topic: 'lab', correlationId: 'c-1' };
  const box = alice.sealClassic({ text: 'hello' }, bobCard, options);
  const relayed = { id: '1', from: 'alice', encrypted: true, ts: '2026-01-01T00:00:00Z', ...options, ...box };
  const opened = bob.openClassic(relayed, aliceCard);
  assert.deepEqual(opened.payload, { text: 'hello' });
  assert.equal(opened.raw, '{"text":"hello"}');
  assert.equal(opened.topic, 'lab');
  assert.throws(() => bob.openClassic({ ...relayed, topic: 'other' }, aliceCard), NotVerifiedError);
  assert.throws(() => bob.openClassicUnsigned(relayed, aliceCard), UsageError);
  const peer = Peer.from(JSON.parse(alice.export().keys));
  assert.deepEqual(bob.openClassic(JSON.stringify(relayed), peer).payload, { text: 'hello' });
});

test('streams seal and open in pieces of any size', async () => {
  const payload = Buffer.alloc(300_000, 'abcdefg');
  for (const size of [1000, 65_536, 300_000]) {
    const pieces = [];
    for (let at = 0; at < payload.length; at += size) {
      pieces.push(payload.subarray(at, at + size));
    }
    const sealing = alice.sealStream([bobCard], { topic: 'large' });
    const opening = bob.openStream({ from: aliceCard });
    const opened = buffer(opening);
    await pipeline(Readable.from(pieces), sealing, opening);
    assert.ok(payload.equals(await opened));
    assert.equal(opening.info.topic, 'large');
    assert.equal(opening.info.fingerprint, alice.fingerprint);
    assert.equal(opening.info.bytes, payload.length);
    assert.equal(sealing.info.id, opening.info.id);
  }
});

test('a stream that nobody reads waits', async () => {
  const counted = () => {
    const source = { given: 0 };
    source.pieces = Readable.from(
      (function* pieces() {
        for (; source.given < 64; source.given += 1) {
          yield Buffer.alloc(65_536);
        }
      })(),
    );
    return source;
  };
  const [unread, read] = [counted(), counted()];
  const waiting = unread.pieces.pipe(alice.sealStream([bobCard]));
  await once(waiting, 'readable');
  // Meanwhile another one, which is read, goes from its beginning to its end.
  await buffer(read.pieces.pipe(alice.sealStream([bobCard])));
  assert.equal(read.given, 64);
  assert.ok(unread.given < 64, `${unread.given} pieces were taken`);
  const envelope = await buffer(waiting);
  assert.equal(bob.openSync(envelope).payload.length, 64 * 65_536);
});

test('a stream says what is wrong with an envelope, and what was read is its beginning', async () => {
  const payload = Buffer.alloc(3 << 20, 7);
  const envelope = alice.sealSync(payload, [bobCard]);
  envelope[envelope.length - 1] ^= 1;
  const read = [];
  const opening = bob.openStream();
  opening.on('data', (chunk) => read.push(chunk));
  await assert.rejects(pipeline(Readable.from([envelope]), opening), NotVerifiedError);
  const beginning = Buffer.concat(read);
  assert.ok(beginning.length > 0);
  assert.ok(beginning.equals(payload.subarray(0, beginning.length)));
  assert.equal(opening.info, null);
});

test('a source that fails, gives garbage or never goes on ends its stream', async () => {
  const failing = async function* failing() {
    yield Buffer.alloc(100_000);
    throw new Error('the disk is gone');
  };
  const discard = async (source) => {
    for await (const _ of source);
  };
  const sealing = alice.sealStream([bobCard]);
  await assert.rejects(pipeline(failing, sealing, discard), { message: 'the disk is gone' });
  assert.ok(sealing.destroyed);
  const garbage = async function* garbage() {
    yield { no: 'bytes' };
  };
  await assert.rejects(pipeline(garbage, alice.sealStream([bobCard]), discard), TypeError);
  const silent = async function* silent() {
    yield Buffer.alloc(100_000);
    await new Promise(() => {});
  };
  const abort = new AbortController();
  const piping = pipeline(silent, alice.sealStream([bobCard]), discard, { signal: abort.signal });
  setImmediate(() => abort.abort());
  await assert.rejects(piping, { name: 'AbortError' });
  // The threads of all these are there for the next.
  assert.ok((await alice.seal('hello', [bobCard])).length > 0);
});

test('a stream that waits for a thread ends at once when it is destroyed', async () => {
  const started = Array.from({ length: 64 }, () => alice.sealStream([bobCard]));
  const queued = alice.sealStream([bobCard]);
  queued.destroy();
  await once(queued, 'close');
  for (const stream of started) {
    stream.destroy();
    await once(stream, 'close');
  }
});

test('a stream whose call cannot begin says why', async () => {
  const sealing = alice.sealStream([], {});
  sealing.end('hello');
  await assert.rejects(buffer(sealing), { code: 'CTALK_BAD_RECIPIENTS' });
});
