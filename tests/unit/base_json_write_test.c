/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what is written is JSON that reads back as the same values: commas, escapes, shortest
 * numbers, tags for JavaScript, duplicate keys reduced to the last; the first failure is kept.
 * Method: known texts; every byte escaped; random numbers read back by the C library, which also
 * tells whether a shorter text would do; random documents written, parsed and written again;
 * an allocation-failure sweep. */
#include <math.h>

#include "base/json.h"
#include "base/str.h"
#include "base_heap.h"
#include "test.h"

static oct_arena arena;
static oct_buf buf;
static oct_json_writer writer;

static void start(void)
{
    const oct_alloc *alloc = heap_start();
    oct_arena_init(&arena, alloc, 0);
    oct_buf_init(&buf, alloc, 1 << 26);
    oct_json_writer_init(&writer, &buf);
}

static void finish(void)
{
    oct_arena_reset(&arena);
    oct_buf_deinit(&buf);
    CHECK(heap_is_empty());
}

/* Forget what was written and start again. */
static void restart(void)
{
    oct_buf_clear(&buf);
    oct_json_writer_init(&writer, &buf);
}

static oct_str written(void)
{
    return (oct_str){ (const char *)buf.at, buf.bytes };
}

static void check_written(const char *expected)
{
    CHECK(oct_json_writer_status(&writer) == OCT_OK);
    oct_str text = written();
    if (!oct_str_equal(text, oct_str_of(expected)))
        printf("%.*s, expected %s\n", (int)text.bytes, text.at, expected);
    CHECK(oct_str_equal(text, oct_str_of(expected)));
    restart();
}

static const oct_json *parse(oct_str text)
{
    const oct_json *value;
    oct_error error = { .message = "" };
    oct_status status = oct_json_parse(&arena, text, &value, &error);
    if (status != OCT_OK) printf("%s\n", error.message);
    CHECK_OR(NULL, status == OCT_OK);
    return value;
}

TEST(commas_and_colons_come_by_themselves)
{
    start();
    oct_json_begin_object(&writer);
    oct_json_key(&writer, OCT_STR("a"));
    oct_json_begin_array(&writer);
    oct_json_write_uint(&writer, 1);
    oct_json_begin_array(&writer);
    oct_json_end_array(&writer);
    oct_json_begin_object(&writer);
    oct_json_end_object(&writer);
    oct_json_write_null(&writer);
    oct_json_write_floats(&writer, NULL, 0);
    oct_json_end_array(&writer);
    oct_json_key(&writer, OCT_STR("b\"\n"));
    oct_json_write_bool(&writer, true);
    oct_json_key(&writer, OCT_STR(""));
    oct_json_write_raw(&writer, OCT_STR("{\"raw\":1}"));
    oct_json_key(&writer, OCT_STR("c"));
    oct_json_write_floats(&writer, (const float[]){ 1.0f, 0.5f }, 2);
    oct_json_key(&writer, OCT_STR("d"));
    oct_json_write_str(&writer, OCT_STR("x"));
    oct_json_key(&writer, OCT_STR("e"));
    oct_json_write_double(&writer, 2.5);
    oct_json_key(&writer, OCT_STR("f"));
    oct_json_write_bool(&writer, false);
    oct_json_end_object(&writer);
    check_written("{\"a\":[1,[],{},null,[]],\"b\\\"\\n\":true,\"\":{\"raw\":1},\"c\":[1.0,0.5],"
                  "\"d\":\"x\",\"e\":2.5,\"f\":false}");
    finish();
}

TEST(strings_are_escaped_like_serde_json)
{
    start();
    static const char *const names[32] = {
        [8] = "\\b", [9] = "\\t", [10] = "\\n", [12] = "\\f", [13] = "\\r"
    };
    for (int byte = 0; byte < 128; byte++) {
        char text[] = { 'a', (char)byte, (char)byte, 'z' };
        char one[8], expected[32];
        snprintf(one, sizeof one, byte < 32 ? "\\u%04x" : "%c", (unsigned)byte);
        if (byte < 32 && names[byte]) snprintf(one, sizeof one, "%s", names[byte]);
        if (byte == '"' || byte == '\\') snprintf(one, sizeof one, "\\%c", byte);
        snprintf(expected, sizeof expected, "\"a%s%sz\"", one, one);
        oct_json_write_str(&writer, (oct_str){ text, sizeof text });
        check_written(expected);
    }
    oct_json_write_str(&writer, OCT_STR("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80/\x7F"));
    check_written("\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80/\x7F\"");
    oct_json_write_str(&writer, (oct_str){ NULL, 0 });
    check_written("\"\"");
    for (int i = 0; i < 2000; i++) {
        char text[60];
        size_t bytes = test_random_below(sizeof text);
        for (size_t j = 0; j < bytes; j++)
            text[j] = (char)test_random_below(0x60);
        oct_json_write_str(&writer, (oct_str){ text, bytes });
        CHECK(oct_str_equal(oct_json_string(parse(written())), (oct_str){ text, bytes }));
        restart();
    }
    finish();
}

