/*
 * ctalk: end-to-end encrypted, signed messages between programs.
 *
 * Rules for callers, the same for every function:
 *
 * - Input is a pointer and a length in bytes, text is UTF-8 without a zero byte at its end. A pointer may
 *   be NULL only where its length is 0 or where its function says so. Nobody changes input while a call
 *   runs; the library keeps no pointer to it afterwards.
 * - A function that can fail returns a ctalk_code and takes `error` last. Where that is not NULL, a
 *   failure writes an error there, which the caller frees; success writes nothing. Outputs are written
 *   on success only.
 * - What is behind an output belongs to the caller, who frees it with the function of its type. The free
 *   functions take NULL. A handle is no address: a freed one, or one of another type, is
 *   CTALK_WRONG_HANDLE wherever it is used, and frees nothing; functions that return no code return 0,
 *   NULL or an empty slice for it.
 * - A ctalk_slice is a view into a handle, valid until that handle is freed, and not checked further.
 * - Every function may be called from every thread at any time. Where a type allows one user at a time, a
 *   second one gets CTALK_BUSY.
 * - Times are milliseconds since 1970-01-01T00:00:00Z, at most 2^53 - 1. Options are a JSON object as
 *   text; a name that its function does not list is CTALK_BAD_OPTIONS.
 * - Nothing here prints or handles signals. The environment is read by ctalk_profile_folder, and by clients
 *   for proxies (HTTPS_PROXY and so on). There are no threads before there is a client or a relay, or the
 *   keyring is asked. Those of the keyring stay, and one that looks up a host name may end after its client:
 *   so a program never unloads the library (dlclose).
 * - After fork() only the process that used the library goes on using it; a child that needs it calls exec()
 *   first. What opens a profile or starts a relay is CTALK_FORKED there, and so are inherited clients and
 *   messages; to free what was inherited does nothing to the parent.
 * - No panic leaves the library: it becomes CTALK_PANIC.
 */


#ifndef CTALK_H
#define CTALK_H

#include <stddef.h>
#include <stdint.h>

/**
 * As a timeout: wait until something comes or the call is stopped.
 */
#define CTALK_FOREVER UINT64_MAX

/**
 * What a handler says became of a message: it was handled, as ctalk_message_commit says.
 */
#define CTALK_COMMIT 0

/**
 * It could not be handled now, as ctalk_message_retry says.
 */
#define CTALK_RETRY 1

/**
 * It will never be handled, as ctalk_message_reject says.
 */
#define CTALK_REJECT 2

/**
 * Nothing can be handled any more: the message is to be tried again, and ctalk_client_run returns.
 */
#define CTALK_STOP 3

/**
 * The version of this interface. It grows with every change that existing programs would notice; new
 * functions, codes, options and JSON members are none.
 */
#define CTALK_ABI_VERSION 1

/**
 * What became of a call. The numbers are part of the interface: none is ever reused or changes its
 * meaning. Those of one hundred belong together, and `ctalk_code_class` tells which of them call for
 * the same handling.
 */
enum ctalk_code
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * It did what it was asked.
     */
    CTALK_OK = 0,
    /**
     * A bug in ctalk. Nothing was written to outputs; the handles of the call are best freed.
     */
    CTALK_PANIC = 100,
    /**
     * Something that nobody foresaw.
     */
    CTALK_UNEXPECTED = 101,
    /**
     * An argument is NULL that must not be.
     */
    CTALK_NULL_POINTER = 102,
    /**
     * A handle of another kind, one that was freed, or none at all.
     */
    CTALK_WRONG_HANDLE = 103,
    /**
     * Another thread is using what only one may use at a time.
     */
    CTALK_BUSY = 104,
    /**
     * A text is not UTF-8.
     */
    CTALK_NOT_UTF8 = 105,
    /**
     * A length that no memory has, or that is over a documented limit.
     */
    CTALK_TOO_LONG = 106,
    /**
     * The options are not a JSON object, or have an unknown name or an impossible value.
     */
    CTALK_BAD_OPTIONS = 107,
    /**
     * An argument makes no sense.
     */
    CTALK_BAD_ARGUMENT = 108,
    /**
     * A callback for reading said that it failed.
     */
    CTALK_READ_FAILED = 109,
    /**
     * A callback for writing said that it failed.
     */
    CTALK_WRITE_FAILED = 110,
    /**
     * Stopped from another thread.
     */
    CTALK_INTERRUPTED = 111,
    /**
     * The handle, or all use of profiles and relays, belongs to the process that this one was forked from.
     */
    CTALK_FORKED = 112,
    /**
     * A callback answered with a number that means nothing.
     */
    CTALK_BAD_CALLBACK = 113,
    /**
     * Not the format, in its outer form or, after opening, in the inner one.
     */
    CTALK_MALFORMED = 200,
    /**
     * A version or suite that this library does not know.
     */
    CTALK_NEWER = 201,
    /**
     * The sender's key or a signature is not accepted.
     */
    CTALK_NOT_VERIFIED = 202,
    /**
     * Too old, or from the future.
     */
    CTALK_EXPIRED = 203,
    /**
     * No key of this identity opens it.
     */
    CTALK_NOT_FOR_ME = 204,
    /**
     * Made for this identity but not openable.
     */
    CTALK_CANNOT_OPEN = 205,
    /**
     * Nobody signed it, and only what is signed was asked for.
     */
    CTALK_NOT_SIGNED = 206,
    /**
     * Nothing can be sealed to this key card now.
     */
    CTALK_CARD_NOT_CURRENT = 207,
    /**
     * No recipients, too many of them, or one twice.
     */
    CTALK_BAD_RECIPIENTS = 208,
    /**
     * An end that is not after the beginning, or a life that is too long.
     */
    CTALK_BAD_LIFE = 209,
    /**
     * Keys, public or secret, that cannot be read or must not be used.
     */
    CTALK_BAD_KEYS = 210,
    /**
     * The key store failed.
     */
    CTALK_KEY_STORE_FAILED = 300,
    /**
     * There is no key store.
     */
    CTALK_NO_KEY_STORE = 301,
    /**
     * There are keys already; they are never overwritten.
     */
    CTALK_KEY_STORE_EXISTS = 302,
    /**
     * A passphrase is missing, empty or wrong.
     */
    CTALK_BAD_PASSPHRASE = 303,
    /**
     * The keyring of the operating system cannot be used.
     */
    CTALK_KEYRING_FAILED = 304,
    /**
     * A file or folder is open to other users.
     */
    CTALK_UNSAFE_PERMISSIONS = 305,
    /**
     * The folder holds no profile, or one that cannot be read.
     */
    CTALK_NO_PROFILE = 306,
    /**
     * The folder holds a profile already.
     */
    CTALK_PROFILE_EXISTS = 307,
    /**
     * A key changed, conflicts with another contact's, or is unknown.
     */
    CTALK_NOT_TRUSTED = 400,
    /**
     * A contact shows other keys than the pinned ones.
     */
    CTALK_KEY_CHANGED = 401,
    /**
     * There is no contact of this name.
     */
    CTALK_UNKNOWN_CONTACT = 402,
    /**
     * No answer from the relay.
     */
    CTALK_RELAY_UNREACHABLE = 500,
    /**
     * The relay answered no.
     */
    CTALK_RELAY_REFUSED = 501,
    /**
     * The relay does not have the message yet; it is in the outbox and will leave.
     */
    CTALK_QUEUED = 502,
    /**
     * It took too long.
     */
    CTALK_TIMED_OUT = 600,
    /**
     * The remote handler failed.
     */
    CTALK_REMOTE_FAILED = 601,
    /**
     * The peer or a policy refused.
     */
    CTALK_REFUSED = 602,
    /**
     * Some messages were set aside; everything else went well.
     */
    CTALK_SET_ASIDE = 603,
    /**
     * It was said before what became of the message.
     */
    CTALK_ALREADY_SETTLED = 604,
    /**
     * Another process has the message by now, because this one stood still for too long.
     */
    CTALK_LEASE_LOST = 605,
    /**
     * The message asks for no response, or nobody signed it.
     */
    CTALK_NOT_ASKED = 606,
    /**
     * The local store failed.
     */
    CTALK_STORE_FAILED = 700,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum ctalk_code ctalk_code;
