/* SPDX-License-Identifier: Apache-2.0 */
/* filter_oracle_test.c - random filters over random payloads: the evaluator, the collection with
 * any set of indexes, and the estimate against a naive meaning of filters. */
#include <math.h>

#include "base/bits.h"
#include "filter_support.h"
#include "model/point_id.h"
#include "query/estimate.h"
#include "query/filter.h"

enum { POINTS_MAX = 200, FIELDS_MAX = 32 };

/* A segment in the test's memory. */
typedef struct test_segment {
    uint32_t point_count;
    char *payloads[POINTS_MAX];
    const oct_json *parsed[POINTS_MAX]; /* NULL: none */
    oct_point_id ids[POINTS_MAX];
    oct_arena arena;
    oct_str keys[FIELDS_MAX]; /* of indexes; canonical */
    oct_field fields[FIELDS_MAX];
    oct_buf bytes[FIELDS_MAX];
    uint32_t field_count;
    uint32_t reads; /* payloads asked for */
} test_segment;

static oct_status segment_payload(void *self, uint32_t offset, oct_arena *arena, oct_str *out,
                                  oct_error *error)
{
    (void)arena;
    test_segment *segment = self;
    (void)error;
    segment->reads++;
    *out = oct_str_of(segment->payloads[offset]);
    return OCT_OK;
}

static oct_point_id segment_id(void *self, uint32_t offset)
{
    return ((test_segment *)self)->ids[offset];
}

static bool segment_find(void *self, oct_point_id id, uint32_t *offset)
{
    test_segment *segment = self;
    for (uint32_t i = 0; i < segment->point_count; i++)
        if (oct_point_id_equal(segment->ids[i], id)) {
            *offset = i;
            return true;
        }
    return false;
}

static const oct_field *segment_field(void *self, oct_str key)
{
    test_segment *segment = self;
    for (uint32_t i = 0; i < segment->field_count; i++)
        if (oct_str_equal(segment->keys[i], key)) return &segment->fields[i];
    return NULL;
}

static oct_filter_source source_of(test_segment *segment)
{
    return (oct_filter_source){ .self = segment,
                                .point_count = segment->point_count,
                                .payload = segment_payload,
                                .id = segment_id,
                                .find = segment_find,
                                .field = segment_field };
}

static oct_point_id random_id(void)
{
    uint32_t number = test_random_below(2 * POINTS_MAX);
    return (oct_point_id){ .high = 0, .low = number, .is_uuid = test_random_below(2) != 0 };
}

/* Fill with payloads; ids are distinct: even and odd offsets are numbers and UUIDs. */
static void segment_fill(test_segment *segment, uint32_t point_count)
{
    memset(segment, 0, sizeof *segment);
    segment->point_count = point_count;
    oct_arena_init(&segment->arena, &model_malloc, 0);
    for (uint32_t i = 0; i < point_count; i++) {
        text_out text;
        random_payload(&text);
        segment->payloads[i] = malloc(text.bytes + 1);
        memcpy(segment->payloads[i], text.at, text.bytes + 1);
        segment->ids[i] = (oct_point_id){ .low = i, .is_uuid = i % 2 != 0 };
        if (text.bytes) segment->parsed[i] = model_json(&segment->arena, segment->payloads[i]);
    }
}

static void segment_drop_indexes(test_segment *segment)
{
    for (uint32_t i = 0; i < segment->field_count; i++)
        oct_buf_deinit(&segment->bytes[i]);
    segment->field_count = 0;
}

static void segment_free(test_segment *segment)
{
    segment_drop_indexes(segment);
    for (uint32_t i = 0; i < segment->point_count; i++)
        free(segment->payloads[i]);
    oct_arena_reset(&segment->arena);
}

