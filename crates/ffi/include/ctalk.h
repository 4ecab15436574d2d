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
 * - Nothing here prints, reads the environment or handles signals. There are no threads before there is a
 *   client. After fork() only the process that used the library goes on using it; a child that needs it
 *   calls exec() first.
 * - No panic leaves the library: it becomes CTALK_PANIC.
 */


#ifndef CTALK_H
#define CTALK_H

#include <stddef.h>
#include <stdint.h>

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
     * No answer from the relay.
     */
    CTALK_RELAY_UNREACHABLE = 500,
    /**
     * The relay answered no.
     */
    CTALK_RELAY_REFUSED = 501,
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
typedef struct {
    uint8_t _private[0];
} ctalk_bytes;

/**
 * Why a call failed. Owned by whoever got it; freed with ctalk_error_free.
 */
typedef struct {
    uint8_t _private[0];
} ctalk_error;

/**
 * A view of bytes, or of a text in UTF-8, that belongs to a handle and is valid as long as it. There is
 * no zero byte at its end.
 */
typedef struct {
    /**
     * The first byte; NULL only if there is none.
     */
    const uint8_t *data;
    /**
     * How many bytes there are.
     */
    size_t len;
} ctalk_slice;

/**
 * An agent's secret keys. Owned by whoever got it; freed with ctalk_identity_free, which wipes them.
 * Any number of threads may use one at the same time.
 */
typedef struct {
    uint8_t _private[0];
} ctalk_identity;

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
 * The class of a code: the exit code with which the command line ends for the same reason (1 unexpected,
 * 2 usage, 3 not verified, 4 cannot open, 5 not trusted, 6 relay unreachable, 7 relay refused, 8 key
 * store or local store, 9 some messages were set aside, 10 malformed, 11 remote handler failed, 12 timed
 * out, 13 refused by the peer or a policy, 130 interrupted); 0 for CTALK_OK and for what is no code.
 */
uint32_t ctalk_code_class(uint32_t code);

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
