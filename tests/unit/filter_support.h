/* SPDX-License-Identifier: Apache-2.0 */
/* filter_support.h - for the tests of payload indexes and filters: random payloads and
 * conditions over a small vocabulary, and a second, naive meaning of conditions to compare with.
 *
 * The naive meaning shares no code with core/query or core/model: paths are written out as steps
 * here, lists are searched in order, arrays are expanded into lists of values first. */
#ifndef OCT_TEST_FILTER_SUPPORT_H
#define OCT_TEST_FILTER_SUPPORT_H

#include <math.h>

#include "index/field.h"
#include "model_support.h"
#include "octant/types.h"

enum { FILTER_TEXT_BYTES = 4096, FILTER_VALUES_MAX = 512 };

/* ---- random payloads -------------------------------------------------------------------- */

typedef struct text_out {
    char at[FILTER_TEXT_BYTES];
    size_t bytes;
} text_out;

static inline void text_put(text_out *text, const char *piece)
{
    size_t bytes = strlen(piece);
    if (text->bytes + bytes >= sizeof text->at) abort();
    memcpy(text->at + text->bytes, piece, bytes + 1);
    text->bytes += bytes;
}

static const char *const filter_scalars[] = { "null",
                                              "true",
                                              "false",
                                              "0",
                                              "1",
                                              "2",
                                              "3",
                                              "-1",
                                              "-2",
                                              "1.0",
                                              "2.0",
                                              "2.5",
                                              "-0.0",
                                              "-0",
                                              "1e300",
                                              "9007199254740993",
                                              "9007199254740992.0",
                                              "9223372036854775807",
                                              "-9223372036854775808",
                                              "9223372036854775808",
                                              "18446744073709551615",
                                              "\"\"",
                                              "\"red\"",
                                              "\"green\"",
                                              "\"blue\"",
                                              "\"re\"",
                                              "\"t\"",
                                              "\"f\"",
                                              "\"1\"",
                                              "{}" };

static inline void put_value(text_out *text, unsigned depth)
{
    uint32_t choice = test_random_below(10);
    if (depth == 0 || choice < 7) {
        /* Mostly few values, so that conditions meet them. */
        uint32_t limit = test_random_below(3) ? 8 : (uint32_t)ARRAY_COUNT(filter_scalars);
        uint32_t start = test_random_below(3) == 0 ? 22 : 0;
        text_put(text,
                 filter_scalars[(start + test_random_below(limit)) % ARRAY_COUNT(filter_scalars)]);
        return;
    }
    bool array = choice < 9;
    uint32_t count = test_random_below(4);
    text_put(text, array ? "[" : "{");
    for (uint32_t i = 0; i < count; i++) {
        static const char *const keys[] = { "\"x\":", "\"y\":", "\"a\":", "\"z\":" };
        if (i) text_put(text, ",");
        if (!array) text_put(text, keys[i]);
        put_value(text, depth - 1);
    }
    text_put(text, array ? "]" : "}");
}

/* A payload with some of the members a, b, n, m and "q k"; sometimes none at all. */
static inline void random_payload(text_out *text)
{
    static const char *const keys[] = { "\"a\":", "\"b\":", "\"n\":{\"x\":", "\"m\":[{\"y\":",
                                        "\"q k\":" };
    static const char *const ends[] = { "", "", "}", "}]", "" };
    text->bytes = 0;
    text->at[0] = '\0';
    if (test_random_below(10) == 0) return;
    bool first = true;
    text_put(text, "{");
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        if (test_random_below(4) == 0) continue;
        if (!first) text_put(text, ",");
        first = false;
        text_put(text, keys[i]);
        put_value(text, 3);
        if (i == 3 && test_random_below(2)) {
            text_put(text, "},{\"y\":");
            put_value(text, 2);
        }
        text_put(text, ends[i]);
    }
    text_put(text, "}");
}

/* ---- keys ------------------------------------------------------------------------------- */

/* A path as steps: a name, "[]", or "[1]" for the second item. */
typedef struct filter_key {
    const char *text;
    const char *steps[4];
} filter_key;

