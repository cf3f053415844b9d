/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the reader's JSON semantics are pinned: numbers, strings, duplicates, depth, and where an
 * error is; memory stays near what the library itself needs, and every failure leaves nothing.
 * Method: tables of texts with what they mean or where they break; random damage to a valid text;
 * floats against the plain conversion; an allocation-failure sweep. */
#include "base/json.h"

#include <math.h>

#include "base/str.h"
#include "base_heap.h"
#include "test.h"

static oct_arena arena;

static oct_status parse_bytes(const char *text, size_t bytes, const oct_json **out,
                              oct_error *error)
{
    return oct_json_parse(&arena, (oct_str){ text, bytes }, out, error);
}

/* Parse a text that must be valid; NULL (and a failed test) when it is not. */
static const oct_json *parse(const char *text)
{
    const oct_json *value;
    oct_error error = { .message = "" };
    oct_status status = parse_bytes(text, strlen(text), &value, &error);
    if (status != OCT_OK) printf("%s: %s\n", text, error.message);
    CHECK_OR(NULL, status == OCT_OK);
    return value;
}

static void start(void)
{
    oct_arena_init(&arena, heap_start(), 0);
}

static void finish(void)
{
    oct_arena_reset(&arena);
    CHECK(heap_is_empty());
}

TEST(kinds_and_their_names)
{
    static const struct {
        const char *text;
        oct_json_kind kind;
        const char *name;
    } known[] = {
        { "null", OCT_JSON_NULL, "null" },     { "true", OCT_JSON_BOOL, "boolean" },
        { "false", OCT_JSON_BOOL, "boolean" }, { "0", OCT_JSON_UINT, "integer" },
        { "-1", OCT_JSON_INT, "integer" },     { "1.5", OCT_JSON_REAL, "floating point number" },
        { "\"\"", OCT_JSON_STRING, "string" }, { "[]", OCT_JSON_ARRAY, "array" },
        { "{}", OCT_JSON_OBJECT, "object" },   { " \t\r\n[ ] \n", OCT_JSON_ARRAY, "array" },
    };
    start();
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        const oct_json *value = parse(known[i].text);
        CHECK(oct_json_kind_of(value) == known[i].kind);
        CHECK_EQ_STR(oct_json_kind_name(value), known[i].name);
        bool number = known[i].kind >= OCT_JSON_UINT && known[i].kind <= OCT_JSON_REAL;
        CHECK(oct_json_is_number(value) == number);
    }
    CHECK(oct_json_bool(parse("true")));
    CHECK(!oct_json_bool(parse("false")));
    finish();
}

static void check_number(const char *text, oct_json_kind kind, double number)
{
    const oct_json *value = parse(text);
    CHECK(value != NULL);
    if (oct_json_kind_of(value) != kind) printf("%s\n", text);
    CHECK(oct_json_kind_of(value) == kind);
    CHECK(oct_json_number(value) == number);
    CHECK(!signbit(oct_json_number(value)) == !signbit(number));
}

