// Envelopes of any size, through streams.

import { Duplex } from 'node:stream';
import { MessageChannel } from 'node:worker_threads';

import { copyIn } from './native.js';
import { streaming } from './threads.js';

/**
 * What is written to it is sealed, or opened, by a thread that asks for more when it needs some, and
 * whose result is what can be read.
 */
export class EnvelopeStream extends Duplex {
  #name;
  #values;
  #keep;
  #port = null;
  #bell = new Int32Array(new SharedArrayBuffer(4));
  /** What was written and is not taken yet. */
  #chunk = Buffer.alloc(0);
  #written = null;
  #ended = false;
  #finished = null;
  /** How many bytes the thread asks for, and the address where it waits for them; 0 when it does not. */
  #wanted = 0;
  #into = null;
  /** Whether the thread waits for what it made to be read. */
  #full = false;
  #done = false;
  #over = null;
  #drop = null;

  constructor(name, values, keep) {
    super();
    this.#name = name;
    this.#values = values;
    this.#keep = keep;
    /** What the envelope says besides its payload, from the end on. */
    this.info = null;
  }

  _construct(callback) {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.on('message', (question) => this.#asked(question));
    const { over, drop } = streaming(this.#name, this.#values, { port: port2, bell: this.#bell }, this.#keep);
    this.#drop = drop;
    this.#over = over.then(
      (info) => {
        this.info = info;
        this.#done = true;
        this.#taken();
        this.push(null);
        this.#finished?.();
      },
      (error) => {
        if (!this.destroyed) {
          this.destroy(error);
        }
      },
    );
    this.#over.finally(() => port1.close());
    callback();
  }

  _write(chunk, _encoding, callback) {
    if (this.#done) {
      callback();
      return;
    }
    this.#chunk = chunk;
    this.#written = callback;
    this.#feed();
  }

  _final(callback) {
    if (this.#done) {
      callback();
      return;
    }
    this.#ended = true;
    // Only then it is known that all of it was good.
    this.#finished = callback;
    this.#feed();
  }

  _read() {
    if (this.#full) {
      this.#full = false;
      this.#answer(true);
    }
  }

  _destroy(error, callback) {
    this.#wanted = 0;
    this.#answer(null);
    this.#drop?.();
    (this.#over ?? Promise.resolve()).then(() => callback(error));
  }

  #asked({ read, into, write }) {
    if (this.destroyed) {
      this.#answer(null);
    } else if (write === undefined) {
      this.#wanted = read;
      this.#into = into;
      this.#feed();
    } else if (this.push(Buffer.from(write.buffer))) {
      this.#answer(true);
    } else {
      this.#full = true;
    }
  }

  /** Gives the thread what it asked for, once there is something. */
  #feed() {
    if (this.#wanted === 0 || (this.#chunk.length === 0 && !this.#ended)) {
      if (this.#chunk.length === 0) {
        this.#taken();
      }
      return;
    }
    const chunk = this.#chunk.subarray(0, this.#wanted);
    this.#chunk = this.#chunk.subarray(chunk.length);
    this.#wanted = 0;
    copyIn(this.#into, chunk);
    this.#answer(chunk.length);
    if (this.#chunk.length === 0) {
      this.#taken();
    }
  }

  #taken() {
    const written = this.#written;
    this.#written = null;
    written?.();
  }

  #answer(message) {
    this.#port?.postMessage(message);
    Atomics.store(this.#bell, 0, 1);
    Atomics.notify(this.#bell, 0);
  }
}