#else
typedef uint32_t ctalk_code;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Bytes, or a text in UTF-8, that the library made. Owned by whoever got it; freed with
 * ctalk_bytes_free, which wipes what is secret.
 */
typedef struct ctalk_bytes ctalk_bytes;

/**
 * A key card whose signature was checked: what others need to seal to an identity and to know its
 * envelopes. Owned by whoever got it; freed with ctalk_card_free. It never changes, and any number of
 * threads may use it at the same time.
 */
typedef struct ctalk_card ctalk_card;

/**
 * An open profile: an agent at its relay. Any number of threads may use one at the same time: calls take
 * turns, and those that wait for messages let others go first. It has a thread from the first message
 * that it hands over, which keeps messages in hand, and there are threads that look up host names.
 *
 * Several clients, in one process or many, may have the same profile open.
 *
 * Owned by whoever opened it; freed with ctalk_client_free. What it handed over and nobody settled is
 * given back then. A child process of fork() must not use it, nor open another one (CTALK_FORKED); to free
 * it there does nothing.
 */
typedef struct ctalk_client ctalk_client;

/**
 * Why a call failed. Owned by whoever got it; freed with ctalk_error_free.
 */
typedef struct ctalk_error ctalk_error;

/**
 * An agent's secret keys. Owned by whoever got it; freed with ctalk_identity_free, which wipes them.
 * Any number of threads may use one at the same time.
 */
typedef struct ctalk_identity ctalk_identity;

/**
 * A message that was received. Any number of threads may use one at the same time.
 *
 * Until ctalk_message_commit, _reply, _retry or _reject was called for it, it is in the hands of the
 * program: nobody else gets it, in this process and in others, for as long as the client lives. The first
 * of these calls counts. One that is freed without any of them is tried again, as after
 * ctalk_message_retry; and when the client is freed, or its process ends, it is handed over again.
 *
 * Owned by whoever got it, unless a callback did; freed with ctalk_message_free, which wipes what it says.
 */
typedef struct ctalk_message ctalk_message;

/**
 * An envelope that was verified and opened. Owned by whoever got it; freed with ctalk_opened_free, which
 * wipes the payload. It never changes, and any number of threads may use it at the same time.
 */
typedef struct ctalk_opened ctalk_opened;

/**
 * The public keys of another agent that speaks ClawTalk's format. Owned by whoever got it; freed with
 * ctalk_peer_free. It never changes, and any number of threads may use it at the same time.
 */
typedef struct ctalk_peer ctalk_peer;

/**
 * A relay that runs on threads of this process, on 127.0.0.1, until it is freed with ctalk_relay_free.
 * Any number of threads may use one at the same time.
 */
typedef struct ctalk_relay ctalk_relay;

/**
 * What ends blocking calls early: those that were given it and run, and all that are given it later.
 * Owned by whoever made it; freed with ctalk_stopper_free, even while a call uses it.
 */
typedef struct ctalk_stopper ctalk_stopper;

/**
 * A view of bytes, or of a text in UTF-8, that belongs to a handle and is valid as long as it. There is
 * no zero byte at its end.
 */
typedef struct {
    /**
     * The first byte; NULL for what is absent, but not for what is there and empty.
     */
    const uint8_t *data;
    /**
     * How many bytes there are.
     */
    size_t len;
} ctalk_slice;

/**
 * What a program does with a message; `user` is what it gave to ctalk_client_run. The message belongs to
 * the library and is valid until the handler returns; the handler may settle it itself, and use the
 * client. Returns CTALK_COMMIT, CTALK_RETRY, CTALK_REJECT or CTALK_STOP. It must return, and must
 * neither throw nor jump out.
 */
typedef uint32_t (*ctalk_handler)(void *user, const ctalk_message *message);

/**
 * Reads the next bytes of a stream: at most `capacity` into `buffer`, and writes how many they were to
 * `length`, 0 only at the end. Returns 0, or anything else to fail. Called on the thread of the call it
 * was given to, and never after that returned. It must return, and must not throw, jump out of the call
 * or use its handles up: nothing else ends a call whose callback hangs.
 */
typedef uint32_t (*ctalk_read)(void *user, uint8_t *buffer, size_t capacity, size_t *length);

/**
 * Takes the next bytes of a stream, all of them. Returns 0, or anything else to fail. Called on the
 * thread of the call it was given to, and never after that returned. It must return, and must not throw,
 * jump out of the call or use its handles up: nothing else ends a call whose callback hangs.
 */
typedef uint32_t (*ctalk_write)(void *user, const uint8_t *data, size_t length);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The first byte; NULL for what is no ctalk_bytes.
 */
const uint8_t *ctalk_bytes_data(const ctalk_bytes *bytes);

/**
 * How many bytes there are; 0 for what is no ctalk_bytes.
 */
size_t ctalk_bytes_len(const ctalk_bytes *bytes);

/**
 * Frees bytes. NULL is allowed, and freeing twice does nothing.
 */
void ctalk_bytes_free(ctalk_bytes *bytes);

/**
 * Makes the card of an identity, for its newest X-Wing key. The options, which may be empty, are `name`
 * (what the identity suggests to be called, 1 to 64 bytes; by default the first 16 digits of its
 * fingerprint), `created` and `expires` (by default now, and 30 days later), `serial` (which grows with
 * every card of an identity; by default `created`) and `addresses` (a list of texts). An identity that
 * was loaded from a profile has its card already and takes no options. CTALK_BAD_KEYS for an identity
 * without an X-Wing key, CTALK_MALFORMED for what no card can say.
 */
