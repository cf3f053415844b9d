/* SPDX-License-Identifier: Apache-2.0
 *
 * point_id.c - the text forms of point ids.
 *
 * The spellings are those Qdrant's clients may send: a UUID as 32 hex digits, with hyphens, in
 * braces, or as a URN. Only the hyphenated lower case one is ever printed. */
#include "model/point_id.h"

#include <string.h>

#include "base/str.h"

enum { UUID_DIGITS = 32, UUID_HYPHENATED_BYTES = 36 };

static const char urn_prefix[] = "urn:uuid:";

int oct_point_id_compare(oct_point_id a, oct_point_id b)
{
    if (a.is_uuid != b.is_uuid) return a.is_uuid ? 1 : -1;
    if (a.high != b.high) return a.high < b.high ? -1 : 1;
    return a.low < b.low ? -1 : a.low > b.low;
}

/* The value of a hex digit, or -1. */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Is there a hyphen at this byte of the hyphenated form (8-4-4-4-12)? */
static bool is_hyphen_place(size_t at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

/* Read 32 hex digits, with hyphens in their four places or with none. */
static bool uuid_parse(oct_str text, oct_point_id *out)
{
    bool hyphenated = text.bytes == UUID_HYPHENATED_BYTES;
    if (!hyphenated && text.bytes != UUID_DIGITS) return false;
    uint64_t high = 0;
    uint64_t low = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        if (hyphenated && is_hyphen_place(i)) {
            if (text.at[i] != '-') return false;
            continue;
        }
        int value = hex_value(text.at[i]);
        if (value < 0) return false;
        high = high << 4 | low >> 60;
        low = low << 4 | (uint64_t)value;
    }
    *out = (oct_point_id){ .high = high, .low = low, .is_uuid = true };
    return true;
}

/* A UUID in any spelling. Braces and the URN prefix go with hyphens only. */
static bool uuid_parse_any(oct_str text, oct_point_id *out)
{
    size_t prefix_bytes = sizeof urn_prefix - 1;
    if (text.bytes == prefix_bytes + UUID_HYPHENATED_BYTES &&
        memcmp(text.at, urn_prefix, prefix_bytes) == 0)
        return uuid_parse((oct_str){ text.at + prefix_bytes, UUID_HYPHENATED_BYTES }, out);
    if (text.bytes == UUID_HYPHENATED_BYTES + 2 && text.at[0] == '{' &&
        text.at[text.bytes - 1] == '}')
        return uuid_parse((oct_str){ text.at + 1, UUID_HYPHENATED_BYTES }, out);
    return uuid_parse(text, out);
}

bool oct_point_id_parse(oct_str text, oct_point_id *out)
{
    uint64_t number;
    if (oct_str_u64(text, &number)) {
        *out = oct_point_id_of(number);
        return true;
    }
    return uuid_parse_any(text, out);
}

#define NOT_AN_ID "is not a valid point ID, valid values are either an unsigned integer or a UUID"

oct_status oct_point_id_from_json(const oct_json *value, oct_point_id *out, oct_error *error)
{
    oct_json_kind kind = oct_json_kind_of(value);
    if (kind == OCT_JSON_UINT) {
        *out = oct_point_id_of(oct_json_uint(value));
        return OCT_OK;
    }
    if (kind == OCT_JSON_STRING) {
        oct_str text = oct_json_string(value);
        if (uuid_parse_any(text, out)) return OCT_OK;
        return oct_fail(error, OCT_BAD_INPUT, "Format error in JSON body: value %.*s " NOT_AN_ID,
                        oct_str_shown(text, 200), text.at);
    }
    if (kind == OCT_JSON_INT)
        return oct_fail(error, OCT_BAD_INPUT,
                        "Format error in JSON body: value %" PRId64 " " NOT_AN_ID,
                        oct_json_int(value));
    return oct_fail(error, OCT_BAD_INPUT, "Format error in JSON body: value of type %s " NOT_AN_ID,
                    oct_json_kind_name(value));
}

static size_t number_print(uint64_t number, char *text)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    for (size_t i = 0; i < count; i++)
        text[i] = digits[count - 1 - i];
    text[count] = '\0';
    return count;
}

size_t oct_point_id_print(oct_point_id id, char *text)
{
    static const char hex[] = "0123456789abcdef";
    if (!id.is_uuid) return number_print(id.low, text);
    unsigned digit = 0;
    for (size_t i = 0; i < UUID_HYPHENATED_BYTES; i++) {
        if (is_hyphen_place(i)) {
            text[i] = '-';
            continue;
        }
        uint64_t half = digit < 16 ? id.high : id.low;
        text[i] = hex[half >> (60 - 4 * (digit % 16)) & 15];
        digit++;
    }
    text[UUID_HYPHENATED_BYTES] = '\0';
    return UUID_HYPHENATED_BYTES;
}

void oct_point_id_write(oct_json_writer *writer, oct_point_id id)
{
    if (!id.is_uuid) {
        oct_json_write_uint(writer, id.low);
        return;
    }
    char text[OCT_POINT_ID_TEXT_BYTES];
    size_t bytes = oct_point_id_print(id, text);
    oct_json_write_str(writer, (oct_str){ text, bytes });
}
