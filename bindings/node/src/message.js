// Messages in hand.

import { Handle } from './handle.js';
import { count, json, known, ownData, text } from './input.js';
import { briefly } from './threads.js';

/** A message that was received, and that is in hand until it was said what became of it. */
export class Message extends Handle {
  #client;
  #settled = false;

  /** @param {import('./client.js').Client} client which has to live as long as it */
  constructor({ handle, ...said }, client) {
    super(handle, 'ctalk_message_free');
    this.#client = client;
    Object.assign(this, said);
  }

  get settled() {
    return this.#settled;
  }

  text() {
    return new TextDecoder('utf-8', { fatal: true }).decode(this.payload);
  }

  json() {
    return JSON.parse(this.text());
  }

  commit() {
    return this.#settle('ctalk_message_commit');
  }

  async reply(payload, given) {
    await this.#settle('ctalk_message_reply', ownData(payload, 'payload'), json(given));
  }

  async retry(given) {
    const { after = 0, why = '' } = known(given, ['after', 'why']);
    await this.#settle('ctalk_message_retry', text(why, 'why'), count(after, 'after'));
  }

  async reject(why = '') {
    await this.#settle('ctalk_message_reject', text(why, 'why'));
  }

  async #settle(name, ...values) {
    await briefly(name, [Message.of(this, 'message'), ...values], [this, this.#client]);
    this.#settled = true;
  }
}
