/*
 * Time of sealing and opening one message of 1 KiB with libsodium, as the yardstick for
 * crates/core/benches/classic.rs, whose measurement names it prints: the median over rounds and the
 * least, in nanoseconds per message.
 *
 * Both sides sign the same canonical string. Here it is built once and outside the clock, as are
 * base64 and JSON; ctalk's times include them.
 *
 * usage: libsodium-peer [MESSAGES-PER-ROUND]
 */
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 21
#define PLAINTEXT_LEN 1024
#define BOX_LEN (PLAINTEXT_LEN + crypto_box_MACBYTES)
#define BASE64_LEN(n) sodium_base64_ENCODED_LEN(n, sodium_base64_VARIANT_ORIGINAL)

static unsigned char alice_public[crypto_box_PUBLICKEYBYTES], alice_secret[crypto_box_SECRETKEYBYTES];
static unsigned char bob_public[crypto_box_PUBLICKEYBYTES], bob_secret[crypto_box_SECRETKEYBYTES];
static unsigned char verifying[crypto_sign_PUBLICKEYBYTES], signing[crypto_sign_SECRETKEYBYTES];

static unsigned char plaintext[PLAINTEXT_LEN], opened[PLAINTEXT_LEN], box[BOX_LEN];
static unsigned char nonce[crypto_box_NONCEBYTES], signature[crypto_sign_BYTES];
static char canonical[BASE64_LEN(BOX_LEN) + BASE64_LEN(crypto_box_NONCEBYTES) + 128];
static size_t canonical_len;

static int seal_sign(void)
{
    randombytes_buf(nonce, sizeof nonce);
    return crypto_box_easy(box, plaintext, sizeof plaintext, nonce, bob_public, alice_secret)
        || crypto_sign_detached(signature, NULL, (unsigned char *)canonical, canonical_len, signing);
}

static int verify_open(void)
{
    return crypto_sign_verify_detached(signature, (unsigned char *)canonical, canonical_len, verifying)
        || crypto_box_open_easy(opened, box, sizeof box, nonce, alice_public, bob_secret);
}

static int build_canonical(void)
{
    char payload_text[BASE64_LEN(BOX_LEN)], nonce_text[BASE64_LEN(crypto_box_NONCEBYTES)];
    int length;

    if (seal_sign() != 0)
        return -1;
    sodium_bin2base64(payload_text, sizeof payload_text, box, sizeof box,
                      sodium_base64_VARIANT_ORIGINAL);
    sodium_bin2base64(nonce_text, sizeof nonce_text, nonce, sizeof nonce,
                      sodium_base64_VARIANT_ORIGINAL);
    length = snprintf(canonical, sizeof canonical,
                      "{\"to\":\"bob\",\"type\":\"request\",\"topic\":\"sync\",\"encrypted\":true,"
                      "\"payload\":\"%s\",\"nonce\":\"%s\"}",
                      payload_text, nonce_text);
    if (length < 0 || (size_t)length >= sizeof canonical)
        return -1;
    canonical_len = (size_t)length;
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

static int measure(const char *name, int (*message)(void), long messages)
{
    uint64_t rounds[ROUNDS];

    /* The first round warms caches up and is thrown away. */
    for (int round = -1; round < ROUNDS; round++) {
        uint64_t start = now();
        for (long i = 0; i < messages; i++)
            if (message() != 0)
                return -1;
        if (round >= 0)
            rounds[round] = (now() - start) / (uint64_t)messages;
    }
    qsort(rounds, ROUNDS, sizeof rounds[0], ascending);
    printf("%s_ns %llu\n", name, (unsigned long long)rounds[ROUNDS / 2]);
    printf("%s_min_ns %llu\n", name, (unsigned long long)rounds[0]);
    return 0;
}

int main(int argc, char **argv)
{
    long messages = argc > 1 ? strtol(argv[1], NULL, 10) : 500;

    if (messages <= 0) {
        fprintf(stderr, "usage: %s [MESSAGES-PER-ROUND]\n", argv[0]);
        return 2;
    }
    if (sodium_init() < 0)
        return 1;
    crypto_box_keypair(alice_public, alice_secret);
    crypto_box_keypair(bob_public, bob_secret);
    crypto_sign_keypair(verifying, signing);
    memset(plaintext, 'x', sizeof plaintext);
    if (build_canonical() != 0 || measure("seal_sign_1k", seal_sign, messages) != 0
        || measure("verify_open_1k", verify_open, messages) != 0
        || memcmp(opened, plaintext, sizeof plaintext) != 0) {
        fprintf(stderr, "libsodium failed\n");
        return 1;
    }
    return 0;
}
