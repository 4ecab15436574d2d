/*
 * The library as programs use it, each function with what it is for and with what it must refuse.
 *
 * `use FOLDER` keeps profiles in a folder that exists and is empty; `use FOLDER quick` leaves out what
 * takes long under a checker of memory.
 */

#include <pthread.h>

#include "check.h"

static int quick;

/* Text or bytes that grow, as a place to read a stream from or to write one to. */
struct memory {
    uint8_t *data;
    size_t length, capacity, at;
    /* After how many calls the callback fails; 0 for never. */
    unsigned fails_after;
};

static uint32_t read_memory(void *user, uint8_t *buffer, size_t capacity, size_t *length) {
    struct memory *memory = user;
    if (memory->fails_after != 0 && --memory->fails_after == 0) {
        return 7;
    }
    size_t left = memory->length - memory->at;
    size_t taken = left < capacity ? left : capacity;
    if (taken > 10000) {
        taken = 10000;
    }
    memcpy(buffer, memory->data + memory->at, taken);
    memory->at += taken;
    *length = taken;
    return 0;
}

static uint32_t read_too_much(void *user, uint8_t *buffer, size_t capacity, size_t *length) {
    (void)user, (void)buffer;
    *length = capacity + 1;
    return 0;
}

static uint32_t read_without_a_length(void *user, uint8_t *buffer, size_t capacity, size_t *length) {
    (void)user, (void)buffer, (void)capacity, (void)length;
    return 0;
}

static uint32_t write_memory(void *user, const uint8_t *data, size_t length) {
    struct memory *memory = user;
    if (memory->fails_after != 0 && --memory->fails_after == 0) {
        return 7;
    }
    if (memory->length + length > memory->capacity) {
        memory->capacity = 2 * (memory->length + length);
        memory->data = realloc(memory->data, memory->capacity);
        CHECK(memory->data != NULL);
    }
    memcpy(memory->data + memory->length, data, length);
    memory->length += length;
    return 0;
}

static const uint8_t HELLO[] = {'h', 'e', 'l', 'l', 'o'};

struct people {
    ctalk_identity *alice, *bob;
    ctalk_card *alices, *bobs;
};

static ctalk_bytes *sealed(const struct people *people, const char *options) {
    ctalk_bytes *envelope = NULL;
    const ctalk_card *recipients[] = {people->bobs};
    OK(ctalk_envelope_seal(people->alice, recipients, 1, HELLO, sizeof HELLO, options,
                           options == NULL ? 0 : strlen(options), &envelope, &error));
    return envelope;
}

static void identities(const struct people *people) {
    CHECK(ctalk_identity_fingerprint(people->alice).len == 64);
    ctalk_bytes *json = NULL, *seeds = NULL;
    OK(ctalk_identity_export(people->alice, &json, &seeds, &error));
    CHECK(contains(all(json), "signingPrivateKey"));
    CHECK(ctalk_bytes_len(seeds) == 32);

    ctalk_identity *again = NULL;
    const char *text = (const char *)ctalk_bytes_data(json);
    OK(ctalk_identity_import(text, ctalk_bytes_len(json), ctalk_bytes_data(seeds), 32, &again,
                             &error));
    ctalk_slice was = ctalk_identity_fingerprint(people->alice);
    ctalk_slice is = ctalk_identity_fingerprint(again);
    CHECK(was.len == is.len && memcmp(was.data, is.data, is.len) == 0);
    ctalk_identity_free(again);

    /* Only the lasting keys: it can send and not receive. */
    ctalk_card *card = NULL;
    OK(ctalk_identity_import(text, ctalk_bytes_len(json), NULL, 0, &again, &error));
    FAILS(CTALK_BAD_KEYS, ctalk_identity_card(again, NO_TEXT, &card, &error));
    ctalk_identity_free(again);

    FAILS(CTALK_BAD_KEYS, ctalk_identity_import(text, ctalk_bytes_len(json),
                                                ctalk_bytes_data(seeds), 31, &again, &error));
    FAILS(CTALK_BAD_KEYS, ctalk_identity_import(TEXT("{}"), NULL, 0, &again, &error));
    FAILS(CTALK_NOT_UTF8, ctalk_identity_import(TEXT("\xff"), NULL, 0, &again, &error));
    FAILS(CTALK_TOO_LONG, ctalk_identity_import(text, SIZE_MAX, NULL, 0, &again, &error));
    FAILS(CTALK_NULL_POINTER, ctalk_identity_import(NULL, 1, NULL, 0, &again, &error));
    ctalk_bytes_free(json);
    ctalk_bytes_free(seeds);
}