static void segment_add_index(test_segment *segment, oct_field_type type, const char *key)
{
    uint32_t at = segment->field_count;
    oct_field_builder *builder = NULL;
    oct_error error = { .message = "" };
    oct_status status = OCT_OK;
    segment->keys[at] = oct_str_of(key);
    oct_buf_init(&segment->bytes[at], &model_malloc, 1 << 24);
    segment->field_count++;
    TRY(oct_field_builder_create(&model_malloc, type, segment->keys[at], &builder, &error));
    for (uint32_t i = 0; i < segment->point_count; i++)
        if (segment->parsed[i]) TRY(oct_field_builder_add(builder, i, segment->parsed[i], &error));
    TRY(oct_field_builder_finish(builder, segment->point_count, &segment->bytes[at], &error));
    TRY(oct_field_open(segment->bytes[at].at, segment->bytes[at].bytes, segment->point_count,
                       &segment->fields[at], &error));
done:
    oct_field_builder_destroy(builder);
    if (status != OCT_OK) test_fail(__FILE__, __LINE__, error.message);
}

/* ---- random filters --------------------------------------------------------------------- */

static oct_filter random_filter(oct_arena *arena, unsigned depth);

static oct_condition random_condition(oct_arena *arena, unsigned depth)
{
    uint32_t choice = test_random_below(10);
    if (choice == 0) {
        oct_point_id *ids;
        oct_condition condition = { .kind = OCT_CONDITION_HAS_ID,
                                    .id_count = test_random_below(60) };
        if (oct_arena_array(arena, condition.id_count, sizeof *ids, &ids, NULL) != OCT_OK) abort();
        for (uint32_t i = 0; i < condition.id_count; i++)
            ids[i] = random_id();
        condition.ids = ids;
        return condition;
    }
    if (choice < 3 && depth > 0) {
        oct_filter *filter;
        if (oct_arena_array(arena, 1, sizeof *filter, &filter, NULL) != OCT_OK) abort();
        *filter = random_filter(arena, depth - 1);
        return (oct_condition){ .kind = OCT_CONDITION_FILTER, .filter = filter };
    }
    return random_field_condition(arena,
                                  filter_keys[test_random_below(ARRAY_COUNT(filter_keys))].text);
}

static oct_conditions random_conditions(oct_arena *arena, unsigned depth)
{
    uint32_t count = test_random_below(2) ? 0 : 1 + test_random_below(3);
    oct_condition *conditions;
    if (oct_arena_array(arena, count, sizeof *conditions, &conditions, NULL) != OCT_OK) abort();
    for (uint32_t i = 0; i < count; i++)
        conditions[i] = random_condition(arena, depth);
    return (oct_conditions){ conditions, count };
}

static oct_filter random_filter(oct_arena *arena, unsigned depth)
{
    oct_filter filter = { .must = random_conditions(arena, depth),
                          .should = random_conditions(arena, depth),
                          .must_not = random_conditions(arena, depth) };
    if (test_random_below(3) == 0) {
        filter.min_should = random_conditions(arena, depth);
        filter.min_should_count = 1 + test_random_below(3);
    }
    return filter;
}

/* ---- the naive meaning ------------------------------------------------------------------ */

static bool naive_filter(const oct_filter *filter, oct_point_id id, const oct_json *payload);

static bool naive_condition(const oct_condition *condition, oct_point_id id,
                            const oct_json *payload)
{
    if (condition->kind == OCT_CONDITION_FILTER)
        return naive_filter(condition->filter, id, payload);
    if (condition->kind != OCT_CONDITION_HAS_ID) return naive_field(condition, payload);
    for (uint32_t i = 0; i < condition->id_count; i++)
        if (oct_point_id_equal(condition->ids[i], id)) return true;
    return false;
}

static uint32_t naive_count(oct_conditions conditions, oct_point_id id, const oct_json *payload)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < conditions.count; i++)
        count += naive_condition(&conditions.at[i], id, payload);
    return count;
}

static bool naive_filter(const oct_filter *filter, oct_point_id id, const oct_json *payload)
{
    return naive_count(filter->must, id, payload) == filter->must.count &&
           (filter->should.count == 0 || naive_count(filter->should, id, payload) > 0) &&
           naive_count(filter->must_not, id, payload) == 0 &&
           naive_count(filter->min_should, id, payload) >= filter->min_should_count;
}

/* ---- comparing -------------------------------------------------------------------------- */

typedef struct comparison {
    test_segment *segment;
    const oct_filter *filter;
    const oct_filter_program *program;
    bool expected[POINTS_MAX];
    uint32_t expected_count;
} comparison;