TEST(integers_are_decimal)
{
    start();
    for (int i = 0; i < 5000; i++) {
        uint64_t number = test_random() >> test_random_below(64);
        char expected[32];
        snprintf(expected, sizeof expected, "%" PRIu64, number);
        oct_json_write_uint(&writer, number);
        check_written(expected);
        int64_t negative = -(int64_t)(number >> 1) - 1;
        snprintf(expected, sizeof expected, "%" PRId64, negative);
        oct_json_write_int(&writer, negative);
        check_written(expected);
    }
    oct_json_write_uint(&writer, 0);
    check_written("0");
    oct_json_write_int(&writer, 0);
    check_written("0");
    oct_json_write_int(&writer, INT64_MAX);
    check_written("9223372036854775807");
    oct_json_write_int(&writer, INT64_MIN);
    check_written("-9223372036854775808");
    finish();
}

TEST(big_integers_are_tagged_on_request)
{
    static const struct {
        int64_t number;
        const char *text;
    } known[] = {
        { INT64_C(9007199254740992), "9007199254740992" },
        { INT64_C(9007199254740993), "{\"$int\":\"9007199254740993\"}" },
        { INT64_C(-9007199254740992), "-9007199254740992" },
        { INT64_C(-9007199254740993), "{\"$int\":\"-9007199254740993\"}" },
        { INT64_MAX, "{\"$int\":\"9223372036854775807\"}" },
        { INT64_MIN, "{\"$int\":\"-9223372036854775808\"}" },
        { 17, "17" },
    };
    start();
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        writer.tag_big_integers = true;
        oct_json_write_int(&writer, known[i].number);
        check_written(known[i].text);
    }
    writer.tag_big_integers = true;
    oct_json_write_uint(&writer, UINT64_MAX);
    check_written("{\"$int\":\"18446744073709551615\"}");
    writer.tag_big_integers = true;
    oct_json_write_double(&writer, 1e18); /* a float stays one */
    check_written("1000000000000000000.0");
    finish();
}

/* Significant digits of a number's text. */
static int digits_of(oct_str text)
{
    char digits[64];
    size_t count = 0;
    for (size_t i = 0; i < text.bytes && text.at[i] != 'e'; i++)
        if (text.at[i] >= '0' && text.at[i] <= '9') digits[count++] = text.at[i];
    size_t first = 0;
    while (first < count && digits[first] == '0')
        first++;
    while (count > first && digits[count - 1] == '0')
        count--;
    return (int)(count - first);
}

/* Is the text in `buf` the shortest that reads back as `value` (as a float when `single`)? */
static void check_shortest(double value, bool single)
{
    char text[64];
    CHECK(buf.bytes < sizeof text);
    memcpy(text, buf.at, buf.bytes);
    text[buf.bytes] = '\0';
    double back = single ? (double)strtof(text, NULL) : strtod(text, NULL);
    CHECK(memcmp(&back, &value, sizeof value) == 0);
    CHECK(strpbrk(text, ".e") != NULL); /* reads back as a float, not as an integer */
    int digits = digits_of(written());
    if (digits > 1) {
        char shorter[64];
        snprintf(shorter, sizeof shorter, "%.*e", digits - 2, value);
        back = single ? (double)strtof(shorter, NULL) : strtod(shorter, NULL);
        CHECK(back != value);
    }
    CHECK(oct_json_kind_of(parse(written())) == OCT_JSON_REAL);
    restart();
}

