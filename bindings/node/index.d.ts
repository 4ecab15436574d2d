/**
 * ctalk: end-to-end encrypted, signed messages between programs.
 *
 * What takes its time gives a promise and runs on a thread of its own; what is called `…Sync`, and what
 * gives no promise, runs at once. Times are milliseconds since 1970, and may be given as `Date`s, too.
 *
 * What the library refuses is a {@link CtalkError}. A value of a type that is not the documented one is a
 * `TypeError`, and a number out of range a `RangeError`.
 *
 * An `Identity`, a `Card`, a `Client` and so on stands for something that the library keeps. `close()`, or
 * the end of a `using` declaration, frees it; else that happens some time after nobody has it any more.
 *
 * @packageDocumentation
 */

import { Duplex } from 'node:stream';

/** The library's version, such as `0.1.0`. */
export declare const version: string;

/** Bytes, or a text, which stands for its UTF-8. */
export type Data = string | ArrayBufferView | ArrayBuffer | SharedArrayBuffer;

/** A time, or milliseconds since 1970. */
export type Time = Date | number;

/** `request`, `response` or `notification`. */
export type MessageType = 'request' | 'response' | 'notification';

declare abstract class Handle implements Disposable {
  /** Frees what the library keeps. Whatever uses it later is a {@link UsageError}; closing twice is none. */
  close(): void;
  [Symbol.dispose](): void;
}

// ---------------------------------------------------------------- Identities

/** The keys of an agent, as ClawTalk's key generator prints them: padded standard base64. */
export interface LastingKeys {
  publicKey: string;
  privateKey: string;
  signingKey: string;
  signingPrivateKey: string;
}

export interface ExportedIdentity {
  /** {@link LastingKeys} as JSON. Secret. */
  keys: string;
  /** The seeds of the X-Wing keys, 32 bytes each, the current one last. Secret. */
  xwingSeeds: Buffer[];
}

export interface CardOptions {
  /** What the agent suggests to be called, 1 to 64 bytes; by default a part of its fingerprint. */
  name?: string;
  /** What grows with every card of an identity; by default `created`. */
  serial?: number;
  /** By default now. */
  created?: Time;
  /** The last moment at which others may seal to it; by default 30 days later. */
  expires?: Time;
  /** Where to reach the agent, the preferred place first. */
  addresses?: string[];
}

export interface SealOptions {
  /** By default a notification. */
  type?: MessageType;
  topic?: string;
  correlationId?: string;
  replyTo?: string;
  /** By default `application/octet-stream`. */
  contentType?: string;
  /** The name of the file that the payload is. */
  name?: string;
  /** Whether a receipt is asked for. */
  receipt?: boolean;
  /** The sender's own card, to go along. */
  card?: Card | string;
  /** By default now. */
  created?: Time;
  /** For how many seconds it can be opened; by default 7 days, at most 30. */
  ttl?: number;
  /** Whether the envelope is one line of text instead of bytes. */
  armor?: boolean;
}

export interface OpenOptions {
  /** The one sender that the envelope is taken from; without one, look at the fingerprint. */
  from?: Card;
  /** By default now. */
  now?: Time;
}

/** Where a profile is, and what opens its key store. */
export interface ProfileOptions {
  /** {@link profileFolder} is where the command line looks. */
  folder: string;
  passphrase?: string;
}

export interface NewProfileOptions extends ProfileOptions {
  /** The agent's: 2 to 32 letters, digits, `_` or `-`. */
  name: string;
  /** By default the keyring where one answers, and else a file, which needs a passphrase. */
  keyStore?: 'keyring' | 'file' | 'plain';
}

/** An agent's secret keys. */
export declare class Identity extends Handle {
  private constructor();

  /** For people to compare: 64 hex digits. */
  readonly fingerprint: string;

  /** A new identity, which can send and receive. */
  static generate(): Identity;

  /** Takes in what {@link Identity.export} gives. Without X-Wing seeds it can send and not receive. */
  static import(keys: string | LastingKeys, xwingSeeds?: readonly Data[]): Identity;

