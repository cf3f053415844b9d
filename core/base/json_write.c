/* SPDX-License-Identifier: Apache-2.0
 *
 * json_write.c - writing: JSON text straight into a buffer, without a tree.
 *
 * A writer is a buffer and one flag, "a value precedes", from which commas follow. The first
 * failure is kept and silences the rest, so encoders are straight lines with one check at the
 * end. Strings are escaped as serde_json does it: quote, backslash and control characters only.
 * Shortest float texts are yyjson's (an implementation of Schubfach); it is handed a few values
 * on the stack and a stack buffer as its allocator, so no memory is asked for. printf with 9 or
 * 17 digits was rejected: six times slower, and not the shortest.
 *
 * Exponents: yyjson prints 1e21 and smaller powers in full, serde_json from 1e16 on with an
 * exponent. Both texts mean the same double. */
#include <string.h>
#include <yyjson.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"

#define SAFE_INTEGER_MAX (UINT64_C(1) << 53) /* the largest JavaScript reads exactly, and -it */

enum { INTEGER_TEXT_BYTES = 20 }; /* 18446744073709551615, -9223372036854775808 */

void oct_json_writer_init(oct_json_writer *writer, oct_buf *buf)
{
    *writer = (oct_json_writer){ .buf = buf, .status = OCT_OK };
}

oct_status oct_json_writer_status(const oct_json_writer *writer)
{
    return writer->status;
}

static void put(oct_json_writer *writer, const char *text, size_t bytes)
{
    if (writer->status == OCT_OK) writer->status = oct_buf_append(writer->buf, text, bytes, NULL);
}

static void put_byte(oct_json_writer *writer, char byte)
{
    put(writer, &byte, 1);
}

/* Every value starts here: the comma, unless it is the first of its container or behind a key. */
static void begin_value(oct_json_writer *writer)
{
    if (writer->comma) put_byte(writer, ',');
    writer->comma = true;
}

static void begin_container(oct_json_writer *writer, char bracket)
{
    begin_value(writer);
    put_byte(writer, bracket);
    writer->comma = false;
}

static void end_container(oct_json_writer *writer, char bracket)
{
    put_byte(writer, bracket);
    writer->comma = true;
}

void oct_json_begin_object(oct_json_writer *writer)
{
    begin_container(writer, '{');
}
void oct_json_end_object(oct_json_writer *writer)
{
    end_container(writer, '}');
}
void oct_json_begin_array(oct_json_writer *writer)
{
    begin_container(writer, '[');
}
void oct_json_end_array(oct_json_writer *writer)
{
    end_container(writer, ']');
}

/* ---- strings ---------------------------------------------------------------------------- */

static bool needs_escape(char byte)
{
    return (unsigned char)byte < 0x20 || byte == '"' || byte == '\\';
}

static void put_escape(oct_json_writer *writer, char byte)
{
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* pairs: byte, letter */
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i + 1 < sizeof letters; i += 2) {
        if (letters[i] != byte) continue;
        char escape[] = { '\\', letters[i + 1] };
        put(writer, escape, sizeof escape);
        return;
    }
    unsigned code = (unsigned char)byte;
    char escape[] = { '\\', 'u', '0', '0', digits[code / 16], digits[code % 16] };
    put(writer, escape, sizeof escape);
}

static void put_string(oct_json_writer *writer, oct_str text)
{
    put_byte(writer, '"');
    size_t start = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        if (!needs_escape(text.at[i])) continue;
        put(writer, text.at + start, i - start);
        put_escape(writer, text.at[i]);
        start = i + 1;
    }
    if (start < text.bytes) put(writer, text.at + start, text.bytes - start);
    put_byte(writer, '"');
}

void oct_json_key(oct_json_writer *writer, oct_str key)
{
    if (writer->comma) put_byte(writer, ',');
    put_string(writer, key);
    put_byte(writer, ':');
    writer->comma = false;
}

void oct_json_write_str(oct_json_writer *writer, oct_str text)
{
    begin_value(writer);
    put_string(writer, text);
}

void oct_json_write_null(oct_json_writer *writer)
{
    begin_value(writer);
    put(writer, "null", 4);
}

