/*
 * Two agents and their relay in one program: one asks, the other answers.
 *
 * With the library installed by `cargo xtask dist` (it says how), build and run with:
 *
 *   cc examples/c/send_receive.c $(pkg-config --cflags --libs ctalk) -o send_receive
 *   ./send_receive
 *
 * A real program would use the relay that its peers use, and a key store that is protected. This one
 * starts a relay of its own and keeps everything in a temporary folder.
 */

#define _POSIX_C_SOURCE 200809L

#include <ctalk.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with the library's words if a call failed. */
static void check(const char *what, ctalk_code code, ctalk_error *error) {
    if (code == CTALK_OK) {
        return;
    }
    ctalk_slice why = ctalk_error_message(error);
    fprintf(stderr, "%s: %.*s (%u)\n", what, (int)why.len, (const char *)why.data, (unsigned)code);
    exit(1);
}

/* A text argument with its length. */
#define TEXT(text) (text), strlen(text)

/* What printf takes for %.*s. */
#define SHOWN(slice) (int)(slice).len, (const char *)(slice).data

static ctalk_client *agent(const char *folder, const char *name, const ctalk_relay *relay) {
    char options[1024];
    ctalk_error *error = NULL;

    /* Once: the agent's keys, in a folder of its own, as `ctalk keygen` makes them. */
    ctalk_identity *identity = NULL;
    char home[512];
    snprintf(home, sizeof home, "%s/%s", folder, name);
    check("generate", ctalk_identity_generate(&identity, &error), error);
    check("save",
          ctalk_identity_save(identity, TEXT(home), TEXT(name), TEXT("plain"), NULL, 0, &error),
          error);
    ctalk_identity_free(identity);

    /* In every run. */
    ctalk_client *client = NULL;
    snprintf(options, sizeof options, "{\"folder\": \"%s\"}", home);
    check("open", ctalk_client_open(TEXT(options), &client, &error), error);

    /* Once: its name, its keys and its key card in the relay's directory. */
    ctalk_slice url = ctalk_relay_url(relay);
    ctalk_slice key = ctalk_relay_admin_key(relay);
    snprintf(options, sizeof options, "{\"relay\": \"%.*s\", \"adminKey\": \"%.*s\"}", SHOWN(url),
             SHOWN(key));
    check("register", ctalk_client_register(client, TEXT(options), NULL, NULL, &error), error);
    return client;
}

struct answering {
    ctalk_client *client;
    ctalk_stopper *stopper;
};

/* Is called for each message, in the thread that receives. */
static uint32_t answer(void *user, const ctalk_message *message) {
    (void)user;
    ctalk_slice text = ctalk_message_payload(message);
    ctalk_slice from = ctalk_message_from(message);
    ctalk_slice trust = ctalk_message_trust(message);
    printf("bob got \"%.*s\" from %.*s (%.*s)\n", SHOWN(text), SHOWN(from), SHOWN(trust));
    ctalk_slice type = ctalk_message_type(message);
    if (type.len != strlen("request") || memcmp(type.data, "request", type.len) != 0) {
        return CTALK_COMMIT;
    }
    /* The answer becomes durable together with the end of the request. */
    const char *said = "Forty-two.";
    ctalk_error *error = NULL;
    check("reply",
          ctalk_message_reply(message, (const uint8_t *)said, strlen(said), NULL, 0, &error),
          error);
    return CTALK_COMMIT;
}

static void *receive(void *argument) {
    struct answering *bob = argument;
    ctalk_error *error = NULL;
    ctalk_code code = ctalk_client_run(bob->client, NULL, 0, answer, NULL, bob->stopper, &error);
    if (code != CTALK_INTERRUPTED) {
        check("run", code, error);
    }
    ctalk_error_free(error);
    return NULL;
}

int main(void) {
    char folder[] = "/tmp/ctalk-example-XXXXXX";
    if (mkdtemp(folder) == NULL) {
        perror("mkdtemp");
        return 1;
    }
    ctalk_error *error = NULL;
    ctalk_relay *relay = NULL;
    check("relay", ctalk_relay_start(NULL, 0, &relay, &error), error);
    ctalk_client *alice = agent(folder, "alice", relay);
    struct answering bob = {agent(folder, "bob", relay), NULL};
    check("stopper", ctalk_stopper_new(&bob.stopper, &error), error);

    pthread_t thread;
    if (pthread_create(&thread, NULL, receive, &bob) != 0) {
        return 1;
    }

    /* Sealed for bob alone, and signed. Where bob is away it stays in the outbox. */
    const char *news = "Lunch is ready.";
    ctalk_bytes *sent = NULL;
    check("send",
          ctalk_client_send(alice, (const uint8_t *)news, strlen(news),
                            TEXT("{\"to\": \"bob\", \"type\": \"notification\"}"), NULL, &sent,
                            &error),
          error);
    ctalk_bytes_free(sent);

    /* A call waits for the response. */
    const char *question = "What is six times seven?";
    ctalk_message *response = NULL;
    check("call",
          ctalk_client_call(alice, (const uint8_t *)question, strlen(question),
                            TEXT("{\"to\": \"bob\", \"timeoutMs\": 60000}"), NULL, &response,
                            &error),
          error);
    ctalk_slice text = ctalk_message_payload(response);
    printf("alice got \"%.*s\"\n", SHOWN(text));
    ctalk_message_free(response);

    check("stop", ctalk_stopper_stop(bob.stopper, &error), error);
    pthread_join(thread, NULL);
    ctalk_stopper_free(bob.stopper);
    ctalk_client_free(bob.client);
    ctalk_client_free(alice);
    ctalk_relay_free(relay);

    char clean[64];
    snprintf(clean, sizeof clean, "rm -r %s", folder);
    return system(clean) == 0 ? 0 : 1;
}