  /** The identity of a profile with every key that it has, and with its card. */
  static load(options: ProfileOptions): Promise<Identity>;

  /** Makes a profile: an agent's name, keys and messages on the disk, which the command line uses, too. */
  save(options: NewProfileOptions): Promise<void>;

  /** All secret keys. */
  export(): ExportedIdentity;

  /** Makes a key card, for others to seal to. That of a profile is there and takes no options. */
  card(options?: CardOptions): Card;

  /** Seals a payload for the owners of these cards, at most 1024, and signs it. */
  seal(payload: Data, recipients: readonly Card[], options?: SealOptions): Promise<Buffer>;
  sealSync(payload: Data, recipients: readonly Card[], options?: SealOptions): Buffer;

  /**
   * Checks an envelope's signature and opens it. Whether it was opened before is for the caller to
   * remember, by sender, id and digest.
   */
  open(envelope: Data, options?: OpenOptions): Promise<Envelope>;
  openSync(envelope: Data, options?: OpenOptions): Envelope;

  /** Seals what is written to it, in constant memory. What was read before an error is no envelope. */
  sealStream(recipients: readonly Card[], options?: SealOptions): EnvelopeStream<SealedInfo>;

  /**
   * Opens what is written to it, in constant memory. Each part can be read once its signature was
   * checked; what was read before an error is the beginning of what the sender sealed.
   */
  openStream(options?: OpenOptions): EnvelopeStream<OpenedInfo>;

  /**
   * Seals a JSON value for one agent in ClawTalk's format and signs it. `to` is the recipient's name at
   * the relay; it and the others are signed and go into the relay's request unchanged.
   */
  sealClassic(
    payload: unknown,
    recipient: Peer | Card,
    options: { to: string; type?: string; topic?: string; correlationId?: string },
  ): ClassicBox;

  /**
   * Checks that `sender` signed a message in ClawTalk's format and opens it. Nothing in the format tells a
   * message from its repetition.
   */
  openClassic(message: Data | object, sender: Peer | Card): ClassicMessage;

  /** Reads a message in ClawTalk's format that nobody signed: anybody may have written it. */
  openClassicUnsigned(message: Data | object, sender: Peer | Card): ClassicMessage;
}

/** What everybody needs to seal to an identity and to know its envelopes; its signature was checked. */
export declare class Card extends Handle {
  private constructor();

  /** One line that passes through everything that carries text. */
  readonly text: string;
  /** What its owner suggests to be called: not unique, and not to be believed. */
  readonly name: string;
  /** For people to compare: 64 hex digits. */
  readonly fingerprint: string;
  readonly addresses: readonly string[];
  readonly serial: bigint;
  readonly created: number;
  /** The last moment at which others may seal to it. */
  readonly expires: number;
  /** Ed25519, 32 bytes: the identity. */
  readonly signingKey: Buffer;
  /** X25519, 32 bytes: that of ClawTalk's format. */
  readonly encryptionKey: Buffer;
  /** 1216 bytes: what envelopes are sealed to. */
  readonly xwingKey: Buffer;

  /** Reads a card from its text or its bytes. */
  static parse(card: Data): Card;

  /** Throws unless others may seal to it, by default now. */
  checkCurrent(now?: Time): void;

  /** The text. */
  toString(): string;
  /** As `ctalk --json card` prints it. */
  toJSON(): object;
}

// ----------------------------------------------------------------- Envelopes

/** What anybody can see of an envelope, none of it proven. Times as `2026-11-21T10:00:00.000Z`. */
export interface InspectedEnvelope {
  form: 'bytes' | 'text';
  /** A fingerprint; null where there is none. */
  claimedSender: string | null;
  id: string;
  created: string;
  expires: string;
  recipients: number;
  segments: number;
  paddedBytes: number;
}

/** Who signed an envelope. */
export interface VerifiedEnvelope {
  from: null;
  fingerprint: string;
  trust: 'unknown';
  id: string;
  created: string;
  expires: string;
  recipients: number;
}