void oct_json_write_bool(oct_json_writer *writer, bool value)
{
    begin_value(writer);
    if (value)
        put(writer, "true", 4);
    else
        put(writer, "false", 5);
}

/* ---- integers --------------------------------------------------------------------------- */

static void put_tagged(oct_json_writer *writer, const char *text, size_t bytes)
{
    put(writer, "{\"$int\":\"", 9);
    put(writer, text, bytes);
    put(writer, "\"}", 2);
}

static void put_integer(oct_json_writer *writer, uint64_t magnitude, bool negative)
{
    char text[INTEGER_TEXT_BYTES];
    size_t start = sizeof text;
    uint64_t left = magnitude;
    do {
        text[--start] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (negative) text[--start] = '-';
    if (writer->tag_big_integers && magnitude > SAFE_INTEGER_MAX)
        put_tagged(writer, text + start, sizeof text - start);
    else
        put(writer, text + start, sizeof text - start);
}

void oct_json_write_uint(oct_json_writer *writer, uint64_t value)
{
    begin_value(writer);
    put_integer(writer, value, false);
}

void oct_json_write_int(oct_json_writer *writer, int64_t value)
{
    begin_value(writer);
    if (value < 0)
        put_integer(writer, 0 - (uint64_t)value, true);
    else
        put_integer(writer, (uint64_t)value, false);
}

/* ---- floats ----------------------------------------------------------------------------- */

enum {
    CHUNK_FLOATS = 64,
    /* yyjson starts with 18 bytes a value, the bracket included, plus 64, and grows by half when
     * fewer than 40 are left; a float takes at most 16 with its comma, so it rarely grows. */
    CHUNK_BYTES = 2 * ((CHUNK_FLOATS + 1) * 18 + 64 + 40)
};

typedef struct number_text {
    _Alignas(16) char at[CHUNK_BYTES];
} number_text;

static void *number_text_new(void *context, size_t bytes)
{
    number_text *text = context;
    return bytes <= sizeof text->at ? text->at : NULL;
}

static void *number_text_resize(void *context, void *old, size_t old_bytes, size_t bytes)
{
    UNUSED(old);
    UNUSED(old_bytes);
    return number_text_new(context, bytes);
}

static void number_text_free(void *context, void *memory)
{
    UNUSED(context);
    UNUSED(memory);
}

/* Print a number or a flat array of numbers into `text`; returns its bytes. */
static size_t print_number(const yyjson_val *value, yyjson_write_flag flag, number_text *text)
{
    yyjson_alc alc = { number_text_new, number_text_resize, number_text_free, text };
    yyjson_write_err failure = { 0 };
    size_t bytes = 0;
    flag |= YYJSON_WRITE_INF_AND_NAN_AS_NULL;
    char *at = yyjson_val_write_opts(value, flag, &alc, &bytes, &failure);
    ASSERT(at == text->at); /* the buffer is always large enough */
    return bytes;
}

static yyjson_val real_value(double value)
{
    yyjson_val real = { .tag = YYJSON_TYPE_NUM | YYJSON_SUBTYPE_REAL };
    real.uni.f64 = value;
    return real;
}

static void write_real(oct_json_writer *writer, double value, yyjson_write_flag flag)
{
    number_text text;
    yyjson_val real = real_value(value);
    begin_value(writer);
    put(writer, text.at, print_number(&real, flag, &text));
}

void oct_json_write_double(oct_json_writer *writer, double value)
{
    write_real(writer, value, YYJSON_WRITE_NOFLAG);
}

void oct_json_write_float(oct_json_writer *writer, float value)
{
    write_real(writer, (double)value, YYJSON_WRITE_FP_TO_FLOAT);
}

/* 1..CHUNK_FLOATS items, with commas between them. */
static void put_floats(oct_json_writer *writer, const float *values, size_t count)
{
    number_text text;
    yyjson_val array[1 + CHUNK_FLOATS];
    array[0].tag = (uint64_t)count << YYJSON_TAG_BIT | YYJSON_TYPE_ARR;
    array[0].uni.ofs = (1 + count) * sizeof array[0];
    for (size_t i = 0; i < count; i++)
        array[1 + i] = real_value((double)values[i]);
    size_t bytes = print_number(array, YYJSON_WRITE_FP_TO_FLOAT, &text);
    put(writer, text.at + 1, bytes - 2); /* without the brackets */
}

void oct_json_write_floats(oct_json_writer *writer, const float *values, size_t count)
{
    oct_json_begin_array(writer);
    for (size_t i = 0; i < count; i += CHUNK_FLOATS) {
        begin_value(writer);
        put_floats(writer, values + i, MIN(count - i, CHUNK_FLOATS));
    }
    oct_json_end_array(writer);
}

/* ---- parsed values ---------------------------------------------------------------------- */

/* Duplicate keys. Small objects compare each key with those behind it. Large ones sort their keys
 * once: all pairs of a hostile object with a million keys would take hours. The keys' addresses
 * grow in the order of the text, because they lie in the parser's copy of it. */

enum { SMALL_OBJECT = 16 };

static bool by_text(oct_str a, oct_str b)
{
    int order = oct_str_compare(a, b);
    return order != 0 ? order < 0 : a.at < b.at;
}

static bool by_place(oct_str a, oct_str b)
{
    return a.at < b.at;
}

static void sift_down(oct_str *keys, size_t count, size_t hole, bool (*before)(oct_str, oct_str))
{
    oct_str key = keys[hole];
    for (size_t child; (child = 2 * hole + 1) < count; hole = child) {
        if (child + 1 < count && before(keys[child], keys[child + 1])) child++;
        if (!before(key, keys[child])) break;
        keys[hole] = keys[child];
    }
    keys[hole] = key;
}

/* Heap sort: O(n log n) whatever the input, no memory. */
static void sort_keys(oct_str *keys, size_t count, bool (*before)(oct_str, oct_str))
{
    for (size_t i = count / 2; i-- > 0;)
        sift_down(keys, count, i, before);
    for (size_t left = count; left > 1; left--) {
        oct_str last = keys[0];
        keys[0] = keys[left - 1];
        keys[left - 1] = last;
        sift_down(keys, left - 1, 0, before);
    }
}

/* Reduce keys[count] to those that have a duplicate behind them, in the order of the text. */
static size_t superseded_keys(oct_str *keys, size_t count)
{
    size_t kept = 0;
    sort_keys(keys, count, by_text);
    for (size_t i = 0; i + 1 < count; i++)
        if (oct_str_equal(keys[i], keys[i + 1])) keys[kept++] = keys[i];
    sort_keys(keys, kept, by_place);
    return kept;
}

static bool occurs_later(oct_json_iter rest, oct_str key)
{
    oct_str later;
    while (oct_json_next(&rest, &later))
        if (oct_str_equal(later, key)) return true;
    return false;
}

static void write_small_object(oct_json_writer *writer, const oct_json *object)
{
    oct_json_iter iter = oct_json_iterate(object);
    oct_str key;
    oct_json_begin_object(writer);
    for (const oct_json *value; (value = oct_json_next(&iter, &key)) != NULL;) {
        if (occurs_later(iter, key)) continue;
        oct_json_key(writer, key);
        oct_json_write_value(writer, value);
    }
    oct_json_end_object(writer);
}

/* Write the pairs whose keys are not among `superseded`, which is in the order of the text. */
static void write_pairs(oct_json_writer *writer, const oct_json *object, const oct_str *superseded,
                        size_t superseded_count)
{
    oct_json_iter iter = oct_json_iterate(object);
    size_t passed = 0;
    oct_str key;
    oct_json_begin_object(writer);
    for (const oct_json *value; (value = oct_json_next(&iter, &key)) != NULL;) {
        if (passed < superseded_count && superseded[passed].at == key.at) {
            passed++;
            continue;
        }
        oct_json_key(writer, key);
        oct_json_write_value(writer, value);
    }
    oct_json_end_object(writer);
    ASSERT(passed == superseded_count);
}

static void write_large_object(oct_json_writer *writer, const oct_json *object)
{
    const oct_alloc *alloc = writer->buf->alloc;
    size_t count = oct_json_count(object);
    oct_str *keys = NULL;
    if (writer->status == OCT_OK)
        writer->status = oct_array_resize(alloc, &keys, 0, count, sizeof keys[0], NULL);
    if (writer->status != OCT_OK) return;
    oct_json_iter iter = oct_json_iterate(object);
    for (size_t i = 0; i < count; i++)
        (void)oct_json_next(&iter, &keys[i]); /* keys only */
    write_pairs(writer, object, keys, superseded_keys(keys, count));
    oct_free(alloc, keys, count * sizeof keys[0]);
}

static void write_array(oct_json_writer *writer, const oct_json *array)
{
    oct_json_iter iter = oct_json_iterate(array);
    oct_json_begin_array(writer);
    for (const oct_json *item; (item = oct_json_next(&iter, NULL)) != NULL;)
        oct_json_write_value(writer, item);
    oct_json_end_array(writer);
}

/* Recursion ends at OCT_JSON_DEPTH_MAX, which the parser checked. */
void oct_json_write_value(oct_json_writer *writer, const oct_json *value)
{
    if (writer->status != OCT_OK) return;
    switch (oct_json_kind_of(value)) {
    case OCT_JSON_NULL:
        oct_json_write_null(writer);
        break;
    case OCT_JSON_BOOL:
        oct_json_write_bool(writer, oct_json_bool(value));
        break;
    case OCT_JSON_UINT:
        oct_json_write_uint(writer, oct_json_uint(value));
        break;
    case OCT_JSON_INT:
        oct_json_write_int(writer, oct_json_int(value));
        break;
    case OCT_JSON_REAL:
        oct_json_write_double(writer, oct_json_number(value));
        break;
    case OCT_JSON_STRING:
        oct_json_write_str(writer, oct_json_string(value));
        break;
    case OCT_JSON_ARRAY:
        write_array(writer, value);
        break;
    case OCT_JSON_OBJECT:
        if (oct_json_count(value) <= SMALL_OBJECT)
            write_small_object(writer, value);
        else
            write_large_object(writer, value);
        break;
    }
}

/* ---- stored text ------------------------------------------------------------------------ */

/* Bytes of the string at `text`, quotes included. */
static size_t string_token_bytes(oct_str text)
{
    size_t i = 1;
    while (i < text.bytes && text.at[i] != '"')
        i += text.at[i] == '\\' ? 2 : 1;
    return MIN(i + 1, text.bytes);
}

/* Bytes of the number at `text`. */
static size_t number_token_bytes(oct_str text)
{
    size_t i = 0;
    while (i < text.bytes && memchr("+-.0123456789Ee", text.at[i], 15))
        i++;
    return i;
}

/* Is this number an integer that JavaScript would round? Integers beyond u64 and below i64 are
 * doubles to every reader, so they are left alone. */
static bool is_big_integer(oct_str number)
{
    bool negative = number.at[0] == '-';
    oct_str digits = { number.at + negative, number.bytes - negative };
    uint64_t magnitude;
    if (!oct_str_u64(digits, &magnitude)) return false;
    return magnitude > SAFE_INTEGER_MAX && (!negative || magnitude <= UINT64_C(1) << 63);
}

void oct_json_write_raw(oct_json_writer *writer, oct_str json)
{
    begin_value(writer);
    if (!writer->tag_big_integers) {
        put(writer, json.at, json.bytes);
        return;
    }
    size_t written = 0;
    size_t token;
    for (size_t i = 0; i < json.bytes; i += token) {
        oct_str rest = { json.at + i, json.bytes - i };
        token = 1;
        if (rest.at[0] == '"') token = string_token_bytes(rest);
        if (rest.at[0] != '-' && (rest.at[0] < '0' || rest.at[0] > '9')) continue;
        token = number_token_bytes(rest);
        if (!is_big_integer((oct_str){ rest.at, token })) continue;
        put(writer, json.at + written, i - written);
        put_tagged(writer, rest.at, token);
        written = i + token;
    }
    put(writer, json.at + written, json.bytes - written);
}
