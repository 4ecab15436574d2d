/*
 * Every function of the library, called as none should be: with NULL, with handles of another kind,
 * freed ones and no handles at all, and with every failure that there is, panics included.
 *
 * `calls names` prints the functions it calls, so that none is forgotten.
 */

#include "agents.h"

/* One handle of every kind. */
struct handles {
    void *bytes, *card, *error, *identity, *opened, *peer, *client, *message, *relay, *stopper;
};

static uint32_t read_nothing(void *user, uint8_t *buffer, size_t capacity, size_t *length) {
    (void)user, (void)buffer, (void)capacity;
    *length = 0;
    return 0;
}

static uint32_t write_nowhere(void *user, const uint8_t *data, size_t length) {
    (void)user, (void)data, (void)length;
    return 0;
}

static uint32_t handle_nothing(void *user, const ctalk_message *message) {
    (void)user, (void)message;
    return CTALK_COMMIT;
}

/* 64 digits. */
#define FINGERPRINT "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* What a function takes. */
enum { HANDLE = 1, OUT = 2 };

/* X(function, what it takes, a call with the handles `of`, the place `out` and `error`) */
#define FUNCTIONS_WITH_CODE(X)                                                                     \
    X(ctalk_card_check_current, HANDLE, (of->card, 1, error))                                      \
    X(ctalk_card_from_bytes, OUT, (NULL, 0, out, error))                                           \
    X(ctalk_card_from_text, OUT, (NULL, 0, out, error))                                            \
    X(ctalk_card_json, HANDLE | OUT, (of->card, out, error))                                       \
    X(ctalk_classic_open, HANDLE | OUT, (of->identity, of->peer, NULL, 0, out, NULL, error))       \
    X(ctalk_classic_open_unsigned, HANDLE | OUT,                                                   \
      (of->identity, of->peer, NULL, 0, out, NULL, error))                                         \
    X(ctalk_classic_seal, HANDLE | OUT,                                                            \
      (of->identity, of->peer, (const uint8_t *)"1", 1, TEXT("{\"to\":\"a\"}"), out, error))       \
    X(ctalk_envelope_inspect, OUT, (NULL, 0, out, error))                                          \
    X(ctalk_envelope_inspect_stream, OUT, (read_nothing, NULL, out, error))                        \
    X(ctalk_envelope_open, HANDLE | OUT, (of->identity, of->card, NULL, 0, 1, out, error))         \
    X(ctalk_envelope_open_stream, HANDLE,                                                          \
      (of->identity, of->card, 1, read_nothing, NULL, write_nowhere, NULL, out, error))            \
    X(ctalk_envelope_seal, HANDLE | OUT,                                                           \
      (of->identity, (const ctalk_card *const *)&of->card, 1, NULL, 0, NO_TEXT, out, error))       \
    X(ctalk_envelope_seal_stream, HANDLE,                                                          \
      (of->identity, (const ctalk_card *const *)&of->card, 1, NO_TEXT, read_nothing, NULL,         \
       write_nowhere, NULL, out, error))                                                           \
    X(ctalk_envelope_verify, OUT, (NULL, 0, out, error))                                           \
    X(ctalk_envelope_verify_stream, OUT, (read_nothing, NULL, out, error))                         \
    X(ctalk_identity_card, HANDLE | OUT, (of->identity, NO_TEXT, out, error))                      \
    X(ctalk_identity_export, HANDLE | OUT, (of->identity, out, NULL, error))                       \
    X(ctalk_identity_generate, OUT, (out, error))                                                  \
    X(ctalk_identity_import, OUT, (NO_TEXT, NULL, 0, out, error))                                  \
    X(ctalk_identity_load, OUT, (NO_TEXT, NO_TEXT, out, error))                                    \
    X(ctalk_identity_save, HANDLE,                                                                 \
      (of->identity, NO_TEXT, TEXT("a name that is none"), NO_TEXT, NO_TEXT, error))               \
    X(ctalk_opened_card, HANDLE | OUT, (of->opened, out, error))                                   \
    X(ctalk_peer_new, OUT, (NO_TEXT, NO_TEXT, out, error))                                         \
    X(ctalk_peer_of_card, HANDLE | OUT, (of->card, out, error))                                    \
    X(ctalk_client_call, HANDLE | OUT, (of->client, NULL, 0, NO_TEXT, NULL, out, error))           \
    X(ctalk_client_card, HANDLE | OUT, (of->client, out, error))                                   \
    X(ctalk_client_flush, HANDLE, (of->client, NULL, error))                                       \
    X(ctalk_client_follow, HANDLE, (of->client, NO_TEXT, error))                                   \
    X(ctalk_client_identity, HANDLE | OUT, (of->client, out, error))                               \
    X(ctalk_client_next, HANDLE | OUT, (of->client, 0, NULL, out, error))                          \
    X(ctalk_client_open, OUT, (NO_TEXT, out, error))                                               \
    X(ctalk_client_register, HANDLE, (of->client, NO_TEXT, NULL, out, error))                      \
    X(ctalk_client_run, HANDLE, (of->client, NO_TEXT, handle_nothing, NULL, NULL, error))          \
    X(ctalk_client_send, HANDLE, (of->client, NULL, 0, NO_TEXT, NULL, out, error))                 \
    X(ctalk_client_take_events, HANDLE | OUT, (of->client, out, error))                            \
    X(ctalk_client_whoami, HANDLE | OUT, (of->client, out, error))                                 \
    X(ctalk_contacts_accept_key, HANDLE, (of->client, TEXT("bob"), TEXT(FINGERPRINT), NULL, out, error)) \
    X(ctalk_contacts_add, HANDLE, (of->client, TEXT("bob"), NO_TEXT, NULL, out, error))            \
    X(ctalk_contacts_block, HANDLE, (of->client, TEXT("bob"), out, error))                         \
    X(ctalk_contacts_compare, HANDLE | OUT, (of->client, TEXT("bob"), out, error))                 \
    X(ctalk_contacts_export, HANDLE | OUT, (of->client, out, error))                               \
    X(ctalk_contacts_import, HANDLE | OUT, (of->client, NO_TEXT, out, error))                      \
    X(ctalk_contacts_list, HANDLE | OUT, (of->client, out, error))                                 \
    X(ctalk_contacts_note, HANDLE, (of->client, TEXT("bob"), NO_TEXT, out, error))                 \
    X(ctalk_contacts_remove, HANDLE, (of->client, TEXT("bob"), error))                             \
    X(ctalk_contacts_rename, HANDLE, (of->client, TEXT("bob"), TEXT("carol"), out, error))         \
    X(ctalk_contacts_show, HANDLE | OUT, (of->client, TEXT("bob"), out, error))                    \
    X(ctalk_contacts_unblock, HANDLE, (of->client, TEXT("bob"), out, error))                       \
    X(ctalk_contacts_verify, HANDLE, (of->client, TEXT("bob"), TEXT(FINGERPRINT), out, error))     \
    X(ctalk_message_commit, HANDLE, (of->message, error))                                          \
    X(ctalk_message_reject, HANDLE, (of->message, NO_TEXT, error))                                 \
    X(ctalk_message_reply, HANDLE, (of->message, NULL, 0, NO_TEXT, error))                         \
    X(ctalk_message_retry, HANDLE, (of->message, NO_TEXT, 0, error))                               \
    X(ctalk_profile_folder, OUT, (NO_TEXT, out, error))                                            \
    X(ctalk_receipt_read, OUT, (NULL, 0, NO_TEXT, NO_TEXT, out, error))                            \
    X(ctalk_relay_start, OUT, (NO_TEXT, out, error))                                               \
    X(ctalk_safety_number, OUT, (TEXT(FINGERPRINT), TEXT(FINGERPRINT), out, error))                \
    X(ctalk_statement_verify, OUT, (NO_TEXT, out, error))                                          \
    X(ctalk_stopper_new, OUT, (out, error))                                                        \
    X(ctalk_stopper_stop, HANDLE, (of->stopper, error))