ctalk_code ctalk_identity_card(const ctalk_identity *identity,
                               const char *options,
                               size_t options_len,
                               ctalk_card **out,
                               ctalk_error **error);

/**
 * Reads a card from its bytes and checks its signature. CTALK_MALFORMED, CTALK_NEWER or
 * CTALK_NOT_VERIFIED for what is none.
 */
ctalk_code ctalk_card_from_bytes(const uint8_t *data,
                                 size_t len,
                                 ctalk_card **out,
                                 ctalk_error **error);

/**
 * Reads a card from its one-line text (`ctalk-card:` and base64url) with nothing around it, and checks
 * its signature. The errors are those of ctalk_card_from_bytes.
 */
ctalk_code ctalk_card_from_text(const char *text,
                                size_t len,
                                ctalk_card **out,
                                ctalk_error **error);

/**
 * Checks that others may seal to the card at `now` (milliseconds; 0 is now): CTALK_CARD_NOT_CURRENT if
 * it has expired or comes from the future.
 */
ctalk_code ctalk_card_check_current(const ctalk_card *card,
                                    uint64_t now,
                                    ctalk_error **error);

/**
 * What the card says, as JSON: `card` (its one-line text), `name`, `fingerprint`, `serial`, `created`,
 * `expires` and `addresses`.
 */
ctalk_code ctalk_card_json(const ctalk_card *card,
                           ctalk_bytes **out,
                           ctalk_error **error);

/**
 * The one-line text, which passes through everything that carries text. Valid as long as the card.
 */
ctalk_slice ctalk_card_text(const ctalk_card *card);

/**
 * The bytes as they were signed. Valid as long as the card.
 */
ctalk_slice ctalk_card_data(const ctalk_card *card);

/**
 * What the identity suggests to be called: not unique, and not to be believed. Valid as long as the
 * card.
 */
ctalk_slice ctalk_card_name(const ctalk_card *card);

/**
 * The fingerprint, for people to compare: 64 lower-case hex digits, the same on all cards of an
 * identity. Valid as long as the card.
 */
ctalk_slice ctalk_card_fingerprint(const ctalk_card *card);

/**
 * The Ed25519 public key that is the identity, 32 bytes. Valid as long as the card.
 */
ctalk_slice ctalk_card_signing_key(const ctalk_card *card);

/**
 * The X25519 public key of ClawTalk's format, 32 bytes. Valid as long as the card.
 */
ctalk_slice ctalk_card_encryption_key(const ctalk_card *card);

/**
 * The X-Wing public key that envelopes are sealed to, 1216 bytes. Valid as long as the card.
 */
ctalk_slice ctalk_card_xwing_key(const ctalk_card *card);

/**
 * Where to reach the identity, the preferred place being 0; NULL after the last one. Valid as long as
 * the card.
 */
ctalk_slice ctalk_card_address(const ctalk_card *card,
                               size_t index);

/**
 * What grows with every card of an identity; 0 for what is no card.
 */
uint64_t ctalk_card_serial(const ctalk_card *card);

/**
 * When the card was made, in milliseconds; 0 for what is no card.
 */
uint64_t ctalk_card_created(const ctalk_card *card);

/**
 * The last moment at which others may seal to it, in milliseconds; 0 for what is no card.
 */
uint64_t ctalk_card_expires(const ctalk_card *card);

/**
 * Frees a card. NULL is allowed, and freeing twice does nothing.
 */
void ctalk_card_free(ctalk_card *card);

/**
 * Reads the keys of another agent as a directory lists them, each in 44 characters of padded standard
 * base64: `public_key` is X25519, `signing_key` Ed25519. CTALK_BAD_KEYS for keys that must not be used.
 */
ctalk_code ctalk_peer_new(const char *public_key,
                          size_t public_key_len,
                          const char *signing_key,
                          size_t signing_key_len,
                          ctalk_peer **out,
                          ctalk_error **error);

/**
 * The keys of ClawTalk's format that are on a card.
 */
ctalk_code ctalk_peer_of_card(const ctalk_card *card, ctalk_peer **out, ctalk_error **error);

/**
 * The fingerprint of both keys together, which is not that of a key card: 64 lower-case hex digits.
 * Valid as long as the handle.
 */
ctalk_slice ctalk_peer_fingerprint(const ctalk_peer *peer);

/**
 * Frees a peer. NULL is allowed, and freeing twice does nothing.
 */
void ctalk_peer_free(ctalk_peer *peer);

/**
 * Seals a payload, which is JSON of at most 49,136 bytes, for one agent in ClawTalk's format and signs
 * it. The result is a JSON object with `payload`, `nonce` and `signature` in padded standard base64, as
 * they go into a relay's request. Of the options, `to` (the recipient's name at the relay) is needed;
 * `type` is `notification` unless given; `topic` and `correlationId` are left out unless given. All four
 * are signed, so the request has to carry them unchanged. CTALK_MALFORMED for a payload that is no JSON,
 * CTALK_TOO_LONG for a longer one.
 */
ctalk_code ctalk_classic_seal(const ctalk_identity *identity,
                              const ctalk_peer *peer,
                              const uint8_t *payload,
                              size_t payload_len,
                              const char *options,
                              size_t options_len,
                              ctalk_bytes **out,
                              ctalk_error **error);

/**
 * Checks that `peer` signed a message in ClawTalk's format, given as JSON as a relay lists it, and opens
 * it. The payload is JSON. `claims`, which may be NULL, is a JSON object with `id`, `from`, `to`, `type`,
 * `topic`, `correlationId`, `replyTo` and `ts`, of which only `to`, `type`, `topic` and `correlationId`
 * are signed. Nothing in the format tells a message from its repetition.
 *
 * CTALK_MALFORMED, CTALK_NOT_VERIFIED or CTALK_CANNOT_OPEN say why it does not open, CTALK_NOT_SIGNED
 * that nobody signed it: then ctalk_classic_open_unsigned reads it.
 */
ctalk_code ctalk_classic_open(const ctalk_identity *identity,
                              const ctalk_peer *peer,
                              const uint8_t *message,
                              size_t message_len,
                              ctalk_bytes **payload,
                              ctalk_bytes **claims,
                              ctalk_error **error);

/**
 * Reads a message in ClawTalk's format that nobody signed, boxed or in plain text: anybody may have
 * written it, and where it is in plain text anybody may have read it. `peer` is whom it claims to be
 * from. Outputs and errors are those of ctalk_classic_open, but for CTALK_BAD_ARGUMENT where it is
 * signed, so that no signature is left unchecked.
 */
