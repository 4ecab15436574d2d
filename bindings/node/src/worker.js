// A thread for calls that take their time: one call at a time, by name.

import { parentPort, receiveMessageOnPort } from 'node:worker_threads';

import { codes } from './codes.js';
import { CtalkError, UnexpectedError } from './errors.js';
import { call, copyOut, look, writeSize } from './native.js';

parentPort.on('message', ({ name, values, frees, stream }) => {
  try {
    const result = run(name, values, frees, stream);
    parentPort.postMessage({ result }, buffersOf(result));
  } catch (error) {
    const { number = codes.CTALK_UNEXPECTED, exitCode = UnexpectedError.exitCode } = error instanceof CtalkError ? error : {};
    parentPort.postMessage({ error: { number, exitCode, message: error.message } });
  }
});

function run(name, values, frees, stream) {
  if (frees) {
    return look(name, ...values);
  }
  return stream ? call(name, ...values, reader(stream), writer(stream)) : call(name, ...values);
}

/** What can be handed over instead of copied. */
function buffersOf(result) {
  if (result instanceof Uint8Array) {
    return [result.buffer];
  }
  // The values of a buffer would be its bytes, each on its own.
  const all = result && typeof result === 'object' ? Object.values(result) : [];
  return all.filter((value) => value instanceof Uint8Array).map((value) => value.buffer);
}

/** Asks the other side of a stream and waits for its answer: null where it gave up. */
function ask({ port, bell }, question, transfer) {
  port.postMessage(question, transfer);
  for (;;) {
    Atomics.wait(bell, 0, 0);
    Atomics.store(bell, 0, 0);
    const received = receiveMessageOnPort(port);
    if (received) {
      return received.message;
    }
  }
}

// What a callback throws would be lost, and be taken for the number 0.
function reader(stream) {
  return (_user, buffer, capacity, length) => {
    try {
      // The other side writes there itself, while this one waits: so the bytes are copied once.
      const taken = ask(stream, { read: Number(capacity), into: buffer });
      if (taken === null) {
        return 1;
      }
      writeSize(length, taken);
      return 0;
    } catch {
      return 1;
    }
  };
}

function writer(stream) {
  return (_user, data, length) => {
    try {
      const chunk = copyOut(data, Number(length));
      return ask(stream, { write: chunk }, [chunk.buffer]) === null ? 1 : 0;
    } catch {
      return 1;
    }
  };
}
