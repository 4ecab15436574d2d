// ctalk: end-to-end encrypted, signed messages between programs. What is here is described in
// ../index.d.ts.

import { lookText } from './native.js';

export { Card } from './card.js';
export { Client, profileFolder } from './client.js';
export { codes } from './codes.js';
export { Contacts } from './contacts.js';
export { Envelope } from './envelope.js';
export {
  AbortError,
  CannotOpenError,
  CtalkError,
  LocalStoreError,
  MalformedError,
  NotTrustedError,
  NotVerifiedError,
  RefusedError,
  RelayRefusedError,
  RelayUnreachableError,
  RemoteFailedError,
  SetAsideError,
  TimedOutError,
  UnexpectedError,
  UsageError,
} from './errors.js';
export { Identity } from './identity.js';
export { Message } from './message.js';
export { Peer } from './peer.js';
export { Relay } from './relay.js';
export { EnvelopeStream } from './stream.js';
export { readReceipt, safetyNumber, verifyStatement } from './trust.js';

/** The library's version. */
export const version = lookText('ctalk_version');