TEST(numbers_are_integers_while_they_fit)
{
    start();
    check_number("0", OCT_JSON_UINT, 0.0);
    check_number("18446744073709551615", OCT_JSON_UINT, 18446744073709551615.0);
    check_number("18446744073709551616", OCT_JSON_REAL, 18446744073709551616.0);
    check_number("-9223372036854775808", OCT_JSON_INT, -9223372036854775808.0);
    check_number("-9223372036854775809", OCT_JSON_REAL, -9223372036854775808.0);
    check_number("123456789012345678901234567890", OCT_JSON_REAL, 123456789012345678901234567890.0);
    check_number("-123456789012345678901234567890", OCT_JSON_REAL,
                 -123456789012345678901234567890.0);
    check_number("1.0", OCT_JSON_REAL, 1.0);
    check_number("1e2", OCT_JSON_REAL, 100.0);
    check_number("-0", OCT_JSON_REAL, -0.0);
    check_number("-0.0", OCT_JSON_REAL, -0.0);
    check_number("-0e5", OCT_JSON_REAL, -0.0);
    check_number("1e-999", OCT_JSON_REAL, 0.0);
    check_number("-1e-999", OCT_JSON_REAL, -0.0);
    check_number("5e-324", OCT_JSON_REAL, 5e-324);
    check_number("1.7976931348623157e308", OCT_JSON_REAL, 1.7976931348623157e308);
    CHECK_EQ_U64(oct_json_uint(parse("18446744073709551615")), UINT64_MAX);
    CHECK_EQ_I64(oct_json_int(parse("-9223372036854775808")), INT64_MIN);
    CHECK_EQ_I64(oct_json_int(parse("9223372036854775807")), INT64_MAX);
    const oct_json *array = parse("[-0,{\"a\":-0},0]");
    oct_json_iter iter = oct_json_iterate(array);
    CHECK(oct_json_kind_of(oct_json_next(&iter, NULL)) == OCT_JSON_REAL);
    const oct_json *inner = oct_json_get(oct_json_next(&iter, NULL), OCT_STR("a"));
    CHECK(oct_json_kind_of(inner) == OCT_JSON_REAL && signbit(oct_json_number(inner)));
    CHECK(oct_json_kind_of(oct_json_next(&iter, NULL)) == OCT_JSON_UINT);
    finish();
}

TEST(random_doubles_are_read_exactly)
{
    start();
    for (int i = 0; i < 20000; i++) {
        char text[64];
        uint64_t bits = test_random();
        double expected;
        memcpy(&expected, &bits, sizeof expected);
        if (!isfinite(expected)) continue;
        snprintf(text, sizeof text, "%.*e", (int)test_random_below(25), expected);
        expected = strtod(text, NULL);
        const oct_json *value;
        bool finite = isfinite(expected); /* rounding up may have left the range */
        oct_status status = parse_bytes(text, strlen(text), &value, NULL);
        CHECK(status == (finite ? OCT_OK : OCT_BAD_INPUT));
        CHECK(!finite || memcmp(&expected, &(double){ oct_json_number(value) }, 8) == 0);
        if (i % 100 == 0) oct_arena_reset(&arena);
    }
    finish();
}

static void check_string(const char *text, const char *expected, size_t bytes)
{
    oct_str string = oct_json_string(parse(text));
    CHECK(oct_str_equal(string, (oct_str){ expected, bytes }));
}

