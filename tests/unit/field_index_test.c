/* SPDX-License-Identifier: Apache-2.0 */
/* field_index_test.c - payload indexes: what they count, their bytes, hostile bytes, lost memory.
 * That they answer conditions as payloads do is filter_oracle_test.c's business. */
#include "base/bits.h"
#include "filter_support.h"

static oct_field_builder *new_builder(oct_field_type type, const char *key)
{
    oct_field_builder *builder = NULL;
    oct_status status =
        oct_field_builder_create(&model_malloc, type, oct_str_of(key), &builder, NULL);
    if (status != OCT_OK) abort();
    return builder;
}

static void add(oct_field_builder *builder, uint32_t offset, const char *payload)
{
    oct_arena arena;
    oct_arena_init(&arena, &model_malloc, 0);
    if (oct_field_builder_add(builder, offset, model_json(&arena, payload), NULL) != OCT_OK)
        test_fail(__FILE__, __LINE__, payload);
    oct_arena_reset(&arena);
}

static void finish(oct_field_builder *builder, uint32_t point_count, oct_buf *out)
{
    oct_buf_init(out, &model_malloc, 1 << 28);
    if (oct_field_builder_finish(builder, point_count, out, NULL) != OCT_OK)
        test_fail(__FILE__, __LINE__, "finish");
    oct_field_builder_destroy(builder);
}

static bool opens(const oct_buf *bytes, uint32_t point_count, oct_field *field)
{
    oct_error error = { .message = "" };
    oct_status status = oct_field_open(bytes->at, bytes->bytes, point_count, field, &error);
    if (status != OCT_OK) printf("%s\n", error.message);
    return status == OCT_OK;
}

/* ---- counts ----------------------------------------------------------------------------- */

TEST(points_and_pairs_are_counted)
{
    oct_buf bytes;
    oct_field field;
    oct_field_builder *builder = new_builder(OCT_FIELD_KEYWORD, "a[].b");
    add(builder, 0, "{\"a\":[{\"b\":\"x\"},{\"b\":[\"y\",\"x\",null]}]}");
    add(builder, 2, "{\"a\":[{\"b\":7}]}");
    add(builder, 3, "{\"a\":[]}");
    add(builder, 5, "{\"a\":[{\"b\":\"y\"}]}");
    finish(builder, 7, &bytes);
    bool opened = opens(&bytes, 7, &field);
    oct_buf_deinit(&bytes);
    CHECK(opened);
    CHECK_EQ_U64(field.type, OCT_FIELD_KEYWORD);
    CHECK_EQ_U64(field.point_count, 7);
    CHECK_EQ_U64(field.value_points, 2);
    CHECK_EQ_U64(field.pair_count, 3);
    CHECK_EQ_U64(field.entry_count, 2);
    CHECK_EQ_U64(field.other.count, 1);
    CHECK_EQ_U64(field.null.count, 1);
    CHECK_EQ_U64(field.empty.count, 4);
}

TEST(empty_indexes_open)
{
    for (int type = 0; type < OCT_FIELD_TYPE_COUNT; type++)
        for (uint32_t points = 0; points < 3; points++) {
            oct_buf bytes;
            oct_field field;
            finish(new_builder((oct_field_type)type, "a"), points, &bytes);
            bool opened = opens(&bytes, points, &field);
            oct_buf_deinit(&bytes);
            CHECK(opened && field.pair_count == 0 && field.empty.count == points);
        }
}

TEST(bad_keys_are_bad_input)
{
    oct_field_builder *builder = NULL;
    oct_status status =
        oct_field_builder_create(&model_malloc, OCT_FIELD_BOOL, OCT_STR("a."), &builder, NULL);
    CHECK_EQ_U64(status, OCT_BAD_INPUT);
    CHECK(builder == NULL);
}

