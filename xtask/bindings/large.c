/*
 * How much memory it takes to seal and to open 64 MiB from C: by how many bytes the process grows at
 * most during each call, and how many bytes the result has. A reading from a file to be thrown away and
 * a writing to nowhere are the ends of the streams.
 */
#include <ctalk.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE ((size_t)64 << 20)

/* A line of /proc/self/status in bytes. */
static long status(const char *name)
{
    char line[256];
    long kib = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && kib < 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtol(line + strlen(name), NULL, 10);
    if (file == NULL || fclose(file) != 0 || kib < 0)
        exit(1);
    return kib * 1024;
}

/* Sets the peak back to what is used now, and says what that is. */
static long begin(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (file == NULL || fputs("5", file) < 0 || fclose(file) != 0)
        exit(1);
    return status("VmRSS:");
}

static void report(const char *name, long before, size_t result)
{
    printf("%s_growth %ld\n%s_result %zu\n", name, status("VmHWM:") - before, name, result);
}

static void check(ctalk_code code)
{
    if (code != CTALK_OK) {
        fprintf(stderr, "error %u\n", (unsigned)code);
        exit(1);
    }
}

static uint32_t read_some(void *user, uint8_t *buffer, size_t capacity, size_t *length)
{
    size_t *left = user;
    *length = capacity < *left ? capacity : *left;
    memset(buffer, 'x', *length);
    *left -= *length;
    return 0;
}

static uint32_t write_some(void *user, const uint8_t *data, size_t length)
{
    size_t *written = user;
    (void)data;
    *written += length;
    return 0;
}

int main(void)
{
    ctalk_identity *identity = NULL;
    ctalk_card *card = NULL;
    ctalk_bytes *sealed = NULL;
    ctalk_opened *opened = NULL;
    size_t left = SIZE, written = 0;
    uint8_t *payload = malloc(SIZE);
    long before;

    if (payload == NULL)
        return 1;
    memset(payload, 'x', SIZE);
    check(ctalk_identity_generate(&identity, NULL));
    check(ctalk_identity_card(identity, NULL, 0, &card, NULL));

    /* So that what is made once is there already. */
    check(ctalk_envelope_seal(identity, (const ctalk_card *const *)&card, 1, payload, 1024, NULL, 0, &sealed, NULL));
    check(ctalk_envelope_open(identity, card, ctalk_bytes_data(sealed), ctalk_bytes_len(sealed), 0, &opened, NULL));
    ctalk_bytes_free(sealed);
    ctalk_opened_free(opened);

    before = begin();
    check(ctalk_envelope_seal(identity, (const ctalk_card *const *)&card, 1, payload, SIZE, NULL, 0, &sealed, NULL));
    report("seal", before, ctalk_bytes_len(sealed));

    before = begin();
    check(ctalk_envelope_open(identity, card, ctalk_bytes_data(sealed), ctalk_bytes_len(sealed), 0, &opened, NULL));
    report("open", before, ctalk_opened_payload(opened).len);

    before = begin();
    check(ctalk_envelope_seal_stream(identity, (const ctalk_card *const *)&card, 1, NULL, 0, read_some, &left,
                                     write_some, &written, NULL, NULL));
    report("stream", before, 0);

    ctalk_opened_free(opened);
    ctalk_bytes_free(sealed);
    ctalk_card_free(card);
    ctalk_identity_free(identity);
    free(payload);
    return written > SIZE ? 0 : 1;
}
