// Calls off the event loop's thread.
//
// Each runs on a thread of ours, not on those that Node keeps for files and names: there are few of
// those, and a call that waits for a message would keep one from everybody else.

import { Worker } from 'node:worker_threads';

import { codes } from './codes.js';
import { AbortError, errorOf, UnexpectedError } from './errors.js';
import { call, LIBRARY, look, prepare } from './native.js';

/** Threads that take calls, started when they are needed and kept. */
class Lane {
  #most;
  #threads = 0;
  #idle = [];
  #queue = [];

  constructor(most) {
    this.#most = most;
  }

  /**
   * Has a call made.
   *
   * @param {{ name: string, values: any[], frees?: boolean, stream?: object }} job
   * @param {any[]} transfer what is handed over with it
   * @param {any} keep what must not be collected before the call is over
   */
  run(job, transfer, keep) {
    return new Promise((resolve, reject) => {
      this.#queue.push({ job, transfer, keep, resolve, reject });
      this.#next();
    });
  }

  /** Takes back a call that no thread has taken yet. */
  drop(job) {
    const at = this.#queue.findIndex((waiting) => waiting.job === job);
    if (at >= 0) {
      const [{ reject }] = this.#queue.splice(at, 1);
      reject(new AbortError(codes.CTALK_INTERRUPTED, 'the call was stopped'));
    }
  }

  #next() {
    while (this.#queue.length > 0) {
      const worker = this.#idle.pop() ?? (this.#threads < this.#most ? this.#start() : null);
      if (worker === null) {
        return;
      }
      this.#give(worker, this.#queue.shift());
    }
  }

  #start() {
    this.#threads += 1;
    return new Worker(new URL('./worker.js', import.meta.url), {
      env: { ...process.env, CTALK_LIBRARY: LIBRARY },
      execArgv: [],
      name: 'ctalk',
    });
  }

  #give(worker, { job, transfer, keep, resolve, reject }) {
    const over = () => {
      worker.off('message', done);
      worker.off('error', broken);
      worker.off('exit', broken);
      // So that `keep` lives until here.
      keep = undefined;
    };
    const rest = () => {
      over();
      // Only calls keep the process from ending.
      worker.unref();
      this.#idle.push(worker);
    };
    const done = ({ result, error }) => {
      rest();
      if (error) {
        reject(errorOf(error.number, error.exitCode, error.message));
      } else {
        resolve(result);
      }
      this.#next();
    };
    const broken = (error) => {
      over();
      this.#threads -= 1;
      worker.terminate();
      const ended = new UnexpectedError(codes.CTALK_UNEXPECTED, 'the thread of the call ended');
      reject(error instanceof Error ? error : ended);
      this.#next();
    };
    worker.on('message', done);
    worker.on('error', broken);
    worker.on('exit', broken);
    worker.ref();
    try {
      worker.postMessage(job, transfer);
    } catch (error) {
      rest();
      reject(error);
    }
  }
}

/** For what ends by itself. */
const brief = new Lane(4);
/** For what waits for the relay; not in the way of the others. */
const patient = new Lane(64);
/** For what waits until another agent writes: so that nobody waits for them who would write. */
const longest = new Map([
  ['ctalk_client_call', new Lane(64)],
  ['ctalk_client_next', new Lane(64)],
]);
/** For what waits for a stream of this program's own. */
const streams = new Lane(64);

/** What ends the calls that wait, by the stopper of each. */
const stops = new Map();

// A thread that waits in the library would keep the process from ending.
process.on('exit', () => {
  for (const [stopper, stop] of stops) {
    stop();
    look('ctalk_stopper_free', stopper);
  }
});

/**
 * Makes a call that ends by itself.
 *
 * @param {string} name
 * @param {any[]} values
 * @param {any} [keep]
 * @returns {Promise<any>}
 */
export async function briefly(name, values, keep) {
  return collected(await brief.run({ name, values }, buffersOf(values), keep));
}

/**
 * Frees what takes its time to end.
 *
 * @param {string} name
 * @param {number} handle
 * @returns {Promise<void>}
 */
export async function free(name, handle) {
  await brief.run({ name, values: [handle], frees: true }, [], undefined);
}

/**
 * Makes a call that waits, and that `signal` ends. `values` gets the handle that stops it.
 *
 * @param {string} name
 * @param {(stopper: number) => any[]} values
 * @param {{ signal?: AbortSignal, running?: Set<() => void>, keep?: any }} [options] `running` holds
 *   what ends the call for as long as it runs
 * @returns {Promise<any>}
 */
export async function patiently(name, values, { signal, running, keep } = {}) {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError('signal is not an AbortSignal');
  }
  if (signal?.aborted) {
    throw aborted(signal);
  }
  prepare('ctalk_stopper_stop', 'ctalk_stopper_free');
  const stopper = call('ctalk_stopper_new');
  const lane = longest.get(name) ?? patient;
  let job;
  const stop = () => {
    call('ctalk_stopper_stop', stopper);
    lane.drop(job);
  };
  stops.set(stopper, stop);
  running?.add(stop);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    job = { name, values: values(stopper) };
    return collected(await lane.run(job, buffersOf(job.values), keep));
  } catch (error) {
    if (error.number === codes.CTALK_INTERRUPTED && signal?.aborted) {
      throw aborted(signal);
    }
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
    running?.delete(stop);
    stops.delete(stopper);
    look('ctalk_stopper_free', stopper);
  }
}

/**
 * Makes a call that reads and writes through a port. `drop` takes it back if it did not begin.
 *
 * @param {string} name
 * @param {any[]} values
 * @param {{ port: import('node:worker_threads').MessagePort, bell: Int32Array }} stream
 * @param {any} keep
 * @returns {{ over: Promise<any>, drop: () => void }}
 */
export function streaming(name, values, stream, keep) {
  const job = { name, values, stream };
  return { over: streams.run(job, [stream.port], keep), drop: () => streams.drop(job) };
}

function aborted(signal) {
  const error = new AbortError(codes.CTALK_INTERRUPTED, 'the call was stopped');
  error.cause = signal.reason;
  return error;
}

/** Bytes among the values: copies of ours, so they are handed over. */
function buffersOf(values) {
  return values.filter((value) => value instanceof Uint8Array).map((value) => value.buffer);
}

/** On their way, buffers became plain arrays of bytes. */
function collected(result) {
  if (result instanceof Uint8Array) {
    return Buffer.from(result.buffer);
  }
  if (result && typeof result === 'object') {
    for (const [name, value] of Object.entries(result)) {
      if (value instanceof Uint8Array) {
        result[name] = Buffer.from(value.buffer);
      }
    }
  }
  return result;
}