/* X(function, whether the answer is the one for what is no handle) */
#define FUNCTIONS_WITH_VALUE(X)                                                                    \
    X(ctalk_bytes_data, ctalk_bytes_data(of->bytes) == NULL)                                       \
    X(ctalk_bytes_len, ctalk_bytes_len(of->bytes) == 0)                                            \
    X(ctalk_card_address, none(ctalk_card_address(of->card, 0)))                                   \
    X(ctalk_card_created, ctalk_card_created(of->card) == 0)                                       \
    X(ctalk_card_data, none(ctalk_card_data(of->card)))                                            \
    X(ctalk_card_encryption_key, none(ctalk_card_encryption_key(of->card)))                        \
    X(ctalk_card_expires, ctalk_card_expires(of->card) == 0)                                       \
    X(ctalk_card_fingerprint, none(ctalk_card_fingerprint(of->card)))                              \
    X(ctalk_card_name, none(ctalk_card_name(of->card)))                                            \
    X(ctalk_card_serial, ctalk_card_serial(of->card) == 0)                                         \
    X(ctalk_card_signing_key, none(ctalk_card_signing_key(of->card)))                              \
    X(ctalk_card_text, none(ctalk_card_text(of->card)))                                            \
    X(ctalk_card_xwing_key, none(ctalk_card_xwing_key(of->card)))                                  \
    X(ctalk_error_class, ctalk_error_class(of->error) == 0)                                        \
    X(ctalk_error_code, ctalk_error_code(of->error) == 0)                                          \
    X(ctalk_error_message, none(ctalk_error_message(of->error)))                                   \
    X(ctalk_identity_fingerprint, none(ctalk_identity_fingerprint(of->identity)))                  \
    X(ctalk_opened_content_type, none(ctalk_opened_content_type(of->opened)))                      \
    X(ctalk_opened_correlation_id, none(ctalk_opened_correlation_id(of->opened)))                  \
    X(ctalk_opened_created, ctalk_opened_created(of->opened) == 0)                                 \
    X(ctalk_opened_digest, none(ctalk_opened_digest(of->opened)))                                  \
    X(ctalk_opened_expires, ctalk_opened_expires(of->opened) == 0)                                 \
    X(ctalk_opened_fingerprint, none(ctalk_opened_fingerprint(of->opened)))                        \
    X(ctalk_opened_id, none(ctalk_opened_id(of->opened)))                                          \
    X(ctalk_opened_json, none(ctalk_opened_json(of->opened)))                                      \
    X(ctalk_opened_name, none(ctalk_opened_name(of->opened)))                                      \
    X(ctalk_opened_payload, none(ctalk_opened_payload(of->opened)))                                \
    X(ctalk_opened_recipients, ctalk_opened_recipients(of->opened) == 0)                           \
    X(ctalk_opened_reply_to, none(ctalk_opened_reply_to(of->opened)))                              \
    X(ctalk_opened_sender, none(ctalk_opened_sender(of->opened)))                                  \
    X(ctalk_opened_topic, none(ctalk_opened_topic(of->opened)))                                    \
    X(ctalk_opened_type, none(ctalk_opened_type(of->opened)))                                      \
    X(ctalk_opened_wants_receipt, ctalk_opened_wants_receipt(of->opened) == 0)                     \
    X(ctalk_peer_fingerprint, none(ctalk_peer_fingerprint(of->peer)))                              \
    X(ctalk_message_attempt, ctalk_message_attempt(of->message) == 0)                              \
    X(ctalk_message_content_type, none(ctalk_message_content_type(of->message)))                   \
    X(ctalk_message_correlation_id, none(ctalk_message_correlation_id(of->message)))               \
    X(ctalk_message_fingerprint, none(ctalk_message_fingerprint(of->message)))                     \
    X(ctalk_message_from, none(ctalk_message_from(of->message)))                                   \
    X(ctalk_message_id, none(ctalk_message_id(of->message)))                                       \
    X(ctalk_message_json, none(ctalk_message_json(of->message)))                                   \
    X(ctalk_message_payload, none(ctalk_message_payload(of->message)))                             \
    X(ctalk_message_relay_from, none(ctalk_message_relay_from(of->message)))                       \
    X(ctalk_message_reply_to, none(ctalk_message_reply_to(of->message)))                           \
    X(ctalk_message_topic, none(ctalk_message_topic(of->message)))                                 \
    X(ctalk_message_trust, none(ctalk_message_trust(of->message)))                                 \
    X(ctalk_message_type, none(ctalk_message_type(of->message)))                                   \
    X(ctalk_relay_admin_key, none(ctalk_relay_admin_key(of->relay)))                               \
    X(ctalk_relay_url, none(ctalk_relay_url(of->relay)))                                           \
    X(ctalk_stopper_fd, ctalk_stopper_fd(of->stopper) == -1)

