// Whatever a program does, it gets an error of the right class and goes on.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';

import * as ctalk from 'ctalk';

import { call, FALLIBLE_KINDS, look, lookText, PLAIN_TYPES } from '../src/native.js';
import { faults } from './faults.js';

const { Card, codes, CtalkError, Envelope, Identity, Peer, UsageError } = ctalk;
const identity = Identity.generate();
const card = identity.card();
const root = new URL('../../../', import.meta.url);

/** The lines of the list of codes: number, name and the word of the class. */
const listed = readFileSync(new URL('crates/ffi/codes.txt', root), 'utf8')
  .trim()
  .split('\n')
  .map((line) => line.split(' '))
  .filter(([number]) => number !== '0');

test('every number has its name and its class', () => {
  assert.deepEqual(codes, Object.fromEntries(listed.map(([number, name]) => [name, Number(number)])));
  const classes = new Map();
  for (const [number, name, word] of listed) {
    faults.next(Number(number));
    assert.throws(
      () => Identity.generate(),
      (error) => {
        assert.ok(error instanceof CtalkError && error.constructor !== CtalkError, name);
        assert.equal(error.code, name);
        assert.equal(error.number, Number(number));
        assert.ok(error.message.length > 0, name);
        assert.equal(classes.get(word) ?? error.name, error.name, name);
        assert.equal(ctalk[error.name], error.constructor, name);
        classes.set(word, error.name);
        return true;
      },
    );
  }
  assert.equal(new Set(classes.values()).size, classes.size);
  for (const [word, name] of classes) {
    const pascal = word.replace(/(^|-)(.)/g, (_, __, letter) => letter.toUpperCase());
    assert.equal(name, word === 'interrupted' ? 'AbortError' : `${pascal}Error`);
  }
});

