// Every file of tests/vectors that has to do with what the library offers: the same verdict, and for what
// is refused the same class, as everywhere else.

import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

import {
  Card,
  CtalkError,
  Envelope,
  Identity,
  Peer,
  readReceipt,
  safetyNumber,
  verifyStatement,
} from 'ctalk';

const VECTORS = new URL('../../../tests/vectors/', import.meta.url);

function read(folder) {
  const names = readdirSync(new URL(folder, VECTORS)).filter((name) => name.endsWith('.json'));
  assert.ok(names.length > 0, folder);
  return names.map((name) => ({
    name: `${folder}${name}`,
    ...JSON.parse(readFileSync(new URL(folder + name, VECTORS), 'utf8')),
  }));
}

/** The vectors of a file that is a list of them. */
function list(file) {
  const vectors = JSON.parse(readFileSync(new URL(file, VECTORS), 'utf8'));
  assert.ok(vectors.length > 0, file);
  return vectors;
}

function hex(bytes) {
  return Buffer.from(bytes).toString('hex');
}

/** What becomes of a call: its result, or the code of its error. */
function outcome(run) {
  try {
    return { result: run() };
  } catch (error) {
    if (!(error instanceof CtalkError)) {
      throw error;
    }
    return { code: error.code };
  }
}

const expected = (word) => `CTALK_${word.toUpperCase().replaceAll('-', '_')}`;

/** An identity that has these keys, and any of X25519, which envelopes do not use. */
function recipient({ signingKey, signingSeed, xwingSeed }) {
  const keys = JSON.parse(Identity.generate().export().keys);
  keys.signingKey = Buffer.from(signingKey, 'hex').toString('base64');
  keys.signingPrivateKey = Buffer.from(signingSeed + signingKey, 'hex').toString('base64');
  return Identity.import(keys, [Buffer.from(xwingSeed, 'hex')]);
}

function checkEnvelope(opened, vector) {
  const { name, envelope } = vector;
  const { metadata } = envelope;
  assert.equal(hex(opened.sender), envelope.sender, name);
  assert.equal(opened.id, envelope.id, name);
  assert.equal(opened.created, envelope.created, name);
  assert.equal(opened.expires, envelope.expires, name);
  assert.equal(opened.recipients, envelope.recipients, name);
  assert.equal(hex(opened.digest), envelope.headerDigest, name);
  assert.equal(opened.type, metadata.kind, name);
  assert.equal(opened.wantsReceipt, metadata.receipt ?? false, name);
  for (const field of ['topic', 'correlationId', 'replyTo', 'contentType', 'name', 'card']) {
    assert.equal(opened[field], metadata[field], `${name}: ${field}`);
  }
  assert.equal(opened.payload.toString('base64'), envelope.payload, name);
}

function checkCard(card, { name, card: said }) {
  for (const key of ['signingKey', 'encryptionKey', 'xwingKey']) {
    assert.equal(hex(card[key]), said[key], `${name}: ${key}`);
  }
  assert.equal(card.fingerprint, said.fingerprint, name);
  assert.equal(card.name, said.name, name);
  assert.equal(card.serial, BigInt(said.serial), name);
  assert.equal(card.created, said.created, name);
  assert.equal(card.expires, said.expires, name);
  assert.deepEqual(card.addresses, said.addresses, name);
}

test('every vector of envelopes and cards has its verdict', () => {
  const seen = new Map();
  for (const vector of [...read('envelope/valid/'), ...read('envelope/invalid/')]) {
    const isText = vector.kind.startsWith('text-');
    const input = isText ? vector.input : Buffer.from(vector.input, 'base64');
    let found;
    if (vector.kind.endsWith('envelope')) {
      const identity = vector.recipient ? recipient(vector.recipient) : Identity.generate();
      // An envelope without its text's prefix is none in the binary form, either.
      found = outcome(() => identity.openSync(input, { now: vector.now }));
    } else if (vector.kind.endsWith('card')) {
      found = outcome(() => Card.parse(input));
    } else {
      // Parts of large payloads, which only clients take.
      continue;
    }
    seen.set(vector.kind, (seen.get(vector.kind) ?? 0) + 1);
    if (vector.class) {
      assert.equal(found.code, expected(vector.class), `${vector.name}: ${vector.description}`);
    } else {
      assert.ok(found.result, `${vector.name}: ${found.code}`);
      (vector.envelope ? checkEnvelope : checkCard)(found.result, vector);
    }
  }
  assert.deepEqual([...seen.keys()].sort(), ['card', 'envelope', 'text-card', 'text-envelope']);
});