TEST(same_points_give_same_bytes)
{
    for (int type = 0; type < OCT_FIELD_TYPE_COUNT; type++) {
        oct_buf bytes[2];
        for (int i = 0; i < 2; i++) {
            test_random_state = test_seed;
            oct_field_builder *builder = new_builder((oct_field_type)type, "a");
            for (uint32_t offset = 0; offset < 300; offset++) {
                text_out text;
                random_payload(&text);
                if (text.bytes) add(builder, offset, text.at);
            }
            finish(builder, 300, &bytes[i]);
        }
        bool same = bytes[0].bytes == bytes[1].bytes &&
                    memcmp(bytes[0].at, bytes[1].at, bytes[0].bytes) == 0;
        oct_buf_deinit(&bytes[0]);
        oct_buf_deinit(&bytes[1]);
        CHECK(same);
    }
}

/* ---- many points: lists, arrays, bitsets, several ranges of an idset -------------------- */

enum { MANY = 150000 };

/* Point i has the number i % 1000 / 10.0 and a word of how rare it is. */
static void many_payload(uint32_t i, char *text, size_t bytes)
{
    const char *word = i % 2 == 0      ? "common"
                       : i % 50 == 1   ? "some"
                       : i % 5000 == 3 ? "rare"
                                       : "rest";
    snprintf(text, bytes, "{\"w\":[\"%s\",\"%s\"],\"n\":%" PRIu32 ".%" PRIu32 "}", word, word,
             i % 1000 / 10, i % 10);
}

static uint32_t collected(const oct_field *field, const oct_condition *condition, uint64_t *yes)
{
    uint64_t maybe[MANY / 64 + 1] = { 0 };
    memset(yes, 0, (MANY / 64 + 1) * sizeof *yes);
    oct_field_collect(field, condition, yes, maybe);
    return (uint32_t)oct_bits_count(yes, MANY / 64 + 1);
}

TEST(words_of_any_rarity_are_found)
{
    static uint64_t yes[MANY / 64 + 1];
    const char *const words[] = { "common", "some", "rare", "rest", "none" };
    oct_buf bytes;
    oct_field field;
    char text[100];
    oct_field_builder *builder = new_builder(OCT_FIELD_KEYWORD, "w");
    uint32_t counts[ARRAY_COUNT(words)] = { 0 };
    for (uint32_t i = 0; i < MANY; i++) {
        many_payload(i, text, sizeof text);
        add(builder, i, text);
        for (size_t w = 0; w < ARRAY_COUNT(words); w++)
            counts[w] += strstr(text, words[w]) != NULL;
    }
    finish(builder, MANY, &bytes);
    CHECK(opens(&bytes, MANY, &field));
    for (size_t w = 0; w < ARRAY_COUNT(words); w++) {
        oct_scalar scalar = { .kind = OCT_SCALAR_KEYWORD, .keyword = oct_str_of(words[w]) };
        oct_condition any = { .kind = OCT_CONDITION_MATCH_ANY,
                              .values = &scalar,
                              .value_count = 1 };
        oct_condition except = any;
        except.kind = OCT_CONDITION_MATCH_EXCEPT;
        CHECK_EQ_U64(collected(&field, &except, yes), MANY - counts[w]);
        CHECK_EQ_U64(collected(&field, &any, yes), counts[w]);
        oct_cardinality estimate = oct_field_estimate(&field, &any);
        CHECK(estimate.min == counts[w] && estimate.expected == counts[w] &&
              estimate.max == counts[w]);
        for (uint32_t i = 0; i < MANY; i++) {
            many_payload(i, text, sizeof text);
            CHECK(oct_bits_get(yes, i) == (strstr(text, words[w]) != NULL));
        }
    }
    oct_buf_deinit(&bytes);
}