static void cards(const struct people *people) {
    CHECK(same(ctalk_card_name(people->bobs), "bob"));
    CHECK(ctalk_card_serial(people->bobs) == 3);
    CHECK(ctalk_card_created(people->bobs) == 1700000000000);
    CHECK(ctalk_card_expires(people->bobs) == 9000000000000);
    CHECK(same(ctalk_card_address(people->bobs, 1), "https://b.example"));
    CHECK(none(ctalk_card_address(people->bobs, 2)));
    CHECK(ctalk_card_signing_key(people->bobs).len == 32);
    CHECK(ctalk_card_encryption_key(people->bobs).len == 32);
    CHECK(ctalk_card_xwing_key(people->bobs).len == 1216);

    ctalk_slice text = ctalk_card_text(people->bobs), data = ctalk_card_data(people->bobs);
    ctalk_card *card = NULL;
    OK(ctalk_card_from_text((const char *)text.data, text.len, &card, &error));
    OK(ctalk_card_check_current(card, 1700000000000, &error));
    FAILS(CTALK_CARD_NOT_CURRENT, ctalk_card_check_current(card, 9000000000001, &error));
    FAILS(CTALK_BAD_ARGUMENT, ctalk_card_check_current(card, UINT64_MAX, &error));
    ctalk_card_free(card);
    OK(ctalk_card_from_bytes(data.data, data.len, &card, &error));
    ctalk_bytes *json = NULL;
    OK(ctalk_card_json(card, &json, &error));
    CHECK(contains(all(json), "\"name\":\"bob\""));
    ctalk_bytes_free(json);
    ctalk_card_free(card);

    FAILS(CTALK_MALFORMED, ctalk_card_from_bytes(data.data, data.len - 1, &card, &error));
    FAILS(CTALK_MALFORMED, ctalk_card_from_bytes(NULL, 0, &card, &error));
    FAILS(CTALK_MALFORMED, ctalk_card_from_text(TEXT("ctalk-card:"), &card, &error));
    uint8_t *altered = malloc(data.len);
    CHECK(altered != NULL);
    memcpy(altered, data.data, data.len);
    altered[data.len - 1] ^= 1;
    FAILS(CTALK_NOT_VERIFIED, ctalk_card_from_bytes(altered, data.len, &card, &error));
    free(altered);

    FAILS(CTALK_BAD_OPTIONS, ctalk_identity_card(people->bob, TEXT("{\"nam\":\"bob\"}"), &card, &error));
    FAILS(CTALK_BAD_OPTIONS, ctalk_identity_card(people->bob, TEXT("[]"), &card, &error));
    FAILS(CTALK_BAD_OPTIONS, ctalk_identity_card(people->bob, TEXT("{"), &card, &error));
    FAILS(CTALK_MALFORMED, ctalk_identity_card(people->bob, TEXT("{\"name\":\"\"}"), &card, &error));
}

