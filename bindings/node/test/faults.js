// Failures on demand, of a library that was built with `fault-points`.

import koffi from 'koffi';

import { call, FALLIBLE_KINDS, LIBRARY } from '../src/native.js';

const demand = koffi.load(LIBRARY).func('ctalk_fault_next', 'void', ['uint32_t']);

const NOTHING = { handles: [], u64: 0, read: null, write: null };

export const faults = {
  /** Makes the next call on this thread fail with a code; a panic is one of them. */
  next: (code) => demand(code),
  /** All functions that can fail. */
  fallible: Object.keys(FALLIBLE_KINDS),
  /** Those that need no arguments. */
  needsNothing: new Set(['ctalk_identity_generate', 'ctalk_stopper_new', 'ctalk_relay_start', 'ctalk_profile_folder']),
  /** Calls a function with nothing at all. */
  emptily: (name) =>
    call(name, ...FALLIBLE_KINDS[name].filter((kind) => !kind.startsWith('=')).map((kind) => NOTHING[kind] ?? null)),
};
