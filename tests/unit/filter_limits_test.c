/* SPDX-License-Identifier: Apache-2.0 */
/* filter_limits_test.c - filters at their limits, what is read of payloads, and failures. */
#include "base/bits.h"
#include "filter_support.h"
#include "model/point_id.h"
#include "query/estimate.h"
#include "query/filter.h"

/* ---- compiling -------------------------------------------------------------------------- */

static oct_status compile(const oct_filter *filter, char *message)
{
    oct_arena arena;
    oct_error error = { .message = "" };
    const oct_filter_program *program;
    oct_arena_init(&arena, &model_malloc, 0);
    oct_status status = oct_filter_compile(&arena, filter, &program, &error);
    oct_arena_reset(&arena);
    strcpy(message, error.message);
    return status;
}

static const oct_condition a_is_empty = { .kind = OCT_CONDITION_IS_EMPTY, .key = { "a", 1 } };

TEST(depth_is_limited)
{
    char message[OCT_ERROR_MESSAGE_BYTES];
    static oct_filter filters[OCT_FILTER_DEPTH_MAX + 1];
    static oct_condition nested[OCT_FILTER_DEPTH_MAX + 1];
    for (int i = 0; i <= OCT_FILTER_DEPTH_MAX; i++) {
        filters[i].must = (oct_conditions){ i == 0 ? &a_is_empty : &nested[i], 1 };
        if (i > 0)
            nested[i] = (oct_condition){ .kind = OCT_CONDITION_FILTER, .filter = &filters[i - 1] };
    }
    CHECK_EQ_U64(compile(&filters[OCT_FILTER_DEPTH_MAX - 1], message), OCT_OK);
    CHECK_EQ_U64(compile(&filters[OCT_FILTER_DEPTH_MAX], message), OCT_BAD_INPUT);
    CHECK_EQ_STR(message, "Wrong input: a filter may be nested at most 50 deep");
}

TEST(conditions_are_limited)
{
    char message[OCT_ERROR_MESSAGE_BYTES];
    static oct_condition conditions[OCT_FILTER_CONDITIONS_MAX + 1];
    for (size_t i = 0; i < ARRAY_COUNT(conditions); i++)
        conditions[i] = a_is_empty;
    oct_filter filter = { .should = { conditions, OCT_FILTER_CONDITIONS_MAX } };
    CHECK_EQ_U64(compile(&filter, message), OCT_OK);
    filter.must = (oct_conditions){ conditions, 1 };
    CHECK_EQ_U64(compile(&filter, message), OCT_BAD_INPUT);
    CHECK_EQ_STR(message, "Wrong input: a filter may have at most 10000 conditions");
    filter = (oct_filter){ .must = { conditions, OCT_FILTER_CONDITIONS_MAX + 1 } };
    CHECK_EQ_U64(compile(&filter, message), OCT_BAD_INPUT);
}

TEST(bad_keys_are_named)
{
    char message[OCT_ERROR_MESSAGE_BYTES];
    oct_condition condition = { .kind = OCT_CONDITION_IS_NULL, .key = OCT_STR("a..b") };
    oct_filter filter = { .must_not = { &condition, 1 } };
    CHECK_EQ_U64(compile(&filter, message), OCT_BAD_INPUT);
    CHECK(strstr(message, "a..b") != NULL);
}

/* ---- a segment whose payloads count how often they are read ----------------------------- */

enum { POINTS = 130 };

typedef struct counted_segment {
    char payloads[POINTS][32];
    uint32_t reads;
    oct_status payload_status; /* of every read */
    const oct_field *field;    /* of "k" */
} counted_segment;

static oct_status counted_payload(void *self, uint32_t offset, oct_arena *arena, oct_str *out,
                                  oct_error *error)
{
    (void)arena;
    counted_segment *segment = self;
    segment->reads++;
    if (segment->payload_status != OCT_OK)
        return oct_fail(error, segment->payload_status, "the payload can't be read");
    *out = oct_str_of(segment->payloads[offset]);
    return OCT_OK;
}

static oct_point_id counted_id(void *self, uint32_t offset)
{
    (void)self;
    return oct_point_id_of(1000 + offset);
}

static bool counted_find(void *self, oct_point_id id, uint32_t *offset)
{
    (void)self;
    if (id.is_uuid || id.low < 1000 || id.low >= 1000 + POINTS) return false;
    *offset = (uint32_t)(id.low - 1000);
    return true;
}

static const oct_field *counted_field(void *self, oct_str key)
{
    return oct_str_equal(key, OCT_STR("k")) ? ((counted_segment *)self)->field : NULL;
}