static void envelopes(const struct people *people) {
    ctalk_bytes *envelope = sealed(people,
        "{\"type\":\"request\",\"topic\":\"greeting\",\"correlationId\":\"\",\"receipt\":true,"
        "\"contentType\":\"text/plain\",\"created\":1700000000000,\"ttl\":60}");
    ctalk_slice bytes = all(envelope);
    uint64_t now = 1700000000001;
    ctalk_opened *opened = NULL;
    OK(ctalk_envelope_open(people->bob, people->alices, bytes.data, bytes.len, now, &opened, &error));
    CHECK(same(ctalk_opened_payload(opened), "hello"));
    CHECK(same(ctalk_opened_type(opened), "request"));
    CHECK(same(ctalk_opened_topic(opened), "greeting"));
    CHECK(same(ctalk_opened_correlation_id(opened), ""));
    CHECK(none(ctalk_opened_reply_to(opened)));
    CHECK(none(ctalk_opened_name(opened)));
    CHECK(same(ctalk_opened_content_type(opened), "text/plain"));
    CHECK(ctalk_opened_wants_receipt(opened) == 1);
    CHECK(ctalk_opened_created(opened) == 1700000000000);
    CHECK(ctalk_opened_expires(opened) == 1700000060000);
    CHECK(ctalk_opened_recipients(opened) == 1);
    CHECK(ctalk_opened_digest(opened).len == 32);
    CHECK(ctalk_opened_id(opened).len == 32);
    CHECK(contains(ctalk_opened_json(opened), "\"trust\":\"named\""));
    ctalk_slice sender = ctalk_opened_fingerprint(opened);
    CHECK(memcmp(sender.data, ctalk_identity_fingerprint(people->alice).data, 64) == 0);
    ctalk_card *card = people->alices;
    OK(ctalk_opened_card(opened, &card, &error));
    CHECK(card == NULL);
    ctalk_opened_free(opened);

    const struct people *p = people;
    FAILS(CTALK_NOT_TRUSTED,
          ctalk_envelope_open(p->bob, p->bobs, bytes.data, bytes.len, now, &opened, &error));
    FAILS(CTALK_NOT_FOR_ME,
          ctalk_envelope_open(p->alice, NULL, bytes.data, bytes.len, now, &opened, &error));
    FAILS(CTALK_EXPIRED,
          ctalk_envelope_open(p->bob, NULL, bytes.data, bytes.len, 0, &opened, &error));
    FAILS(CTALK_MALFORMED,
          ctalk_envelope_open(p->bob, NULL, bytes.data, bytes.len - 1000, now, &opened, &error));
    FAILS(CTALK_MALFORMED, ctalk_envelope_open(p->bob, NULL, NULL, 0, now, &opened, &error));
    FAILS(CTALK_TOO_LONG,
          ctalk_envelope_open(p->bob, NULL, bytes.data, SIZE_MAX, now, &opened, &error));
    uint8_t *altered = malloc(bytes.len);
    CHECK(altered != NULL);
    memcpy(altered, bytes.data, bytes.len);
    altered[bytes.len - 1] ^= 1;
    ctalk_bytes *json = NULL;
    FAILS(CTALK_NOT_VERIFIED,
          ctalk_envelope_open(p->bob, NULL, altered, bytes.len, now, &opened, &error));
    FAILS(CTALK_NOT_VERIFIED, ctalk_envelope_verify(altered, bytes.len, &json, &error));
    free(altered);

    OK(ctalk_envelope_verify(bytes.data, bytes.len, &json, &error));
    CHECK(contains(all(json), "\"recipients\":1"));
    ctalk_bytes_free(json);
    OK(ctalk_envelope_inspect(bytes.data, bytes.len, &json, &error));
    CHECK(contains(all(json), "\"form\":\"bytes\""));
    ctalk_bytes_free(json);
    ctalk_bytes_free(envelope);

    /* In text, with the sender's card, and now. */
    char options[8192];
    ctalk_slice text = ctalk_card_text(p->alices);
    snprintf(options, sizeof options, "{\"armor\":true,\"card\":\"%.*s\"}", (int)text.len,
             (const char *)text.data);
    envelope = sealed(people, options);
    bytes = all(envelope);
    CHECK(memcmp(bytes.data, "ctalk2:", 7) == 0);
    OK(ctalk_envelope_open(p->bob, NULL, bytes.data, bytes.len, 0, &opened, &error));
    CHECK(contains(ctalk_opened_json(opened), "\"trust\":\"unknown\""));
    OK(ctalk_opened_card(opened, &card, &error));
    CHECK(same(ctalk_card_name(card), "alice"));
    ctalk_card_free(card);
    ctalk_opened_free(opened);
    ctalk_bytes_free(envelope);

    /* Nothing at all is a payload too. */
    const ctalk_card *both[] = {p->bobs, p->alices}, *twice[] = {p->bobs, p->bobs};
    OK(ctalk_envelope_seal(p->alice, both, 2, NULL, 0, NO_TEXT, &envelope, &error));
    bytes = all(envelope);
    OK(ctalk_envelope_open(p->alice, p->alices, bytes.data, bytes.len, 0, &opened, &error));
    CHECK(same(ctalk_opened_payload(opened), ""));
    ctalk_opened_free(opened);
    ctalk_bytes_free(envelope);

    FAILS(CTALK_BAD_RECIPIENTS,
          ctalk_envelope_seal(p->alice, twice, 2, NULL, 0, NO_TEXT, &envelope, &error));
    FAILS(CTALK_BAD_RECIPIENTS,
          ctalk_envelope_seal(p->alice, NULL, 0, NULL, 0, NO_TEXT, &envelope, &error));
    FAILS(CTALK_TOO_LONG,
          ctalk_envelope_seal(p->alice, both, SIZE_MAX, NULL, 0, NO_TEXT, &envelope, &error));
    FAILS(CTALK_CARD_NOT_CURRENT,
          ctalk_envelope_seal(p->alice, both, 1, NULL, 0, TEXT("{\"created\":1}"), &envelope, &error));
    FAILS(CTALK_BAD_LIFE,
          ctalk_envelope_seal(p->alice, both, 1, NULL, 0, TEXT("{\"ttl\":9999999}"), &envelope, &error));
    FAILS(CTALK_BAD_LIFE,
          ctalk_envelope_seal(p->alice, both, 1, NULL, 0, TEXT("{\"ttl\":0}"), &envelope, &error));
    FAILS(CTALK_BAD_OPTIONS,
          ctalk_envelope_seal(p->alice, both, 1, NULL, 0, TEXT("{\"type\":\"card\"}"), &envelope, &error));
    FAILS(CTALK_MALFORMED,
          ctalk_envelope_seal(p->alice, both, 1, NULL, 0, TEXT("{\"contentType\":\"\"}"), &envelope, &error));
}