static bool compare_each(const comparison *it, oct_arena *scratch)
{
    oct_filter_source source = source_of(it->segment);
    for (uint32_t i = 0; i < it->segment->point_count; i++) {
        bool by_text;
        bool by_offset;
        it->segment->reads = 0;
        CHECK_OR(false, oct_filter_matches_text(it->program, it->segment->ids[i],
                                                oct_str_of(it->segment->payloads[i]), scratch,
                                                &by_text, NULL) == OCT_OK);
        CHECK_OR(false,
                 oct_filter_matches(it->program, &source, i, scratch, &by_offset, NULL) == OCT_OK);
        if (by_text != it->expected[i] || by_offset != it->expected[i])
            printf("point %" PRIu32 ": %s\n", i, it->segment->payloads[i]);
        CHECK_OR(false, by_text == it->expected[i] && by_offset == it->expected[i]);
        CHECK_OR(false, it->segment->reads <= 1);
    }
    return true;
}

static uint32_t lists_seen; /* so that the check of lists is known to have happened */

/* `alive`: NULL, or the points that count. */
static bool compare_collected(const comparison *it, const uint64_t *alive)
{
    size_t words = oct_bits_words(it->segment->point_count);
    uint64_t *bits = malloc(words * sizeof *bits + 1); /* exact, for the sanitizer */
    oct_arena work;
    oct_arena scratch;
    oct_arena_init(&work, &model_malloc, 0);
    oct_arena_init(&scratch, &model_malloc, 0);
    oct_filter_source source = source_of(it->segment);
    source.alive = alive;
    oct_status status = oct_filter_collect(it->program, &source, &work, &scratch, bits, NULL);
    bool right = status == OCT_OK;
    for (uint32_t i = 0; right && i < it->segment->point_count; i++) {
        bool wanted = it->expected[i] && (!alive || oct_bits_get(alive, i));
        right = oct_bits_get(bits, i) == wanted;
        if (!right) printf("point %" PRIu32 ": %s\n", i, it->segment->payloads[i]);
    }
    if (right && it->segment->point_count % 64)
        right = bits[words - 1] >> it->segment->point_count % 64 == 0;
    oct_arena_reset(&work);
    oct_arena_reset(&scratch);
    free(bits);
    CHECK_OR(false, right);
    return true;
}

/* A list, when there is one, holds the same points, each once, and no more than asked for. */
static bool compare_listed(const comparison *it, const uint64_t *alive, uint32_t most)
{
    bool listed;
    bool right = true;
    oct_offsets list = { .count = 0 };
    oct_arena work;
    oct_arena_init(&work, &model_malloc, 0);
    oct_filter_source source = source_of(it->segment);
    source.alive = alive;
    if (oct_filter_list(it->program, &source, most, &work, &list, &listed, NULL) != OCT_OK) abort();
    uint32_t expected = 0;
    bool *found = calloc(it->segment->point_count + 1, sizeof *found);
    if (!found) abort();
    for (uint32_t i = 0; i < it->segment->point_count; i++)
        expected += it->expected[i] && (!alive || oct_bits_get(alive, i));
    for (uint32_t i = 0; listed && i < list.count; i++) {
        uint32_t at = list.at[i];
        right = right && at < it->segment->point_count && it->expected[at] && !found[at] &&
                (!alive || oct_bits_get(alive, at));
        if (right) found[at] = true;
    }
    if (listed) right = right && list.count == expected && list.count <= most;
    lists_seen += listed && list.count > 0;
    free(found);
    oct_arena_reset(&work);
    CHECK_OR(false, right);
    return true;
}

static bool compare_estimate(const comparison *it)
{
    oct_filter_source source = source_of(it->segment);
    oct_cardinality count = oct_filter_estimate(it->program, &source);
    bool right = count.min <= it->expected_count && it->expected_count <= count.max &&
                 count.min <= count.expected && count.expected <= count.max &&
                 count.max <= it->segment->point_count;
    if (!right)
        printf("estimate %" PRIu32 " %" PRIu32 " %" PRIu32 " of %" PRIu32 " matching\n", count.min,
               count.expected, count.max, it->expected_count);
    CHECK_OR(false, right);
    return true;
}

