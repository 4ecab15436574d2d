/*
 * The online half in one process: agents at an embedded relay, several threads, a signal that stops a call,
 * and a forked child.
 */

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agents.h"

#define THREADS 4
#define EACH 5

static char folder[] = "/tmp/ctalk-online-XXXXXX";

static void *send_some(void *client) {
    for (int number = 0; number < EACH; number++) {
        say(client, "bob", "hello");
    }
    return NULL;
}

static void many_threads_send_and_commit_over_shared_clients(ctalk_client *alice, ctalk_client *bob) {
    pthread_t threads[THREADS];
    for (int number = 0; number < THREADS; number++) {
        CHECK(pthread_create(&threads[number], NULL, send_some, alice) == 0);
    }
    for (int number = 0; number < THREADS * EACH; number++) {
        ctalk_message *message = NULL;
        OK(ctalk_client_next(bob, CTALK_FOREVER, NULL, &message, &error));
        CHECK(same(ctalk_message_payload(message), "hello"));
        CHECK(same(ctalk_message_from(message), "alice"));
        OK(ctalk_message_commit(message, &error));
        FAILS(CTALK_ALREADY_SETTLED, ctalk_message_commit(message, &error));
        ctalk_message_free(message);
        ctalk_message_free(message);
        CHECK(none(ctalk_message_payload(message)));
    }
    for (int number = 0; number < THREADS; number++) {
        CHECK(pthread_join(threads[number], NULL) == 0);
    }
    ctalk_message *message = (ctalk_message *)&message;
    OK(ctalk_client_next(bob, 0, NULL, &message, &error));
    CHECK(message == NULL);
}

static int bell;

static void ring(int signal) {
    (void)signal;
    ssize_t written = write(bell, "!", 1);
    (void)written;
}

static void a_signal_handler_stops_a_call(const ctalk_client *client) {
    ctalk_stopper *stopper = NULL;
    OK(ctalk_stopper_new(&stopper, &error));
    bell = ctalk_stopper_fd(stopper);
    struct sigaction action = {.sa_handler = ring};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    alarm(1);
    ctalk_message *message = NULL;
    FAILS(CTALK_INTERRUPTED, ctalk_client_next(client, CTALK_FOREVER, stopper, &message, &error));
    CHECK(message == NULL);
    CHECK(signal(SIGALRM, SIG_DFL) == ring);
    ctalk_stopper_free(stopper);
}

static void a_call_that_could_not_be_stopped_does_not_begin(const ctalk_client *client) {
    ctalk_stopper *stopper = NULL;
    OK(ctalk_stopper_new(&stopper, &error));
    int next = dup(0);
    CHECK(next >= 0 && close(next) == 0);
    struct rlimit before, none;
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    none = before;
    none.rlim_cur = (rlim_t)next;
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    ctalk_message *message = NULL;
    FAILS(CTALK_UNEXPECTED, ctalk_client_next(client, CTALK_FOREVER, stopper, &message, &error));
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    OK(ctalk_client_next(client, 0, stopper, &message, &error));
    CHECK(message == NULL);
    ctalk_stopper_free(stopper);
}

/* Waits for a child that must end by itself; it set an alarm for the case that it hangs. */
static void ends_well(pid_t child) {
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_forked_child_is_refused_and_harms_nothing(ctalk_relay *relay, ctalk_client *alice,
                                                        ctalk_client *bob) {
    ctalk_stopper *stopper = NULL;
    OK(ctalk_stopper_new(&stopper, &error));
    say(alice, "bob", "before");
    ctalk_message *message = NULL;
    OK(ctalk_client_next(bob, CTALK_FOREVER, NULL, &message, &error));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);
        ctalk_bytes *out = NULL;
        FAILS(CTALK_FORKED, ctalk_client_whoami(bob, &out, &error));
        FAILS(CTALK_FORKED, ctalk_message_commit(message, &error));
        /* What could be opened here would get into the way of the parent's. */
        char options[512], home[256];
        snprintf(home, sizeof home, "%s/bob", folder);
        snprintf(options, sizeof options, "{\"folder\": \"%s\"}", home);
        ctalk_client *client = NULL;
        FAILS(CTALK_FORKED, ctalk_client_open(options, strlen(options), &client, &error));
        ctalk_identity *identity = NULL;
        FAILS(CTALK_FORKED, ctalk_identity_load(home, strlen(home), NO_TEXT, &identity, &error));
        OK(ctalk_identity_generate(&identity, &error));
        snprintf(home, sizeof home, "%s/carol", folder);
        FAILS(CTALK_FORKED, ctalk_identity_save(identity, home, strlen(home), TEXT("carol"),
                                                TEXT("plain"), NO_TEXT, &error));
        ctalk_relay *another = NULL;
        FAILS(CTALK_FORKED, ctalk_relay_start(NO_TEXT, &another, &error));
        CHECK(ctalk_stopper_fd(stopper) == -1);
        OK(ctalk_stopper_stop(stopper, &error));
        ctalk_stopper_free(stopper);
        ctalk_message_free(message);
        ctalk_client_free(bob);
        ctalk_client_free(alice);
        ctalk_relay_free(relay);
        _exit(0);
    }
    ends_well(child);
    OK(ctalk_message_commit(message, &error));
    ctalk_message_free(message);
    say(alice, "bob", "after");
    OK(ctalk_client_next(bob, CTALK_FOREVER, stopper, &message, &error));
    CHECK(same(ctalk_message_payload(message), "after"));
    OK(ctalk_message_commit(message, &error));
    ctalk_message_free(message);
    ctalk_stopper_free(stopper);
}