static void streams(const struct people *people) {
    struct memory plain = {0}, envelope = {0}, opened = {0};
    const ctalk_card *recipients[] = {people->bobs};
    plain.length = quick ? 100000 : 5000000;
    plain.data = malloc(plain.length);
    CHECK(plain.data != NULL);
    for (size_t i = 0; i < plain.length; i++) {
        plain.data[i] = (uint8_t)(i * 7);
    }
    ctalk_bytes *json = NULL;
    OK(ctalk_envelope_seal_stream(people->alice, recipients, 1, NO_TEXT, read_memory, &plain,
                                  write_memory, &envelope, &json, &error));
    CHECK(contains(all(json), "\"recipients\":1"));
    ctalk_bytes_free(json);

    OK(ctalk_envelope_open_stream(people->bob, people->alices, 0, read_memory, &envelope,
                                  write_memory, &opened, &json, &error));
    CHECK(contains(all(json), "\"trust\":\"named\""));
    ctalk_bytes_free(json);
    CHECK(opened.length == plain.length && memcmp(opened.data, plain.data, plain.length) == 0);

    envelope.at = 0;
    OK(ctalk_envelope_verify_stream(read_memory, &envelope, &json, &error));
    ctalk_bytes_free(json);
    envelope.at = 0;
    OK(ctalk_envelope_inspect_stream(read_memory, &envelope, &json, &error));
    CHECK(contains(all(json), quick ? "\"segments\":1" : "\"segments\":5"));
    ctalk_bytes_free(json);

    /* In memory it is the same envelope. */
    ctalk_opened *whole = NULL;
    OK(ctalk_envelope_open(people->bob, NULL, envelope.data, envelope.length, 0, &whole, &error));
    CHECK(ctalk_opened_payload(whole).len == plain.length);
    ctalk_opened_free(whole);

    /* What is cut off ends in an error, and what was written is the beginning. */
    opened.length = envelope.at = 0;
    envelope.length -= 1;
    FAILS(CTALK_NOT_VERIFIED,
          ctalk_envelope_open_stream(people->bob, NULL, 0, read_memory, &envelope, write_memory,
                                     &opened, NULL, &error));
    CHECK(opened.length < plain.length && memcmp(opened.data, plain.data, opened.length) == 0);
    envelope.length += 1;

    /* Callbacks that fail, lie or are missing. */
    envelope.at = 0, envelope.fails_after = 5;
    FAILS(CTALK_READ_FAILED,
          ctalk_envelope_open_stream(people->bob, NULL, 0, read_memory, &envelope, write_memory,
                                     &opened, NULL, &error));
    envelope.at = 0, envelope.fails_after = 5;
    FAILS(CTALK_READ_FAILED, ctalk_envelope_verify_stream(read_memory, &envelope, &json, &error));
    envelope.at = 0, envelope.fails_after = 0, opened.fails_after = 1;
    FAILS(CTALK_WRITE_FAILED,
          ctalk_envelope_open_stream(people->bob, NULL, 0, read_memory, &envelope, write_memory,
                                     &opened, NULL, &error));
    FAILS(CTALK_READ_FAILED,
          ctalk_envelope_seal_stream(people->alice, recipients, 1, NO_TEXT, read_too_much, NULL,
                                     write_memory, &opened, NULL, &error));
    FAILS(CTALK_READ_FAILED, ctalk_envelope_inspect_stream(read_too_much, NULL, &json, &error));
    FAILS(CTALK_READ_FAILED,
          ctalk_envelope_seal_stream(people->alice, recipients, 1, NO_TEXT, read_without_a_length,
                                     NULL, write_memory, &envelope, NULL, &error));
    FAILS(CTALK_NULL_POINTER, ctalk_envelope_inspect_stream(NULL, NULL, &json, &error));
    FAILS(CTALK_NULL_POINTER,
          ctalk_envelope_open_stream(people->bob, NULL, 0, read_memory, &envelope, NULL, NULL, NULL,
                                     &error));
    free(plain.data);
    free(envelope.data);
    free(opened.data);
}