ctalk_code ctalk_classic_open_unsigned(const ctalk_identity *identity,
                                       const ctalk_peer *peer,
                                       const uint8_t *message,
                                       size_t message_len,
                                       ctalk_bytes **payload,
                                       ctalk_bytes **claims,
                                       ctalk_error **error);

/**
 * The folder of the user's profile of this name, whether it is there or not: where `ctalk --profile NAME`
 * has it. Reads the environment: CTALK_HOME, and where the home folder is.
 * `default` is the name that the command line takes where none is given.
 */
ctalk_code ctalk_profile_folder(const char *name,
                                size_t name_len,
                                ctalk_bytes **out,
                                ctalk_error **error);

/**
 * Opens the profile in a folder. The relay is not asked.
 *
 * Options: `folder`, which is needed; `passphrase` or `passphraseFile`, where the key store needs one;
 * `relay`, an address that counts instead of the profile's, and `apiKey` for it; `require`, a list of
 * `verified` and `native`: what must hold of everybody who is written to or read, beside what the
 * profile requires.
 */
ctalk_code ctalk_client_open(const char *options,
                             size_t options_len,
                             ctalk_client **out,
                             ctalk_error **error);

/**
 * Frees a client. NULL is allowed, and freeing twice does nothing. Calls that use it in other threads end
 * with CTALK_WRONG_HANDLE, as if they were stopped; this does not wait until they have, and the last of
 * them gives back what was in hand.
 */
void ctalk_client_free(ctalk_client *client);

/**
 * The agent as `ctalk --json whoami` prints it.
 */
ctalk_code ctalk_client_whoami(const ctalk_client *client, ctalk_bytes **out, ctalk_error **error);

/**
 * The agent's current key card, for others to add. Makes one where there is none, or where the keys are due
 * for rotation, as `ctalk card` does.
 */
ctalk_code ctalk_client_card(const ctalk_client *client,
                             ctalk_card **out,
                             ctalk_error **error);

/**
 * The agent's keys and card as they are now, to seal and open without the relay: as ctalk_identity_load,
 * without asking for the passphrase again. A copy, which does not see later rotations.
 */
ctalk_code ctalk_client_identity(const ctalk_client *client,
                                 ctalk_identity **out,
                                 ctalk_error **error);

/**
 * Registers the agent at a relay: its name, its keys and its key card. The client is at that relay from
 * now on; the profile prefers the first one that it was registered at. Safe to repeat. `out` becomes what `ctalk --json register` prints; it may be NULL.
 *
 * Options: `adminKey` or `invite`, which a ClawTalk relay asks for; `relay`, by default the client's; `owner`, who
 * answers for the agent, by default its name.
 */
ctalk_code ctalk_client_register(const ctalk_client *client,
                                 const char *options,
                                 size_t options_len,
                                 const ctalk_stopper *stopper,
                                 ctalk_bytes **out,
                                 ctalk_error **error);

/**
 * Seals, signs and sends a message. Recipients are contacts' names, or names of the relay, which are
 * pinned by this first use.
 *
 * Options: `to`, a name or a list of names, which is needed; `contentType`: `text/plain`,
 * `application/json` or `application/octet-stream`, by default text where the data are UTF-8 and else
 * bytes; `type`: `request` (the default), `response` or `notification`; `topic`, and `publicTopic` to show
 * it to the relay; `correlationId`; `replyTo`; `ttl`, how many seconds it lives, by default 7 days and at
 * most 30; `name`, that of the file that it is; `idempotencyKey`, under which it is delivered once however
 * often this is called; `receipt`, to ask for one and send again until it came; `plaintext`, neither to
 * encrypt nor to sign; `noWait`, only to put it into the outbox, which works without the relay and leaves
 * with ctalk_client_flush or any later call that talks to the relay.
 *
 * `out` becomes a JSON list with what `ctalk --json send` prints for each recipient, in order; it may be
 * NULL. To one recipient a failure is that of the call; CTALK_QUEUED then says that the message is in
 * the outbox and will leave. To several, CTALK_OK may stand for some failures: their objects have `error`,
 * `class`, `code` and `hint`. When the call is stopped the message may be in the outbox or have left.
 */
ctalk_code ctalk_client_send(const ctalk_client *client,
                             const uint8_t *data,
                             size_t data_len,
                             const char *options,
                             size_t options_len,
                             const ctalk_stopper *stopper,
                             ctalk_bytes **out,
                             ctalk_error **error);

/**
 * Sends a request to one recipient, who needs a key card, and waits for its response, beside whoever
 * receives. `out` becomes the response, which is settled already. CTALK_TIMED_OUT when none came;
 * CTALK_REMOTE_FAILED and CTALK_REFUSED when the other side says that it did not handle the request.
 *
 * Options: `to`, which is needed; `timeoutMs`, by default 30,000; `contentType`, `topic`, `correlationId`
 * and `name`, as for ctalk_client_send.
 */
ctalk_code ctalk_client_call(const ctalk_client *client,
                             const uint8_t *data,
                             size_t data_len,
                             const char *options,
                             size_t options_len,
                             const ctalk_stopper *stopper,
                             ctalk_message **out,
                             ctalk_error **error);

/**
 * Sends what is in the outbox, and returns when the relay has it or cannot take it: a failure is that of the
 * first message which stays there.
 */
ctalk_code ctalk_client_flush(const ctalk_client *client,
                              const ctalk_stopper *stopper,
                              ctalk_error **error);

/**
 * Says how messages are handed over from now on. What is in hand is given back. Without this call, it is
 * with the defaults.
 *
 * Options: `topic`, only messages of this topic; `since`, only those with a relay's time after this;
 * `handler`, the name by which the profile's policy knows the program; `intervalMs`, the longest pause
 * between two looks at a relay that does not push, by default 2,000; `maxAttempts`, by default 8;
 * `retryAfterMs`, the pause before the second attempt, by default 1,000; `unordered`, not to have later
 * messages of a sender wait for earlier ones; `unsigned`, to hand over what nobody signed, which is
 * otherwise held for the user (`ctalk inbox`); `keep`, to keep the bytes of handled messages, still
 * sealed; `sanitize`, whether hidden and directional characters are taken out of texts, by default true.
 */
ctalk_code ctalk_client_follow(const ctalk_client *client,
                               const char *options,
                               size_t options_len,
                               ctalk_error **error);

/**
 * Waits for the next message, for `timeout_ms` at most: 0 asks the relay once, CTALK_FOREVER waits for
 * ever. `out` becomes the message, which is in hand until it is settled (see ctalk_message), or NULL when
 * none came in time. Several may be in hand at a time; those of one sender come one after the other.
 *
 * What was set aside or held meanwhile, and a relay that does not answer for a while, is no failure: see
 * ctalk_client_take_events.
 */
