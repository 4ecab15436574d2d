// The library's functions, each declared once, and calls of them with values of JavaScript.
//
// A handle is a number, which the library gives out once and looks up at every use. So it may go from
// one thread to another, and one that was freed is an error and nothing worse.

import koffi from 'koffi';

import { errorOf } from './errors.js';
import { findLibrary } from './library.js';

const ABI_VERSION = 1;

/** The file that was loaded. */
export const LIBRARY = findLibrary();

const library = koffi.load(LIBRARY);
const SLICE = koffi.struct({ data: 'void *', len: 'size_t' });
const READ = koffi.proto('uint32_t', ['void *', 'void *', 'size_t', 'void *']);
const WRITE = koffi.proto('uint32_t', ['void *', 'void *', 'size_t']);

// Of the C library, which every library has loaded.
const memcpy = library.func('memcpy', 'void *', ['void *', 'void *', 'size_t']);

/** Kinds of parameters: what they are in C, and what becomes of a value. */
const PARAMETERS = {
  handle: { c: ['uintptr_t'], put: (value, into) => into.push(value ?? 0) },
  u64: { c: ['uint64_t'], put: (value, into) => into.push(value) },
  // Bytes, or a text in UTF-8.
  data: { c: ['void *', 'size_t'], put: putData },
  handles: {
    c: ['void *', 'size_t'],
    put: (value, into) => into.push(value.length === 0 ? null : BigUint64Array.from(value, BigInt), value.length),
  },
  // A function and what it gets as `user`, which is nothing.
  read: { c: [koffi.pointer(READ), 'void *'], put: (value, into) => into.push(value, null) },
  write: { c: [koffi.pointer(WRITE), 'void *'], put: (value, into) => into.push(value, null) },
};

/** Kinds of outputs, and what is made of the handle behind each. */
const OUTPUTS = {
  handle: (handle) => handle,
  bytes: takeBytes,
  text: (handle) => takeBytes(handle).toString(),
  json: (handle) => JSON.parse(takeBytes(handle).toString()),
  opened: takeOpened,
  // Stays the caller's, for as long as it is to be settled.
  message: (handle) => (handle === 0 ? null : readMessage(handle)),
};