TEST(doubles_are_the_shortest_text)
{
    start();
    for (int i = 0; i < 20000; i++) {
        double value;
        uint64_t bits = test_random();
        memcpy(&value, &bits, sizeof value);
        uint32_t divisor = 1 + test_random_below(1000);
        if (test_random_below(2)) value = (double)(int64_t)bits / (double)divisor;
        if (!isfinite(value)) continue;
        oct_json_write_double(&writer, value);
        check_shortest(value, false);
        if (i % 1000 == 0) oct_arena_reset(&arena);
    }
    finish();
}

TEST(floats_are_the_shortest_text)
{
    start();
    for (int i = 0; i < 20000; i++) {
        float value;
        uint32_t bits = (uint32_t)test_random();
        memcpy(&value, &bits, sizeof value);
        if (test_random_below(2)) value = test_random_float();
        if (!isfinite(value)) continue;
        oct_json_write_float(&writer, value);
        check_shortest((double)value, true);
        if (i % 1000 == 0) oct_arena_reset(&arena);
    }
    finish();
}

TEST(known_floats)
{
    static const struct {
        double value;
        const char *as_double, *as_float;
    } known[] = {
        { 0.0, "0.0", "0.0" },
        { -0.0, "-0.0", "-0.0" },
        { 1.0, "1.0", "1.0" },
        { -100000.0, "-100000.0", "-100000.0" },
        { 0.1, "0.1", "0.1" },
        { 0.30000000000000004, "0.30000000000000004", "0.3" },
        { 1e20, "100000000000000000000.0", "100000000000000000000.0" },
        { 1e21, "1e21", "1e21" },
        { 1.5e-7, "1.5e-7", "1.5e-7" },
        { 1.7976931348623157e308, "1.7976931348623157e308", "null" },
        { 5e-324, "5e-324", "0.0" },
        { INFINITY, "null", "null" },
        { -INFINITY, "null", "null" },
        { NAN, "null", "null" },
        { 3.4028234663852886e38, "3.4028234663852886e38", "3.4028235e38" },
        { 1.401298464324817e-45, "1.401298464324817e-45", "1e-45" },
    };
    start();
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        oct_json_write_double(&writer, known[i].value);
        check_written(known[i].as_double);
        oct_json_write_float(&writer, (float)known[i].value);
        check_written(known[i].as_float);
    }
    finish();
}

TEST(float_arrays_are_their_floats)
{
    static const size_t counts[] = { 0, 1, 2, 63, 64, 65, 127, 128, 129, 384, 1000 };
    static float values[1000], back[1000];
    oct_buf single;
    start();
    oct_buf_init(&single, &heap, 1 << 20);
    for (size_t c = 0; c < ARRAY_COUNT(counts); c++) {
        oct_json_writer one;
        oct_buf_clear(&single);
        oct_json_writer_init(&one, &single);
        oct_json_begin_array(&one);
        for (size_t i = 0; i < counts[c]; i++) {
            /* The longest texts: negative, nine digits, exponent. */
            values[i] = -test_random_float() * (i % 2 ? 1e-35f : 1.0f);
            oct_json_write_float(&one, values[i]);
        }
        oct_json_end_array(&one);
        oct_json_write_floats(&writer, values, counts[c]);
        CHECK(buf.bytes == single.bytes && memcmp(buf.at, single.at, buf.bytes) == 0);
        CHECK(oct_json_floats(parse(written()), back) == counts[c]);
        CHECK(memcmp(values, back, counts[c] * sizeof values[0]) == 0);
        restart();
    }
    oct_json_write_floats(&writer, (const float[]){ 1, NAN, 2 }, 3);
    check_written("[1.0,null,2.0]");
    oct_buf_deinit(&single);
    finish();
}

/* ---- documents -------------------------------------------------------------------------- */

/* Append a random value, at most `depth` levels deep, keys of objects distinct. */
static void write_random(oct_json_writer *to, int depth)
{
    uint32_t count = test_random_below(test_random_below(20) ? 4 : 40);
    char text[16];
    switch (test_random_below(depth > 0 ? 8 : 6)) {
    case 0:
        oct_json_write_null(to);
        break;
    case 1:
        oct_json_write_bool(to, test_random_below(2));
        break;
    case 2:
        oct_json_write_uint(to, test_random() >> test_random_below(64));
        break;
    case 3:
        oct_json_write_int(to, -1 - (int64_t)(test_random() >> (1 + test_random_below(63))));
        break;
    case 4:
        oct_json_write_double(to, (double)test_random_float() * 1e17);
        break;
    case 5:
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = (char)(test_random() % 0x7F);
        oct_json_write_str(to, (oct_str){ text, test_random_below(sizeof text) });
        break;
    case 6:
        oct_json_begin_array(to);
        for (uint32_t i = 0; i < count; i++)
            write_random(to, depth - 1);
        oct_json_end_array(to);
        break;
    default:
        oct_json_begin_object(to);
        for (uint32_t i = 0; i < count; i++) {
            snprintf(text, sizeof text, "\"k\n%u", i * 31 % 40);
            oct_json_key(to, oct_str_of(text));
            write_random(to, depth - 1);
        }
        oct_json_end_object(to);
    }
}