static const filter_key filter_keys[] = {
    { "a", { "a" } },
    { "b", { "b" } },
    { "n.x", { "n", "x" } },
    { "m[].y", { "m", "[]", "y" } },
    { "m[1].y", { "m", "[1]", "y" } },
    { "\"q k\"", { "q k" } },
    { "a[]", { "a", "[]" } },
    { "missing.x", { "missing", "x" } },
};

static inline const filter_key *filter_key_of(oct_str text)
{
    for (size_t i = 0; i < ARRAY_COUNT(filter_keys); i++)
        if (oct_str_equal(text, oct_str_of(filter_keys[i].text))) return &filter_keys[i];
    abort();
}

/* ---- the naive meaning ------------------------------------------------------------------ */

typedef struct value_list {
    const oct_json *at[FILTER_VALUES_MAX];
    size_t count;
} value_list;

static inline void value_add(value_list *list, const oct_json *value)
{
    if (list->count == FILTER_VALUES_MAX) abort();
    list->at[list->count++] = value;
}

/* The values at the end of a key: every step turns a list of values into the next one. */
static inline void naive_select(const filter_key *key, const oct_json *payload, value_list *out)
{
    out->count = 0;
    if (!payload) return;
    value_add(out, payload);
    for (size_t step = 0; step < ARRAY_COUNT(key->steps) && key->steps[step]; step++) {
        value_list from = *out;
        out->count = 0;
        for (size_t i = 0; i < from.count; i++) {
            oct_json_kind kind = oct_json_kind_of(from.at[i]);
            bool bracket = key->steps[step][0] == '[';
            if (kind != (bracket ? OCT_JSON_ARRAY : OCT_JSON_OBJECT)) continue;
            oct_str name;
            oct_json_iter iter = oct_json_iterate(from.at[i]);
            const oct_json *item;
            for (size_t at = 0; (item = oct_json_next(&iter, &name)) != NULL; at++) {
                if (bracket ? strcmp(key->steps[step], "[]") == 0 || at == 1
                            : oct_str_equal(name, oct_str_of(key->steps[step])))
                    value_add(out, item);
            }
        }
    }
}

static inline bool naive_equal(const oct_scalar *scalar, const oct_json *value)
{
    switch (oct_json_kind_of(value)) {
    case OCT_JSON_STRING:
        return scalar->kind == OCT_SCALAR_KEYWORD &&
               oct_str_equal(scalar->keyword, oct_json_string(value));
    case OCT_JSON_BOOL:
        return scalar->kind == OCT_SCALAR_BOOL && (scalar->integer != 0) == oct_json_bool(value);
    case OCT_JSON_INT:
        return scalar->kind == OCT_SCALAR_INTEGER && scalar->integer == oct_json_int(value);
    case OCT_JSON_UINT:
        return scalar->kind == OCT_SCALAR_INTEGER && scalar->integer >= 0 &&
               (uint64_t)scalar->integer == oct_json_uint(value);
    default:
        return false;
    }
}

static inline bool naive_in_range(const oct_range *range, const oct_json *value)
{
    if (!oct_json_is_number(value)) return false;
    double number = oct_json_number(value);
    if (range->has_lower && number < range->lower) return false;
    if (range->has_lower && range->lower_open && number == range->lower) return false;
    if (range->has_upper && number > range->upper) return false;
    if (range->has_upper && range->upper_open && number == range->upper) return false;
    return true;
}

static inline bool naive_item(const oct_condition *condition, const oct_json *value)
{
    bool listed = false;
    for (uint32_t i = 0; i < condition->value_count; i++)
        listed = listed || naive_equal(&condition->values[i], value);
    switch (condition->kind) {
    case OCT_CONDITION_MATCH_ANY:
        return listed;
    case OCT_CONDITION_MATCH_EXCEPT:
        return !listed && oct_json_kind_of(value) != OCT_JSON_NULL;
    case OCT_CONDITION_RANGE:
        return naive_in_range(&condition->range, value);
    case OCT_CONDITION_IS_NULL:
        return oct_json_kind_of(value) == OCT_JSON_NULL;
    default:
        abort();
    }
}

