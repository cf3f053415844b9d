/* SPDX-License-Identifier: Apache-2.0
 *
 * str.c - the functions on oct_str that are not one line: split, parse a number, check UTF-8.
 *
 * The UTF-8 check goes through plain ASCII eight bytes at a time, since that is what nearly all
 * names and keys are, and looks at the rest sequence by sequence with the ranges of table 3-7 of
 * the Unicode standard. A vectorised validator was rejected: JSON bodies are checked by yyjson
 * already, so what arrives here is short. */
#include "base/str.h"

#include "base/endian.h"

oct_str oct_str_split(oct_str *rest, char separator)
{
    oct_str whole = *rest;
    const char *found = whole.bytes ? memchr(whole.at, separator, whole.bytes) : NULL;
    if (!found) {
        *rest = (oct_str){ NULL, 0 };
        return whole;
    }
    size_t before = (size_t)(found - whole.at);
    *rest = (oct_str){ found + 1, whole.bytes - before - 1 };
    return (oct_str){ whole.at, before };
}

bool oct_str_u64(oct_str text, uint64_t *out)
{
    uint64_t value = 0;
    *out = 0;
    if (text.bytes == 0) return false;
    for (size_t i = 0; i < text.bytes; i++) {
        unsigned digit = (unsigned)(unsigned char)text.at[i] - '0';
        if (digit > 9) return false;
        if (value > (UINT64_MAX - digit) / 10) return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

/* Bytes of the well-formed sequence at `at` with a first byte >= 0x80, 0 when there is none. */
static size_t sequence_bytes(const unsigned char *at, size_t left)
{
    unsigned char first = at[0];
    if (first < 0xC2 || first > 0xF4) return 0; /* continuation, overlong pair, beyond U+10FFFF */
    size_t bytes = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (left < bytes) return 0;
    for (size_t i = 1; i < bytes; i++)
        if ((at[i] & 0xC0) != 0x80) return 0;
    if (first == 0xE0 && at[1] < 0xA0) return 0; /* overlong */
    if (first == 0xED && at[1] > 0x9F) return 0; /* surrogate */
    if (first == 0xF0 && at[1] < 0x90) return 0; /* overlong */
    if (first == 0xF4 && at[1] > 0x8F) return 0; /* beyond U+10FFFF */
    return bytes;
}

bool oct_str_is_utf8(oct_str text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    size_t i = 0;
    while (i < text.bytes) {
        size_t left = text.bytes - i;
        if (left >= 8 && !(oct_load_u64(at + i) & UINT64_C(0x8080808080808080))) {
            i += 8;
            continue;
        }
        size_t bytes = at[i] < 0x80 ? 1 : sequence_bytes(at + i, left);
        if (bytes == 0) return false;
        i += bytes;
    }
    return true;
}
