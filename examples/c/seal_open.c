/*
 * Two agents in one program: one seals and signs, the other checks and opens.
 *
 * With the library installed by `cargo xtask dist` (it says how), build and run with:
 *
 *   cc examples/c/seal_open.c $(pkg-config --cflags --libs ctalk) -o seal_open
 *   ./seal_open
 */

#include <ctalk.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with what the library says, unless the call went well. */
static void check(ctalk_code code, ctalk_error *error) {
    if (code != CTALK_OK) {
        ctalk_slice message = ctalk_error_message(error);
        fprintf(stderr, "error %u: %.*s\n", (unsigned)code, (int)message.len,
                (const char *)message.data);
        ctalk_error_free(error);
        exit((int)ctalk_code_class(code));
    }
}

int main(void) {
    ctalk_error *error = NULL;
    if (ctalk_abi_version() != CTALK_ABI_VERSION) {
        fputs("libctalk is of another version than ctalk.h\n", stderr);
        return 1;
    }

    /* Each has an identity, and a key card that the other one gets. */
    ctalk_identity *alice = NULL, *bob = NULL;
    ctalk_card *card_of_alice = NULL, *card_of_bob = NULL;
    static const char alices[] = "{\"name\":\"alice\"}", bobs[] = "{\"name\":\"bob\"}";
    check(ctalk_identity_generate(&alice, &error), error);
    check(ctalk_identity_generate(&bob, &error), error);
    check(ctalk_identity_card(alice, alices, strlen(alices), &card_of_alice, &error), error);
    check(ctalk_identity_card(bob, bobs, strlen(bobs), &card_of_bob, &error), error);

    /* Alice seals for Bob, and for nobody else. */
    static const char question[] = "what is 6 times 7?";
    static const char options[] = "{\"type\":\"request\",\"topic\":\"sums\",\"contentType\":\"text/plain\"}";
    const ctalk_card *recipients[] = {card_of_bob};
    ctalk_bytes *envelope = NULL;
    check(ctalk_envelope_seal(alice, recipients, 1, (const uint8_t *)question, strlen(question),
                              options, strlen(options), &envelope, &error),
          error);
    printf("sealed: %zu bytes\n", ctalk_bytes_len(envelope));

    /* Bob takes it from Alice alone. */
    ctalk_opened *opened = NULL;
    check(ctalk_envelope_open(bob, card_of_alice, ctalk_bytes_data(envelope),
                              ctalk_bytes_len(envelope), 0, &opened, &error),
          error);
    ctalk_slice topic = ctalk_opened_topic(opened), payload = ctalk_opened_payload(opened);
    printf("%.*s: %.*s\n", (int)topic.len, (const char *)topic.data, (int)payload.len,
           (const char *)payload.data);

    ctalk_opened_free(opened);
    ctalk_bytes_free(envelope);
    ctalk_card_free(card_of_alice);
    ctalk_card_free(card_of_bob);
    ctalk_identity_free(alice);
    ctalk_identity_free(bob);
    return 0;
}