test('a thread says the same of every envelope', async () => {
  const vectors = [...read('envelope/valid/'), ...read('envelope/invalid/')];
  const envelopes = vectors.filter(({ kind, recipient: reader }) => kind === 'envelope' && reader);
  await Promise.all(
    envelopes.map(async (vector) => {
      const input = Buffer.from(vector.input, 'base64');
      const opening = recipient(vector.recipient).open(input, { now: vector.now });
      if (vector.class) {
        await assert.rejects(opening, { code: expected(vector.class) }, vector.name);
      } else {
        checkEnvelope(await opening, vector);
      }
    }),
  );
});

test('what is inspected and verified without opening agrees with the vectors', async () => {
  for (const vector of read('envelope/valid/').filter(({ kind }) => kind === 'envelope')) {
    const input = Buffer.from(vector.input, 'base64');
    const outside = Envelope.inspectSync(input);
    assert.equal(outside.id, vector.envelope.id, vector.name);
    assert.equal(outside.recipients, vector.envelope.recipients, vector.name);
    const verified = await Envelope.verify(input);
    assert.equal(verified.fingerprint, outside.claimedSender, vector.name);
    assert.deepEqual([verified.id, verified.created], [outside.id, outside.created], vector.name);
  }
});

const CLASSIC = {
  opened: undefined,
  unauthenticated: 'CTALK_NOT_SIGNED',
  'not verified': 'CTALK_NOT_VERIFIED',
  'cannot open: wrong keys': 'CTALK_CANNOT_OPEN',
  'cannot open: not json': 'CTALK_CANNOT_OPEN',
};

test("every vector of ClawTalk's format has its verdict", () => {
  for (const vector of read('classic/')) {
    const identity = Identity.import(vector.recipient);
    const sender = Peer.from(vector.sender);
    const wanted = vector.expect.startsWith('malformed') ? 'CTALK_MALFORMED' : CLASSIC[vector.expect];
    const found = outcome(() => identity.openClassic(vector.relayed, sender));
    if (vector.expect === 'unauthenticated') {
      assert.equal(found.code, wanted, vector.name);
      assert.equal(identity.openClassicUnsigned(vector.relayed, sender).raw, vector.payload, vector.name);
    } else if (wanted === undefined) {
      assert.equal(found.result?.raw, vector.payload, `${vector.name}: ${found.code}`);
    } else if (found.code === 'CTALK_NOT_SIGNED') {
      // Nobody signed it, and it does not open, either.
      const unsigned = outcome(() => identity.openClassicUnsigned(vector.relayed, sender));
      assert.equal(unsigned.code, wanted, vector.name);
    } else {
      assert.equal(found.code, wanted, `${vector.name}: ${vector.about}`);
    }
  }
});

test('every vector of safety numbers is the number, in either order', () => {
  for (const { description, fingerprints, digits, words, qr } of list('safety.json')) {
    const number = { safetyNumber: digits, words, qr };
    assert.deepEqual(safetyNumber(...fingerprints), number, description);
    assert.deepEqual(safetyNumber(...fingerprints.toReversed()), number, description);
  }
  const [one, other] = [Identity.generate().card(), Identity.generate().card()];
  assert.deepEqual(safetyNumber(one, other), safetyNumber(other.fingerprint, one.fingerprint));
});

test('every vector of successions and revocations has its verdict', () => {
  for (const { description, kind, text, statement, class: failure } of list('succession.json')) {
    const found = outcome(() => verifyStatement(text));
    if (failure) {
      assert.equal(found.code, expected(failure), description);
      continue;
    }
    const [fingerprint, successor = null] = statement.identities.map((identity) => identity.fingerprint);
    assert.deepEqual(found.result, { kind, fingerprint, successor, created: statement.created }, description);
  }
});

test('every vector of receipts has its verdict', () => {
  for (const { description, payload, receipt, ...envelope } of list('receipt.json')) {
    const found = outcome(() => readReceipt({ ...envelope, payload: Buffer.from(payload, 'hex') }));
    assert.deepEqual(found, receipt ? { result: receipt } : { code: 'CTALK_MALFORMED' }, description);
  }
});

test('every vector of X-Wing gives the public key of its seed', () => {
  const { keys } = Identity.generate().export();
  for (const { seed, pk } of list('xwing.json')) {
    assert.equal(hex(Identity.import(keys, [Buffer.from(seed, 'hex')]).card().xwingKey), pk);
  }
});

test('the vectors’ keys are those of Node’s own cryptography', () => {
  const { recipient: reader } = read('envelope/valid/').find((vector) => vector.recipient);
  const der = Buffer.concat([
    Buffer.from('302e020100300506032b657004220420', 'hex'),
    Buffer.from(reader.signingSeed, 'hex'),
  ]);
  const key = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  assert.equal(Buffer.from(key.export({ format: 'jwk' }).x, 'base64url').toString('hex'), reader.signingKey);
});