TEST(ranges_over_many_numbers_are_exact)
{
    static uint64_t yes[MANY / 64 + 1];
    oct_buf bytes;
    oct_field field;
    char text[100];
    oct_field_builder *builder = new_builder(OCT_FIELD_FLOAT, "n");
    for (uint32_t i = 0; i < MANY; i++) {
        many_payload(i, text, sizeof text);
        add(builder, i, text);
    }
    finish(builder, MANY, &bytes);
    CHECK(opens(&bytes, MANY, &field));
    oct_condition range = { .kind = OCT_CONDITION_RANGE,
                            .range = { .lower = 10.5,
                                       .upper = 20,
                                       .has_lower = true,
                                       .has_upper = true,
                                       .upper_open = true } };
    CHECK_EQ_U64(collected(&field, &range, yes), 95 * (MANY / 1000));
    oct_cardinality estimate = oct_field_estimate(&field, &range);
    CHECK(estimate.min == 95 * (MANY / 1000) && estimate.max == estimate.min);
    range.range.lower_open = true;
    CHECK_EQ_U64(collected(&field, &range, yes), 94 * (MANY / 1000));
    range.range.lower = 30; /* above the upper bound */
    CHECK_EQ_U64(collected(&field, &range, yes), 0);
    oct_buf_deinit(&bytes);
}

/* ---- hostile bytes ---------------------------------------------------------------------- */

/* A copy at the very end of its allocation, so that the sanitizer sees each byte read beyond. */
static oct_status open_exact(const uint8_t *at, size_t bytes, uint32_t points, uint8_t **copy,
                             oct_field *field)
{
    *copy = malloc(bytes ? bytes : 1);
    memcpy(*copy, at, bytes);
    return oct_field_open(*copy, bytes, points, field, NULL);
}

/* An index that opens must be safe to use, whatever it says. */
static void use_field(const oct_field *field)
{
    size_t words = oct_bits_words(field->point_count);
    uint64_t *yes = calloc(words + 1, sizeof *yes);
    uint64_t *maybe = calloc(words + 1, sizeof *maybe);
    oct_arena arena;
    oct_arena_init(&arena, &model_malloc, 0);
    for (int i = 0; i < 3; i++) {
        oct_condition condition = random_field_condition(&arena, "a");
        condition.value_count = MIN(condition.value_count, 1); /* one is sorted */
        oct_field_collect(field, &condition, yes, maybe);
        oct_cardinality count = oct_field_estimate(field, &condition);
        if (count.min > count.max || count.max > field->point_count)
            test_fail(__FILE__, __LINE__, "estimate");
    }
    if (yes[words] || maybe[words]) test_fail(__FILE__, __LINE__, "bits behind the last point");
    oct_arena_reset(&arena);
    free(yes);
    free(maybe);
}

static oct_buf hostile_original(oct_field_type type, uint32_t points)
{
    oct_buf bytes;
    oct_field_builder *builder = new_builder(type, "a");
    for (uint32_t offset = 0; offset < points; offset++) {
        text_out text;
        random_payload(&text);
        if (text.bytes)
            add(builder, offset, text.at);
        else
            add(builder, offset, "{\"a\":[\"red\",1,2.5,true]}");
    }
    finish(builder, points, &bytes);
    return bytes;
}

TEST(flipped_bits_never_crash)
{
    uint32_t refused = 0;
    uint32_t opened = 0;
    for (int type = 0; type < OCT_FIELD_TYPE_COUNT; type++) {
        oct_buf bytes = hostile_original((oct_field_type)type, 700);
        for (size_t i = 0; i < bytes.bytes * 8; i++) {
            if (i >= 64 * 8 && test_random_below(4)) continue; /* the header: every bit */
            uint8_t *copy;
            oct_field field;
            bytes.at[i / 8] ^= (uint8_t)(1 << i % 8);
            if (open_exact(bytes.at, bytes.bytes, 700, &copy, &field) == OCT_OK) {
                opened++;
                use_field(&field);
            } else {
                refused++;
            }
            free(copy);
            bytes.at[i / 8] ^= (uint8_t)(1 << i % 8);
        }
        oct_buf_deinit(&bytes);
    }
    printf("%" PRIu32 " refused, %" PRIu32 " opened\n", refused, opened);
    CHECK(refused > 1000);
}

