/*
 * Time of calls of libctalk from C: of sealing and opening one message of 1 KiB in ClawTalk's format, by
 * the names that crates/core/benches/classic.rs prints for the same calls in Rust, and of two calls that
 * only look at a handle. One measurement in each line: the median over rounds and the least, in
 * nanoseconds per call.
 */
#include <ctalk.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 21
#define CALLS 500
#define PAYLOAD_LEN 1024
#define OPTIONS "{\"to\":\"bob\",\"type\":\"request\",\"topic\":\"sync\"}"
#define RELAYED                                                                                         \
    "{\"id\":\"0b8f7f4e-9a52-4f0c-8a3c-2f6f6f0f6f6f\",\"from\":\"alice\",\"type\":\"request\","          \
    "\"topic\":\"sync\",\"ts\":\"2026-03-21T10:11:12.345Z\",\"to\":\"bob\",\"encrypted\":true,"

static ctalk_identity *alice, *bob;
static ctalk_card *card_of_alice;
static ctalk_peer *peer_alice, *peer_bob;
static uint8_t payload[PAYLOAD_LEN];
static char relayed[4096];
static volatile uint64_t seen;

static int seal(ctalk_bytes **sealed)
{
    return ctalk_classic_seal(alice, peer_bob, payload, sizeof payload, OPTIONS, strlen(OPTIONS), sealed,
                              NULL)
        != CTALK_OK;
}

static int seal_sign(void)
{
    ctalk_bytes *sealed = NULL;
    if (seal(&sealed) != 0)
        return -1;
    seen = *ctalk_bytes_data(sealed) + ctalk_bytes_len(sealed);
    ctalk_bytes_free(sealed);
    return 0;
}

static int verify_open(void)
{
    ctalk_bytes *opened = NULL;
    if (ctalk_classic_open(bob, peer_alice, (const uint8_t *)relayed, strlen(relayed), &opened, NULL, NULL)
        != CTALK_OK)
        return -1;
    seen = *ctalk_bytes_data(opened) + ctalk_bytes_len(opened);
    ctalk_bytes_free(opened);
    return 0;
}

static int card_serial(void)
{
    seen = ctalk_card_serial(card_of_alice);
    return 0;
}

static int identity_fingerprint(void)
{
    seen = ctalk_identity_fingerprint(alice).len;
    return 0;
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int ascending(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static int measure(const char *name, int (*call)(void))
{
    uint64_t rounds[ROUNDS];

    /* The first round warms caches up and is thrown away. */
    for (int round = -1; round < ROUNDS; round++) {
        uint64_t start = now();
        for (int i = 0; i < CALLS; i++)
            if (call() != 0)
                return -1;
        if (round >= 0)
            rounds[round] = (now() - start) / CALLS;
    }
    qsort(rounds, ROUNDS, sizeof rounds[0], ascending);
    printf("%s_ns %llu\n", name, (unsigned long long)rounds[ROUNDS / 2]);
    printf("%s_min_ns %llu\n", name, (unsigned long long)rounds[0]);
    return 0;
}

/* An identity, and what the other one knows of it. */
static int agent(ctalk_identity **identity, ctalk_card **card, ctalk_peer **peer)
{
    return ctalk_identity_generate(identity, NULL) != CTALK_OK
        || ctalk_identity_card(*identity, NULL, 0, card, NULL) != CTALK_OK
        || ctalk_peer_of_card(*card, peer, NULL) != CTALK_OK;
}

int main(void)
{
    ctalk_card *card_of_bob = NULL;
    ctalk_bytes *sealed = NULL;

    /* JSON: one text. */
    memset(payload, 'x', sizeof payload);
    payload[0] = payload[PAYLOAD_LEN - 1] = '"';
    if (agent(&alice, &card_of_alice, &peer_alice) != 0 || agent(&bob, &card_of_bob, &peer_bob) != 0
        || seal(&sealed) != 0) {
        fputs("libctalk failed\n", stderr);
        return 1;
    }
    /* As a relay would list it. */
    snprintf(relayed, sizeof relayed, RELAYED "%.*s", (int)ctalk_bytes_len(sealed) - 1,
             (const char *)ctalk_bytes_data(sealed) + 1);
    if (measure("seal_sign_1k", seal_sign) != 0 || measure("verify_open_1k", verify_open) != 0
        || measure("card_serial", card_serial) != 0
        || measure("identity_fingerprint", identity_fingerprint) != 0) {
        fputs("libctalk failed\n", stderr);
        return 1;
    }
    return 0;
}
