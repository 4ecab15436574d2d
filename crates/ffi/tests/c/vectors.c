/*
 * Reads vectors from stdin and says what the library makes of each: one line in, one line out.
 *
 * A line has fields between tabs, all in hex digits: what is to be read, and then
 *
 *   card, text-card   the input
 *   envelope          the input; the time in decimal digits; keys (JSON) and X-Wing seeds of the reader,
 *                     empty where nobody opens it
 *   classic           the message; the keys (JSON) of the recipient; public and signing key of the sender
 *   safety            both fingerprints
 *   statement         the text
 *   receipt           the payload; the content type; what it answers, if there is a fourth field
 *   xwing             a seed; what is read is its public key
 *
 * The answer is the code in decimal digits and, where that is 0, what was read, in hex digits between
 * tabs, `-` for what is absent.
 */

#include "check.h"

#define MAX_FIELDS 8

struct field {
    uint8_t *data;
    size_t len;
};

static uint8_t digit(char c) {
    CHECK((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* Decodes a field in place. */
static struct field decode(char *hex, size_t length) {
    struct field field = {(uint8_t *)hex, length / 2};
    for (size_t i = 0; i < field.len; i++) {
        field.data[i] = (uint8_t)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
    }
    return field;
}

static void print(ctalk_slice slice) {
    putchar('\t');
    if (slice.data == NULL) {
        putchar('-');
    }
    for (size_t i = 0; i < slice.len; i++) {
        printf("%02x", slice.data[i]);
    }
}

static void print_number(uint64_t number) { printf("\t%llu", (unsigned long long)number); }

static void read_card(ctalk_code code, ctalk_card *card) {
    printf("%u", (unsigned)code);
    if (code == CTALK_OK) {
        print(ctalk_card_fingerprint(card));
        print(ctalk_card_name(card));
        print_number(ctalk_card_serial(card));
        print_number(ctalk_card_created(card));
        print_number(ctalk_card_expires(card));
        print(ctalk_card_signing_key(card));
        print(ctalk_card_encryption_key(card));
        print(ctalk_card_xwing_key(card));
        for (size_t i = 0; !none(ctalk_card_address(card, i)); i++) {
            print(ctalk_card_address(card, i));
        }
        ctalk_card_free(card);
    }
}

static void read_envelope(const struct field *fields) {
    if (fields[3].len == 0) {
        ctalk_bytes *json = NULL;
        printf("%u", (unsigned)ctalk_envelope_verify(fields[1].data, fields[1].len, &json, NULL));
        ctalk_bytes_free(json);
        return;
    }
    ctalk_identity *identity = NULL;
    OK(ctalk_identity_import((const char *)fields[3].data, fields[3].len, fields[4].data,
                             fields[4].len, &identity, &error));
    char now[24] = {0};
    CHECK(fields[2].len < sizeof now);
    memcpy(now, fields[2].data, fields[2].len);
    ctalk_opened *opened = NULL;
    ctalk_code code = ctalk_envelope_open(identity, NULL, fields[1].data, fields[1].len,
                                          strtoull(now, NULL, 10), &opened, NULL);
    printf("%u", (unsigned)code);
    if (code == CTALK_OK) {
        ctalk_card *card = NULL;
        OK(ctalk_opened_card(opened, &card, &error));
        print(ctalk_opened_sender(opened));
        print(ctalk_opened_id(opened));
        print_number(ctalk_opened_created(opened));
        print_number(ctalk_opened_expires(opened));
        print_number(ctalk_opened_recipients(opened));
        print(ctalk_opened_digest(opened));
        print(ctalk_opened_type(opened));
        print_number(ctalk_opened_wants_receipt(opened));
        print(ctalk_opened_topic(opened));
        print(ctalk_opened_correlation_id(opened));
        print(ctalk_opened_reply_to(opened));
        print(ctalk_opened_content_type(opened));
        print(ctalk_opened_name(opened));
        print(ctalk_card_text(card));
        print(ctalk_opened_payload(opened));
        ctalk_card_free(card);
        ctalk_opened_free(opened);
    }
    ctalk_identity_free(identity);
}

static void read_classic(const struct field *fields) {
    ctalk_identity *identity = NULL;
    ctalk_peer *peer = NULL;
    OK(ctalk_identity_import((const char *)fields[2].data, fields[2].len, NULL, 0, &identity,
                             &error));
    OK(ctalk_peer_new((const char *)fields[3].data, fields[3].len, (const char *)fields[4].data,
                      fields[4].len, &peer, &error));
    ctalk_bytes *payload = NULL;
    const char *how = "opened";
    ctalk_code code =
        ctalk_classic_open(identity, peer, fields[1].data, fields[1].len, &payload, NULL, NULL);
    if (code == CTALK_NOT_SIGNED) {
        how = "unauthenticated";
        code = ctalk_classic_open_unsigned(identity, peer, fields[1].data, fields[1].len, &payload,
                                           NULL, NULL);
    }
    printf("%u", (unsigned)code);
    if (code == CTALK_OK) {
        printf("\t%s", how);
        print(all(payload));
        ctalk_bytes_free(payload);
    }
    ctalk_peer_free(peer);
    ctalk_identity_free(identity);
}

/* With any other keys, which have nothing to do with it. */
static void read_xwing(const struct field *fields) {
    ctalk_identity *any = NULL, *identity = NULL;
    ctalk_bytes *keys = NULL;
    ctalk_card *card = NULL;
    OK(ctalk_identity_generate(&any, &error));
    OK(ctalk_identity_export(any, &keys, NULL, &error));
    OK(ctalk_identity_import((const char *)ctalk_bytes_data(keys), ctalk_bytes_len(keys),
                             fields[1].data, fields[1].len, &identity, &error));
    OK(ctalk_identity_card(identity, NO_TEXT, &card, &error));
    printf("%u", (unsigned)CTALK_OK);
    print(ctalk_card_xwing_key(card));
    ctalk_card_free(card);
    ctalk_identity_free(identity);
    ctalk_bytes_free(keys);
    ctalk_identity_free(any);
}

/* What was read is JSON. */
static void print_json(ctalk_code code, ctalk_bytes *json) {
    printf("%u", (unsigned)code);
    if (code == CTALK_OK) {
        print(all(json));
        ctalk_bytes_free(json);
    }
}

/* Whether this is one of the kinds whose answer is JSON, which it prints then. */
static int read_json(ctalk_slice kind, const struct field *fields, size_t count) {
    ctalk_bytes *json = NULL;
    ctalk_code code;
    const char *one = (const char *)fields[1].data, *two = (const char *)fields[2].data;
    if (same(kind, "safety")) {
        code = ctalk_safety_number(one, fields[1].len, two, fields[2].len, &json, NULL);
    } else if (same(kind, "statement")) {
        code = ctalk_statement_verify(one, fields[1].len, &json, NULL);
    } else if (same(kind, "receipt")) {
        const char *reply_to = count > 3 ? (const char *)fields[3].data : NULL;
        code = ctalk_receipt_read(fields[1].data, fields[1].len, two, fields[2].len, reply_to,
                                  fields[3].len, &json, NULL);
    } else {
        return 0;
    }
    print_json(code, json);
    return 1;
}

int main(void) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while ((length = getline(&line, &capacity, stdin)) > 0) {
        struct field fields[MAX_FIELDS] = {{NULL, 0}};
        size_t count = 0;
        for (char *at = line, *end = line + length; at < end && count < MAX_FIELDS; count++) {
            size_t field_length = strcspn(at, "\t\n");
            fields[count] = decode(at, field_length);
            at += field_length + 1;
        }
        CHECK(count >= 2);
        ctalk_slice kind = {fields[0].data, fields[0].len};
        ctalk_card *card = NULL;
        if (same(kind, "card")) {
            ctalk_code code = ctalk_card_from_bytes(fields[1].data, fields[1].len, &card, NULL);
            read_card(code, card);
        } else if (same(kind, "text-card")) {
            const char *text = (const char *)fields[1].data;
            ctalk_code code = ctalk_card_from_text(text, fields[1].len, &card, NULL);
            read_card(code, card);
        } else if (same(kind, "envelope")) {
            read_envelope(fields);
        } else if (same(kind, "classic")) {
            read_classic(fields);
        } else if (same(kind, "xwing")) {
            read_xwing(fields);
        } else {
            CHECK(read_json(kind, fields, count));
        }
        putchar('\n');
    }
    free(line);
    CHECK(ctalk_handle_count() == 0);
    return 0;
}
