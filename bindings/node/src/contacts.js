// Whose keys are pinned, and what they count for.

import { Card } from './card.js';
import { Handle } from './handle.js';
import { known, ownData, text } from './input.js';
import { briefly, patiently } from './threads.js';

export class Contacts {
  #client;
  #running;

  /**
   * @param {Handle} client
   * @param {Set<() => void>} running what ends the client's calls that wait
   */
  constructor(client, running) {
    this.#client = client;
    this.#running = running;
  }

  list() {
    return this.#briefly('list');
  }

  async show(name) {
    return this.#briefly('show', text(name, 'name'));
  }

  async add(peer, given) {
    const { as, signal } = known(given, ['as', 'signal']);
    const local = as === undefined ? null : text(as, 'as');
    return this.#patiently('add', signal, [peer instanceof Card ? peer.text : text(peer, 'peer'), local]);
  }

  async acceptKey(name, fingerprint, given) {
    const { signal } = known(given, ['signal']);
    return this.#patiently('accept_key', signal, [text(name, 'name'), text(fingerprint, 'fingerprint')]);
  }

  async compare(name) {
    return this.#briefly('compare', text(name, 'name'));
  }

  async verify(name, fingerprint) {
    return this.#briefly('verify', text(name, 'name'), text(fingerprint, 'fingerprint'));
  }

  async block(name) {
    return this.#briefly('block', text(name, 'name'));
  }

  async unblock(name) {
    return this.#briefly('unblock', text(name, 'name'));
  }

  async rename(name, newName) {
    return this.#briefly('rename', text(name, 'name'), text(newName, 'newName'));
  }

  async note(name, note) {
    return this.#briefly('note', text(name, 'name'), text(note, 'note'));
  }

  async remove(name) {
    await this.#briefly('remove', text(name, 'name'));
  }

  export() {
    return this.#briefly('export');
  }

  async import(lines) {
    return this.#briefly('import', ownData(lines, 'lines'));
  }

  async #briefly(what, ...values) {
    return briefly(`ctalk_contacts_${what}`, [Handle.of(this.#client, 'client'), ...values], this.#client);
  }

  async #patiently(what, signal, values) {
    const all = (stopper) => [Handle.of(this.#client, 'client'), ...values, stopper];
    const how = { signal, running: this.#running, keep: this.#client };
    return patiently(`ctalk_contacts_${what}`, all, how);
  }
}