static void classic(const struct people *people) {
    ctalk_peer *alice = NULL, *bob = NULL;
    OK(ctalk_peer_of_card(people->alices, &alice, &error));
    OK(ctalk_peer_of_card(people->bobs, &bob, &error));
    CHECK(ctalk_peer_fingerprint(bob).len == 64);
    ctalk_bytes *parts = NULL, *payload = NULL, *claims = NULL;
    OK(ctalk_classic_seal(people->alice, bob, (const uint8_t *)"[1]", 3,
                          TEXT("{\"to\":\"bob\",\"type\":\"request\"}"), &parts, &error));

    /* As a relay lists it. */
    char message[1024];
    ctalk_slice json = all(parts);
    CHECK(json.data[0] == '{');
    snprintf(message, sizeof message,
             "{\"id\":\"1\",\"from\":\"alice\",\"to\":\"bob\",\"type\":\"request\",\"encrypted\":true,%.*s",
             (int)json.len - 1, (const char *)json.data + 1);
    const uint8_t *bytes = (const uint8_t *)message;
    OK(ctalk_classic_open(people->bob, alice, bytes, strlen(message), &payload, &claims, &error));
    CHECK(same(all(payload), "[1]"));
    CHECK(contains(all(claims), "\"from\":\"alice\""));
    ctalk_bytes_free(payload);
    ctalk_bytes_free(claims);
    FAILS(CTALK_NOT_VERIFIED, ctalk_classic_open(people->bob, bob, bytes, strlen(message), &payload,
                                                 NULL, &error));
    FAILS(CTALK_CANNOT_OPEN, ctalk_classic_open(people->alice, alice, bytes, strlen(message),
                                                &payload, NULL, &error));
    FAILS(CTALK_BAD_ARGUMENT, ctalk_classic_open_unsigned(people->bob, alice, bytes,
                                                          strlen(message), &payload, NULL, &error));
    static const char plain[] =
        "{\"from\":\"alice\",\"to\":\"bob\",\"type\":\"request\",\"payload\":2}";
    FAILS(CTALK_NOT_SIGNED, ctalk_classic_open(people->bob, alice, (const uint8_t *)plain,
                                               strlen(plain), &payload, NULL, &error));
    OK(ctalk_classic_open_unsigned(people->bob, alice, (const uint8_t *)plain, strlen(plain),
                                   &payload, NULL, &error));
    CHECK(same(all(payload), "2"));
    ctalk_bytes_free(payload);
    FAILS(CTALK_MALFORMED, ctalk_classic_open(people->bob, alice, NULL, 0, &payload, NULL, &error));

    FAILS(CTALK_MALFORMED, ctalk_classic_seal(people->alice, bob, (const uint8_t *)"[", 1,
                                              TEXT("{\"to\":\"bob\"}"), &payload, &error));
    FAILS(CTALK_BAD_OPTIONS, ctalk_classic_seal(people->alice, bob, (const uint8_t *)"1", 1, NO_TEXT,
                                                &payload, &error));
    size_t length = 60000;
    uint8_t *digits = malloc(length);
    CHECK(digits != NULL);
    memset(digits, '1', length);
    digits[0] = digits[length - 1] = '"';
    FAILS(CTALK_TOO_LONG, ctalk_classic_seal(people->alice, bob, digits, length,
                                             TEXT("{\"to\":\"bob\"}"), &payload, &error));
    free(digits);
    ctalk_peer *none_at_all = NULL;
    FAILS(CTALK_BAD_KEYS, ctalk_peer_new(TEXT("AAAA"), TEXT("AAAA"), &none_at_all, &error));
    ctalk_bytes_free(parts);
    ctalk_peer_free(alice);
    ctalk_peer_free(bob);
}