TEST(damaged_words_never_crash)
{
    for (int round = 0; round < 4000; round++) {
        oct_field_type type = (oct_field_type)test_random_below(OCT_FIELD_TYPE_COUNT);
        static oct_buf originals[OCT_FIELD_TYPE_COUNT];
        if (originals[type].at == NULL) originals[type] = hostile_original(type, 300);
        uint8_t *copy;
        oct_field field;
        oct_buf bytes = originals[type];
        uint8_t *damaged = malloc(bytes.bytes);
        memcpy(damaged, bytes.at, bytes.bytes);
        uint32_t damages = 1 + test_random_below(3);
        for (uint32_t i = 0; i < damages; i++) {
            static const uint32_t values[] = { 0, 1, 0xff, 0x7fffffff, 0x80000000, 0xffffffff };
            size_t at = test_random_below((uint32_t)(bytes.bytes / 4)) * 4;
            uint32_t value =
                test_random_below(2) ? (uint32_t)test_random() : values[test_random_below(6)];
            memcpy(damaged + at, &value, 4);
        }
        size_t cut = test_random_below(4) ? bytes.bytes : test_random_below((uint32_t)bytes.bytes);
        if (open_exact(damaged, cut, 300, &copy, &field) == OCT_OK) use_field(&field);
        free(copy);
        free(damaged);
        if (round == 3999)
            for (size_t i = 0; i < ARRAY_COUNT(originals); i++) {
                if (originals[i].at) oct_buf_deinit(&originals[i]);
                originals[i].at = NULL;
            }
    }
    CHECK(true);
}

TEST(another_segments_index_is_corrupt)
{
    oct_field field;
    oct_buf bytes = hostile_original(OCT_FIELD_INTEGER, 50);
    oct_status other = oct_field_open(bytes.at, bytes.bytes, 51, &field, NULL);
    oct_status none = oct_field_open(bytes.at, 0, 50, &field, NULL);
    oct_status own = oct_field_open(bytes.at, bytes.bytes, 50, &field, NULL);
    oct_buf_deinit(&bytes);
    CHECK_EQ_U64(other, OCT_CORRUPT);
    CHECK_EQ_U64(none, OCT_CORRUPT);
    CHECK_EQ_U64(own, OCT_OK);
}

/* ---- lost memory ------------------------------------------------------------------------ */

static oct_status sweep_body(const oct_alloc *alloc, void *arg)
{
    oct_status status = OCT_OK;
    oct_field_type type = *(oct_field_type *)arg;
    oct_field_builder *builder = NULL;
    oct_buf bytes;
    oct_arena arena;
    char text[100];
    oct_buf_init(&bytes, alloc, 1 << 20);
    oct_arena_init(&arena, &model_malloc, 0); /* the payloads are not what is tested */
    TRY(oct_field_builder_create(alloc, type, OCT_STR("w"), &builder, NULL));
    for (uint32_t i = 0; i < 400; i++) {
        snprintf(text, sizeof text, "{\"w\":[\"w%" PRIu32 "\",%" PRIu32 ",true,null]}", i % 99, i);
        if (i % 3 == 0) continue;
        TRY(oct_field_builder_add(builder, i, model_json(&arena, text), NULL));
    }
    TRY(oct_field_builder_finish(builder, 500, &bytes, NULL));
done:
    oct_field_builder_destroy(builder);
    oct_buf_deinit(&bytes);
    oct_arena_reset(&arena);
    return status;
}

TEST(every_lost_allocation_is_nomem)
{
    for (int type = 0; type < OCT_FIELD_TYPE_COUNT; type++) {
        oct_field_type field_type = (oct_field_type)type;
        CHECK(model_sweep(sweep_body, &field_type));
    }
}

TEST_MAIN(points_and_pairs_are_counted, empty_indexes_open, bad_keys_are_bad_input,
          same_points_give_same_bytes, words_of_any_rarity_are_found,
          ranges_over_many_numbers_are_exact, flipped_bits_never_crash, damaged_words_never_crash,
          another_segments_index_is_corrupt, every_lost_allocation_is_nomem)
