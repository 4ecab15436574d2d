// Envelopes that were opened, and what can be told of others.

import { data, ownData } from './input.js';
import { call } from './native.js';
import { briefly } from './threads.js';

/** What was in an envelope: verified and opened. */
export class Envelope {
  constructor({ payload, sender, digest, created, expires, ...said }) {
    this.payload = payload;
    this.fingerprint = said.fingerprint;
    this.trust = said.trust;
    this.id = said.id;
    this.type = said.type;
    this.topic = said.topic;
    this.correlationId = said.correlationId;
    this.replyTo = said.replyTo;
    this.contentType = said.contentType;
    this.name = said.name;
    this.wantsReceipt = said.wantsReceipt;
    this.card = said.card;
    this.recipients = said.recipients;
    this.created = created;
    this.expires = expires;
    this.sender = sender;
    this.digest = digest;
  }

  text() {
    return new TextDecoder('utf-8', { fatal: true }).decode(this.payload);
  }

  json() {
    return JSON.parse(this.text());
  }

  static async verify(envelope) {
    return await briefly('ctalk_envelope_verify', [ownData(envelope, 'envelope')]);
  }

  static async inspect(envelope) {
    return await briefly('ctalk_envelope_inspect', [ownData(envelope, 'envelope')]);
  }

  static verifySync(envelope) {
    return call('ctalk_envelope_verify', data(envelope, 'envelope'));
  }

  static inspectSync(envelope) {
    return call('ctalk_envelope_inspect', data(envelope, 'envelope'));
  }
}