static void profiles(const struct people *people, const char *folder) {
    char path[4096];
    int length = snprintf(path, sizeof path, "%s/plain", folder);
    CHECK(length > 0 && (size_t)length < sizeof path - 16);
    size_t path_len = (size_t)length;
    OK(ctalk_identity_save(people->bob, path, path_len, TEXT("bob"), TEXT("plain"), NO_TEXT, &error));
    FAILS(CTALK_PROFILE_EXISTS, ctalk_identity_save(people->bob, path, path_len, TEXT("bob"),
                                                    TEXT("plain"), NO_TEXT, &error));
    ctalk_identity *bob = NULL;
    OK(ctalk_identity_load(path, path_len, NO_TEXT, &bob, &error));
    CHECK(memcmp(ctalk_identity_fingerprint(bob).data,
                 ctalk_identity_fingerprint(people->bob).data, 64) == 0);
    /* Its keys are the same too, and it has its card from the profile. */
    ctalk_bytes *envelope = sealed(people, NULL);
    ctalk_opened *opened = NULL;
    OK(ctalk_envelope_open(bob, people->alices, ctalk_bytes_data(envelope),
                           ctalk_bytes_len(envelope), 0, &opened, &error));
    ctalk_opened_free(opened);
    ctalk_bytes_free(envelope);
    ctalk_card *card = NULL;
    OK(ctalk_identity_card(bob, NO_TEXT, &card, &error));
    CHECK(same(ctalk_card_name(card), "bob"));
    ctalk_card_free(card);
    FAILS(CTALK_BAD_OPTIONS, ctalk_identity_card(bob, TEXT("{\"name\":\"b\"}"), &card, &error));
    ctalk_identity_free(bob);

    FAILS(CTALK_BAD_ARGUMENT, ctalk_identity_save(people->bob, TEXT("/nowhere"), TEXT("!"),
                                                  TEXT("plain"), NO_TEXT, &error));
    FAILS(CTALK_NO_PROFILE, ctalk_identity_load(TEXT("/nowhere"), NO_TEXT, &bob, &error));
    memcpy(path + path_len, "-new", 5);
    FAILS(CTALK_BAD_ARGUMENT, ctalk_identity_save(people->bob, path, path_len + 4, TEXT("bob"),
                                                  TEXT("paper"), NO_TEXT, &error));
    FAILS(CTALK_BAD_PASSPHRASE, ctalk_identity_save(people->bob, path, path_len + 4, TEXT("bob"),
                                                    TEXT("file"), NO_TEXT, &error));
    FAILS(CTALK_BAD_PASSPHRASE, ctalk_identity_save(people->bob, path, path_len + 4, TEXT("bob"),
                                                    TEXT("file"), TEXT(""), &error));
    if (quick) {
        return;
    }
    OK(ctalk_identity_save(people->bob, path, path_len + 4, TEXT("bob"), TEXT("file"),
                           TEXT("secret"), &error));
    FAILS(CTALK_BAD_PASSPHRASE,
          ctalk_identity_load(path, path_len + 4, TEXT("wrong"), &bob, &error));
    FAILS(CTALK_BAD_PASSPHRASE, ctalk_identity_load(path, path_len + 4, NO_TEXT, &bob, &error));
    OK(ctalk_identity_load(path, path_len + 4, TEXT("secret"), &bob, &error));
    ctalk_identity_free(bob);
}

