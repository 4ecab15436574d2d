/** Command line of the Node ClawTalk client. Secrets come from files, never from arguments. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import nacl from 'tweetnacl';
import * as clawtalk from './clawtalk.js';

const AGENT = ['url', 'api-key-file', 'key-file'];
const VERBS = {
  keygen: { run: keygen, required: [] },
  register: { run: register, required: ['url', 'admin-key-file', 'key-file', 'name'] },
  send: {
    run: send,
    required: [...AGENT, 'to', 'payload'],
    optional: ['type', 'topic', 'correlation-id', 'reply-to', 'ttl', 'form'],
  },
  receive: { run: receive, required: AGENT, flags: ['ack'] },
  vectors: { run: vectors, required: [], positionals: 1 },
};
const FORMS = ['signed', 'signed-ttl', 'unsigned', 'plaintext'];

function printLine(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

function readKeys(args) {
  return JSON.parse(readFileSync(args['key-file'], 'utf8'));
}

function client(args) {
  return new clawtalk.Client(args.url, readFileSync(args['api-key-file'], 'utf8').trim());
}

function keygen() {
  process.stdout.write(`${JSON.stringify(clawtalk.keygen(), null, 2)}\n`);
}

async function register(args) {
  const admin = new clawtalk.Client(args.url, readFileSync(args['admin-key-file'], 'utf8').trim());
  process.stdout.write(`${await admin.register(args.name, readKeys(args))}\n`);
}

async function send(args) {
  const form = args.form ?? 'signed';
  if (!FORMS.includes(form)) throw new clawtalk.ClawTalkError(`--form is one of ${FORMS.join(', ')}`);
  const options = {};
  if (args.type !== undefined) options.type = args.type;
  if (args.topic !== undefined) options.topic = args.topic;
  if (args['correlation-id'] !== undefined) options.correlationId = args['correlation-id'];
  if (args['reply-to'] !== undefined) options.replyTo = args['reply-to'];
  if (args.ttl !== undefined) options.ttl = Number(args.ttl);
  printLine(await client(args).send(args.to, JSON.parse(args.payload), readKeys(args), options, form));
}

async function receive(args) {
  const relay = client(args);
  for await (const message of relay.receive(readKeys(args))) {
    printLine(message);
    if (args.ack) await relay.ack(message.id);
  }
}

/** Reproduces the protocol's published values; the first mismatch ends the run. */
function vectors(_args, [file]) {
  const v = JSON.parse(readFileSync(file, 'utf8'));
  const bytes = (hex) => new Uint8Array(Buffer.from(hex, 'hex'));
  const hex = (data) => Buffer.from(data).toString('hex');

  function expect(name, actual, expected) {
    const [got, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
    if (got !== wanted) throw new clawtalk.ClawTalkError(`${name}: expected ${wanted}, got ${got}`);
    process.stdout.write(`ok ${name}\n`);
  }

  const box = nacl.box.keyPair.fromSecretKey(bytes(v.senderSecretHex));
  const recipient = nacl.box.keyPair.fromSecretKey(bytes(v.recipientSecretHex));
  const signing = nacl.sign.keyPair.fromSeed(bytes(v.signingSeedHex));
  const sender = {
    publicKey: clawtalk.b64encode(box.publicKey),
    privateKey: clawtalk.b64encode(box.secretKey),
    signingKey: clawtalk.b64encode(signing.publicKey),
    signingPrivateKey: clawtalk.b64encode(signing.secretKey),
  };
  expect('sender public key', sender.publicKey, v.senderPublic);
  expect('recipient public key', clawtalk.b64encode(recipient.publicKey), v.recipientPublic);
  expect('signing public key', sender.signingKey, v.signingPublic);
  expect('signing private key', sender.signingPrivateKey, v.signingPrivateKey);
  expect('X25519 shared secret', hex(nacl.scalarMult(box.secretKey, recipient.publicKey)), v.sharedSecretHex);
  expect('box key', hex(nacl.box.before(recipient.publicKey, box.secretKey)), v.boxKeyHex);
  expect('plaintext', hex(Buffer.from(JSON.stringify(v.message))), v.plaintextHex);

  const sealed = clawtalk.seal(v.message, sender, v.recipientPublic, clawtalk.b64decode(v.nonce, 24));
  expect('payload', sealed.payload, v.payload);
  const keys = { privateKey: clawtalk.b64encode(recipient.secretKey) };
  for (const { name, options, ...expected } of v.signatures) {
    const message = { to: 'Bob', type: 'request', ...options, ...sealed, from: 'Alice', id: name };
    const text = clawtalk.canonical(message);
    expect(`${name} canonical length`, text.length, expected.bytes);
    expect(`${name} canonical SHA-256`, createHash('sha256').update(text).digest('hex'), expected.sha256);
    message.signature = clawtalk.sign(message, sender);
    expect(`${name} signature`, message.signature, expected.signature);
    const opened = clawtalk.openMessage(message, keys, new Map([['Alice', sender]]));
    expect(`${name} verifies at the receiver`, opened.verified, expected.verifiesWithoutTtl);
    expect(`${name} opens`, opened.payload, v.message);
  }
}

async function main([name, ...rest]) {
  const verb = Object.hasOwn(VERBS, name ?? '') ? VERBS[name] : undefined;
  if (verb === undefined) throw new clawtalk.ClawTalkError(`the verb is one of ${Object.keys(VERBS).join(', ')}`);
  const { required, optional = [], flags = [], positionals: wanted = 0 } = verb;
  const { values, positionals } = parseArgs({
    args: rest,
    allowPositionals: true,
    options: Object.fromEntries([
      ...[...required, ...optional].map((option) => [option, { type: 'string' }]),
      ...flags.map((flag) => [flag, { type: 'boolean' }]),
    ]),
  });
  const missing = required.filter((option) => values[option] === undefined);
  if (missing.length > 0) throw new clawtalk.ClawTalkError(`missing --${missing.join(', --')}`);
  if (positionals.length !== wanted) throw new clawtalk.ClawTalkError(`${name} takes ${wanted} file arguments`);
  await verb.run(values, positionals);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`error: ${error.message}\n`);
  process.exitCode = 1;
}