export interface SealedInfo {
  id: string;
  created: string;
  expires: string;
  recipients: number;
  /** Of the payload. */
  bytes: number;
}

export interface OpenedInfo {
  fingerprint: string;
  trust: 'named' | 'unknown';
  id: string;
  created: string;
  expires: string;
  recipients: number;
  type: string;
  topic: string | null;
  correlationId: string | null;
  replyTo: string | null;
  contentType: string;
  name: string | null;
  /** Of the payload. */
  bytes: number;
}

/** An envelope that was verified and opened. */
export declare class Envelope {
  private constructor();

  readonly payload: Buffer;
  /** Of whoever signed it. */
  readonly fingerprint: string;
  /** `named` if the caller named the sender. */
  readonly trust: 'named' | 'unknown';
  /** 32 hex digits, which another sender may have used too. */
  readonly id: string;
  /** A {@link MessageType}, or `receipt`, `card`, `succession` or `pairing`. */
  readonly type: string;
  readonly topic: string | null;
  readonly correlationId: string | null;
  readonly replyTo: string | null;
  readonly contentType: string;
  /** Any text: check it before it becomes a path. */
  readonly name: string | null;
  readonly wantsReceipt: boolean;
  /** The sender's card, where it came along. */
  readonly card: string | null;
  readonly recipients: number;
  readonly created: number;
  readonly expires: number;
  /** The Ed25519 key that signed it. */
  readonly sender: Buffer;
  /** SHA-256 of the header. One sender and id with two digests are two envelopes. */
  readonly digest: Buffer;

  /** The payload as text; throws a `TypeError` where it is not UTF-8. */
  text(): string;
  /** The payload as JSON. */
  json(): any;

  /** Checks all signatures of an envelope without opening it. */
  static verify(envelope: Data): Promise<VerifiedEnvelope>;
  static verifySync(envelope: Data): VerifiedEnvelope;

  /** Says what anybody can see of an envelope. */
  static inspect(envelope: Data): Promise<InspectedEnvelope>;
  static inspectSync(envelope: Data): InspectedEnvelope;
}

/** What the recipient of a message says became of it. */
export interface Receipt {
  /** That of the envelope that it is about. */
  id: string;
  outcome: 'done' | 'failed' | 'refused';
  /** How many times a handler was started for it. */
  attempt: number;
  /** SHA-256 of the result, 64 hex digits. */
  digest: string;
}

/**
 * Reads what an opened envelope of the type `receipt` says. It counts only from somebody to whom the
 * envelope that it is about was sealed. A `Client` reads its own by itself.
 */
export declare function readReceipt(
  envelope: Envelope | { payload: Data; contentType: string; replyTo: string | null },
): Receipt;

/** Seals or opens what goes through it. */
export declare class EnvelopeStream<Info> extends Duplex {
  private constructor();

  /** What the envelope says besides its payload, once all of it went through. */
  readonly info: Info | null;
}

// --------------------------------------------------------------------- Trust

/** What two people compare, whole, in any one of its forms. */
export interface SafetyNumber {
  /** 75 digits in groups of five. */
  safetyNumber: string;
  /** The same in 23 words. */
  words: string;
  /** The text of its QR code. */
  qr: string;
}

/** The number that the owners of two cards, or of their fingerprints, compare. The same in either order. */
export declare function safetyNumber(one: Card | string, other: Card | string): SafetyNumber;

/** What is stated about the end of an identity. */
export interface Statement {
  kind: 'succession' | 'revocation';
  /** Of the identity that ends. */
  fingerprint: string;
  /** The fingerprint of the one that takes its place; null where none does. */
  successor: string | null;
  created: number;
}

/**
 * Checks the signatures of a succession (`ctalk-succession:…`) or a revocation (`ctalk-revocation:…`), and
 * says what it states. The identity is that of the cards with the same fingerprint.
 */
export declare function verifyStatement(statement: string): Statement;

