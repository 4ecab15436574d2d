// What a TypeScript program can write, and what it cannot. Checked by tsc, never run.

import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';

import {
  AbortError,
  Card,
  Client,
  CtalkError,
  Envelope,
  Identity,
  Message,
  NotVerifiedError,
  Relay,
  codes,
  profileFolder,
  readReceipt,
  safetyNumber,
  verifyStatement,
  version,
} from 'ctalk';
import type { ClientEvent, Contact, NotSent, OpenedInfo, Sent } from 'ctalk';

export async function offline(): Promise<Buffer> {
  using alice = Identity.generate();
  using bob = Identity.generate();
  using card: Card = bob.card({ name: 'bob', expires: new Date(), addresses: [] });
  const serial: bigint = card.serial;
  const sealed: Buffer = await alice.seal(new Uint8Array(3), [card], { topic: 'x', ttl: 60, card });
  const opened: Envelope = bob.openSync(sealed, { from: alice.card(), now: Date.now() });
  const digest: Buffer = opened.digest;
  const stream = bob.openStream();
  await pipeline(createReadStream('in'), stream, createWriteStream('out'));
  const info: OpenedInfo | null = stream.info;
  const box = alice.sealClassic({ serial: Number(serial) }, card, { to: 'bob' });
  const text: string = box.signature + (info?.topic ?? '') + version + profileFolder();
  const said: string = safetyNumber(card, card.fingerprint).words + readReceipt(opened).outcome;
  const successor: string | null = verifyStatement(said).successor;
  // @ts-expect-error it may be null
  const certain: string = verifyStatement(said + (successor ?? '')).successor;
  // @ts-expect-error a card is not text
  alice.sealSync('x', ['ctalk-card:']);
  // @ts-expect-error nobody is told
  alice.sealSync('x');
  // @ts-expect-error there is no such option
  alice.sealSync('x', [card], { tpoic: 'x' });
  // @ts-expect-error there is no such type
  alice.sealSync('x', [card], { type: 'poem' });
  // @ts-expect-error handles are made by the library
  new Identity(1);
  // @ts-expect-error it cannot be set
  opened.trust = 'named';
  return Buffer.concat([digest, Buffer.from(text)]);
}

export async function online(signal: AbortSignal): Promise<void> {
  await using relay = await Relay.start({ port: 0 });
  await Identity.generate().save({ folder: 'alice', name: 'alice', keyStore: 'plain' });
  await using client = await Client.open({ folder: 'alice', require: ['native'] });
  await client.register({ relay: relay.url, adminKey: relay.adminKey, signal });
  const one: Sent = await client.send('bob', 'hello', { receipt: true, signal });
  const several: (Sent | NotSent)[] = await client.send(['bob', 'carol'], Buffer.from('hello'));
  const response: Message = await client.call('bob', 'six times seven?', { timeout: 1000 });
  const contact: Contact = await client.contacts.add('bob', { as: 'robert', signal });
  const events: ClientEvent[] = await client.takeEvents();
  console.log(one.id, several.length, response.text(), contact.name, events.length);
  for await (const message of client.follow({ topic: 'lab', signal })) {
    using held = message;
    if (held.attempt > 3) {
      await held.reject('three times is enough');
    } else if (held.type === 'request') {
      await held.reply(JSON.stringify(held.json()), { contentType: 'application/json' });
    } else {
      await held.retry({ after: 1000, why: 'later' });
    }
  }
  const maybe = await client.next({ timeout: 0 });
  // @ts-expect-error there may be none
  await maybe.commit();
  // @ts-expect-error call has one recipient
  await client.call(['bob', 'carol'], 'x');
  // @ts-expect-error a profile has a name
  await Identity.generate().save({ folder: 'alice' });
}

export function failures(error: unknown): number | undefined {
  if (error instanceof NotVerifiedError || error instanceof AbortError) {
    const both: CtalkError = error;
    return both.number === codes['CTALK_NOT_VERIFIED'] ? both.exitCode : undefined;
  }
  return undefined;
}
