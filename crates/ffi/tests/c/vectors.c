/*
 * Reads vectors from stdin and says what the library makes of each: one line in, one line out.
 *
 * A line has fields between tabs, all in hex digits: what is to be read (`card`, `text-card`, `envelope`
 * or `classic`), and then
 *
 *   card, text-card   the input
 *   envelope          the input; the time in decimal digits; keys (JSON) and X-Wing seeds of the reader,
 *                     empty where nobody opens it
 *   classic           the message; the keys (JSON) of the recipient; public and signing key of the sender
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
        } else {
            CHECK(same(kind, "classic"));
            read_classic(fields);
        }
        putchar('\n');
    }
    free(line);
    CHECK(ctalk_handle_count() == 0);
    return 0;
}