// -------------------------------------------------------- ClawTalk's format

/** The public keys of an agent that speaks ClawTalk's format. */
export declare class Peer extends Handle {
  private constructor();

  /** Of both keys together, which is not that of a card: 64 hex digits. */
  readonly fingerprint: string;

  /** From keys as a directory lists them: padded standard base64. */
  static from(keys: { publicKey: string; signingKey: string }): Peer;
  static fromCard(card: Card): Peer;
}

/** What goes into a relay's request: padded standard base64. */
export interface ClassicBox {
  payload: string;
  nonce: string;
  signature: string;
}

/** Only `to`, `type`, `topic` and `correlationId` are signed. */
export interface ClassicMessage {
  payload: any;
  /** The payload as it was sent. */
  raw: string;
  id: string | null;
  from: string;
  to: string;
  type: string;
  topic: string | null;
  correlationId: string | null;
  replyTo: string | null;
  ts: string | null;
}

// ------------------------------------------------------------------- Clients

export interface Interruptible {
  /** Ends the call: it rejects with an {@link AbortError}. */
  signal?: AbortSignal;
}

/** As `ctalk --json whoami` prints it. */
export interface Myself {
  name: string;
  fingerprint: string;
  [member: string]: unknown;
}

/** Where `ctalk --profile NAME` has the profile of a name, whether there is one or not. */
export declare function profileFolder(name?: string): string;

export interface ClientOptions {
  /** The profile's folder. */
  folder?: string;
  /** The profile's name, where no folder is given. */
  profile?: string;
  passphrase?: string;
  passphraseFile?: string;
  /** The address of a relay that counts instead of the profile's. */
  relay?: string;
  apiKey?: string;
  /** What must hold of everybody, beside what the profile requires. */
  require?: ('verified' | 'native')[];
}

export interface RegisterOptions extends Interruptible {
  relay?: string;
  adminKey?: string;
  invite?: string;
  owner?: string;
}

/** `application/octet-stream` stands for bytes. */
export type ContentType = 'text/plain' | 'application/json' | 'application/octet-stream';

export interface SendOptions extends Interruptible {
  /** By default text where the payload is UTF-8, and else bytes. */
  contentType?: ContentType;
  /** By default a request. */
  type?: MessageType;
  topic?: string;
  /** Whether the relay may see the topic. */
  publicTopic?: boolean;
  correlationId?: string;
  replyTo?: string;
  /** How many seconds it lives; by default 7 days, at most 30. */
  ttl?: number;
  /** The name of the file that it is. */
  name?: string;
  /** Under which it is delivered once, however often it is sent. */
  idempotencyKey?: string;
  /** Ask for a receipt, and send again until it came. */
  receipt?: boolean;
  /** Neither encrypt nor sign. */
  plaintext?: boolean;
  /** Only put it into the outbox. */
  noWait?: boolean;
}

/** As `ctalk --json send` prints it. */
export interface Sent {
  to: string;
  state: string;
  id: string | null;
  [member: string]: unknown;
}

/** What became of a message to one of several recipients who did not get it. */
export interface NotSent {
  to: string;
  error: string;
  class: string;
  code: number;
  hint: string | null;
}

export interface CallOptions extends Interruptible {
  /** How many milliseconds to wait for the response; by default 30,000. */
  timeout?: number;
  contentType?: ContentType;
  topic?: string;
  correlationId?: string;
  name?: string;
}

export interface NextOptions extends Interruptible {
  /** How many milliseconds to wait; by default for ever. 0 asks the relay once. */
  timeout?: number;
}