/* X(function, the handle it frees) */
#define FUNCTIONS_THAT_FREE(X)                                                                     \
    X(ctalk_bytes_free, bytes)                                                                     \
    X(ctalk_card_free, card)                                                                       \
    X(ctalk_error_free, error)                                                                     \
    X(ctalk_identity_free, identity)                                                               \
    X(ctalk_opened_free, opened)                                                                   \
    X(ctalk_peer_free, peer)                                                                       \
    X(ctalk_message_free, message)                                                                 \
    X(ctalk_client_free, client)                                                                   \
    X(ctalk_relay_free, relay)                                                                     \
    X(ctalk_stopper_free, stopper)

/* Those that take nothing that could be wrong. */
#define OTHER_FUNCTIONS(X)                                                                         \
    X(ctalk_abi_version, ctalk_abi_version() == CTALK_ABI_VERSION)                                 \
    X(ctalk_code_class, ctalk_code_class(202) == 3)                                                \
    X(ctalk_handle_count, ctalk_handle_count() > 0)                                                \
    X(ctalk_version, ctalk_version().len > 0)

/* The tests' own, of a library with the feature `fault-points`. */
extern void ctalk_fault_next(uint32_t code);

struct function_with_code {
    const char *name;
    int takes;
    ctalk_code (*call)(const struct handles *of, void *out, ctalk_error **error);
};