TEST(strings_are_copied_and_unescaped)
{
    start();
    check_string("\"\"", "", 0);
    check_string("\"a b\"", "a b", 3);
    check_string("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
    check_string("\"\\u0000\\u0041\\u00e9\\u20ac\"", "\0A\xC3\xA9\xE2\x82\xAC", 7);
    check_string("\"\\ud83d\\ude00\"", "\xF0\x9F\x98\x80", 4);
    check_string("\"\xF0\x9F\x98\x80\x7F\"", "\xF0\x9F\x98\x80\x7F", 5);
    char text[] = "[\"stays\"]";
    oct_json_iter iter = oct_json_iterate(parse(text));
    memset(text, 'x', sizeof text);
    CHECK(oct_str_equal(oct_json_string(oct_json_next(&iter, NULL)), OCT_STR("stays")));
    finish();
}

typedef struct wrong_text {
    const char *text;
    const char *position;
} wrong_text;

static void check_wrong(const char *text, size_t bytes, const char *position)
{
    const oct_json *value = (const oct_json *)(const void *)text; /* anything but NULL */
    oct_error error = { .message = "" };
    CHECK(parse_bytes(text, bytes, &value, &error) == OCT_BAD_INPUT);
    CHECK(value == NULL);
    const char *at = strstr(error.message, " at line ");
    if (!at || strcmp(at + 4, position) != 0) printf("%s: %s\n", text, error.message);
    CHECK(at && at > error.message);
    CHECK_EQ_STR(at + 4, position);
}

TEST(errors_say_where)
{
    static const wrong_text wrong[] = {
        { "", "line 1 column 1 (byte 0)" },
        { "[1,2", "line 1 column 5 (byte 4)" },
        { "[1,\n 2,\n  x]", "line 3 column 3 (byte 10)" },
        { "{\"\xE2\x82\xAC\xE2\x82\xAC\":x}", "line 1 column 7 (byte 10)" },
        { "[1,]", "line 1 column 3 (byte 2)" },
        { "{\"a\":1,}", "line 1 column 7 (byte 6)" },
        { "{\"a\" 1}", "line 1 column 6 (byte 5)" },
        { "{a:1}", "line 1 column 2 (byte 1)" },
        { "[1] 2", "line 1 column 5 (byte 4)" },
        { "[1e999]", "line 1 column 2 (byte 1)" },
        { "-1e999", "line 1 column 1 (byte 0)" },
        { "[nan]", "line 1 column 2 (byte 1)" },
        { "[NaN]", "line 1 column 2 (byte 1)" },
        { "[Infinity]", "line 1 column 2 (byte 1)" },
        { "[1,/**/2]", "line 1 column 4 (byte 3)" },
        { "'a'", "line 1 column 1 (byte 0)" },
        { "\xEF\xBB\xBF{}", "line 1 column 1 (byte 0)" },
        { "[\"a\nb\"]", "line 1 column 4 (byte 3)" },
    };
    start();
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        check_wrong(wrong[i].text, strlen(wrong[i].text), wrong[i].position);
    finish();
}

TEST(texts_that_are_not_json)
{
    static const char *const wrong[] = {
        " ",
        "tru",
        "nul",
        "TRUE",
        "+1",
        "01",
        "1.",
        ".5",
        "1e",
        "0x10",
        "--1",
        "[",
        "{",
        "]",
        "[1 2]",
        "{\"a\"}",
        "{1:2}",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\xFF\"",
        "\"\xC0\x80\"",
        "\"\xED\xA0\x80\"",
        "\"\xF4\x90\x80\x80\"",
        "\"\xE2\x82\"",
        "\"\x01\"",
        "{} {}",
        "[1]]",
        "//\n1",
        "\x80",
    };
    start();
    oct_error error;
    const oct_json *value;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        oct_status status = parse_bytes(wrong[i], strlen(wrong[i]), &value, &error);
        if (status != OCT_BAD_INPUT) printf("%s\n", wrong[i]);
        CHECK(status == OCT_BAD_INPUT);
        CHECK(strstr(error.message, " at line 1 column ") || strstr(error.message, " at line 2 "));
    }
    CHECK(parse_bytes("[1]\0", 4, &value, &error) == OCT_BAD_INPUT); /* NUL is no space */
    CHECK(parse_bytes("\"a\0b\"", 5, &value, &error) == OCT_BAD_INPUT);
    CHECK(parse_bytes(NULL, 0, &value, &error) == OCT_BAD_INPUT);
    char digits[400];
    memset(digits, '9', sizeof digits);
    CHECK(parse_bytes(digits, sizeof digits, &value, &error) == OCT_BAD_INPUT);
    CHECK(parse_bytes(digits, 300, &value, &error) == OCT_OK);
    finish();
}

/* `before`, then levels of arrays and objects by turns, then their ends. */
static size_t nested(char *out, const char *before, size_t levels)
{
    size_t bytes = strlen(before);
    memcpy(out, before, bytes);
    for (size_t i = 0; i < levels; i++) {
        const char *open = i % 2 ? "{\"[{\\\"\":" : "[";
        memcpy(out + bytes, open, strlen(open));
        bytes += strlen(open);
    }
    out[bytes++] = '1';
    for (size_t i = levels; i-- > 0;)
        out[bytes++] = i % 2 ? '}' : ']';
    return bytes;
}