ctalk_code ctalk_client_next(const ctalk_client *client,
                             uint64_t timeout_ms,
                             const ctalk_stopper *stopper,
                             ctalk_message **out,
                             ctalk_error **error);

/**
 * Has a handler run for each message, one after the other, on this thread, and settles each message as the
 * handler says. CTALK_INTERRUPTED once it is stopped, which breaks off no handler. CTALK_BAD_CALLBACK for
 * an answer that is none; its message is tried again, and the run is over.
 *
 * Options: `count`, to return CTALK_OK after so many messages; `idleMs`, to do so when none came for so
 * long; 0 is when nothing waits any more.
 */
ctalk_code ctalk_client_run(const ctalk_client *client,
                            const char *options,
                            size_t options_len,
                            ctalk_handler handler,
                            void *user,
                            const ctalk_stopper *stopper,
                            ctalk_error **error);

/**
 * What came up since this was last called, as a JSON list, oldest first, at most 1,000: objects whose
 * `event` is `set-aside` (a message that is held, or was set aside with a reason), `notice` (something
 * about a contact's identity, or about what was sent), `pinned` (keys that were pinned just now),
 * `trouble` (something failed that may pass, and is tried again) or `recovered` (the relay answers again).
 */
ctalk_code ctalk_client_take_events(const ctalk_client *client,
                                    ctalk_bytes **out,
                                    ctalk_error **error);

/**
 * The class of a code: the exit code with which the command line ends for the same reason (1 unexpected,
 * 2 usage, 3 not verified, 4 cannot open, 5 not trusted, 6 relay unreachable, 7 relay refused, 8 key
 * store or local store, 9 some messages were set aside, 10 malformed, 11 remote handler failed, 12 timed
 * out, 13 refused by the peer or a policy, 130 interrupted); 0 for CTALK_OK and for what is no code.
 */
uint32_t ctalk_code_class(uint32_t code);

/**
 * All contacts by name: a JSON list of what `ctalk --json contact list` prints for each.
 */
ctalk_code ctalk_contacts_list(const ctalk_client *client, ctalk_bytes **out, ctalk_error **error);

/**
 * One contact with the key cards that it had, as `ctalk --json contact show` prints it. Like all that name
 * a contact: CTALK_UNKNOWN_CONTACT where there is none of this name.
 */
ctalk_code ctalk_contacts_show(const ctalk_client *client,
                               const char *name,
                               size_t name_len,
                               ctalk_bytes **out,
                               ctalk_error **error);

/**
 * Adds somebody, by the text of a key card or by the relay's name for an agent, under the name `local`, or
 * under the one on the card or of the relay where that is NULL. Like all that change a contact: `out`
 * becomes the contact as `ctalk --json contact` prints it, and may be NULL.
 */
ctalk_code ctalk_contacts_add(const ctalk_client *client,
                              const char *peer,
                              size_t peer_len,
                              const char *local,
                              size_t local_len,
                              const ctalk_stopper *stopper,
                              ctalk_bytes **out,
                              ctalk_error **error);

/**
 * Pins the keys that the relay shows for a name, if they have this fingerprint (64 hex digits in any
 * grouping), even where that name has other keys so far.
 */
ctalk_code ctalk_contacts_accept_key(const ctalk_client *client,
                                     const char *name,
                                     size_t name_len,
                                     const char *fingerprint,
                                     size_t fingerprint_len,
                                     const ctalk_stopper *stopper,
                                     ctalk_bytes **out,
                                     ctalk_error **error);

/**
 * What both sides compare to find out whose keys a contact's are, as `ctalk --json contact verify` prints
 * it: `safetyNumber` and `words` are the same on both sides.
 */
ctalk_code ctalk_contacts_compare(const ctalk_client *client,
                                  const char *name,
                                  size_t name_len,
                                  ctalk_bytes **out,
                                  ctalk_error **error);

/**
 * Marks a contact as verified, provided that this is its fingerprint: 64 hex digits in any grouping, as
 * their owner reads them out, or those of ctalk_contacts_compare once both sides saw the same number.
 */
ctalk_code ctalk_contacts_verify(const ctalk_client *client,
                                 const char *name,
                                 size_t name_len,
                                 const char *fingerprint,
                                 size_t fingerprint_len,
                                 ctalk_bytes **out,
                                 ctalk_error **error);

/**
 * Takes nothing from a contact any more and sends it nothing.
 */
ctalk_code ctalk_contacts_block(const ctalk_client *client,
                                const char *name,
                                size_t name_len,
                                ctalk_bytes **out,
                                ctalk_error **error);

/**
 * Ends the blocking of a contact, who is to be verified again.
 */
ctalk_code ctalk_contacts_unblock(const ctalk_client *client,
                                  const char *name,
                                  size_t name_len,
                                  ctalk_bytes **out,
                                  ctalk_error **error);

/**
 * Gives a contact another name: 2 to 32 letters, digits, `_` or `-`.
 */
ctalk_code ctalk_contacts_rename(const ctalk_client *client,
                                 const char *name,
                                 size_t name_len,
                                 const char *new_name,
                                 size_t new_name_len,
                                 ctalk_bytes **out,
                                 ctalk_error **error);

/**
 * Writes something down about a contact, at most 4,096 bytes, in place of what was written down before.
 */
ctalk_code ctalk_contacts_note(const ctalk_client *client,
                               const char *name,
                               size_t name_len,
                               const char *note,
                               size_t note_len,
                               ctalk_bytes **out,
                               ctalk_error **error);

/**
 * Forgets a contact and its keys.
 */
ctalk_code ctalk_contacts_remove(const ctalk_client *client,
                                 const char *name,
                                 size_t name_len,
                                 ctalk_error **error);

/**
 * All contacts that are not blocked, for another profile to import: what `ctalk contact export` prints, one
 * line of JSON each.
 */
ctalk_code ctalk_contacts_export(const ctalk_client *client,
                                 ctalk_bytes **out,
                                 ctalk_error **error);

/**
 * Pins everybody on such a list; none of them is verified by that. `out` becomes a JSON object with how
 * many were `added`, `renewed`, `known` and `refused`, as `ctalk --json contact import` prints it, and
 * `refusals`, a list of objects with `line`, `error`, `class`, `code` and `hint`.
 */
ctalk_code ctalk_contacts_import(const ctalk_client *client,
                                 const char *lines,
                                 size_t lines_len,
                                 ctalk_bytes **out,
                                 ctalk_error **error);

/**
 * Seals a payload for the owners of the given cards, at most 1024, and signs it. The options, which may
 * be empty, are `type` (`request`, `response` or `notification`, which is the default), `topic`,
 * `correlationId`, `replyTo`, `contentType` (by default `application/octet-stream`), `name` (of a file),
 * `receipt` (whether one is asked for), `card` (the sender's own, as text, to go along), `created` (by
 * default now), `ttl` (for how many seconds it can be opened, by default 7 days, at most 30 days) and
 * `armor` (whether the envelope is one line of text instead of bytes). CTALK_BAD_RECIPIENTS,
 * CTALK_CARD_NOT_CURRENT or CTALK_BAD_LIFE where those are at fault, CTALK_MALFORMED for metadata over a
 * limit.
 */