#define DEFINE(name, takes, arguments)                                                             \
    static ctalk_code call_##name(const struct handles *of, void *out, ctalk_error **error) {      \
        (void)of, (void)out;                                                                       \
        return name arguments;                                                                     \
    }
FUNCTIONS_WITH_CODE(DEFINE)

#define LIST(name, takes, arguments) {#name, takes, call_##name},
static const struct function_with_code with_code[] = {FUNCTIONS_WITH_CODE(LIST)};

struct function_with_value {
    const char *name;
    int (*is_none)(const struct handles *of);
};

#define DEFINE_VALUE(name, condition)                                                              \
    static int none_##name(const struct handles *of) { return condition; }
FUNCTIONS_WITH_VALUE(DEFINE_VALUE)

#define LIST_VALUE(name, condition) {#name, none_##name},
static const struct function_with_value with_value[] = {FUNCTIONS_WITH_VALUE(LIST_VALUE)};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Calls a function that must fail with `expected` and write nothing but the error. */
static void fails(const struct function_with_code *function, const struct handles *of, int with_out,
                  uint32_t expected, const char *why) {
    static int untouched;
    void *out = &untouched;
    ctalk_error *error = NULL;
    uint32_t code = function->call(of, with_out ? &out : NULL, &error);
    if (code != expected || ctalk_error_code(error) != expected || out != &untouched ||
        ctalk_error_class(error) != ctalk_code_class(expected) ||
        ctalk_error_message(error).len == 0) {
        ctalk_slice message = ctalk_error_message(error);
        printf("%s with %s: %u where %u is expected: %.*s\n", function->name, why, (unsigned)code,
               (unsigned)expected, (int)message.len, (const char *)message.data);
        exit(1);
    }
    ctalk_error_free(error);
}

/* Two agents at a relay, and a message in the hand of one of them. */
static void go_online(struct handles *all) {
    char folder[] = "/tmp/ctalk-calls-XXXXXX";
    ctalk_message *message = NULL;
    ctalk_relay *relay = NULL;
    ctalk_stopper *stopper = NULL;
    CHECK(mkdtemp(folder) != NULL);
    OK(ctalk_relay_start(NO_TEXT, &relay, &error));
    ctalk_client *alice = register_agent(relay, folder, "alice");
    ctalk_client *bob = register_agent(relay, folder, "bob");
    say(alice, "bob", "hello");
    ctalk_client_free(alice);
    OK(ctalk_client_next(bob, CTALK_FOREVER, NULL, &message, &error));
    OK(ctalk_stopper_new(&stopper, &error));
    all->client = bob, all->message = message, all->relay = relay, all->stopper = stopper;
    /* What is open stays there. */
    remove_folder(folder);
}

static struct handles make(void) {
    struct handles all = {0};
    ctalk_card *card = NULL;
    ctalk_identity *identity = NULL;
    ctalk_bytes *bytes = NULL;
    ctalk_opened *opened = NULL;
    ctalk_peer *peer = NULL;
    ctalk_error *failure = NULL;
    OK(ctalk_identity_generate(&identity, &error));
    OK(ctalk_identity_card(identity, NO_TEXT, &card, &error));
    OK(ctalk_envelope_seal(identity, (const ctalk_card *const *)&card, 1, (const uint8_t *)"1", 1,
                           TEXT("{\"topic\":\"a\",\"name\":\"b\"}"), &bytes, &error));
    OK(ctalk_envelope_open(identity, card, ctalk_bytes_data(bytes), ctalk_bytes_len(bytes), 0,
                           &opened, &error));
    OK(ctalk_peer_of_card(card, &peer, &error));
    CHECK(ctalk_peer_of_card(NULL, &peer, &failure) == CTALK_NULL_POINTER);
    all.bytes = bytes, all.card = card, all.error = failure;
    all.identity = identity, all.opened = opened, all.peer = peer;
    go_online(&all);
    return all;
}

