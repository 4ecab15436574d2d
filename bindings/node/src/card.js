// Key cards.

import { Handle } from './handle.js';
import { data, options, text, time } from './input.js';
import { call, look, lookBytes } from './native.js';

/** The key card of an identity, whose signature was checked. */
export class Card extends Handle {
  /** @param {number} handle */
  constructor(handle) {
    super(handle, 'ctalk_card_free');
    const said = call('ctalk_card_json', handle);
    this.text = said.card;
    this.name = said.name;
    this.fingerprint = said.fingerprint;
    this.addresses = Object.freeze(said.addresses);
    this.serial = BigInt(look('ctalk_card_serial', handle));
    this.created = Number(look('ctalk_card_created', handle));
    this.expires = Number(look('ctalk_card_expires', handle));
    this.signingKey = lookBytes('ctalk_card_signing_key', handle);
    this.encryptionKey = lookBytes('ctalk_card_encryption_key', handle);
    this.xwingKey = lookBytes('ctalk_card_xwing_key', handle);
  }

  static parse(card) {
    return typeof card === 'string'
      ? new Card(call('ctalk_card_from_text', text(card, 'card')))
      : new Card(call('ctalk_card_from_bytes', data(card, 'card')));
  }

  /** Made by an identity. */
  static for(identity, given) {
    // Without any, which is something else than an empty object.
    if (given === undefined) {
      return new Card(call('ctalk_identity_card', identity, null));
    }
    const said = { ...options(given) };
    for (const name of ['created', 'expires']) {
      if (said[name] !== undefined) {
        said[name] = time(said[name], name);
      }
    }
    return new Card(call('ctalk_identity_card', identity, JSON.stringify(said)));
  }

  checkCurrent(now) {
    call('ctalk_card_check_current', Card.of(this, 'card'), time(now, 'now'));
  }

  toString() {
    return this.text;
  }

  toJSON() {
    return call('ctalk_card_json', Card.of(this, 'card'));
  }
}
