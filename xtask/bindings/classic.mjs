// As classic.py, from Node, with ctalk or with TweetNaCl. The second argument is the module of the package,
// or that of tests/interop/node, beside which TweetNaCl is installed.
//
// usage: classic.mjs ctalk|tweetnacl MODULE

import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const ROUNDS = 11;
const VALUE = { text: 'x'.repeat(1013) };
const SAID = { to: 'bob', type: 'request', topic: 'sync' };

const [, , side, path] = process.argv;
const module = await import(pathToFileURL(path));

function measure(name, messages, work) {
  const rounds = [];
  // The first rounds warm caches and the compiler up, and are thrown away.
  for (let round = -3; round < ROUNDS; round += 1) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < messages; i += 1) {
      work();
    }
    if (round >= 0) {
      rounds.push(Number(process.hrtime.bigint() - start) / messages);
    }
  }
  rounds.sort((a, b) => a - b);
  console.log(`${name}_ns ${Math.round(rounds[ROUNDS >> 1])}`);
  console.log(`${name}_min_ns ${Math.round(rounds[0])}`);
}

/** The message as a relay would list it. */
function relayed(sealed) {
  const id = '0b8f7f4e-9a52-4f0c-8a3c-2f6f6f0f6f6f';
  const ts = '2026-03-21T10:11:12.345Z';
  return JSON.stringify({ id, from: 'alice', ts, encrypted: true, ...SAID, ...sealed });
}

function same(value) {
  if (JSON.stringify(value) !== JSON.stringify(VALUE)) {
    throw new Error('what was opened is not what was sealed');
  }
}

function withCtalk({ Identity, Peer }) {
  const [alice, bob] = [Identity.generate(), Identity.generate()];
  const [ofAlice, ofBob] = [alice, bob].map((each) => Peer.fromCard(each.card()));
  const seal = () => alice.sealClassic(VALUE, ofBob, SAID);
  const message = relayed(seal());
  const open = () => bob.openClassic(message, ofAlice).payload;
  same(open());
  measure('seal_sign_1k', 500, seal);
  measure('verify_open_1k', 500, open);
}

function withTweetNaCl({ b64decode, b64encode, canonical }) {
  const nacl = createRequire(resolve(path))('tweetnacl');
  const [alice, bob, signing] = [nacl.box.keyPair(), nacl.box.keyPair(), nacl.sign.keyPair()];
  const keyOf = (own, other) => nacl.box.before(other.publicKey, own.secretKey);

  function seal(key) {
    const nonce = nacl.randomBytes(24);
    const boxed = nacl.box.after(new TextEncoder().encode(JSON.stringify(VALUE)), nonce, key);
    const sealed = { payload: b64encode(boxed), nonce: b64encode(nonce) };
    const signed = canonical({ ...SAID, encrypted: true, ...sealed });
    return { ...sealed, signature: b64encode(nacl.sign.detached(signed, signing.secretKey)) };
  }
  const message = relayed(seal(keyOf(alice, bob)));
  function open(key) {
    const read = JSON.parse(message);
    if (!nacl.sign.detached.verify(canonical(read), b64decode(read.signature, 64), signing.publicKey)) {
      throw new Error('the signature is wrong');
    }
    const opened = nacl.box.open.after(b64decode(read.payload), b64decode(read.nonce, 24), key);
    return JSON.parse(new TextDecoder().decode(opened));
  }
  same(open(keyOf(bob, alice)));
  measure('seal_sign_1k', 15, () => seal(keyOf(alice, bob)));
  measure('verify_open_1k', 15, () => open(keyOf(bob, alice)));
  // With the box's key computed once, which the other client does not do.
  const [there, back] = [keyOf(alice, bob), keyOf(bob, alice)];
  measure('kept_seal_sign_1k', 15, () => seal(there));
  measure('kept_verify_open_1k', 15, () => open(back));
}

if (side === 'ctalk') {
  withCtalk(module);
} else {
  withTweetNaCl(module);
}