static void free_all(const struct handles *of) {
#define FREE(name, kind) name(of->kind);
    FUNCTIONS_THAT_FREE(FREE)
}

static void wrong_handles(const struct handles *wrong, uint32_t expected, const char *why) {
    for (size_t i = 0; i < COUNT(with_code); i++) {
        if (with_code[i].takes & HANDLE) {
            fails(&with_code[i], wrong, 1, expected, why);
        }
    }
    for (size_t i = 0; i < COUNT(with_value); i++) {
        if (!with_value[i].is_none(wrong)) {
            printf("%s with %s has an answer\n", with_value[i].name, why);
            exit(1);
        }
    }
    size_t before = ctalk_handle_count();
    free_all(wrong);
    CHECK(ctalk_handle_count() == before);
}

static void every_failure(const struct handles *good) {
    size_t codes = 0;
    /* What panics say. */
    CHECK(freopen("/dev/null", "w", stderr) != NULL);
    for (uint32_t code = 1; code < 1000; code++) {
        if (ctalk_code_class(code) == 0) {
            continue;
        }
        codes++;
        for (size_t i = 0; i < COUNT(with_code); i++) {
            ctalk_fault_next(code);
            fails(&with_code[i], good, 1, code, "a failure on demand");
            /* Without a place for the error. */
            void *out = NULL;
            ctalk_fault_next(code);
            CHECK(with_code[i].call(good, &out, NULL) == code);
        }
        for (size_t i = 0; i < COUNT(with_value); i++) {
            ctalk_fault_next(code);
            CHECK(with_value[i].is_none(good));
        }
    }
    CHECK(codes >= 39);
#define PANIC(name, condition)                                                                     \
    ctalk_fault_next(CTALK_PANIC);                                                                 \
    CHECK(!(condition));
    OTHER_FUNCTIONS(PANIC)
#define FREE_AND_PANIC(name, kind)                                                                 \
    ctalk_fault_next(CTALK_PANIC);                                                                 \
    name(good->kind);
    FUNCTIONS_THAT_FREE(FREE_AND_PANIC)
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "names") == 0) {
#define NAME_3(name, takes, arguments) puts(#name);
#define NAME_2(name, what) puts(#name);
        FUNCTIONS_WITH_CODE(NAME_3)
        FUNCTIONS_WITH_VALUE(NAME_2)
        FUNCTIONS_THAT_FREE(NAME_2)
        OTHER_FUNCTIONS(NAME_2)
        return 0;
    }
    struct handles good = make();
#define CHECK_IT(name, condition) CHECK(condition);
    OTHER_FUNCTIONS(CHECK_IT)

    struct handles null = {0};
    wrong_handles(&null, CTALK_NULL_POINTER, "NULL");
    struct handles other = {good.card,     good.bytes,   good.peer,   good.opened, good.identity,
                            good.error,    good.message, good.client, good.stopper, good.relay};
    wrong_handles(&other, CTALK_WRONG_HANDLE, "a handle of another kind");
    void *nowhere = (void *)(uintptr_t)0xdead0000;
    struct handles garbage = {nowhere, nowhere, nowhere, nowhere, nowhere,
                              nowhere, nowhere, nowhere, nowhere, nowhere};
    wrong_handles(&garbage, CTALK_WRONG_HANDLE, "what was never a handle");
    struct handles freed = make();
    free_all(&freed);
    wrong_handles(&freed, CTALK_WRONG_HANDLE, "a freed handle");

    for (size_t i = 0; i < COUNT(with_code); i++) {
        if (with_code[i].takes & OUT) {
            fails(&with_code[i], &good, 0, CTALK_NULL_POINTER, "no place for its output");
        }
    }
    every_failure(&good);

    free_all(&good);
    CHECK(ctalk_handle_count() == 0);
    puts("ok");
    return 0;
}
