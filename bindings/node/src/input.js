// What callers give, brought into the shape that the library takes.

import { codes } from './codes.js';
import { UsageError } from './errors.js';

/** As a timeout: for ever. */
const FOREVER = 0xffff_ffff_ffff_ffffn;

/** A text, which must be one that UTF-8 can say. */
export function text(value, name) {
  if (typeof value !== 'string') {
    throw new TypeError(`${name} is not a string`);
  }
  if (!value.isWellFormed()) {
    throw new UsageError(codes.CTALK_NOT_UTF8, `${name} has half a surrogate pair, which UTF-8 cannot say`);
  }
  return value;
}

/** Bytes, or a text as its UTF-8: as they are, for a call at once. */
export function data(value, name) {
  if (typeof value === 'string') {
    return text(value, name);
  }
  const bytes = view(value);
  if (bytes === null) {
    throw new TypeError(`${name} is neither a string nor bytes (a Buffer, typed array, DataView or ArrayBuffer)`);
  }
  // Another thread could change them meanwhile.
  return isShared(bytes.buffer) ? bytes.slice() : bytes;
}

/** As `data`, but a copy, which nobody changes or takes away while a call runs on another thread. */
export function ownData(value, name) {
  const given = data(value, name);
  return typeof given === 'string' ? given : Uint8Array.prototype.slice.call(given);
}

/** The options of a call. */
export function options(value) {
  if (value === undefined) {
    return {};
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new TypeError('the options are not an object');
  }
  return value;
}

/** Options that the library does not look at, of which there are these. */
export function known(value, names) {
  const given = options(value);
  for (const name of Object.keys(given)) {
    if (!names.includes(name)) {
      throw new TypeError(`there is no option ${name}`);
    }
  }
  return given;
}

/** Options as the library takes them, which says which there are. */
export function json(value) {
  return JSON.stringify(options(value));
}

/** A time as a Date or in milliseconds; 0 is now. */
export function time(value, name) {
  const millis = value instanceof Date ? value.getTime() : (value ?? 0);
  return count(millis, name);
}

/** A number of milliseconds, or for ever. */
export function timeout(value, name) {
  return value === undefined || value === Infinity ? FOREVER : count(value, name);
}

/** A whole number that is not negative. */
export function count(value, name) {
  if (typeof value !== 'number') {
    throw new TypeError(`${name} is not a number`);
  }
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`${name} is no whole number from 0 to 2^53 - 1`);
  }
  return value;
}

function view(value) {
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  return value instanceof ArrayBuffer || isShared(value) ? new Uint8Array(value) : null;
}

function isShared(value) {
  return value instanceof SharedArrayBuffer;
}