TEST(depth_is_limited_without_recursion)
{
    enum { ROOM = 6000000 };
    char *text = malloc(ROOM);
    const oct_json *value;
    oct_error error;
    CHECK(text != NULL);
    start();
    for (size_t levels = 1; levels < 80; levels++) {
        size_t bytes = nested(text, "", levels);
        oct_status status = parse_bytes(text, bytes, &value, &error);
        CHECK(status == (levels <= OCT_JSON_DEPTH_MAX ? OCT_OK : OCT_LIMIT));
    }
    CHECK_EQ_STR(error.message,
                 "more than 64 levels of arrays and objects at line 1 column 289 (byte 288)");
    CHECK(text[288] == '[');
    CHECK(parse_bytes(text, nested(text, "\n\n", 65), &value, &error) == OCT_LIMIT);
    CHECK(strstr(error.message, "line 3 column 289 (byte 290)"));
    CHECK(parse_bytes(text, nested(text, "", 500000), &value, &error) == OCT_LIMIT);
    memset(text, '[', ROOM);
    CHECK(parse_bytes(text, ROOM, &value, &error) == OCT_BAD_INPUT); /* they never end */
    /* Many shallow containers are no depth. */
    size_t bytes = 0;
    text[bytes++] = '[';
    for (int i = 0; i < 1000; i++, bytes += 8)
        memcpy(text + bytes, "[[{}]], ", 8);
    memcpy(text + bytes, "[]]", 3);
    CHECK(parse_bytes(text, bytes + 3, &value, &error) == OCT_OK);
    CHECK(oct_json_count(value) == 1001);
    finish();
    free(text);
}

TEST(containers_are_iterated_in_order)
{
    start();
    const oct_json *object = parse("{\"a\":[1,[2,{\"x\":3}],\"s\"],\"\":{},\"a\":null,\"b\":4}");
    CHECK(oct_json_count(object) == 4);
    static const char *const keys[] = { "a", "", "a", "b" };
    static const oct_json_kind kinds[] = { OCT_JSON_ARRAY, OCT_JSON_OBJECT, OCT_JSON_NULL,
                                           OCT_JSON_UINT };
    oct_json_iter iter = oct_json_iterate(object);
    oct_str key;
    for (size_t i = 0; i < 4; i++) {
        const oct_json *value = oct_json_next(&iter, &key);
        CHECK(value && oct_json_kind_of(value) == kinds[i]);
        CHECK(oct_str_equal(key, oct_str_of(keys[i])));
    }
    CHECK(oct_json_next(&iter, &key) == NULL);
    CHECK(oct_json_next(&iter, &key) == NULL);
    CHECK(oct_json_kind_of(oct_json_get(object, OCT_STR("a"))) == OCT_JSON_NULL); /* the last */
    CHECK(oct_json_count(oct_json_get(object, OCT_STR(""))) == 0);
    CHECK(oct_json_get(object, OCT_STR("c")) == NULL);
    CHECK(oct_json_get(object, OCT_STR("a\0")) == NULL);
    CHECK(oct_json_get(parse("{}"), OCT_STR("a")) == NULL);
    iter = oct_json_iterate(parse("[]"));
    CHECK(oct_json_next(&iter, NULL) == NULL);
    iter = oct_json_iterate(parse("[[],{},[7]]"));
    CHECK(oct_json_count(oct_json_next(&iter, NULL)) == 0);
    CHECK(oct_json_count(oct_json_next(&iter, NULL)) == 0);
    CHECK(oct_json_count(oct_json_next(&iter, NULL)) == 1);
    CHECK(oct_json_next(&iter, NULL) == NULL);
    finish();
}