ctalk_code ctalk_envelope_seal(const ctalk_identity *identity,
                               const ctalk_card *const *recipients,
                               size_t recipients_count,
                               const uint8_t *payload,
                               size_t payload_len,
                               const char *options,
                               size_t options_len,
                               ctalk_bytes **out,
                               ctalk_error **error);

/**
 * Opens an envelope, given as bytes or as its one line of text, that is alive at `now` (milliseconds; 0
 * is now). `from` is the card of the one sender it is taken from, or NULL for anybody: then look at
 * ctalk_opened_fingerprint before using the payload. The signature is checked in either case. Whether it
 * was opened before is for the caller to remember, by sender, id and digest.
 *
 * CTALK_MALFORMED, CTALK_NEWER, CTALK_NOT_VERIFIED, CTALK_EXPIRED, CTALK_NOT_FOR_ME or CTALK_CANNOT_OPEN
 * say why it does not open, CTALK_NOT_TRUSTED that it is from somebody else than `from`.
 */
ctalk_code ctalk_envelope_open(const ctalk_identity *identity,
                               const ctalk_card *from,
                               const uint8_t *data,
                               size_t len,
                               uint64_t now,
                               ctalk_opened **out,
                               ctalk_error **error);

/**
 * Checks the signatures of a whole envelope, given as bytes or as its one line of text, without opening
 * it, and says as JSON who signed it: `from` (null), `fingerprint`, `trust` (`unknown`), `id`, `created`,
 * `expires` and `recipients`.
 */
ctalk_code ctalk_envelope_verify(const uint8_t *data,
                                 size_t len,
                                 ctalk_bytes **out,
                                 ctalk_error **error);

/**
 * Says as JSON what everybody can see of an envelope, given as bytes or as its one line of text, none of
 * it proven: `form`, `claimedSender`, `id`, `created`, `expires`, `recipients`, `segments` and
 * `paddedBytes`.
 */
ctalk_code ctalk_envelope_inspect(const uint8_t *data,
                                  size_t len,
                                  ctalk_bytes **out,
                                  ctalk_error **error);

/**
 * The code that the call returned.
 */
uint32_t ctalk_error_code(const ctalk_error *error);

/**
 * The class of the code; see ctalk_code_class.
 */
uint32_t ctalk_error_class(const ctalk_error *error);

/**
 * What went wrong, for people: UTF-8 in one line, without secrets. Valid as long as the error.
 */
ctalk_slice ctalk_error_message(const ctalk_error *error);

/**
 * Frees an error. NULL is allowed, and freeing twice does nothing.
 */
void ctalk_error_free(ctalk_error *error);

/**
 * How many handles the process holds: 0 when it has freed all it was given. For tests.
 */
size_t ctalk_handle_count(void);

/**
 * Makes a new identity with an X-Wing key, so that it can send and receive.
 */
ctalk_code ctalk_identity_generate(ctalk_identity **out, ctalk_error **error);

/**
 * Takes in the lasting keys as ClawTalk's key generator prints them (a JSON object with `publicKey`,
 * `privateKey`, `signingKey` and `signingPrivateKey` in padded standard base64, at most 4096 bytes) and
 * any number of X-Wing seeds, 32 bytes each, the current one last. Without any, the identity can send
 * envelopes and receive none. CTALK_BAD_KEYS for what cannot be used, or where a public half is not that
 * of its secret half.
 */
ctalk_code ctalk_identity_import(const char *json,
                                 size_t json_len,
                                 const uint8_t *xwing_seeds,
                                 size_t xwing_seeds_len,
                                 ctalk_identity **out,
                                 ctalk_error **error);

/**
 * Writes the lasting keys as ClawTalk's key generator prints them and, where there is a place for them,
 * the X-Wing seeds, 32 bytes each, the current one last: what ctalk_identity_import takes in. Both are
 * secret; the handles wipe them when freed. `xwing_seeds` may be NULL.
 */
ctalk_code ctalk_identity_export(const ctalk_identity *identity,
                                 ctalk_bytes **json,
                                 ctalk_bytes **xwing_seeds,
                                 ctalk_error **error);

/**
 * The fingerprint, for people to compare: 64 lower-case hex digits. Valid as long as the identity.
 */
ctalk_slice ctalk_identity_fingerprint(const ctalk_identity *identity);

/**
 * Frees an identity and wipes its keys. NULL is allowed, and freeing twice does nothing.
 */
void ctalk_identity_free(ctalk_identity *identity);

/**
 * Says that the message was handled. When this returns CTALK_OK that is durable: it is never handed over
 * again. CTALK_LEASE_LOST if another process has it by now, because this one stood still for long.
 */
ctalk_code ctalk_message_commit(const ctalk_message *message,
                                ctalk_error **error);

/**
 * Says that a request was handled, and answers it: both become durable together, and the answer leaves
 * with the next call that talks to the relay. CTALK_NOT_ASKED, and nothing happens, unless the message is
 * a request that a contact signed. Options: `contentType`, as for ctalk_client_send.
 */
ctalk_code ctalk_message_reply(const ctalk_message *message,
                               const uint8_t *data,
                               size_t data_len,
                               const char *options,
                               size_t options_len,
                               ctalk_error **error);

/**
 * Says that the message could not be handled now. It is handed over again after a pause that doubles from
 * attempt to attempt (1 second to 5 minutes), and no sooner than after `after_ms`; after its last attempt
 * (8, unless ctalk_client_follow says otherwise) it is a dead letter. `why` is kept beside it, for people.
 */
ctalk_code ctalk_message_retry(const ctalk_message *message,
                               const char *why,
                               size_t why_len,
                               uint64_t after_ms,
                               ctalk_error **error);

/**
 * Says that the message will never be handled: it is a dead letter, which stays in the inbox for people to
 * look at (`ctalk inbox`). `why` is kept beside it.
 */
ctalk_code ctalk_message_reject(const ctalk_message *message,
                                const char *why,
                                size_t why_len,
                                ctalk_error **error);

/**
 * What the message says: text, JSON or bytes, as ctalk_message_content_type tells. Valid as long as the
 * message; so are all other views of it.
 */
ctalk_slice ctalk_message_payload(const ctalk_message *message);

/**
 * `text/plain`, `application/json`, or what the sender of an envelope says.
 */
ctalk_slice ctalk_message_content_type(const ctalk_message *message);

/**
 * The message as `ctalk --json recv` prints it, with `attempt`.
 */
