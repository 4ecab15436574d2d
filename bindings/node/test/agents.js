// Agents at a relay, for tests.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Client, Identity, Relay } from 'ctalk';

/** A relay, and agents that are registered there; all of it ends with the test. */
export class Scene {
  static async start(test) {
    const scene = new Scene();
    scene.folder = mkdtempSync(join(tmpdir(), 'ctalk-node-'));
    scene.relay = await Relay.start();
    scene.clients = [];
    test.after(async () => {
      for (const client of scene.clients) {
        await client[Symbol.asyncDispose]();
      }
      await scene.relay[Symbol.asyncDispose]();
      rmSync(scene.folder, { recursive: true });
    });
    return scene;
  }

  profile(name) {
    return join(this.folder, name);
  }

  async agent(name) {
    const folder = this.profile(name);
    await Identity.generate().save({ folder, name, keyStore: 'plain' });
    const client = await this.open(name);
    await client.register({ relay: this.relay.url, adminKey: this.relay.adminKey });
    return client;
  }

  async open(name) {
    const client = await Client.open({ folder: this.profile(name) });
    this.clients.push(client);
    return client;
  }
}

const BEGINNING = `
  import { Client } from 'ctalk';
  const client = await Client.open({ folder: process.argv[1] });
`;

/** Runs a program of its own on the client of a profile and gives its process. */
export function program(code, folder, signal) {
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  const all = ['--input-type=module', '--eval', BEGINNING + code, folder];
  return spawn(process.execPath, all, { cwd, stdio: ['ignore', 'pipe', 'inherit'], signal, killSignal: 'SIGKILL' });
}