static oct_filter_source counted_source(counted_segment *segment)
{
    return (oct_filter_source){ .self = segment,
                                .point_count = POINTS,
                                .payload = counted_payload,
                                .id = counted_id,
                                .find = counted_find,
                                .field = counted_field };
}

/* Point i: {"k":i % 10,"u":i % 3}; an index over k. */
static void counted_open(counted_segment *segment, oct_buf *bytes, oct_field *field)
{
    oct_arena arena;
    oct_field_builder *builder = NULL;
    memset(segment, 0, sizeof *segment);
    oct_arena_init(&arena, &model_malloc, 0);
    oct_buf_init(bytes, &model_malloc, 1 << 20);
    oct_status status =
        oct_field_builder_create(&model_malloc, OCT_FIELD_INTEGER, OCT_STR("k"), &builder, NULL);
    for (uint32_t i = 0; status == OCT_OK && i < POINTS; i++) {
        snprintf(segment->payloads[i], sizeof segment->payloads[i],
                 "{\"k\":%" PRIu32 ",\"u\":%" PRIu32 "}", i % 10, i % 3);
        status = oct_field_builder_add(builder, i, model_json(&arena, segment->payloads[i]), NULL);
    }
    if (status == OCT_OK) status = oct_field_builder_finish(builder, POINTS, bytes, NULL);
    if (status == OCT_OK) status = oct_field_open(bytes->at, bytes->bytes, POINTS, field, NULL);
    if (status != OCT_OK) abort();
    oct_field_builder_destroy(builder);
    oct_arena_reset(&arena);
    segment->field = field;
}

static const oct_scalar two = { .kind = OCT_SCALAR_INTEGER, .integer = 2 };
static const oct_condition k_is_two = {
    .kind = OCT_CONDITION_MATCH_ANY, .key = { "k", 1 }, .values = &two, .value_count = 1
};
static const oct_condition u_is_two = {
    .kind = OCT_CONDITION_MATCH_ANY, .key = { "u", 1 }, .values = &two, .value_count = 1
};

/* Collect; the number of points, or UINT32_MAX on failure. */
static uint32_t collect(counted_segment *segment, const oct_filter *filter, oct_status *status,
                        oct_error *error)
{
    uint64_t bits[(POINTS + 63) / 64];
    oct_arena arenas[3];
    const oct_filter_program *program;
    for (size_t i = 0; i < 3; i++)
        oct_arena_init(&arenas[i], &model_malloc, 0);
    oct_filter_source source = counted_source(segment);
    segment->reads = 0;
    *status = oct_filter_compile(&arenas[0], filter, &program, error);
    if (*status == OCT_OK)
        *status = oct_filter_collect(program, &source, &arenas[1], &arenas[2], bits, error);
    for (size_t i = 0; i < 3; i++)
        oct_arena_reset(&arenas[i]);
    return *status == OCT_OK ? (uint32_t)oct_bits_count(bits, ARRAY_COUNT(bits)) : UINT32_MAX;
}

TEST(payloads_are_read_only_of_undecided_points)
{
    static counted_segment segment;
    oct_buf bytes;
    oct_field field;
    oct_status status;
    counted_open(&segment, &bytes, &field);
    const oct_point_id ids[] = { oct_point_id_of(1002), oct_point_id_of(1012), oct_point_id_of(5) };
    const oct_condition has_id = { .kind = OCT_CONDITION_HAS_ID, .ids = ids, .id_count = 3 };
    const oct_condition both[] = { k_is_two, u_is_two };
    const oct_condition id_and_u[] = { has_id, u_is_two };

    oct_filter filter = { .must = { both, 1 } };
    CHECK_EQ_U64(collect(&segment, &filter, &status, NULL), 13);
    CHECK_EQ_U64(segment.reads, 0);
    filter = (oct_filter){ .must = { both, 2 } };
    CHECK_EQ_U64(collect(&segment, &filter, &status, NULL), 5);
    CHECK_EQ_U64(segment.reads, 13);
    filter = (oct_filter){ .should = { both, 2 } };
    CHECK_EQ_U64(collect(&segment, &filter, &status, NULL), 13 + 43 - 5);
    CHECK_EQ_U64(segment.reads, POINTS - 13);
    filter = (oct_filter){ .must = { &has_id, 1 }, .must_not = { &k_is_two, 1 } };
    CHECK_EQ_U64(collect(&segment, &filter, &status, NULL), 0);
    CHECK_EQ_U64(segment.reads, 0);
    filter = (oct_filter){ .must = { id_and_u, 2 } };
    CHECK_EQ_U64(collect(&segment, &filter, &status, NULL), 1);
    CHECK_EQ_U64(segment.reads, 2);
    CHECK_EQ_U64(collect(&segment, NULL, &status, NULL), POINTS);
    CHECK_EQ_U64(segment.reads, 0);
    oct_buf_deinit(&bytes);
}