ctalk_slice ctalk_message_json(const ctalk_message *message);

/**
 * The message's id: 32 hex digits for an envelope, else the relay's. NULL where there is none.
 */
ctalk_slice ctalk_message_id(const ctalk_message *message);

/**
 * The contact whose key signed it. NULL where nobody's did: then only ctalk_message_relay_from says
 * something, which is not to be believed.
 */
ctalk_slice ctalk_message_from(const ctalk_message *message);

/**
 * Who sent it by the relay's word.
 */
ctalk_slice ctalk_message_relay_from(const ctalk_message *message);

/**
 * Fingerprint of the keys that signed it, 64 hex digits. NULL where nobody's did.
 */
ctalk_slice ctalk_message_fingerprint(const ctalk_message *message);

/**
 * What is known about the sender: `verified` or `pinned`; `unknown`, `unsigned` or `plaintext` only where
 * ctalk_client_follow was told to hand over what nobody signed.
 */
ctalk_slice ctalk_message_trust(const ctalk_message *message);

/**
 * `request`, `response` or `notification`, or whatever a plaintext sender wrote.
 */
ctalk_slice ctalk_message_type(const ctalk_message *message);

/**
 * The topic. NULL where there is none.
 */
ctalk_slice ctalk_message_topic(const ctalk_message *message);

/**
 * What pairs a request with its response. NULL where there is nothing.
 */
ctalk_slice ctalk_message_correlation_id(const ctalk_message *message);

/**
 * The id of the message that this one answers. NULL where it answers none.
 */
ctalk_slice ctalk_message_reply_to(const ctalk_message *message);

/**
 * Which attempt at the message this is; the first is 1, and 0 stands for what is no message. Higher after
 * a crash, too: what a program does before it commits may happen once more.
 */
uint32_t ctalk_message_attempt(const ctalk_message *message);

/**
 * Frees a message; see ctalk_message for one of which nobody said what became of it. NULL is allowed, and
 * freeing twice does nothing.
 */
void ctalk_message_free(ctalk_message *message);

/**
 * The payload, byte for byte. Valid as long as the handle.
 */
ctalk_slice ctalk_opened_payload(const ctalk_opened *opened);

/**
 * The fingerprint of whoever signed the envelope: 64 lower-case hex digits. Valid as long as the handle.
 */
ctalk_slice ctalk_opened_fingerprint(const ctalk_opened *opened);

/**
 * The Ed25519 public key of whoever signed the envelope, 32 bytes. Valid as long as the handle.
 */
ctalk_slice ctalk_opened_sender(const ctalk_opened *opened);

/**
 * The envelope's id, 32 hex digits, which another sender may have used too. Valid as long as the handle.
 */
ctalk_slice ctalk_opened_id(const ctalk_opened *opened);

/**
 * The SHA-256 of the header, 32 bytes. Valid as long as the handle. One sender and id with two digests
 * are two envelopes, of which the second is to be refused.
 */
ctalk_slice ctalk_opened_digest(const ctalk_opened *opened);

/**
 * `request`, `response`, `notification`, `receipt`, `card`, `succession` or `pairing`. Valid as long as
 * the handle.
 */
ctalk_slice ctalk_opened_type(const ctalk_opened *opened);

/**
 * What the message is about; NULL if it does not say. Valid as long as the handle.
 */
ctalk_slice ctalk_opened_topic(const ctalk_opened *opened);

/**
 * What ties a request to its response; NULL if it does not say. Valid as long as the handle.
 */
ctalk_slice ctalk_opened_correlation_id(const ctalk_opened *opened);

/**
 * Which message this one answers; NULL if it does not say. Valid as long as the handle.
 */
ctalk_slice ctalk_opened_reply_to(const ctalk_opened *opened);

/**
 * The payload's media type. Valid as long as the handle.
 */
ctalk_slice ctalk_opened_content_type(const ctalk_opened *opened);

/**
 * The name of the file that the payload is; NULL if it does not say. Any text: check it before using it
 * as a path. Valid as long as the handle.
 */
ctalk_slice ctalk_opened_name(const ctalk_opened *opened);

/**
 * 1 if the sender asks for a receipt, else 0.
 */
uint32_t ctalk_opened_wants_receipt(const ctalk_opened *opened);

/**
 * When the envelope was sealed, in milliseconds.
 */
uint64_t ctalk_opened_created(const ctalk_opened *opened);

/**
 * Until when it could be opened, and has to be remembered, in milliseconds.
 */
uint64_t ctalk_opened_expires(const ctalk_opened *opened);

/**
 * How many keys it was sealed to.
 */
uint32_t ctalk_opened_recipients(const ctalk_opened *opened);

/**
 * What the envelope says besides its payload, as JSON: `from` (null), `fingerprint`, `trust` (`named` if
 * the caller named the sender, else `unknown`), `id`, `created`, `expires`, `recipients`, `type`,
 * `topic`, `correlationId`, `replyTo`, `contentType`, `name` and `bytes`. Valid as long as the handle.
 */
ctalk_slice ctalk_opened_json(const ctalk_opened *opened);

/**
 * The sender's card that came along; NULL is written where none did.
 */
ctalk_code ctalk_opened_card(const ctalk_opened *opened, ctalk_card **out, ctalk_error **error);

/**
 * Frees what was opened and wipes the payload. NULL is allowed, and freeing twice does nothing.
 */
void ctalk_opened_free(ctalk_opened *opened);

/**
 * Makes a profile of an identity in a folder, as `ctalk keygen` does, from where ctalk_identity_load, a
 * client and the command line take it. `name` is the agent's: 2 to 32 letters, digits, `_` or `-`.
 * `key_store` is `keyring`, `file` (which needs the passphrase) or `plain` (unprotected); empty is the
 * keyring if one answers, or a file. The passphrase may be NULL where none is needed. The folder is made
 * where it is missing, open to its owner alone. CTALK_PROFILE_EXISTS and CTALK_KEY_STORE_EXISTS where
 * there is one already, which is never overwritten.
 *
 * Blocks: on the disk, for about a second on the passphrase, and for up to a minute on a locked keyring.
 */
ctalk_code ctalk_identity_save(const ctalk_identity *identity,
                               const char *folder,
                               size_t folder_len,
                               const char *name,
                               size_t name_len,
                               const char *key_store,
                               size_t key_store_len,
                               const char *passphrase,
                               size_t passphrase_len,
                               ctalk_error **error);

/**
 * Loads the identity of a profile with every key it has, and its card. Its X-Wing key is made where
 * there is none yet, and replaced when it is older than 7 days; the new card is in the key store before
 * this returns. The passphrase may be NULL where none is needed.
 *
 * Blocks as ctalk_identity_save does. CTALK_NO_PROFILE, CTALK_NO_KEY_STORE, CTALK_BAD_PASSPHRASE,
 * CTALK_KEYRING_FAILED, CTALK_UNSAFE_PERMISSIONS or CTALK_KEY_STORE_FAILED say why not;
 * CTALK_BAD_ARGUMENT that the identity has ended.
 */