TEST(parsed_documents_are_written_as_they_were)
{
    oct_buf source;
    start();
    oct_buf_init(&source, &heap, 1 << 24);
    for (int i = 0; i < 3000; i++) {
        oct_json_writer first;
        oct_buf_clear(&source);
        oct_json_writer_init(&first, &source);
        write_random(&first, 5);
        oct_str text = { (const char *)source.at, source.bytes };
        oct_json_write_value(&writer, parse(text));
        CHECK(oct_json_writer_status(&writer) == OCT_OK);
        CHECK(oct_str_equal(written(), text));
        restart();
        oct_json_write_raw(&writer, text);
        CHECK(oct_str_equal(written(), text));
        restart();
        oct_arena_reset(&arena);
    }
    oct_buf_deinit(&source);
    finish();
}

TEST(raw_text_is_tagged_like_values)
{
    oct_buf tagged;
    start();
    oct_buf_init(&tagged, &heap, 1 << 24);
    for (int i = 0; i < 3000; i++) {
        oct_json_writer tagging;
        write_random(&writer, 5);
        oct_buf_clear(&tagged);
        oct_json_writer_init(&tagging, &tagged);
        tagging.tag_big_integers = true;
        oct_json_write_value(&tagging, parse(written()));
        size_t bytes = buf.bytes;
        oct_str source = { (const char *)buf.at, bytes };
        oct_str copy;
        CHECK(oct_arena_str(&arena, source, &copy, NULL) == OCT_OK);
        restart();
        writer.tag_big_integers = true;
        oct_json_write_raw(&writer, copy);
        CHECK(buf.bytes == tagged.bytes && memcmp(buf.at, tagged.at, buf.bytes) == 0);
        restart();
        oct_arena_reset(&arena);
    }
    writer.tag_big_integers = true;
    oct_json_write_raw(&writer, OCT_STR("[\"99999999999999999\\\"88888888888888888\",1e99,"
                                        "12345678901234567.5,99999999999999999999,"
                                        "-9223372036854775809,-99999999999999999]"));
    check_written("[\"99999999999999999\\\"88888888888888888\",1e99,12345678901234567.5,"
                  "99999999999999999999,-9223372036854775809,"
                  "{\"$int\":\"-99999999999999999\"}]");
    oct_buf_deinit(&tagged);
    finish();
}

TEST(the_last_of_duplicate_keys_is_written)
{
    start();
    oct_json_write_value(&writer, parse(OCT_STR("{\"a\":1,\"b\":{\"c\":1,\"c\":2},\"a\":[3]}")));
    check_written("{\"b\":{\"c\":2},\"a\":[3]}");
    oct_json_write_value(&writer, parse(OCT_STR("{\"a\":1,\"a\":2,\"a\":3,\"\":4,\"\":5}")));
    check_written("{\"a\":3,\"\":5}");
    for (int i = 0; i < 2000; i++) {
        enum { PAIRS = 60 };
        uint32_t keys[PAIRS];
        uint32_t count = test_random_below(PAIRS);
        uint32_t distinct = 1 + test_random_below(80);
        char text[PAIRS * 20] = "{";
        char expected[PAIRS * 20] = "{";
        for (uint32_t j = 0; j < count; j++) {
            keys[j] = test_random_below(distinct);
            size_t bytes = strlen(text);
            snprintf(text + bytes, sizeof text - bytes, "%s\"k%u\":%u", j ? "," : "", keys[j], j);
        }
        for (uint32_t j = 0; j < count; j++) {
            bool later = false;
            for (uint32_t k = j + 1; k < count; k++)
                later |= keys[k] == keys[j];
            size_t bytes = strlen(expected);
            if (later) continue;
            snprintf(expected + bytes, sizeof expected - bytes, "%s\"k%u\":%u",
                     bytes > 1 ? "," : "", keys[j], j);
        }
        strcat(text, "}");
        strcat(expected, "}");
        oct_json_write_value(&writer, parse(oct_str_of(text)));
        check_written(expected);
        oct_arena_reset(&arena);
    }
    finish();
}