struct waiter {
    const ctalk_client *client;
    const ctalk_stopper *stopper;
};

static void *wait_until_stopped(void *user) {
    const struct waiter *waiter = user;
    ctalk_message *message = NULL;
    FAILS(CTALK_INTERRUPTED, ctalk_client_next(waiter->client, CTALK_FOREVER, waiter->stopper,
                                               &message, &error));
    return NULL;
}

static void a_child_forked_while_threads_wait_frees_all_and_they_wait_on(ctalk_client *client) {
    ctalk_stopper *stopper = NULL;
    OK(ctalk_stopper_new(&stopper, &error));
    struct waiter waiter = {client, stopper};
    pthread_t threads[THREADS];
    for (int number = 0; number < THREADS; number++) {
        CHECK(pthread_create(&threads[number], NULL, wait_until_stopped, &waiter) == 0);
    }
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);
        OK(ctalk_stopper_stop(stopper, &error));
        ctalk_stopper_free(stopper);
        ctalk_client_free(client);
        ctalk_bytes *out = NULL;
        FAILS(CTALK_WRONG_HANDLE, ctalk_client_whoami(client, &out, &error));
        _exit(0);
    }
    ends_well(child);
    ctalk_message *message = NULL;
    OK(ctalk_client_next(client, 0, stopper, &message, &error));
    CHECK(message == NULL);
    OK(ctalk_stopper_stop(stopper, &error));
    for (int number = 0; number < THREADS; number++) {
        CHECK(pthread_join(threads[number], NULL) == 0);
    }
    ctalk_stopper_free(stopper);
}

static atomic_int is_over;

static void *make_and_free_handles(void *unused) {
    while (!is_over) {
        ctalk_stopper *stopper = NULL;
        OK(ctalk_stopper_new(&stopper, &error));
        ctalk_stopper_free(stopper);
    }
    return unused;
}

static void a_child_of_a_process_with_busy_threads_frees_what_it_inherited(void) {
    ctalk_stopper *stopper = NULL;
    OK(ctalk_stopper_new(&stopper, &error));
    pthread_t threads[THREADS];
    for (int number = 0; number < THREADS; number++) {
        CHECK(pthread_create(&threads[number], NULL, make_and_free_handles, NULL) == 0);
    }
    for (int number = 0; number < 200; number++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(60);
            ctalk_stopper_free(stopper);
            _exit(0);
        }
        ends_well(child);
    }
    is_over = 1;
    for (int number = 0; number < THREADS; number++) {
        CHECK(pthread_join(threads[number], NULL) == 0);
    }
    ctalk_stopper_free(stopper);
}

static uint32_t free_all(void *client, const ctalk_message *message) {
    CHECK(same(ctalk_message_payload(message), "last"));
    /* None of this is allowed, and none of it does harm. */
    ctalk_message_free((ctalk_message *)message);
    ctalk_client_free(client);
    return CTALK_COMMIT;
}

static void a_handler_that_frees_what_it_is_given_does_no_harm(ctalk_client *alice, ctalk_client *bob) {
    say(alice, "bob", "last");
    ctalk_error *error = NULL;
    ctalk_code code = ctalk_client_run(bob, NULL, 0, free_all, bob, NULL, &error);
    CHECK(code == CTALK_WRONG_HANDLE);
    ctalk_error_free(error);
}

int main(int argc, char **argv) {
    const int forks = !(argc == 2 && strcmp(argv[1], "alone") == 0);
    CHECK(mkdtemp(folder) != NULL);
    ctalk_relay *relay = NULL;
    OK(ctalk_relay_start(NO_TEXT, &relay, &error));
    ctalk_client *alice = register_agent(relay, folder, "alice");
    ctalk_client *bob = register_agent(relay, folder, "bob");
    many_threads_send_and_commit_over_shared_clients(alice, bob);
    a_signal_handler_stops_a_call(bob);
    a_call_that_could_not_be_stopped_does_not_begin(bob);
    if (forks) {
        a_forked_child_is_refused_and_harms_nothing(relay, alice, bob);
        a_child_forked_while_threads_wait_frees_all_and_they_wait_on(bob);
        a_child_of_a_process_with_busy_threads_frees_what_it_inherited();
    }
    a_handler_that_frees_what_it_is_given_does_no_harm(alice, bob);
    ctalk_client_free(alice);
    ctalk_client_free(bob);
    ctalk_relay_free(relay);
    CHECK(ctalk_handle_count() == 0);
    remove_folder(folder);
    puts("ok");
    return 0;
}
