// The embedded relay, for tests of programs that talk to one.

import { Handle } from './handle.js';
import { json } from './input.js';
import { lookText } from './native.js';
import { briefly, free } from './threads.js';

/** A relay on 127.0.0.1, on threads of this process, until it is closed. */
export class Relay extends Handle {
  /** @param {number} handle */
  constructor(handle) {
    super(handle, 'ctalk_relay_free');
    this.url = lookText('ctalk_relay_url', handle);
    this.adminKey = lookText('ctalk_relay_admin_key', handle);
  }

  static async start(given) {
    return new Relay(await briefly('ctalk_relay_start', [json(given)]));
  }

  async [Symbol.asyncDispose]() {
    const handle = Relay.of(this, 'relay');
    this.release();
    await free('ctalk_relay_free', handle);
  }
}