test('every function is declared as the header has it', () => {
  const text = readFileSync(new URL('crates/ffi/include/ctalk.h', root), 'utf8').replace(/\/\*.*?\*\//gs, '');
  const header = new Map();
  for (const [, result, name, list] of text.matchAll(/(\w+[\w *]*)\b(ctalk_\w+)\(([^;{]*?)\);/g)) {
    header.set(name, { result: result.trim(), parameters: list.split(',').map((each) => each.trim()) });
  }
  const shapes = {
    handle: [/^const ctalk_\w+ \*\w+$/],
    u64: [/^uint64_t /],
    data: [/^const (char|uint8_t) \*/, /^size_t /],
    handles: [/^const ctalk_\w+ \*const \*/, /^size_t /],
    read: [/^ctalk_read /, /^void \*/],
    write: [/^ctalk_write /, /^void \*/],
    '=handle': [/^ctalk_(?!bytes)\w+ \*\*/],
    '=bytes': [/^ctalk_bytes \*\*/],
    '=text': [/^ctalk_bytes \*\*/],
    '=json': [/^ctalk_bytes \*\*/],
    '=opened': [/^ctalk_opened \*\*/],
    '=message': [/^ctalk_message \*\*/],
  };
  for (const [name, kinds] of Object.entries(FALLIBLE_KINDS)) {
    const { result, parameters } = header.get(name) ?? assert.fail(`${name} is not in the header`);
    assert.equal(result, 'ctalk_code', name);
    const wanted = [...kinds.flatMap((kind) => shapes[kind]), /^ctalk_error \*\*/];
    assert.equal(parameters.length, wanted.length, name);
    wanted.forEach((shape, i) => assert.match(parameters[i], shape, name));
  }
  const types = { ctalk_slice: 'object', uint32_t: 'uint32_t', uint64_t: 'uint64_t', size_t: 'size_t', void: 'void' };
  for (const [name, [declared, ...parameters]] of Object.entries(PLAIN_TYPES)) {
    const found = header.get(name) ?? assert.fail(`${name} is not in the header`);
    const wanted = found.result.endsWith('*') ? 'void *' : types[found.result];
    assert.equal(typeof declared === 'object' ? 'object' : declared, wanted, name);
    assert.equal(parameters.length, found.parameters.filter((each) => each !== 'void').length, name);
  }
});

test('a panic in any function is an error', () => {
  for (const name of faults.fallible) {
    faults.next(codes.CTALK_PANIC);
    assert.throws(() => faults.emptily(name), { name: 'UnexpectedError', code: 'CTALK_PANIC' }, name);
  }
});

test('nothing at all, for every argument of every function, is an error', () => {
  for (const name of faults.fallible.filter((found) => !faults.needsNothing.has(found))) {
    assert.throws(() => faults.emptily(name), CtalkError, name);
  }
});

test('wrong types are type errors', async () => {
  for (const wrong of [null, undefined, 7, true, Symbol('s'), {}, [], () => {}, new Date()]) {
    assert.throws(() => identity.sealSync(wrong, [card]), TypeError);
    await assert.rejects(identity.seal(wrong, [card]), TypeError);
    assert.throws(() => identity.openSync(wrong), TypeError);
    await assert.rejects(identity.open(wrong), TypeError);
    assert.throws(() => Card.parse(wrong), TypeError);
    assert.throws(() => Envelope.inspectSync(wrong), TypeError);
    await assert.rejects(Envelope.verify(wrong), TypeError);
    assert.throws(() => identity.sealSync('', [wrong]), TypeError);
    assert.throws(() => identity.sealClassic('', wrong, { to: 'bob' }), TypeError);
    assert.throws(() => Peer.fromCard(wrong), TypeError);
    assert.throws(() => ctalk.safetyNumber(wrong, card), TypeError);
    assert.throws(() => ctalk.verifyStatement(wrong), TypeError);
    assert.throws(() => ctalk.readReceipt(wrong), TypeError);
    assert.throws(() => ctalk.readReceipt({ payload: wrong, contentType: '', replyTo: null }), TypeError);
    assert.throws(() => Peer.from({ publicKey: wrong, signingKey: '' }), TypeError);
    await assert.rejects(async () => ctalk.profileFolder(wrong === undefined ? null : wrong), TypeError);
  }
  assert.throws(() => identity.sealSync('', card), TypeError);
  assert.throws(() => identity.sealSync('', [identity]), TypeError);
  assert.throws(() => identity.openSync('', { from: identity }), TypeError);
  assert.throws(() => identity.openSync('', { now: 'today' }), TypeError);
  assert.throws(() => identity.openSync('', { now: -1 }), RangeError);
  assert.throws(() => identity.openSync('', { now: 0.5 }), RangeError);
  assert.throws(() => identity.openSync('', { when: 1 }), TypeError);
  assert.throws(() => identity.card({ created: new Date(NaN) }), RangeError);
  assert.throws(() => Identity.import('{}', 'seeds'), TypeError);
  assert.throws(() => Identity.prototype.card.call(card), TypeError);
  assert.throws(() => Identity.prototype.sealSync.call({}, '', [card]), TypeError);
});

test('options that the library does not know are named', () => {
  const { name, code } = { name: 'UsageError', code: 'CTALK_BAD_OPTIONS' };
  assert.throws(() => identity.sealSync('', [card], { tpoic: 'x' }), { name, code, message: /tpoic/ });
  assert.throws(() => identity.sealSync('', [card], { topic: 7 }), { name, code });
  assert.throws(() => identity.sealSync('', [card], { type: 'poem' }), { name, code });
  assert.throws(() => identity.card({ name: ['x'] }), { name, code });
  assert.throws(() => identity.sealSync('', [card], 'options'), TypeError);
  assert.throws(() => identity.sealSync('', [card], null), TypeError);
  const circular = {};
  circular.topic = circular;
  assert.throws(() => identity.sealSync('', [card], circular), TypeError);
});

test('text that UTF-8 cannot say is refused', async () => {
  const half = 'half \ud800';
  const wanted = { name: 'UsageError', code: 'CTALK_NOT_UTF8' };
  assert.throws(() => identity.sealSync(half, [card]), wanted);
  await assert.rejects(identity.seal(half, [card]), wanted);
  assert.throws(() => Card.parse(half), wanted);
  assert.throws(() => ctalk.profileFolder(half), wanted);
});

test('lengths over every limit are errors', async () => {
  const long = 'x'.repeat(1 << 20);
  assert.throws(() => identity.sealSync('', [card], { topic: long }), { code: 'CTALK_TOO_LONG' });
  assert.throws(() => identity.sealSync('', [card], { topic: long.slice(0, 4096) }), ctalk.MalformedError);
  assert.throws(() => Card.parse(long), ctalk.MalformedError);
  assert.throws(() => identity.sealSync('', Array(1025).fill(card)), { code: 'CTALK_BAD_RECIPIENTS' });
  assert.throws(() => identity.sealClassic(long, card, { to: 'bob' }), { code: 'CTALK_TOO_LONG' });
  // More than 32 bits count; its pages are never touched.
  const huge = new Uint8Array(2 ** 32);
  assert.throws(() => identity.openSync(huge), ctalk.MalformedError);
});

test('what is closed says so in the words of the library, and closing it again is nothing', async () => {
  const closed = Identity.generate();
  const closedCard = closed.card();
  const closedPeer = Peer.fromCard(closedCard);
  for (const each of [closed, closedCard, closedPeer]) {
    each.close();
    each.close();
    each[Symbol.dispose]();
  }
  const gone = { name: 'UsageError', code: 'CTALK_WRONG_HANDLE', message: /freed/ };
  assert.throws(() => closed.card(), gone);
  assert.throws(() => closed.sealSync('', [card]), gone);
  await assert.rejects(closed.seal('', [card]), gone);
  assert.throws(() => closed.export(), gone);
  assert.throws(() => identity.sealSync('', [closedCard]), gone);
  assert.throws(() => identity.openSync(identity.sealSync('', [card]), { from: closedCard }), gone);
  assert.throws(() => identity.sealClassic('', closedPeer, { to: 'bob' }), gone);
  assert.throws(() => closedCard.checkCurrent(), gone);
  const sealing = closed.sealStream([card]);
  sealing.end();
  await assert.rejects(async () => {
    for await (const _ of sealing);
  }, gone);
});

test('an identity that is closed while a thread uses it does its work to the end', async () => {
  const short = Identity.generate();
  const sealing = short.seal(Buffer.alloc(1 << 20), [card]);
  short.close();
  const outcome = await sealing.catch((error) => error);
  assert.ok(Buffer.isBuffer(outcome) || outcome instanceof UsageError);
});

test('what nobody has any more is freed', async () => {
  const { setFlagsFromString } = await import('node:v8');
  const { runInNewContext } = await import('node:vm');
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  const before = look('ctalk_handle_count');
  for (let round = 0; round < 100; round += 1) {
    identity.card();
  }
  assert.ok(look('ctalk_handle_count') >= before + 100);
  while (look('ctalk_handle_count') > before) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
});

test('errors free what they hold', () => {
  const before = look('ctalk_handle_count');
  for (let round = 0; round < 100; round += 1) {
    assert.throws(() => Card.parse('no card'));
    identity.openSync(identity.sealSync('x', [card], { card }));
  }
  assert.equal(look('ctalk_handle_count'), before);
});

test('a program that uses the package in a thread of its own can end that thread', async () => {
  const code = `
    import('ctalk').then(async ({ Identity }) => {
      const identity = Identity.generate();
      await identity.seal('x', [identity.card()]);
      require('node:worker_threads').parentPort.postMessage(identity.fingerprint);
    });
  `;
  const worker = new Worker(code, { eval: true });
  const fingerprint = await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  assert.match(fingerprint, /^[0-9a-f]{64}$/);
  await worker.terminate();
});

test('a thread that is ended while it ends takes nobody with it', async () => {
  const code = `
    import('ctalk').then(({ Identity }) => {
      const identity = Identity.generate();
      globalThis.cards = Array.from({ length: 20 }, () => identity.card());
      require('node:worker_threads').parentPort.postMessage('ready');
    });
  `;
  // A little later each time, from before its end to after it.
  for (let round = 0; round < 60; round += 1) {
    const worker = new Worker(code, { eval: true });
    await once(worker, 'message');
    const until = process.hrtime.bigint() + BigInt((round % 30) * 10_000);
    while (process.hrtime.bigint() < until);
    await worker.terminate();
  }
});

test('the version of the interface is the header’s', () => {
  assert.equal(look('ctalk_abi_version'), 1);
  assert.equal(lookText('ctalk_version'), ctalk.version);
  assert.throws(() => call('ctalk_card_from_text', 'x'), CtalkError);
});

test('the package has the licences of the source tree', () => {
  for (const name of ['LICENSE-APACHE', 'LICENSE-MIT']) {
    const own = readFileSync(new URL(`../${name}`, import.meta.url), 'utf8');
    assert.equal(own, readFileSync(new URL(name, root), 'utf8'));
  }
});