/* Quadratic work on a hostile object would take hours here. */
TEST(objects_with_very_many_keys_are_written_soon)
{
    enum { PAIRS = 300000, PAIR_BYTES = 10 };
    char *text = malloc(PAIRS * PAIR_BYTES + 2);
    CHECK(text != NULL);
    size_t bytes = 0;
    text[bytes++] = '{';
    for (unsigned i = 0; i < PAIRS; i++)
        bytes += (size_t)sprintf(text + bytes, "%s\"%u\":1", i ? "," : "", i % (PAIRS - 5) % 99999);
    text[bytes++] = '}';
    start();
    oct_json_write_value(&writer, parse((oct_str){ text, bytes }));
    CHECK(oct_json_writer_status(&writer) == OCT_OK);
    CHECK(oct_json_count(parse(written())) == 99999);
    finish();
    free(text);
}

/* ---- failures --------------------------------------------------------------------------- */

static void write_a_bit_of_everything(oct_json_writer *to, const oct_json *large)
{
    static float floats[500];
    oct_json_begin_object(to);
    oct_json_key(to, OCT_STR("large"));
    oct_json_write_value(to, large);
    oct_json_key(to, OCT_STR("floats"));
    oct_json_write_floats(to, floats, 500);
    oct_json_key(to, OCT_STR("raw"));
    oct_json_write_raw(to, OCT_STR("[99999999999999999]"));
    oct_json_key(to, OCT_STR("double"));
    oct_json_write_double(to, 1.5);
    oct_json_end_object(to);
}

static const char large_object[] =
    "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":0,\"k\":1,"
    "\"l\":{\"x\":[\"y\"]},\"m\":3,\"n\":4,\"o\":5,\"p\":6,\"q\":7,\"r\":8,\"a\":[null]}";

TEST(every_allocation_may_fail)
{
    uint64_t runs = 0;
    oct_buf whole;
    const oct_json *large;
    oct_arena kept;
    oct_arena_init(&kept, &heap, 0);
    CHECK(oct_json_parse(&kept, oct_str_of(large_object), &large, NULL) == OCT_OK);
    oct_buf_init(&whole, &heap, 1 << 20);
    oct_json_writer_init(&writer, &whole);
    write_a_bit_of_everything(&writer, large);
    CHECK(oct_json_writer_status(&writer) == OCT_OK);
    for (uint64_t k = 1; heap_fail_at(k); k++) {
        oct_buf_init(&buf, &heap_counting.alloc, 1 << 20);
        oct_json_writer_init(&writer, &buf);
        write_a_bit_of_everything(&writer, large);
        CHECK(oct_json_writer_status(&writer) == (heap_failed() ? OCT_NOMEM : OCT_OK));
        CHECK(heap_failed() ? buf.bytes < whole.bytes : buf.bytes == whole.bytes);
        CHECK(buf.bytes == 0 || memcmp(buf.at, whole.at, buf.bytes) == 0); /* a prefix */
        oct_buf_deinit(&buf);
        CHECK(heap_is_empty());
        runs++;
    }
    CHECK(runs >= 6);
    for (size_t bytes_max = 0; bytes_max < whole.bytes; bytes_max += 13) {
        oct_buf_init(&buf, heap_start(), bytes_max);
        oct_json_writer_init(&writer, &buf);
        write_a_bit_of_everything(&writer, large);
        CHECK(oct_json_writer_status(&writer) == OCT_LIMIT);
        CHECK(buf.bytes <= bytes_max);
        oct_buf_deinit(&buf);
        CHECK(heap_is_empty());
    }
    oct_buf_deinit(&whole);
    oct_arena_reset(&kept);
}

TEST_MAIN(commas_and_colons_come_by_themselves, strings_are_escaped_like_serde_json,
          integers_are_decimal, big_integers_are_tagged_on_request, doubles_are_the_shortest_text,
          floats_are_the_shortest_text, known_floats, float_arrays_are_their_floats,
          parsed_documents_are_written_as_they_were, raw_text_is_tagged_like_values,
          the_last_of_duplicate_keys_is_written, objects_with_very_many_keys_are_written_soon,
          every_allocation_may_fail)