/* What is known of identities by their fingerprints. */
static void trust(const struct people *people) {
    ctalk_slice alice = ctalk_card_fingerprint(people->alices);
    ctalk_slice bob = ctalk_card_fingerprint(people->bobs);
    const char *alices = (const char *)alice.data, *bobs = (const char *)bob.data;
    ctalk_bytes *one = NULL, *other = NULL;
    OK(ctalk_safety_number(alices, alice.len, bobs, bob.len, &one, &error));
    OK(ctalk_safety_number(bobs, bob.len, alices, alice.len, &other, &error));
    CHECK(contains(all(one), "\"safetyNumber\":\"") && contains(all(one), "ctalk-safety:"));
    CHECK(all(one).len == all(other).len && memcmp(all(one).data, all(other).data, all(one).len) == 0);
    ctalk_bytes_free(one);
    ctalk_bytes_free(other);
    FAILS(CTALK_BAD_ARGUMENT, ctalk_safety_number(alices, 63, bobs, bob.len, &one, &error));
    FAILS(CTALK_BAD_ARGUMENT, ctalk_safety_number(alices, alice.len, NO_TEXT, &one, &error));
    FAILS(CTALK_NOT_UTF8, ctalk_safety_number(TEXT("\xff"), bobs, bob.len, &one, &error));
    FAILS(CTALK_TOO_LONG, ctalk_safety_number(alices, SIZE_MAX, bobs, bob.len, &one, &error));

    FAILS(CTALK_MALFORMED, ctalk_statement_verify(TEXT("ctalk-succession:"), &one, &error));
    FAILS(CTALK_MALFORMED, ctalk_statement_verify(TEXT("ctalk-card:"), &one, &error));
    FAILS(CTALK_NOT_UTF8, ctalk_statement_verify(TEXT("\xff"), &one, &error));
    FAILS(CTALK_NULL_POINTER, ctalk_statement_verify(NULL, 1, &one, &error));
    FAILS(CTALK_TOO_LONG, ctalk_statement_verify("ctalk", SIZE_MAX, &one, &error));
}

static void receipts(void) {
    static const char payload[] =
        "{\"outcome\":\"failed\",\"attempt\":8,\"digest\":"
        "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}";
    static const char id[] = "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5";
    const uint8_t *data = (const uint8_t *)payload;
    ctalk_bytes *json = NULL;
    OK(ctalk_receipt_read(data, strlen(payload), TEXT("application/json"), TEXT(id), &json, &error));
    CHECK(contains(all(json), "\"outcome\":\"failed\",\"attempt\":8"));
    CHECK(contains(all(json), id));
    ctalk_bytes_free(json);
    FAILS(CTALK_MALFORMED, ctalk_receipt_read(data, strlen(payload), TEXT("application/json"),
                                              NO_TEXT, &json, &error));
    FAILS(CTALK_MALFORMED,
          ctalk_receipt_read(NULL, 0, TEXT("application/json"), TEXT(id), &json, &error));
    FAILS(CTALK_MALFORMED,
          ctalk_receipt_read(data, strlen(payload), NO_TEXT, TEXT(id), &json, &error));
    FAILS(CTALK_NOT_UTF8, ctalk_receipt_read(data, strlen(payload), TEXT("application/json"),
                                             TEXT("\xff"), &json, &error));
    FAILS(CTALK_TOO_LONG, ctalk_receipt_read(data, SIZE_MAX, TEXT("application/json"), TEXT(id),
                                             &json, &error));
}

