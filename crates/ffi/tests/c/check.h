/* What the test programs share. */

#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctalk.h"

/* Ends the program with the place where something is not as it should be. */
#define CHECK(condition)                                                          \
    do {                                                                          \
        if (!(condition)) {                                                       \
            printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);        \
            exit(1);                                                              \
        }                                                                         \
    } while (0)

/* A call that must succeed; `error` is the caller's. */
#define OK(call)                                                                  \
    do {                                                                          \
        ctalk_error *error = NULL;                                                \
        ctalk_code code_ = (call);                                                \
        if (code_ != CTALK_OK) {                                                  \
            ctalk_slice why = ctalk_error_message(error);                         \
            printf("%s:%d: %s: %u %.*s\n", __FILE__, __LINE__, #call,             \
                   (unsigned)code_, (int)why.len, (const char *)why.data);        \
            exit(1);                                                              \
        }                                                                         \
        CHECK(error == NULL);                                                     \
    } while (0)

/* A call that must fail with a code; `error` is the caller's. */
#define FAILS(expected, call)                                                     \
    do {                                                                          \
        ctalk_error *error = NULL;                                                \
        ctalk_code code_ = (call);                                                \
        if (code_ != (expected)) {                                                \
            ctalk_slice why = ctalk_error_message(error);                         \
            printf("%s:%d: %s: %u %.*s\n", __FILE__, __LINE__, #call,             \
                   (unsigned)code_, (int)why.len, (const char *)why.data);        \
            exit(1);                                                              \
        }                                                                         \
        CHECK(ctalk_error_code(error) == (expected));                             \
        CHECK(ctalk_error_class(error) == ctalk_code_class(expected));            \
        CHECK(ctalk_error_message(error).len > 0);                                \
        ctalk_error_free(error);                                                  \
    } while (0)

/* A literal as the pointer and the length of a text argument. */
#define TEXT(literal) (literal), (sizeof(literal) - 1)

/* No text. */
#define NO_TEXT NULL, 0

static inline int same(ctalk_slice slice, const char *text) {
    return slice.data != NULL && slice.len == strlen(text) &&
           memcmp(slice.data, text, slice.len) == 0;
}

static inline int none(ctalk_slice slice) { return slice.data == NULL && slice.len == 0; }

static inline ctalk_slice all(const ctalk_bytes *bytes) {
    ctalk_slice slice = {ctalk_bytes_data(bytes), ctalk_bytes_len(bytes)};
    return slice;
}

static inline int contains(ctalk_slice slice, const char *text) {
    size_t length = strlen(text);
    for (size_t at = 0; at + length <= slice.len; at++) {
        if (memcmp(slice.data + at, text, length) == 0) {
            return 1;
        }
    }
    return 0;
}

#endif