/** Functions that can fail: their parameters before the outputs and the place for an error. */
export const FALLIBLE_KINDS = {
  ctalk_card_check_current: ['handle', 'u64'],
  ctalk_card_from_bytes: ['data', '=handle'],
  ctalk_card_from_text: ['data', '=handle'],
  ctalk_card_json: ['handle', '=json'],
  ctalk_classic_open: ['handle', 'handle', 'data', '=bytes', '=json'],
  ctalk_classic_open_unsigned: ['handle', 'handle', 'data', '=bytes', '=json'],
  ctalk_classic_seal: ['handle', 'handle', 'data', 'data', '=json'],
  ctalk_client_call: ['handle', 'data', 'data', 'handle', '=message'],
  ctalk_client_card: ['handle', '=handle'],
  ctalk_client_flush: ['handle', 'handle'],
  ctalk_client_follow: ['handle', 'data'],
  ctalk_client_identity: ['handle', '=handle'],
  ctalk_client_next: ['handle', 'u64', 'handle', '=message'],
  ctalk_client_open: ['data', '=handle'],
  ctalk_client_register: ['handle', 'data', 'handle', '=json'],
  ctalk_client_send: ['handle', 'data', 'data', 'handle', '=json'],
  ctalk_client_take_events: ['handle', '=json'],
  ctalk_client_whoami: ['handle', '=json'],
  ctalk_contacts_accept_key: ['handle', 'data', 'data', 'handle', '=json'],
  ctalk_contacts_add: ['handle', 'data', 'data', 'handle', '=json'],
  ctalk_contacts_block: ['handle', 'data', '=json'],
  ctalk_contacts_compare: ['handle', 'data', '=json'],
  ctalk_contacts_export: ['handle', '=text'],
  ctalk_contacts_import: ['handle', 'data', '=json'],
  ctalk_contacts_list: ['handle', '=json'],
  ctalk_contacts_note: ['handle', 'data', 'data', '=json'],
  ctalk_contacts_remove: ['handle', 'data'],
  ctalk_contacts_rename: ['handle', 'data', 'data', '=json'],
  ctalk_contacts_show: ['handle', 'data', '=json'],
  ctalk_contacts_unblock: ['handle', 'data', '=json'],
  ctalk_contacts_verify: ['handle', 'data', 'data', '=json'],
  ctalk_envelope_inspect: ['data', '=json'],
  ctalk_envelope_open: ['handle', 'handle', 'data', 'u64', '=opened'],
  ctalk_envelope_open_stream: ['handle', 'handle', 'u64', 'read', 'write', '=json'],
  ctalk_envelope_seal: ['handle', 'handles', 'data', 'data', '=bytes'],
  ctalk_envelope_seal_stream: ['handle', 'handles', 'data', 'read', 'write', '=json'],
  ctalk_envelope_verify: ['data', '=json'],
  ctalk_identity_card: ['handle', 'data', '=handle'],
  ctalk_identity_export: ['handle', '=text', '=bytes'],
  ctalk_identity_generate: ['=handle'],
  ctalk_identity_import: ['data', 'data', '=handle'],
  ctalk_message_commit: ['handle'],
  ctalk_message_reject: ['handle', 'data'],
  ctalk_message_reply: ['handle', 'data', 'data'],
  ctalk_message_retry: ['handle', 'data', 'u64'],
  ctalk_opened_card: ['handle', '=handle'],
  ctalk_peer_new: ['data', 'data', '=handle'],
  ctalk_peer_of_card: ['handle', '=handle'],
  ctalk_identity_load: ['data', 'data', '=handle'],
  ctalk_identity_save: ['handle', 'data', 'data', 'data', 'data'],
  ctalk_profile_folder: ['data', '=text'],
  ctalk_receipt_read: ['data', 'data', 'data', '=json'],
  ctalk_relay_start: ['data', '=handle'],
  ctalk_safety_number: ['data', 'data', '=json'],
  ctalk_statement_verify: ['data', '=json'],
  ctalk_stopper_new: ['=handle'],
  ctalk_stopper_stop: ['handle'],
};

/** Functions that look at something: their result and their parameters in C. */
export const PLAIN_TYPES = {
  ctalk_abi_version: ['uint32_t'],
  ctalk_bytes_data: ['void *', 'uintptr_t'],
  ctalk_bytes_free: ['void', 'uintptr_t'],
  ctalk_bytes_len: ['size_t', 'uintptr_t'],
  ctalk_card_created: ['uint64_t', 'uintptr_t'],
  ctalk_card_encryption_key: [SLICE, 'uintptr_t'],
  ctalk_card_expires: ['uint64_t', 'uintptr_t'],
  ctalk_card_free: ['void', 'uintptr_t'],
  ctalk_card_serial: ['uint64_t', 'uintptr_t'],
  ctalk_card_signing_key: [SLICE, 'uintptr_t'],
  ctalk_card_text: [SLICE, 'uintptr_t'],
  ctalk_card_xwing_key: [SLICE, 'uintptr_t'],
  ctalk_client_free: ['void', 'uintptr_t'],
  ctalk_code_class: ['uint32_t', 'uint32_t'],
  ctalk_error_class: ['uint32_t', 'uintptr_t'],
  ctalk_error_free: ['void', 'uintptr_t'],
  ctalk_error_message: [SLICE, 'uintptr_t'],
  ctalk_handle_count: ['size_t'],
  ctalk_identity_fingerprint: [SLICE, 'uintptr_t'],
  ctalk_identity_free: ['void', 'uintptr_t'],
  ctalk_message_attempt: ['uint32_t', 'uintptr_t'],
  ctalk_message_content_type: [SLICE, 'uintptr_t'],
  ctalk_message_correlation_id: [SLICE, 'uintptr_t'],
  ctalk_message_fingerprint: [SLICE, 'uintptr_t'],
  ctalk_message_free: ['void', 'uintptr_t'],
  ctalk_message_from: [SLICE, 'uintptr_t'],
  ctalk_message_id: [SLICE, 'uintptr_t'],
  ctalk_message_payload: [SLICE, 'uintptr_t'],
  ctalk_message_relay_from: [SLICE, 'uintptr_t'],
  ctalk_message_reply_to: [SLICE, 'uintptr_t'],
  ctalk_message_topic: [SLICE, 'uintptr_t'],
  ctalk_message_trust: [SLICE, 'uintptr_t'],
  ctalk_message_type: [SLICE, 'uintptr_t'],
  ctalk_opened_created: ['uint64_t', 'uintptr_t'],
  ctalk_opened_digest: [SLICE, 'uintptr_t'],
  ctalk_opened_expires: ['uint64_t', 'uintptr_t'],
  ctalk_opened_free: ['void', 'uintptr_t'],
  ctalk_opened_json: [SLICE, 'uintptr_t'],
  ctalk_opened_payload: [SLICE, 'uintptr_t'],
  ctalk_opened_sender: [SLICE, 'uintptr_t'],
  ctalk_opened_wants_receipt: ['uint32_t', 'uintptr_t'],
  ctalk_peer_fingerprint: [SLICE, 'uintptr_t'],
  ctalk_peer_free: ['void', 'uintptr_t'],
  ctalk_relay_admin_key: [SLICE, 'uintptr_t'],
  ctalk_relay_free: ['void', 'uintptr_t'],
  ctalk_relay_url: [SLICE, 'uintptr_t'],
  ctalk_stopper_free: ['void', 'uintptr_t'],
  ctalk_version: [SLICE],
};