export interface FollowOptions extends Interruptible {
  /** Only messages of this topic. */
  topic?: string;
  /** Only those with a relay's time after this, in milliseconds since 1970. */
  since?: number;
  /** The name by which the profile's policy knows the program. */
  handler?: string;
  /** The longest pause between two looks at a relay that does not push; by default 2,000. */
  intervalMs?: number;
  /** By default 8. */
  maxAttempts?: number;
  /** The pause before the second attempt; by default 1,000. */
  retryAfterMs?: number;
  /** Not to have later messages of a sender wait for earlier ones. */
  unordered?: boolean;
  /** To hand over what nobody signed, which is otherwise held for the user. */
  unsigned?: boolean;
  /** To keep the bytes of handled messages, still sealed. */
  keep?: boolean;
  /** Whether hidden and directional characters are taken out of texts; by default true. */
  sanitize?: boolean;
}

/** Something that came up on the way. */
export interface ClientEvent {
  event: 'set-aside' | 'notice' | 'pinned' | 'trouble' | 'recovered';
  [member: string]: unknown;
}

/** An open profile: an agent at its relay. Calls may overlap; they take turns. */
export declare class Client extends Handle implements AsyncDisposable {
  private constructor();

  readonly contacts: Contacts;

  /** Opens a profile. The relay is not asked. */
  static open(options: ClientOptions): Promise<Client>;

  whoami(): Promise<Myself>;

  /** The agent's current key card, for others to add. */
  card(): Promise<Card>;

  /** The agent's keys as they are now, to seal and open without the relay. */
  identity(): Promise<Identity>;

  /** Registers the agent at a relay, which asks for an admin key or an invite. Safe to repeat. */
  register(options: RegisterOptions): Promise<{ name: string; relay: string | null; fingerprint: string }>;

  /**
   * Seals, signs and sends a message. To one recipient, a failure rejects; to several, the failures stand
   * among the outcomes.
   */
  send(to: string, payload: Data, options?: SendOptions): Promise<Sent>;
  send(to: readonly string[], payload: Data, options?: SendOptions): Promise<(Sent | NotSent)[]>;

  /** Sends a request and waits for its response. */
  call(to: string, payload: Data, options?: CallOptions): Promise<Message>;

  /** Sends what is in the outbox. */
  flush(options?: Interruptible): Promise<void>;

  /** The next message, which is in hand until it is settled; null when none came in time. */
  next(options?: NextOptions): Promise<Message | null>;

  /** Messages as they come, until the signal aborts (an {@link AbortError}) or the client is closed. */
  follow(options?: FollowOptions): AsyncGenerator<Message, void, undefined>;

  /** What came up since this was last called, oldest first. */
  takeEvents(): Promise<ClientEvent[]>;