TEST(floats_are_rounded_once_from_the_double)
{
    enum { COUNT = 500 };
    static char text[COUNT * 32];
    static float expected[COUNT], found[COUNT];
    start();
    for (int round = 0; round < 50; round++) {
        size_t bytes = 0;
        text[bytes++] = '[';
        for (int i = 0; i < COUNT; i++) {
            char *at = text + bytes;
            double real = (double)test_random_float() * pow(10, test_random_below(60) - 30.0);
            uint32_t kind = test_random_below(4);
            uint64_t integer = 1 + (test_random() >> (1 + test_random_below(63)));
            if (kind == 0)
                sprintf(at, "%" PRIu64, integer * 2 - 1);
            else if (kind == 1)
                sprintf(at, "-%" PRIu64, integer);
            else
                sprintf(at, "%.17g", real);
            expected[i] = (float)strtod(at, NULL);
            if (kind == 0) expected[i] = (float)strtoull(at, NULL, 10);
            if (kind == 1) expected[i] = -(float)strtoull(at + 1, NULL, 10);
            bytes += strlen(at);
            text[bytes++] = i + 1 < COUNT ? ',' : ']';
        }
        const oct_json *array;
        CHECK(parse_bytes(text, bytes, &array, NULL) == OCT_OK);
        CHECK(oct_json_floats(array, found) == COUNT);
        CHECK(memcmp(found, expected, sizeof found) == 0);
        oct_arena_reset(&arena);
    }
    finish();
}

TEST(floats_stop_at_the_first_that_is_none)
{
    static const char *const wrong[] = { "null", "\"1\"", "[1]",     "{}",
                                         "true", "1e39",  "-3.5e38", "1e308" };
    float found[4];
    start();
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        for (size_t place = 0; place < 3; place++) {
            char text[64];
            const char *parts[3] = { "1", "2", "3" };
            parts[place] = wrong[i];
            snprintf(text, sizeof text, "[%s,%s,%s]", parts[0], parts[1], parts[2]);
            found[3] = 77.0f;
            CHECK(oct_json_floats(parse(text), found) == place);
            CHECK(place < 1 || found[0] == 1.0f);
            CHECK(found[3] == 77.0f);
        }
    }
    CHECK(oct_json_floats(parse("[]"), NULL) == 0);
    CHECK(oct_json_floats(parse("[3.4028234663852886e38,1e-60,-0]"), found) == 3);
    CHECK(found[0] == 3.4028234663852886e38f && found[1] == 0.0f && signbit(found[2]));
    finish();
}

TEST(memory_is_the_text_and_its_values)
{
    enum { POINTS = 500, DIMENSIONS = 128 };
    size_t bytes = 0;
    size_t values = 1;
    char *text = malloc(POINTS * (DIMENSIONS * 12 + 40));
    CHECK(text != NULL);
    text[bytes++] = '[';
    for (int p = 0; p < POINTS; p++) {
        bytes += (size_t)sprintf(text + bytes, "%s{\"id\":%d,\"vector\":[", p ? "," : "", p);
        for (int i = 0; i < DIMENSIONS; i++) {
            double value = (double)test_random_float();
            bytes += (size_t)sprintf(text + bytes, "%s%.8f", i ? "," : "", value);
        }
        bytes += (size_t)sprintf(text + bytes, "]}");
        values += 5 + DIMENSIONS;
    }
    text[bytes++] = ']';
    start();
    const oct_json *value;
    CHECK(parse_bytes(text, bytes, &value, NULL) == OCT_OK);
    CHECK(oct_json_count(value) == POINTS);
    size_t needed = bytes + values * 16;
    CHECK(arena.bytes < needed + 8192);                                          /* kept */
    CHECK(oct_atomic_load(&heap_counting.peak) < bytes + bytes * 16 / 6 + 8192); /* at most */
    finish();
    /* One character a value: yyjson's guess is far too low and has to grow. */
    memset(text, '1', bytes);
    for (size_t i = 1; i < bytes; i += 2)
        text[i] = ',';
    text[0] = '[';
    text[1] = '1';
    bytes -= bytes % 2;
    text[bytes - 1] = ']';
    start();
    CHECK(parse_bytes(text, bytes, &value, NULL) == OCT_OK);
    CHECK(arena.bytes < bytes * 9 + 8192);
    CHECK(oct_atomic_load(&heap_counting.peak) < (bytes + bytes * 8) * 3 / 2);
    finish();
    free(text);
}

static const char sample[] =
    "{\"ids\":[1,-2,3.5e10,-0,18446744073709551615],\"text\":\"\\u00e9\\n\xE2\x82\xAC\",\"deep\":"
    "[[[{\"a\":{\"b\":[true,false,null]}}]]],\"empty\":[{},[],\"\"],\"dup\":1,\"dup\":2}";