// Places for what a call gives out. One thread makes one call at a time, and callbacks make none.
const places = new BigUint64Array(3);
const OUT = [places.subarray(0, 1), places.subarray(1, 2)];
const ERROR = places.subarray(2, 3);

const bound = new Map();

/** A function, as C has it. */
function bind(name) {
  let found = bound.get(name);
  if (!found) {
    found = FALLIBLE_KINDS[name] ? bindFallible(name) : library.func(name, PLAIN_TYPES[name][0], PLAIN_TYPES[name].slice(1));
    bound.set(name, found);
  }
  return found;
}

/**
 * Declares functions that are called as a thread ends. Where it is terminated at that moment, to declare
 * one would end the process.
 *
 * @param {...string} names
 */
export function prepare(...names) {
  names.forEach(bind);
}

function bindFallible(name) {
  const kinds = FALLIBLE_KINDS[name];
  const outputs = kinds.filter((kind) => kind.startsWith('=')).map((kind) => OUTPUTS[kind.slice(1)]);
  const parameters = kinds.slice(0, kinds.length - outputs.length).map((kind) => PARAMETERS[kind]);
  const types = [...parameters.flatMap(({ c }) => c), ...outputs.map(() => 'void *'), 'void *'];
  return { parameters, outputs, run: library.func(name, 'uint32_t', types) };
}

/**
 * Calls a function that can fail and says what it gave out: nothing, a value, or a list of them.
 *
 * @param {string} name
 * @param {...any} values
 * @returns {any}
 */
export function call(name, ...values) {
  const { parameters, outputs, run } = bind(name);
  const given = [];
  for (let i = 0; i < parameters.length; i += 1) {
    parameters[i].put(values[i], given);
  }
  for (let i = 0; i < outputs.length; i += 1) {
    given.push(OUT[i]);
  }
  given.push(ERROR);
  places.fill(0n);
  const code = run(...given);
  if (code !== 0) {
    throw takeError(code);
  }
  const handles = outputs.map((_, i) => Number(places[i]));
  if (outputs.length < 2) {
    return outputs[0]?.(handles[0]);
  }
  return handles.map((handle, i) => outputs[i](handle));
}

/**
 * Calls a function that only looks at something, or frees it.
 *
 * @param {string} name
 * @param {...any} values
 * @returns {any}
 */
export function look(name, ...values) {
  return bind(name)(...values);
}

/**
 * The text of a view; null where there is none.
 *
 * @param {string} name
 * @param {...number} handle
 */
