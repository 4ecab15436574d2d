// What stands for a value of the library's.

import { look } from './native.js';

const registry = new FinalizationRegistry(({ free, handle }) => look(free, handle));

/** A handle, which is freed when its object is closed, or else when it is collected. */
export class Handle {
  #handle;
  #free;

  constructor(handle, free) {
    this.#handle = handle;
    this.#free = free;
    registry.register(this, { free, handle }, this);
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
    return object.#handle;
  }

  /** Takes it away from the registry, for somebody else to free. */
  release() {
    registry.unregister(this);
  }

  close() {
    registry.unregister(this);
    look(this.#free, this.#handle);
  }

  [Symbol.dispose]() {
    this.close();
  }
}