TEST(estimates_of_indexed_filters_are_exact)
{
    static counted_segment segment;
    oct_buf bytes;
    oct_field field;
    oct_arena arena;
    const oct_filter_program *program;
    counted_open(&segment, &bytes, &field);
    oct_filter_source source = counted_source(&segment);
    oct_filter filter = { .must_not = { &k_is_two, 1 } };
    oct_arena_init(&arena, &model_malloc, 0);
    CHECK(oct_filter_compile(&arena, &filter, &program, NULL) == OCT_OK);
    CHECK(!oct_filter_is_empty(program));
    oct_cardinality count = oct_filter_estimate(program, &source);
    CHECK(oct_filter_compile(&arena, NULL, &program, NULL) == OCT_OK);
    CHECK(oct_filter_is_empty(program));
    oct_cardinality all = oct_filter_estimate(program, &source);
    oct_arena_reset(&arena);
    oct_buf_deinit(&bytes);
    CHECK(count.min == POINTS - 13 && count.max == POINTS - 13 && count.expected == POINTS - 13);
    CHECK(all.min == POINTS && all.max == POINTS);
}

TEST(failures_of_payloads_are_passed_on)
{
    static counted_segment segment;
    oct_buf bytes;
    oct_field field;
    oct_status status;
    oct_error error = { .message = "" };
    counted_open(&segment, &bytes, &field);
    oct_filter filter = { .must = { &u_is_two, 1 } };
    segment.payload_status = OCT_IO;
    CHECK_EQ_U64(collect(&segment, &filter, &status, &error), UINT32_MAX);
    CHECK_EQ_U64(status, OCT_IO);
    CHECK_EQ_STR(error.message, "the payload can't be read");
    segment.payload_status = OCT_OK;
    strcpy(segment.payloads[7], "{\"k\":");
    error.message[0] = '\0';
    CHECK_EQ_U64(collect(&segment, &filter, &status, &error), UINT32_MAX);
    CHECK_EQ_U64(status, OCT_CORRUPT);
    CHECK_EQ_STR(error.message, "a stored payload is not a JSON object");
    filter.must.at = &k_is_two; /* indexed: the damaged payload is not needed */
    CHECK_EQ_U64(collect(&segment, &filter, &status, &error), 13);
    oct_buf_deinit(&bytes);
}

/* ---- lost memory ------------------------------------------------------------------------ */

static oct_status sweep_body(const oct_alloc *alloc, void *arg)
{
    oct_status status = OCT_OK;
    oct_filter_source source = counted_source(arg);
    uint64_t bits[(POINTS + 63) / 64];
    oct_arena arenas[3];
    const oct_filter_program *program;
    const oct_condition both[] = { k_is_two, u_is_two };
    const oct_filter inner = { .should = { both, 2 },
                               .min_should = { both, 2 },
                               .min_should_count = 1 };
    const oct_condition nested = { .kind = OCT_CONDITION_FILTER, .filter = &inner };
    const oct_filter filter = { .must = { &nested, 1 }, .should = { both, 2 } };
    for (size_t i = 0; i < 3; i++)
        oct_arena_init(&arenas[i], alloc, 0);
    TRY(oct_filter_compile(&arenas[0], &filter, &program, NULL));
    TRY(oct_filter_collect(program, &source, &arenas[1], &arenas[2], bits, NULL));
    if (oct_bits_count(bits, ARRAY_COUNT(bits)) != 13 + 43 - 5) status = OCT_CORRUPT;
done:
    for (size_t i = 0; i < 3; i++)
        oct_arena_reset(&arenas[i]);
    return status;
}

TEST(every_lost_allocation_is_nomem)
{
    static counted_segment segment;
    oct_buf bytes;
    oct_field field;
    counted_open(&segment, &bytes, &field);
    bool right = model_sweep(sweep_body, &segment);
    oct_buf_deinit(&bytes);
    CHECK(right);
}

TEST_MAIN(depth_is_limited, conditions_are_limited, bad_keys_are_named,
          payloads_are_read_only_of_undecided_points, estimates_of_indexed_filters_are_exact,
          failures_of_payloads_are_passed_on, every_lost_allocation_is_nomem)