static void random_indexes(test_segment *segment)
{
    segment_drop_indexes(segment);
    for (size_t i = 0; i < ARRAY_COUNT(filter_keys); i++)
        if (test_random_below(3))
            segment_add_index(segment, (oct_field_type)test_random_below(OCT_FIELD_TYPE_COUNT),
                              filter_keys[i].text);
}

static bool compare_filter(test_segment *segment, oct_arena *arena)
{
    oct_arena scratch;
    oct_filter filter = random_filter(arena, 3);
    comparison it = { .segment = segment, .filter = &filter };
    uint64_t alive[(POINTS_MAX + 63) / 64];
    for (size_t i = 0; i < ARRAY_COUNT(alive); i++)
        alive[i] = test_random();
    CHECK_OR(false, oct_filter_compile(arena, &filter, &it.program, NULL) == OCT_OK);
    for (uint32_t i = 0; i < segment->point_count; i++) {
        it.expected[i] = naive_filter(&filter, segment->ids[i], segment->parsed[i]);
        it.expected_count += it.expected[i];
    }
    segment_drop_indexes(segment);
    CHECK_OR(false, compare_collected(&it, NULL));
    random_indexes(segment);
    CHECK_OR(false, compare_collected(&it, NULL));
    CHECK_OR(false, compare_collected(&it, alive));
    CHECK_OR(false, compare_listed(&it, alive, test_random_below(POINTS_MAX)));
    CHECK_OR(false, compare_estimate(&it));
    oct_arena_init(&scratch, &model_malloc, 0);
    bool right = compare_each(&it, &scratch);
    oct_arena_reset(&scratch);
    return right;
}

TEST(random_filters_agree_with_the_naive_meaning)
{
    static test_segment segment;
    uint32_t passing_filters = 0;
    for (int round = 0; round < 60; round++) {
        segment_fill(&segment, round == 0 ? 0 : 1 + test_random_below(POINTS_MAX));
        for (int i = 0; i < 20; i++) {
            oct_arena arena;
            oct_arena_init(&arena, &model_malloc, 0);
            bool right = compare_filter(&segment, &arena);
            oct_arena_reset(&arena);
            if (!right) break;
            passing_filters++;
        }
        segment_free(&segment);
        CHECK(!test_failed);
    }
    CHECK_EQ_U64(passing_filters, 60 * 20);
}

TEST(every_single_condition_agrees_under_every_index)
{
    static test_segment segment;
    segment_fill(&segment, POINTS_MAX);
    for (size_t key = 0; key < ARRAY_COUNT(filter_keys) && !test_failed; key++) {
        for (int type = 0; type < OCT_FIELD_TYPE_COUNT; type++) {
            segment_drop_indexes(&segment);
            segment_add_index(&segment, (oct_field_type)type, filter_keys[key].text);
            for (int i = 0; i < 100; i++) {
                oct_arena arena;
                oct_arena_init(&arena, &model_malloc, 0);
                oct_condition condition = random_field_condition(&arena, filter_keys[key].text);
                oct_filter filter = { .must = { &condition, 1 } };
                comparison it = { .segment = &segment, .filter = &filter };
                if (oct_filter_compile(&arena, &filter, &it.program, NULL) != OCT_OK) abort();
                for (uint32_t p = 0; p < segment.point_count; p++) {
                    it.expected[p] = naive_field(&condition, segment.parsed[p]);
                    it.expected_count += it.expected[p];
                }
                if (!compare_collected(&it, NULL) || !compare_estimate(&it) ||
                    !compare_listed(&it, NULL, POINTS_MAX))
                    printf("key %s type %d kind %d\n", filter_keys[key].text, type,
                           (int)condition.kind);
                oct_arena_reset(&arena);
            }
        }
    }
    segment_free(&segment);
    CHECK(true);
    CHECK(lists_seen > 100);
}

TEST_MAIN(random_filters_agree_with_the_naive_meaning,
          every_single_condition_agrees_under_every_index)