  /** Ends all calls. What is in hand is given back. */
  close(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A message that was received. Until it is committed, answered, put off or rejected nobody else gets it;
 * the first of these counts. One that is closed without any of them is tried again.
 */
export declare class Message extends Handle {
  private constructor();

  readonly payload: Buffer;
  /** `text/plain`, `application/json`, or what its sender says. */
  readonly contentType: string;
  readonly id: string | null;
  /** The contact whose key signed it; null where nobody's did. */
  readonly from: string | null;
  /** Who sent it by the relay's word. */
  readonly relayFrom: string;
  /** Of the keys that signed it. */
  readonly fingerprint: string | null;
  readonly trust: 'verified' | 'pinned' | 'unknown' | 'unsigned' | 'plaintext';
  /** A {@link MessageType}, or whatever a plaintext sender wrote. */
  readonly type: string;
  readonly topic: string | null;
  readonly correlationId: string | null;
  readonly replyTo: string | null;
  /** Which attempt at it this is; the first is 1. */
  readonly attempt: number;
  /** Whether it was said here what became of it. */
  readonly settled: boolean;

  /** The payload as text; throws a `TypeError` where it is not UTF-8. */
  text(): string;
  /** The payload as JSON. */
  json(): any;

  /** It was handled. Once this is fulfilled, it is never handed over again. */
  commit(): Promise<void>;

  /** It was handled, and this is the answer to it: both become durable together. */
  reply(payload: Data, options?: { contentType?: ContentType }): Promise<void>;

  /** It could not be handled now, and is handed over again, no sooner than `after` milliseconds later. */
  retry(options?: { after?: number; why?: string }): Promise<void>;

  /** It will never be handled: it is a dead letter, for people to look at. */
  reject(why?: string): Promise<void>;
}

/** As `ctalk --json contact` prints it. */
export interface Contact {
  name: string;
  standing: 'pinned' | 'verified' | 'blocked';
  fingerprint: string;
  notes: string;
  [member: string]: unknown;
}

/** Whose keys are pinned, and what they count for. */
export declare class Contacts {
  private constructor();

  list(): Promise<Contact[]>;
  /** One contact with the cards that it had. */
  show(name: string): Promise<Contact>;
  /** Adds somebody by a card or its text, or by the relay's name, under the name `as`. */
  add(peer: Card | string, options?: { as?: string } & Interruptible): Promise<Contact>;
  /** Pins the keys that the relay shows for a name, if they have this fingerprint. */
  acceptKey(name: string, fingerprint: string, options?: Interruptible): Promise<Contact>;
  /** What both sides compare: `safetyNumber` and `words` are the same for both. */
  compare(name: string): Promise<{ safetyNumber: string; words: string; [member: string]: unknown }>;
  /** Marks a contact as verified, provided that this is its fingerprint. */
  verify(name: string, fingerprint: string): Promise<Contact>;
  block(name: string): Promise<Contact>;
  unblock(name: string): Promise<Contact>;
  rename(name: string, newName: string): Promise<Contact>;
  note(name: string, note: string): Promise<Contact>;
  remove(name: string): Promise<void>;
  /** All contacts that are not blocked, a line of JSON each. */
  export(): Promise<string>;
  import(lines: Data): Promise<{
    added: number;
    renewed: number;
    known: number;
    refused: number;
    refusals: { line: number; error: string; class: string; code: number; hint: string | null }[];
  }>;
}

/** A relay on 127.0.0.1 in this process, for tests. */
export declare class Relay extends Handle implements AsyncDisposable {
  private constructor();

  readonly url: string;
  /** What lets agents register. */
  readonly adminKey: string;

  static start(options?: { port?: number; folder?: string; adminKey?: string }): Promise<Relay>;

  /** Stops it and waits until it has. */
  close(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

// -------------------------------------------------------------------- Errors

/** The library's numbers of failures by their names. None is ever reused. */
export declare const codes: Readonly<Record<string, number>>;

/** What the library said no to. Each class of failures has a class of its own. */
export declare class CtalkError extends Error {
  constructor(number: number, message: string);

  /** The name of the failure, such as `CTALK_NOT_VERIFIED`. */
  readonly code: string;
  /** The number of the failure; see {@link codes}. */
  readonly number: number;
  /** The exit code with which the command line ends for the same reason. */
  readonly exitCode: number;
}

/** Something that nobody foresaw. */
export declare class UnexpectedError extends CtalkError {}
/** The library was used in a way that it cannot be. */
export declare class UsageError extends CtalkError {}
/** A key or a signature is not accepted. */
export declare class NotVerifiedError extends CtalkError {}
/** It is for somebody else, or does not open. */
export declare class CannotOpenError extends CtalkError {}
/** A key changed, conflicts with another contact's, or is unknown. */
export declare class NotTrustedError extends CtalkError {}
/** No answer from the relay. */
export declare class RelayUnreachableError extends CtalkError {}
/** The relay answered no. */
export declare class RelayRefusedError extends CtalkError {}
/** The key store or the local store failed. */
export declare class LocalStoreError extends CtalkError {}
/** Some messages were set aside. */
export declare class SetAsideError extends CtalkError {}
/** Not the format, or not as it should be. */
export declare class MalformedError extends CtalkError {}
/** The remote handler failed. */
export declare class RemoteFailedError extends CtalkError {}
/** It took too long. */
export declare class TimedOutError extends CtalkError {}
/** The peer or a policy refused, or it is too old or from the future. */
export declare class RefusedError extends CtalkError {}
/** The call was stopped; `cause` is the signal's reason, where it had one. */
export declare class AbortError extends CtalkError {}
