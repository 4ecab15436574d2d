// An agent at its relay.

import { Card } from './card.js';
import { Contacts } from './contacts.js';
import { CtalkError } from './errors.js';
import { Handle } from './handle.js';
import { Identity } from './identity.js';
import { known, options, ownData, text, timeout } from './input.js';
import { Message } from './message.js';
import { call } from './native.js';
import { briefly, free, patiently } from './threads.js';

/** Where the user's profile of this name is. */
export function profileFolder(name = 'default') {
  return call('ctalk_profile_folder', text(name, 'name'));
}

export class Client extends Handle {
  /** What ends the calls that wait. */
  #running = new Set();
  #closed = false;

  /** @param {number} handle */
  constructor(handle) {
    super(handle, 'ctalk_client_free');
    this.contacts = new Contacts(this, this.#running);
  }

  static async open(given) {
    const { profile, ...said } = options(given);
    if (profile !== undefined) {
      said.folder ??= profileFolder(profile);
    }
    return new Client(await briefly('ctalk_client_open', [JSON.stringify(said)]));
  }

  whoami() {
    return this.#briefly('ctalk_client_whoami');
  }

  async card() {
    return new Card(await this.#briefly('ctalk_client_card'));
  }

  async identity() {
    return new Identity(await this.#briefly('ctalk_client_identity'));
  }

  async register(given) {
    const { signal, ...said } = options(given);
    return this.#patiently('ctalk_client_register', signal, [JSON.stringify(said)]);
  }

  async send(to, payload, given) {
    const { signal, ...said } = options(given);
    const several = Array.isArray(to);
    const names = several ? to.map((name) => text(name, 'a recipient')) : text(to, 'to');
    const values = [ownData(payload, 'payload'), JSON.stringify({ ...said, to: names })];
    const outcomes = await this.#patiently('ctalk_client_send', signal, values);
    return several ? outcomes : outcomes[0];
  }

  async call(to, payload, given) {
    const { signal, timeout: wait, ...said } = options(given);
    if (wait !== undefined) {
      // As a number of JSON, for ever is as long as that goes.
      said.timeoutMs = wait === Infinity ? Number.MAX_SAFE_INTEGER : timeout(wait, 'timeout');
    }
    const values = [ownData(payload, 'payload'), JSON.stringify({ ...said, to: text(to, 'to') })];
    return new Message(await this.#patiently('ctalk_client_call', signal, values), this);
  }

  async flush(given) {
    const { signal } = known(given, ['signal']);
    await this.#patiently('ctalk_client_flush', signal, []);
  }

  async next(given) {
    const { timeout: wait, signal } = known(given, ['timeout', 'signal']);
    const found = await this.#patiently('ctalk_client_next', signal, [timeout(wait, 'timeout')]);
    return found && new Message(found, this);
  }

  async *follow(given) {
    const { signal, ...said } = options(given);
    await this.#briefly('ctalk_client_follow', JSON.stringify(said));
    for (;;) {
      let message;
      try {
        message = await this.next({ signal });
      } catch (error) {
        // Who closes it has no more messages; that is no failure.
        if (this.#closed && error instanceof CtalkError && !signal?.aborted) {
          return;
        }
        throw error;
      }
      yield message;
    }
  }

  takeEvents() {
    return this.#briefly('ctalk_client_take_events');
  }

  /** Ends its calls, and what is in hand is given back. */
  close() {
    this.#stop();
    super.close();
  }

  async [Symbol.asyncDispose]() {
    const handle = Client.of(this, 'client');
    this.#stop();
    this.release();
    await free('ctalk_client_free', handle);
  }

  #stop() {
    this.#closed = true;
    for (const stop of this.#running) {
      stop();
    }
  }

  async #briefly(name, ...values) {
    return briefly(name, [Client.of(this, 'client'), ...values], this);
  }

  async #patiently(name, signal, values) {
    const own = Client.of(this, 'client');
    const all = (stopper) => [own, ...values, stopper];
    return patiently(name, all, { signal, running: this.#running, keep: this });
  }
}