static void freeing(void) {
    ctalk_identity *identity = NULL;
    ctalk_card *card = NULL;
    OK(ctalk_identity_generate(&identity, &error));
    size_t before = ctalk_handle_count();
    ctalk_card_free((ctalk_card *)identity);
    CHECK(ctalk_handle_count() == before);
    ctalk_identity_free(identity);
    ctalk_identity_free(identity);
    CHECK(ctalk_handle_count() == before - 1);
    FAILS(CTALK_WRONG_HANDLE, ctalk_identity_card(identity, NO_TEXT, &card, &error));
    CHECK(none(ctalk_identity_fingerprint(identity)));
}

/* Threads that share all handles, and free some of each other's. */
struct shared {
    const struct people *people;
    ctalk_bytes *envelope;
    ctalk_identity *passing;
};

static void *work(void *user) {
    const struct shared *shared = user;
    const struct people *people = shared->people;
    for (int i = 0; i < (quick ? 2 : 20); i++) {
        ctalk_bytes *envelope = sealed(people, NULL);
        ctalk_opened *opened = NULL;
        OK(ctalk_envelope_open(people->bob, people->alices, ctalk_bytes_data(envelope),
                               ctalk_bytes_len(envelope), 0, &opened, &error));
        CHECK(same(ctalk_opened_payload(opened), "hello"));
        ctalk_opened_free(opened);
        ctalk_bytes_free(envelope);

        OK(ctalk_envelope_open(people->bob, people->alices, ctalk_bytes_data(shared->envelope),
                               ctalk_bytes_len(shared->envelope), 0, &opened, &error));
        ctalk_opened_free(opened);

        /* It is there, or somebody freed it; there is nothing in between. */
        ctalk_card *card = NULL;
        ctalk_error *error = NULL;
        ctalk_code code = ctalk_identity_card(shared->passing, NO_TEXT, &card, &error);
        CHECK(code == CTALK_OK || code == CTALK_WRONG_HANDLE);
        ctalk_card_free(card);
        ctalk_error_free(error);
        if (i == 1) {
            ctalk_identity_free(shared->passing);
        }
    }
    return NULL;
}

static void threads(const struct people *people) {
    struct shared shared = {people, sealed(people, NULL), NULL};
    OK(ctalk_identity_generate(&shared.passing, &error));
    pthread_t running[4];
    const size_t count = quick ? 2 : 4;
    for (size_t i = 0; i < count; i++) {
        CHECK(pthread_create(&running[i], NULL, work, &shared) == 0);
    }
    for (size_t i = 0; i < count; i++) {
        CHECK(pthread_join(running[i], NULL) == 0);
    }
    ctalk_bytes_free(shared.envelope);
}

int main(int argc, char **argv) {
    CHECK(argc >= 2);
    quick = argc > 2;
    CHECK(ctalk_abi_version() == CTALK_ABI_VERSION);
    CHECK(contains(ctalk_version(), "."));

    struct people people = {0};
    OK(ctalk_identity_generate(&people.alice, &error));
    OK(ctalk_identity_generate(&people.bob, &error));
    OK(ctalk_identity_card(people.alice, TEXT("{\"name\":\"alice\"}"), &people.alices, &error));
    OK(ctalk_identity_card(people.bob,
                           TEXT("{\"name\":\"bob\",\"serial\":3,\"created\":1700000000000,"
                                "\"expires\":9000000000000,"
                                "\"addresses\":[\"https://a.example\",\"https://b.example\"]}"),
                           &people.bobs, &error));
    identities(&people);
    cards(&people);
    envelopes(&people);
    streams(&people);
    classic(&people);
    trust(&people);
    receipts();
    profiles(&people, argv[1]);
    threads(&people);
    freeing();

    ctalk_identity_free(people.alice);
    ctalk_identity_free(people.bob);
    ctalk_card_free(people.alices);
    ctalk_card_free(people.bobs);
    CHECK(ctalk_handle_count() == 0);
    puts("ok");
    return 0;
}