/* Touch every value; the number of values, keys not counted. */
static size_t walk(const oct_json *value)
{
    size_t count = 1;
    oct_json_kind kind = oct_json_kind_of(value);
    if (oct_json_is_number(value)) CHECK_OR(0, isfinite(oct_json_number(value)));
    if (kind == OCT_JSON_STRING) CHECK_OR(0, oct_str_is_utf8(oct_json_string(value)));
    if (kind != OCT_JSON_ARRAY && kind != OCT_JSON_OBJECT) return count;
    oct_json_iter iter = oct_json_iterate(value);
    oct_str key;
    for (const oct_json *item; (item = oct_json_next(&iter, &key)) != NULL;)
        count += walk(item);
    return count;
}

TEST(damaged_texts_are_refused_or_json)
{
    int valid = 0;
    start();
    CHECK(walk(parse(sample)) == 23);
    for (int i = 0; i < 30000; i++) {
        size_t bytes = sizeof sample - 1;
        char *text = malloc(bytes); /* exact, so that ASan sees a read behind it */
        CHECK(text != NULL);
        memcpy(text, sample, bytes);
        for (uint32_t edits = test_random_below(4); edits > 0; edits--) {
            char edit = test_random_below(2) ? (char)test_random()
                                             : "[]{},:\"\\0-e."[test_random_below(12)];
            text[test_random_below((uint32_t)bytes)] = edit;
        }
        size_t kept = test_random_below(3) ? bytes : test_random_below((uint32_t)bytes);
        const oct_json *value;
        oct_error error;
        oct_status status = parse_bytes(text, kept, &value, &error);
        free(text);
        CHECK(status == OCT_OK || (status == OCT_BAD_INPUT && value == NULL));
        if (status == OCT_OK)
            CHECK(walk(value) > 0);
        else
            CHECK(strstr(error.message, " (byte "));
        valid += status == OCT_OK;
        oct_arena_reset(&arena);
    }
    CHECK(valid > 1000 && valid < 29000);
    finish();
}

TEST(every_allocation_may_fail)
{
    enum { VALUES = 20000 };
    static char text[VALUES * 2 + 2];
    text[0] = '[';
    for (size_t i = 0; i < VALUES; i++)
        memcpy(text + 1 + 2 * i, i + 1 < VALUES ? "7," : "7]", 2);
    uint64_t runs = 0;
    for (uint64_t k = 1; heap_fail_at(k); k++) {
        oct_error error;
        const oct_json *value;
        oct_arena_init(&arena, &heap_counting.alloc, 0);
        uint8_t *kept = oct_arena_push(&arena, 10);
        if (kept) memset(kept, 3, 10);
        oct_status status = parse_bytes(text, VALUES * 2 + 1, &value, &error);
        CHECK(status == OCT_OK || (status == OCT_NOMEM && value == NULL));
        CHECK((!kept || status == OCT_NOMEM) == heap_failed());
        CHECK(status == OCT_NOMEM || oct_json_count(value) == VALUES);
        CHECK(!kept || (kept[0] == 3 && kept[9] == 3));
        finish();
        runs++;
    }
    CHECK(runs >= 5);
    oct_error error;
    const oct_json *value;
    oct_arena_init(&arena, heap_start(), 100000);
    CHECK(parse_bytes(text, VALUES * 2 + 1, &value, &error) == OCT_LIMIT);
    CHECK(value == NULL && strstr(error.message, "100000"));
    finish();
}

TEST_MAIN(kinds_and_their_names, numbers_are_integers_while_they_fit,
          random_doubles_are_read_exactly, strings_are_copied_and_unescaped, errors_say_where,
          texts_that_are_not_json, depth_is_limited_without_recursion,
          containers_are_iterated_in_order, floats_are_rounded_once_from_the_double,
          floats_stop_at_the_first_that_is_none, memory_is_the_text_and_its_values,
          damaged_texts_are_refused_or_json, every_allocation_may_fail)
