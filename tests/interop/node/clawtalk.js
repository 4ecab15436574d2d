/**
 * A ClawTalk client on TweetNaCl, written from the protocol alone.
 *
 * It shares no code with ctalk, so that agreement between the two is evidence
 * about the protocol and not about a common library.
 */

import nacl from 'tweetnacl';

const PAGE_SIZE = 100;
const TIMEOUT_MS = 20_000;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** A message, key or answer that cannot be used. */
export class ClawTalkError extends Error {}

export function b64encode(bytes) {
  return Buffer.from(bytes).toString('base64');
}

/** Decodes padded standard base64; with `length`, of exactly that many bytes. */
export function b64decode(text, length) {
  if (typeof text !== 'string' || !BASE64.test(text)) {
    throw new ClawTalkError('not standard base64');
  }
  const bytes = new Uint8Array(Buffer.from(text, 'base64'));
  if (length !== undefined && bytes.length !== length) {
    throw new ClawTalkError(`expected ${length} bytes, got ${bytes.length}`);
  }
  return bytes;
}

function utf8(text) {
  return new TextEncoder().encode(text);
}

/** Makes a key pair in ClawTalk's four-field form. */
export function keygen() {
  const box = nacl.box.keyPair();
  const signing = nacl.sign.keyPair();
  return {
    publicKey: b64encode(box.publicKey),
    privateKey: b64encode(box.secretKey),
    signingKey: b64encode(signing.publicKey),
    signingPrivateKey: b64encode(signing.secretKey),
  };
}

/** Encrypts `payload`; returns the members `encrypted`, `payload`, `nonce`. */
export function seal(payload, keys, recipientPublicKey, nonce = nacl.randomBytes(24)) {
  const plaintext = utf8(JSON.stringify(payload));
  const boxed = nacl.box(plaintext, nonce, b64decode(recipientPublicKey, 32), b64decode(keys.privateKey, 32));
  return { encrypted: true, payload: b64encode(boxed), nonce: b64encode(nonce) };
}

/** The bytes a signature covers. JSON.stringify leaves out members that are undefined. */
export function canonical({ to, type, topic, correlationId, ttl, encrypted, payload, nonce }) {
  return utf8(JSON.stringify({ to, type, topic, correlationId, ttl, encrypted, payload, nonce }));
}

export function sign(message, keys) {
  return b64encode(nacl.sign.detached(canonical(message), b64decode(keys.signingPrivateKey, 64)));
}

/** Checks a received message. The relay drops `ttl`, so it is never covered. */
export function verify(message, signingKey) {
  try {
    const received = canonical({ ...message, ttl: undefined });
    return nacl.sign.detached.verify(received, b64decode(message.signature, 64), b64decode(signingKey, 32));
  } catch (error) {
    if (error instanceof ClawTalkError) return false;
    throw error;
  }
}

/**
 * Verifies and opens one message of an inbox. `verified` is undefined when
 * nothing was signed or nothing could be checked.
 */
export function openMessage(message, keys, directory) {
  const { id, from, type, topic, correlationId, replyTo, encrypted, payload, nonce } = message;
  const opened = { id, from, type, topic, correlationId, replyTo };
  if (!encrypted || typeof payload !== 'string' || !nonce) {
    return { ...opened, payload };
  }
  const sender = directory.get(from);
  if (sender === undefined) throw new ClawTalkError('the sender is not in the directory');
  const verified = message.signature === undefined ? undefined : verify(message, sender.signingKey);
  const plaintext = nacl.box.open(
    b64decode(payload),
    b64decode(nonce, 24),
    b64decode(sender.publicKey, 32),
    b64decode(keys.privateKey, 32),
  );
  if (plaintext === null) throw new ClawTalkError('the box does not open');
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plaintext);
  return { ...opened, verified, payload: JSON.parse(text) };
}

/** The HTTP side: one agent at one relay. */
export class Client {
  constructor(url, apiKey) {
    this.url = url.replace(/\/$/, '');
    this.apiKey = apiKey;
  }

  async #request(method, path, body) {
    const response = await fetch(this.url + path, {
      method,
      body: JSON.stringify(body),
      headers: { Authorization: `Bearer ${this.apiKey}`, 'Content-Type': 'application/json' },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const answer = await response.text();
    if (!response.ok) throw new ClawTalkError(`${method} ${path}: ${response.status} ${answer}`);
    return answer === '' ? undefined : JSON.parse(answer);
  }

  /** Registers an agent; the client must hold the admin key. Returns the agent's API key. */
  async register(name, { publicKey, signingKey }) {
    const agent = await this.#request('POST', '/agents', { name, owner: name, publicKey, signingKey });
    return agent.apiKey;
  }

  async directory() {
    const agents = await this.#request('GET', '/agents');
    return new Map(agents.map((agent) => [agent.name, agent]));
  }

  /** Finds an agent as the relay does: exact name first, then ignoring case. */
  async resolve(name) {
    const directory = await this.directory();
    const wanted = name.toLowerCase();
    const agent =
      directory.get(name) ?? [...directory.values()].find((one) => one.name.toLowerCase() === wanted);
    if (agent === undefined) throw new ClawTalkError(`no agent named ${name}`);
    return agent;
  }

  /**
   * Sends one message. `options` holds its optional members under their wire
   * names. `form` is `signed`, `signed-ttl` (the signature covers ttl, a known
   * fault of other clients that no receiver can verify), `unsigned` or
   * `plaintext`.
   */
  async send(to, payload, keys, options, form = 'signed') {
    const recipient = await this.resolve(to);
    const content =
      form === 'plaintext' ? { encrypted: false, payload } : seal(payload, keys, recipient.publicKey);
    // The relay rewrites `to` to the registered spelling, so that is what is signed.
    const message = { type: 'request', ...options, to: recipient.name, ...content };
    if (form === 'signed') message.signature = sign({ ...message, ttl: undefined }, keys);
    if (form === 'signed-ttl') message.signature = sign(message, keys);
    return this.#request('POST', '/messages', message);
  }

  /** All waiting messages, oldest first. */
  async inbox() {
    const all = [];
    const query = new URLSearchParams({ sort: 'asc', limit: PAGE_SIZE });
    for (;;) {
      const { messages } = await this.#request('GET', `/messages?${query}`);
      all.push(...messages);
      if (messages.length < PAGE_SIZE) return all;
      query.set('after', messages.at(-1).ts);
    }
  }

  /** Opens all waiting messages, each on its own; one that fails carries `error` instead of `payload`. */
  async *receive(keys) {
    const messages = await this.inbox();
    const directory = await this.directory();
    for (const message of messages) {
      try {
        yield openMessage(message, keys, directory);
      } catch (error) {
        yield { id: message.id, from: message.from, error: error.message };
      }
    }
  }

  async ack(id) {
    await this.#request('DELETE', `/messages/${id}`);
  }
}
