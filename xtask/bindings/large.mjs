// As large.c, from Node, where garbage would blur what comes after it: so one call in each process.
//
// usage: node --expose-gc large.mjs MODULE seal|open|seal_async|open_async|stream

import { readFileSync, writeFileSync } from 'node:fs';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';

const [, , path, name] = process.argv;
const { Identity } = await import(pathToFileURL(path));

const SIZE = 64 << 20;

/** A line of /proc/self/status in bytes. */
function status(name) {
  const line = readFileSync('/proc/self/status', 'ascii').split('\n').find((each) => each.startsWith(name));
  return Number(line.match(/\d+/)[0]) * 1024;
}

async function growth(work) {
  globalThis.gc();
  writeFileSync('/proc/self/clear_refs', '5');
  const before = status('VmRSS:');
  const result = await work();
  console.log(`${name}_growth ${status('VmHWM:') - before}`);
  console.log(`${name}_result ${result.length}`);
}

const identity = Identity.generate();
const cards = [identity.card()];
const from = cards[0];
const payload = Buffer.alloc(SIZE, 'x');

// So that what is made once, threads among it, is there already.
identity.openSync(identity.sealSync('x', cards), { from });
await identity.open(await identity.seal('x', cards), { from });
await stream(1024);

const sealed = await identity.seal(name.startsWith('open') ? payload : 'x', cards);
const calls = {
  seal: () => identity.sealSync(payload, cards),
  open: () => identity.openSync(sealed, { from }).payload,
  seal_async: () => identity.seal(payload, cards),
  open_async: async () => (await identity.open(sealed, { from })).payload,
  stream: () => stream(SIZE),
};
await growth(calls[name]);

/** Seals so many bytes, which nobody keeps. */
async function stream(size) {
  const chunk = Buffer.alloc(1 << 16, 'x');
  const chunks = Readable.from(
    (function* () {
      for (let left = size; left > 0; left -= chunk.length) {
        yield chunk.subarray(0, left);
      }
    })(),
  );
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  await pipeline(chunks, identity.sealStream(cards), nowhere);
  return '';
}
