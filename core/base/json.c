/* SPDX-License-Identifier: Apache-2.0
 *
 * json.c - reading: yyjson parses into the arena, and this file is the only reader of its values.
 *
 * yyjson keeps a document as one flat array of 16-byte values in the order of the text, plus one
 * copy of the text for the strings; containers know how far to skip. Both arrays come from the
 * arena through a yyjson_alc, the values as the newest push, so that they grow in place and what
 * yyjson guessed too much goes back at the end. An oct_json is such a value; the name hides the
 * library from everyone else.
 *
 * After parsing, one pass over the flat array settles what the library leaves open: it counts
 * the depth (with a fixed stack of ends, no recursion) and turns the integer -0, which yyjson
 * reads as 0, into the float -0.0 that serde_json makes of it.
 *
 * Rejected: a streaming reader (the array is walked twice by callers, once to validate), and
 * yyjson's in-place mode (it writes into the text, which belongs to the caller). */
#include "base/json.h"

#include <math.h>
#include <yyjson.h>

#include "base/str.h"

enum { TAG_REAL = YYJSON_TYPE_NUM | YYJSON_SUBTYPE_REAL };
enum { TAG_UINT = YYJSON_TYPE_NUM | YYJSON_SUBTYPE_UINT };
enum { TAG_SINT = YYJSON_TYPE_NUM | YYJSON_SUBTYPE_SINT };

/* ---- memory ----------------------------------------------------------------------------- */

typedef struct parse_memory {
    oct_arena *arena;
    size_t newest_bytes; /* size of what yyjson asked for last: the array of values */
} parse_memory;

static void *memory_new(void *context, size_t bytes)
{
    parse_memory *memory = context;
    memory->newest_bytes = bytes;
    return oct_arena_push(memory->arena, bytes);
}

static void *memory_resize(void *context, void *old, size_t old_bytes, size_t bytes)
{
    parse_memory *memory = context;
    memory->newest_bytes = bytes;
    return oct_arena_resize(memory->arena, old, old_bytes, bytes);
}

/* The arena frees everything at once. */
static void memory_free(void *context, void *old)
{
    UNUSED(context);
    UNUSED(old);
}

/* ---- errors ----------------------------------------------------------------------------- */

static oct_status fail_at(oct_error *error, const char *reason, oct_str text, size_t byte)
{
    size_t line = 0;
    size_t column = 0;
    yyjson_locate_pos(text.at, text.bytes, byte, &line, &column, NULL);
    return oct_fail(error, OCT_BAD_INPUT, "%s at line %zu column %zu (byte %zu)", reason, line,
                    column, byte);
}

/* The byte of the bracket that opens the first level too many of a valid text that has one. */
static size_t too_deep_byte(oct_str text)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.bytes; i++) {
        char byte = text.at[i];
        if (in_string) {
            if (byte == '\\') i++;
            in_string = byte != '"';
        } else if (byte == '"') {
            in_string = true;
        } else if (byte == '[' || byte == '{') {
            if (++depth > OCT_JSON_DEPTH_MAX) return i;
        } else if (byte == ']' || byte == '}') {
            depth--;
        }
    }
    return 0;
}

static oct_status fail_too_deep(oct_error *error, oct_str text)
{
    size_t byte = too_deep_byte(text);
    size_t line = 0;
    size_t column = 0;
    yyjson_locate_pos(text.at, text.bytes, byte, &line, &column, NULL);
    return oct_fail(error, OCT_LIMIT,
                    "more than %d levels of arrays and objects at line %zu column %zu (byte %zu)",
                    OCT_JSON_DEPTH_MAX, line, column, byte);
}

/* ---- parsing ---------------------------------------------------------------------------- */

