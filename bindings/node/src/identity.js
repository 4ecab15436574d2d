// Identities: secret keys, and what they seal and open.

import { Card } from './card.js';
import { Envelope } from './envelope.js';
import { Handle } from './handle.js';
import { data, json, known, options, ownData, text, time } from './input.js';
import { call, lookText } from './native.js';
import { Peer } from './peer.js';
import { EnvelopeStream } from './stream.js';
import { briefly } from './threads.js';

/** Bytes of a seed of X-Wing. */
const SEED = 32;

export class Identity extends Handle {
  /** @param {number} handle */
  constructor(handle) {
    super(handle, 'ctalk_identity_free');
    this.fingerprint = lookText('ctalk_identity_fingerprint', handle);
  }

  static generate() {
    return new Identity(call('ctalk_identity_generate'));
  }

  static import(keys, xwingSeeds = []) {
    if (!Array.isArray(xwingSeeds)) {
      throw new TypeError('xwingSeeds is not an array');
    }
    const seeds = Buffer.concat(xwingSeeds.map((seed) => asBytes(data(seed, 'a seed'))));
    const lasting = typeof keys === 'string' ? text(keys, 'keys') : json(keys);
    try {
      return new Identity(call('ctalk_identity_import', lasting, seeds));
    } finally {
      seeds.fill(0);
    }
  }

  export() {
    const [keys, seeds] = call('ctalk_identity_export', Identity.of(this, 'identity'));
    const xwingSeeds = [];
    for (let at = 0; at < seeds.length; at += SEED) {
      xwingSeeds.push(seeds.subarray(at, at + SEED));
    }
    return { keys, xwingSeeds };
  }

  static async load(given) {
    const { folder, passphrase = null } = known(given, ['folder', 'passphrase']);
    const values = [text(folder, 'folder'), passphrase && text(passphrase, 'passphrase')];
    return new Identity(await briefly('ctalk_identity_load', values));
  }

  async save(given) {
    const names = ['folder', 'name', 'keyStore', 'passphrase'];
    const { folder, name, keyStore = '', passphrase = null } = known(given, names);
    const profile = [text(folder, 'folder'), text(name, 'name')];
    const store = [text(keyStore, 'keyStore'), passphrase && text(passphrase, 'passphrase')];
    await briefly('ctalk_identity_save', [Identity.of(this, 'identity'), ...profile, ...store], this);
  }

  card(given) {
    return Card.for(Identity.of(this, 'identity'), given);
  }

  async seal(payload, recipients, given) {
    const values = this.#sealing(recipients, given);
    const kept = [this, ...recipients];
    return briefly('ctalk_envelope_seal', [values[0], values[1], ownData(payload, 'payload'), values[2]], kept);
  }

  sealSync(payload, recipients, given) {
    const [own, cards, said] = this.#sealing(recipients, given);
    return call('ctalk_envelope_seal', own, cards, data(payload, 'payload'), said);
  }

  async open(envelope, given) {
    const [own, from, now] = this.#opening(given);
    const kept = [this, given];
    return new Envelope(await briefly('ctalk_envelope_open', [own, from, ownData(envelope, 'envelope'), now], kept));
  }

  openSync(envelope, given) {
    const [own, from, now] = this.#opening(given);
    return new Envelope(call('ctalk_envelope_open', own, from, data(envelope, 'envelope'), now));
  }

  sealStream(recipients, given) {
    const values = this.#sealing(recipients, given);
    return new EnvelopeStream('ctalk_envelope_seal_stream', values, [this, ...recipients]);
  }

  openStream(given) {
    return new EnvelopeStream('ctalk_envelope_open_stream', this.#opening(given), [this, given]);
  }

  sealClassic(payload, recipient, given) {
    const said = JSON.stringify(payload);
    if (said === undefined) {
      throw new TypeError('payload is nothing that JSON can say');
    }
    return withPeer(recipient, 'recipient', (peer) =>
      call('ctalk_classic_seal', Identity.of(this, 'identity'), peer, said, json(given)),
    );
  }

  openClassic(message, sender) {
    return this.#classic('ctalk_classic_open', message, sender);
  }

  openClassicUnsigned(message, sender) {
    return this.#classic('ctalk_classic_open_unsigned', message, sender);
  }

  #classic(name, message, sender) {
    const said = isJson(message) ? data(message, 'message') : json(message);
    const [payload, claims] = withPeer(sender, 'sender', (peer) =>
      call(name, Identity.of(this, 'identity'), peer, said),
    );
    const raw = payload.toString();
    return { ...claims, payload: JSON.parse(raw), raw };
  }

  #sealing(recipients, given) {
    if (!Array.isArray(recipients)) {
      throw new TypeError('recipients is not an array of cards');
    }
    const said = { ...options(given) };
    if (said.card instanceof Card) {
      said.card = said.card.text;
    }
    if (said.created !== undefined) {
      said.created = time(said.created, 'created');
    }
    const cards = recipients.map((card) => Card.of(card, 'a recipient'));
    return [Identity.of(this, 'identity'), cards, JSON.stringify(said)];
  }

  #opening(given) {
    const { from, now } = known(given, ['from', 'now']);
    return [Identity.of(this, 'identity'), from === undefined ? 0 : Card.of(from, 'from'), time(now, 'now')];
  }
}

function asBytes(given) {
  return typeof given === 'string' ? Buffer.from(given) : given;
}

function isJson(message) {
  return typeof message === 'string' || ArrayBuffer.isView(message) || message instanceof ArrayBuffer;
}

/** The handle of somebody's keys, be they those of a card. */
function withPeer(given, name, use) {
  if (given instanceof Peer) {
    return use(Peer.of(given, name));
  }
  const peer = Peer.fromCard(given);
  try {
    return use(Peer.of(peer, name));
  } finally {
    peer.close();
  }
}
