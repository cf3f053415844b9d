/* SPDX-License-Identifier: Apache-2.0
 *
 * str.h - functions on oct_str, the (pointer, length) string. */
#ifndef OCTANT_BASE_STR_H
#define OCTANT_BASE_STR_H

#include <string.h>

#include "base/check.h"
#include "octant/types.h"

static inline bool oct_str_equal(oct_str a, oct_str b)
{
    return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.at, b.at, a.bytes) == 0);
}

/* Bytewise order, shorter first when one is a prefix: < 0, 0, > 0. */
static inline int oct_str_compare(oct_str a, oct_str b)
{
    size_t shared = MIN(a.bytes, b.bytes);
    int order = shared ? memcmp(a.at, b.at, shared) : 0;
    if (order != 0) return order;
    return a.bytes < b.bytes ? -1 : a.bytes > b.bytes;
}

static inline oct_str oct_str_of(const char *text)
{
    return (oct_str){ text, strlen(text) };
}

/* How many bytes of a text to show (for "%.*s"): at most bytes_max, cut between characters. */
static inline int oct_str_shown(oct_str text, size_t bytes_max)
{
    size_t bytes = MIN(text.bytes, bytes_max);
    if (bytes < text.bytes)
        while (bytes > 0 && ((unsigned char)text.at[bytes] & 0xc0) == 0x80)
            bytes--;
    return (int)bytes;
}

/* The prefix before the first `separator`, with *rest moved past it; when it does not occur,
 * everything, and *rest becomes {NULL, 0} (so "a/" and "a" can be told apart). */
oct_str oct_str_split(oct_str *rest, char separator);

/* A whole decimal u64 without sign or spaces; false when it is anything else. */
bool oct_str_u64(oct_str text, uint64_t *out);

/* Valid UTF-8 (no surrogates, no overlong forms). */
bool oct_str_is_utf8(oct_str text);

#endif