/* A condition on a field, for a payload (NULL: none). */
static inline bool naive_field(const oct_condition *condition, const oct_json *payload)
{
    value_list ends;
    bool any = false;
    bool empty = true;
    naive_select(filter_key_of(condition->key), payload, &ends);
    for (size_t i = 0; i < ends.count; i++) {
        oct_json_kind kind = oct_json_kind_of(ends.at[i]);
        size_t items = kind == OCT_JSON_ARRAY ? oct_json_count(ends.at[i]) : 0;
        if (kind == OCT_JSON_ARRAY ? items > 0 : kind != OCT_JSON_NULL) empty = false;
        if (condition->kind == OCT_CONDITION_IS_EMPTY) continue;
        if (kind != OCT_JSON_ARRAY) {
            any = any || naive_item(condition, ends.at[i]);
            continue;
        }
        oct_json_iter iter = oct_json_iterate(ends.at[i]);
        const oct_json *item;
        while ((item = oct_json_next(&iter, NULL)) != NULL)
            any = any || naive_item(condition, item);
    }
    return condition->kind == OCT_CONDITION_IS_EMPTY ? empty : any;
}

/* ---- random conditions ------------------------------------------------------------------ */

static inline oct_scalar random_scalar(void)
{
    static const char *const words[] = { "", "red", "green", "blue", "re", "t", "f", "1", "reda" };
    static const int64_t integers[] = {
        0, 1, 2, 3, -1, -2, 4, INT64_MAX, INT64_MIN, 9007199254740992, 9007199254740993
    };
    switch (test_random_below(5)) {
    case 0:
    case 1:
        return (oct_scalar){ .kind = OCT_SCALAR_KEYWORD,
                             .keyword = oct_str_of(words[test_random_below(ARRAY_COUNT(words))]) };
    case 2:
    case 3:
        return (oct_scalar){ .kind = OCT_SCALAR_INTEGER,
                             .integer = integers[test_random_below(ARRAY_COUNT(integers))] };
    default:
        return (oct_scalar){ .kind = OCT_SCALAR_BOOL, .integer = (int64_t)test_random_below(2) };
    }
}

static inline oct_range random_range(void)
{
    static const double bounds[] = {
        -2, -1, -0.0, 0, 0.5, 1, 2, 2.5, 3, 1e300, 9007199254740992.0, 9223372036854775808.0
    };
    oct_range range = { .lower = -(double)INFINITY, .upper = (double)INFINITY };
    if (test_random_below(3)) {
        range.has_lower = true;
        range.lower_open = test_random_below(2) != 0;
        range.lower = bounds[test_random_below(ARRAY_COUNT(bounds))];
    }
    if (test_random_below(3)) {
        range.has_upper = true;
        range.upper_open = test_random_below(2) != 0;
        range.upper = bounds[test_random_below(ARRAY_COUNT(bounds))];
    }
    return range;
}

/* A condition on `key`; its values come from the arena. */
static inline oct_condition random_field_condition(oct_arena *arena, const char *key)
{
    static const oct_condition_kind kinds[] = { OCT_CONDITION_MATCH_ANY,    OCT_CONDITION_MATCH_ANY,
                                                OCT_CONDITION_MATCH_EXCEPT, OCT_CONDITION_RANGE,
                                                OCT_CONDITION_IS_EMPTY,     OCT_CONDITION_IS_NULL };
    oct_condition condition = { .kind = kinds[test_random_below(ARRAY_COUNT(kinds))],
                                .key = oct_str_of(key) };
    if (condition.kind == OCT_CONDITION_RANGE) condition.range = random_range();
    if (condition.kind == OCT_CONDITION_MATCH_ANY || condition.kind == OCT_CONDITION_MATCH_EXCEPT) {
        oct_scalar *values;
        condition.value_count = test_random_below(5);
        if (oct_arena_array(arena, condition.value_count, sizeof *values, &values, NULL) != OCT_OK)
            abort();
        for (uint32_t i = 0; i < condition.value_count; i++) {
            values[i] = random_scalar();
            /* Mostly of one kind, as the API makes them. */
            if (i > 0 && test_random_below(3)) {
                oct_scalar other = random_scalar();
                if (other.kind == values[0].kind)
                    values[i] = other;
                else
                    values[i] = values[0];
            }
        }
        condition.values = values;
    }
    return condition;
}

#endif
