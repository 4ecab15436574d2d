// What stands for a value of the library's.

import { isMainThread } from 'node:worker_threads';

import { look, prepare } from './native.js';
// First of all, calls that run are stopped when the thread ends.
import './threads.js';

/** What this thread holds. */
const held = new Set();

const registry = new FinalizationRegistry(freeHeld);

function freeHeld(one) {
  held.delete(one);
  look(one.free, one.handle);
}

// A thread that ends collects nothing, and the process goes on.
if (!isMainThread) {
  process.on('exit', () => {
    const isClient = ({ free }) => free === 'ctalk_client_free';
    for (const one of [...held].sort((a, b) => isClient(a) - isClient(b))) {
      freeHeld(one);
    }
  });
}

/** A handle, which is freed when its object is closed, or else when it is collected. */
export class Handle {
  #held;

  constructor(handle, free) {
    prepare(free);
    this.#held = { free, handle };
    held.add(this.#held);
    registry.register(this, this.#held, this);
  }

  /**
   * The handle of an object of this class. A closed one has one too, to which the library says no.
   *
   * @param {any} object
   * @param {string} name what it is called in an error
   * @returns {number}
   */
  static of(object, name) {
    if (!(object instanceof this)) {
      throw new TypeError(`${name} is not a ${this.name}`);
    }
    return object.#held.handle;
  }

  /** Takes it away from the registry, for somebody else to free. */
  release() {
    registry.unregister(this);
    held.delete(this.#held);
  }

  close() {
    registry.unregister(this);
    freeHeld(this.#held);
  }

  [Symbol.dispose]() {
    this.close();
  }
}