export function lookText(name, ...handle) {
  const { data, len } = look(name, ...handle);
  if (data === null) {
    return null;
  }
  return len === 0 ? '' : koffi.decode.string(data, Number(len));
}

/**
 * The bytes of a view; null where there is none.
 *
 * @param {string} name
 * @param {number} handle
 */
export function lookBytes(name, handle) {
  const { data, len } = look(name, handle);
  return data === null ? null : copyOut(data, Number(len));
}

/**
 * A copy of `length` bytes at an address, in memory of its own.
 *
 * @param {bigint} address
 * @param {number} length
 */
export function copyOut(address, length) {
  const copy = new Uint8Array(length);
  if (length > 0) {
    memcpy(copy, address, length);
  }
  return Buffer.from(copy.buffer);
}

/**
 * Copies bytes to an address.
 *
 * @param {bigint} address
 * @param {Uint8Array} bytes
 */
export function copyIn(address, bytes) {
  if (bytes.byteLength > 0) {
    memcpy(address, bytes, bytes.byteLength);
  }
}

/**
 * Writes a size to an address.
 *
 * @param {bigint} address
 * @param {number} size
 */
export function writeSize(address, size) {
  koffi.encode(address, 'size_t', size);
}

function putData(value, into) {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  if (bytes === null || bytes === undefined) {
    into.push(null, 0);
  } else if (bytes.byteLength === 0) {
    // Not NULL, which is nothing at all.
    into.push(places, 0);
  } else {
    into.push(bytes, bytes.byteLength);
  }
}

function takeBytes(handle) {
  try {
    return copyOut(look('ctalk_bytes_data', handle), Number(look('ctalk_bytes_len', handle)));
  } finally {
    look('ctalk_bytes_free', handle);
  }
}

function takeError(code) {
  const handle = Number(ERROR[0]);
  const message = lookText('ctalk_error_message', handle) ?? 'it failed without a word';
  look('ctalk_error_free', handle);
  return errorOf(code, look('ctalk_code_class', code), message);
}

function takeOpened(handle) {
  try {
    const said = JSON.parse(lookText('ctalk_opened_json', handle));
    return {
      ...said,
      payload: lookBytes('ctalk_opened_payload', handle),
      sender: lookBytes('ctalk_opened_sender', handle),
      digest: lookBytes('ctalk_opened_digest', handle),
      wantsReceipt: look('ctalk_opened_wants_receipt', handle) === 1,
      created: Number(look('ctalk_opened_created', handle)),
      expires: Number(look('ctalk_opened_expires', handle)),
      card: takeCardText(call('ctalk_opened_card', handle)),
    };
  } finally {
    look('ctalk_opened_free', handle);
  }
}

/** The text of a card; null where there is none. */
function takeCardText(card) {
  try {
    return card === 0 ? null : lookText('ctalk_card_text', card);
  } finally {
    look('ctalk_card_free', card);
  }
}

function readMessage(handle) {
  try {
    return {
      handle,
      payload: lookBytes('ctalk_message_payload', handle),
      contentType: lookText('ctalk_message_content_type', handle),
      id: lookText('ctalk_message_id', handle),
      from: lookText('ctalk_message_from', handle),
      relayFrom: lookText('ctalk_message_relay_from', handle),
      fingerprint: lookText('ctalk_message_fingerprint', handle),
      trust: lookText('ctalk_message_trust', handle),
      type: lookText('ctalk_message_type', handle),
      topic: lookText('ctalk_message_topic', handle),
      correlationId: lookText('ctalk_message_correlation_id', handle),
      replyTo: lookText('ctalk_message_reply_to', handle),
      attempt: look('ctalk_message_attempt', handle),
    };
  } catch (error) {
    // Nobody would: whoever was to have it has the error.
    look('ctalk_message_free', handle);
    throw error;
  }
}

const found = look('ctalk_abi_version');
if (found !== ABI_VERSION) {
  throw new Error(`${LIBRARY} has version ${found} of the interface, and this package needs ${ABI_VERSION}`);
}