/* Walk the flat array of `count` values: false when it nests too deep. */
static bool settle(yyjson_val *values, size_t count)
{
    const yyjson_val *ends[OCT_JSON_DEPTH_MAX];
    size_t depth = 0;
    for (yyjson_val *value = values; value < values + count; value++) {
        uint8_t tag = unsafe_yyjson_get_tag(value);
        if (tag == TAG_REAL) continue; /* nearly all values of a large body */
        if (tag == TAG_SINT && value->uni.u64 == 0) {
            value->tag = TAG_REAL;
            value->uni.f64 = -0.0;
        }
        if (!unsafe_yyjson_is_ctn(value)) continue;
        while (depth > 0 && value >= ends[depth - 1])
            depth--;
        if (depth == OCT_JSON_DEPTH_MAX) return false;
        ends[depth++] = unsafe_yyjson_get_next(value);
    }
    return true;
}

oct_status oct_json_parse(oct_arena *arena, oct_str text, const oct_json **out, oct_error *error)
{
    *out = NULL;
    parse_memory memory = { .arena = arena };
    yyjson_alc alc = { memory_new, memory_resize, memory_free, &memory };
    yyjson_read_err failure = { 0 };
    if (text.bytes == 0) return fail_at(error, "empty text", OCT_STR(""), 0);
    /* Without the in-place flag the text is only read; the parameter is not const for its sake. */
    char *source = (char *)(uintptr_t)text.at;
    yyjson_doc *doc = yyjson_read_opts(source, text.bytes, YYJSON_READ_NOFLAG, &alc, &failure);
    if (!doc && failure.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        return oct_arena_fail(arena, "a parsed JSON text", error);
    if (!doc) return fail_at(error, failure.msg, text, failure.pos);
    if (!settle(doc->root, doc->val_read)) return fail_too_deep(error, text);
    /* Give back the values yyjson reserved and did not use. It may move them, which is fine: they
     * point into the copy of the text and, relatively, at each other. */
    size_t root = (size_t)((char *)doc->root - (char *)doc);
    size_t bytes = root + doc->val_read * sizeof(yyjson_val);
    char *moved = oct_arena_resize(arena, doc, memory.newest_bytes, bytes);
    ASSERT(moved != NULL);
    *out = (const oct_json *)(const void *)(moved + root);
    return OCT_OK;
}

/* ---- values ----------------------------------------------------------------------------- */

static const yyjson_val *value_of(const oct_json *value)
{
    return (const yyjson_val *)value;
}
static const oct_json *json_of(const yyjson_val *value)
{
    return (const oct_json *)value;
}

/* yyjson's accessors are not const-correct; none of those used here writes. */
static yyjson_val *unsafe_of(const yyjson_val *value)
{
    return (yyjson_val *)(uintptr_t)value;
}

oct_json_kind oct_json_kind_of(const oct_json *value)
{
    uint8_t tag = unsafe_yyjson_get_tag(unsafe_of(value_of(value)));
    switch (tag & YYJSON_TYPE_MASK) {
    case YYJSON_TYPE_NULL:
        return OCT_JSON_NULL;
    case YYJSON_TYPE_BOOL:
        return OCT_JSON_BOOL;
    case YYJSON_TYPE_STR:
        return OCT_JSON_STRING;
    case YYJSON_TYPE_ARR:
        return OCT_JSON_ARRAY;
    case YYJSON_TYPE_OBJ:
        return OCT_JSON_OBJECT;
    default:
        break;
    }
    if (tag == TAG_UINT) return OCT_JSON_UINT;
    if (tag == TAG_SINT) return OCT_JSON_INT;
    ASSERT(tag == TAG_REAL);
    return OCT_JSON_REAL;
}

const char *oct_json_kind_name(const oct_json *value)
{
    static const char *const names[] = {
        [OCT_JSON_NULL] = "null",     [OCT_JSON_BOOL] = "boolean",
        [OCT_JSON_UINT] = "integer",  [OCT_JSON_INT] = "integer",
        [OCT_JSON_STRING] = "string", [OCT_JSON_REAL] = "floating point number",
        [OCT_JSON_ARRAY] = "array",   [OCT_JSON_OBJECT] = "object",
    };
    return names[oct_json_kind_of(value)];
}

bool oct_json_bool(const oct_json *value)
{
    ASSERT(oct_json_kind_of(value) == OCT_JSON_BOOL);
    return unsafe_yyjson_get_bool(unsafe_of(value_of(value)));
}

uint64_t oct_json_uint(const oct_json *value)
{
    ASSERT(oct_json_kind_of(value) == OCT_JSON_UINT);
    return value_of(value)->uni.u64;
}

int64_t oct_json_int(const oct_json *value)
{
    oct_json_kind kind = oct_json_kind_of(value);
    if (kind == OCT_JSON_UINT)
        ASSERT(value_of(value)->uni.u64 <= INT64_MAX);
    else
        ASSERT(kind == OCT_JSON_INT);
    return value_of(value)->uni.i64;
}

bool oct_json_is_number(const oct_json *value)
{
    return unsafe_yyjson_get_type(unsafe_of(value_of(value))) == YYJSON_TYPE_NUM;
}

double oct_json_number(const oct_json *value)
{
    const yyjson_val *number = value_of(value);
    switch (oct_json_kind_of(value)) {
    case OCT_JSON_UINT:
        return (double)number->uni.u64;
    case OCT_JSON_INT:
        return (double)number->uni.i64;
    default:
        break;
    }
    ASSERT(oct_json_kind_of(value) == OCT_JSON_REAL);
    return number->uni.f64;
}

oct_str oct_json_string(const oct_json *value)
{
    ASSERT(oct_json_kind_of(value) == OCT_JSON_STRING);
    const yyjson_val *string = value_of(value);
    return (oct_str){ string->uni.str, unsafe_yyjson_get_len(unsafe_of(string)) };
}

/* ---- containers ------------------------------------------------------------------------- */

size_t oct_json_count(const oct_json *value)
{
    ASSERT(unsafe_yyjson_is_ctn(unsafe_of(value_of(value))));
    return unsafe_yyjson_get_len(unsafe_of(value_of(value)));
}

oct_json_iter oct_json_iterate(const oct_json *container)
{
    oct_json_kind kind = oct_json_kind_of(container);
    ASSERT(kind == OCT_JSON_ARRAY || kind == OCT_JSON_OBJECT);
    return (oct_json_iter){
        .next = json_of(value_of(container) + 1), /* only looked at when left > 0 */
        .left = oct_json_count(container),
        .object = kind == OCT_JSON_OBJECT,
    };
}

const oct_json *oct_json_next(oct_json_iter *iter, oct_str *key)
{
    if (iter->left == 0) return NULL;
    const yyjson_val *value = value_of(iter->next);
    if (iter->object) {
        ASSERT(key != NULL);
        *key = oct_json_string(json_of(value));
        value++;
    }
    iter->left--;
    iter->next = json_of(unsafe_yyjson_get_next(unsafe_of(value)));
    return json_of(value);
}

const oct_json *oct_json_get(const oct_json *object, oct_str key)
{
    ASSERT(oct_json_kind_of(object) == OCT_JSON_OBJECT);
    const oct_json *found = NULL;
    oct_json_iter iter = oct_json_iterate(object);
    oct_str name;
    for (const oct_json *value; (value = oct_json_next(&iter, &name)) != NULL;)
        if (oct_str_equal(name, key)) found = value;
    return found;
}

/* Numbers are one value each, so as long as only numbers were met, item i is at first + i. */
size_t oct_json_floats(const oct_json *array, float *out)
{
    ASSERT(oct_json_kind_of(array) == OCT_JSON_ARRAY);
    size_t count = oct_json_count(array);
    const yyjson_val *first = value_of(array) + 1;
    for (size_t i = 0; i < count; i++) {
        uint8_t tag = (uint8_t)first[i].tag;
        float value;
        if (tag == TAG_REAL)
            value = (float)first[i].uni.f64;
        else if (tag == TAG_UINT)
            value = (float)first[i].uni.u64;
        else if (tag == TAG_SINT)
            value = (float)first[i].uni.i64;
        else
            return i;
        if (!isfinite(value)) return i;
        out[i] = value;
    }
    return count;
}
