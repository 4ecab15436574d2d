/*
 * The ring's member in C: member NAME NEXT. Adds its name to each text and sends it on.
 */

#include <ctalk.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(text) (text), strlen(text)

/* Ends the program with the library's words if a call failed. */
static void check(const char *what, ctalk_code code, ctalk_error *error) {
    if (code != CTALK_OK) {
        ctalk_slice why = ctalk_error_message(error);
        fprintf(stderr, "%s: %.*s (%u)\n", what, (int)why.len, (const char *)why.data,
                (unsigned)code);
        exit(1);
    }
}

static ctalk_client *open_profile(const char *name) {
    ctalk_error *error = NULL;
    ctalk_bytes *folder = NULL;
    check("folder", ctalk_profile_folder(TEXT(name), &folder, &error), error);
    char options[1024];
    snprintf(options, sizeof options, "{\"folder\": \"%.*s\", \"require\": [\"verified\", \"native\"]}",
             (int)ctalk_bytes_len(folder), (const char *)ctalk_bytes_data(folder));
    ctalk_bytes_free(folder);
    ctalk_client *client = NULL;
    check("open", ctalk_client_open(TEXT(options), &client, &error), error);
    return client;
}

/* Whether the last word of a text is that of whoever signed it. */
static int is_signed_by_the_last(ctalk_slice text, ctalk_slice from) {
    return text.len > from.len && text.data[text.len - from.len - 1] == ' ' &&
           memcmp(text.data + text.len - from.len, from.data, from.len) == 0;
}

static void pass_on(const ctalk_client *client, const ctalk_message *message, const char *name,
                    const char *next) {
    ctalk_error *error = NULL;
    ctalk_slice text = ctalk_message_payload(message);
    if (!is_signed_by_the_last(text, ctalk_message_from(message))) {
        check("reject", ctalk_message_reject(message, TEXT("another name"), &error), error);
        return;
    }
    char longer[1024], options[256];
    snprintf(longer, sizeof longer, "%.*s %s", (int)text.len, (const char *)text.data, name);
    /* The id keeps a message from going on twice, should this program end before it commits. */
    ctalk_slice id = ctalk_message_id(message);
    snprintf(options, sizeof options,
             "{\"to\": \"%s\", \"type\": \"notification\", \"idempotencyKey\": \"%.*s\"}", next,
             (int)id.len, (const char *)id.data);
    check("send",
          ctalk_client_send(client, (const uint8_t *)longer, strlen(longer), TEXT(options), NULL,
                            NULL, &error),
          error);
    check("commit", ctalk_message_commit(message, &error), error);
    printf("%s\n", longer);
    fflush(stdout);
}

int main(int count, char **arguments) {
    if (count != 3) {
        fputs("usage: member NAME NEXT\n", stderr);
        return 2;
    }
    ctalk_client *client = open_profile(arguments[1]);
    for (;;) {
        ctalk_error *error = NULL;
        ctalk_message *message = NULL;
        check("next", ctalk_client_next(client, CTALK_FOREVER, NULL, &message, &error), error);
        pass_on(client, message, arguments[1], arguments[2]);
        ctalk_message_free(message);
    }
}
