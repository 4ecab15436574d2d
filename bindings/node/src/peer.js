// Others who speak ClawTalk's format.

import { Card } from './card.js';
import { Handle } from './handle.js';
import { options, text } from './input.js';
import { call, lookText } from './native.js';

/** The public keys of an agent that speaks ClawTalk's format. */
export class Peer extends Handle {
  /** @param {number} handle */
  constructor(handle) {
    super(handle, 'ctalk_peer_free');
    this.fingerprint = lookText('ctalk_peer_fingerprint', handle);
  }

  static from(keys) {
    const { publicKey, signingKey } = options(keys);
    return new Peer(call('ctalk_peer_new', text(publicKey, 'publicKey'), text(signingKey, 'signingKey')));
  }

  static fromCard(card) {
    return new Peer(call('ctalk_peer_of_card', Card.of(card, 'card')));
  }
}