ctalk_code ctalk_identity_load(const char *folder,
                               size_t folder_len,
                               const char *passphrase,
                               size_t passphrase_len,
                               ctalk_identity **out,
                               ctalk_error **error);

/**
 * Reads what an opened envelope of the type `receipt` says: its payload, its content type and what it
 * answers, which may be NULL. The JSON has `id` of the envelope that it is about, `outcome` (`done`,
 * `failed` or `refused`), `attempt`, the number of times that a handler was started, and `digest`, the
 * SHA-256 of the result in 64 hex digits. It counts only from somebody to whom that envelope was sealed.
 * Clients read theirs themselves. CTALK_MALFORMED for what is no receipt.
 */
ctalk_code ctalk_receipt_read(const uint8_t *payload,
                              size_t payload_len,
                              const char *content_type,
                              size_t content_type_len,
                              const char *reply_to,
                              size_t reply_to_len,
                              ctalk_bytes **out,
                              ctalk_error **error);

/**
 * Starts a relay and returns when it listens. It asks nobody to go slowly. Options, all of them optional:
 * `port`, by default a free one; `folder` for its data, which stay there, by default a temporary one that
 * is removed with it; `adminKey`, by default a random one. CTALK_FORKED in a child of fork() whose parent
 * uses profiles or relays.
 */
ctalk_code ctalk_relay_start(const char *options,
                             size_t options_len,
                             ctalk_relay **out,
                             ctalk_error **error);

/**
 * Its address, such as `http://127.0.0.1:40123`. Valid as long as the relay.
 */
ctalk_slice ctalk_relay_url(const ctalk_relay *relay);

/**
 * The key that lets agents register. Valid as long as the relay.
 */
ctalk_slice ctalk_relay_admin_key(const ctalk_relay *relay);

/**
 * Stops a relay, waits until its threads have ended, and frees it. NULL is allowed, and freeing twice
 * does nothing. A forked child leaves the relay to the process that started it.
 */
void ctalk_relay_free(ctalk_relay *relay);

/**
 * Makes a stopper. It has two file descriptors, and a call that it is given to has one more:
 * CTALK_UNEXPECTED, before anything is done, where the process has no more of them.
 */
ctalk_code ctalk_stopper_new(ctalk_stopper **out, ctalk_error **error);

/**
 * Ends the calls that have this stopper, now and later, with CTALK_INTERRUPTED. From any thread; from a
 * signal handler, write to ctalk_stopper_fd instead. Does nothing in a forked child, whose parent's calls
 * they are.
 */
ctalk_code ctalk_stopper_stop(const ctalk_stopper *stopper,
                              ctalk_error **error);

/**
 * A file descriptor; to write any byte to it does what ctalk_stopper_stop does. It never blocks, so a
 * signal handler may write to it, and Python's signal.set_wakeup_fd takes it. Valid as long as the
 * stopper, which closes it; -1 for what is no stopper, and in a forked child.
 */
int ctalk_stopper_fd(const ctalk_stopper *stopper);

/**
 * Frees a stopper. NULL is allowed, and freeing twice does nothing.
 */
void ctalk_stopper_free(ctalk_stopper *stopper);

/**
 * As ctalk_envelope_seal, from one callback to another in constant memory, on the calling thread. What
 * was written before a failure is no envelope. The JSON, for which there need be no place, has `id`,
 * `created`, `expires`, `recipients` and `bytes`. CTALK_READ_FAILED or CTALK_WRITE_FAILED where a
 * callback failed.
 */
ctalk_code ctalk_envelope_seal_stream(const ctalk_identity *identity,
                                      const ctalk_card *const *recipients,
                                      size_t recipients_count,
                                      const char *options,
                                      size_t options_len,
                                      ctalk_read read,
                                      void *read_user,
                                      ctalk_write write,
                                      void *write_user,
                                      ctalk_bytes **out,
                                      ctalk_error **error);

/**
 * As ctalk_envelope_open, from one callback to another in constant memory, on the calling thread. Each
 * part of the payload is written once its own signature and tag were checked; after a failure, what was
 * written is the beginning of what the sender sealed and no more. The JSON, for which there need be no
 * place, is that of ctalk_opened_json.
 */
ctalk_code ctalk_envelope_open_stream(const ctalk_identity *identity,
                                      const ctalk_card *from,
                                      uint64_t now,
                                      ctalk_read read,
                                      void *read_user,
                                      ctalk_write write,
                                      void *write_user,
                                      ctalk_bytes **out,
                                      ctalk_error **error);

/**
 * As ctalk_envelope_verify, from a callback in constant memory, on the calling thread.
 */
ctalk_code ctalk_envelope_verify_stream(ctalk_read read,
                                        void *read_user,
                                        ctalk_bytes **out,
                                        ctalk_error **error);

/**
 * As ctalk_envelope_inspect, from a callback in constant memory, on the calling thread.
 */
ctalk_code ctalk_envelope_inspect_stream(ctalk_read read,
                                         void *read_user,
                                         ctalk_bytes **out,
                                         ctalk_error **error);

/**
 * The number that the owners of two identities compare, which is the same in either order, as JSON:
 * `safetyNumber`, 75 digits in groups of five; `words`, the same in 23 words; and `qr`, the text of its QR
 * code. It is compared whole, in either form. The fingerprints are those of both key cards: 64 hex digits
 * in any grouping. CTALK_BAD_ARGUMENT for what is none.
 */
ctalk_code ctalk_safety_number(const char *one,
                               size_t one_len,
                               const char *other,
                               size_t other_len,
                               ctalk_bytes **out,
                               ctalk_error **error);

/**
 * Reads the one-line text of a succession (`ctalk-succession:`) or a revocation (`ctalk-revocation:`) with
 * nothing around it, checks its signatures, and says as JSON what it states: `kind` (`succession` or
 * `revocation`), `fingerprint` of the identity that ends, `successor`, the fingerprint of the one that
 * takes its place or null, and `created`, in milliseconds. Whose identity that is, is known from its key
 * card: both have one fingerprint. CTALK_MALFORMED, CTALK_NEWER or CTALK_NOT_VERIFIED for what is none.
 */
ctalk_code ctalk_statement_verify(const char *text,
                                  size_t len,
                                  ctalk_bytes **out,
                                  ctalk_error **error);

/**
 * CTALK_ABI_VERSION of the library that is linked, which a program compares with that of its header.
 */
uint32_t ctalk_abi_version(void);

/**
 * The library's own version, such as `0.1.0`. Valid for ever.
 */
ctalk_slice ctalk_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CTALK_H */
