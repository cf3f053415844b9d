/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a change comes back from its record as it was, and bytes that no writer can have written
 * are refused, whatever they are.
 * Method: random changes of every kind are written and read; then each record is cut at every
 * length and changed at every byte, and every rule of a record is broken once. Memory runs out
 * too. */
#include "db/record.h"

#include <math.h>

#include "base/json.h"
#include "model/config.h"
#include "segment/layout.h"
#include "unit/base_heap.h"
#include "unit/test.h"

enum { KINDS = OCT_WRITE_DELETE_INDEX + 1, ROUNDS = 60, IDS_MAX = 6, ROWS_MAX = 3, WORDS_MAX = 21 };

static oct_arena arena_;
static oct_collection_config config;

static void begin(void)
{
    static const char text[] = "{\"vectors\":{\"a\":{\"size\":4,\"distance\":\"Dot\"},"
                               "\"b\":{\"size\":3,\"distance\":\"Euclid\"},"
                               "\"m\":{\"size\":2,\"distance\":\"Dot\","
                               "\"multivector_config\":{\"comparator\":\"max_sim\"}}},"
                               "\"sparse_vectors\":{\"s\":{}}}";
    const oct_json *json;
    oct_arena_init(&arena_, heap_start(), 0);
    CHECK(oct_json_parse(&arena_, ((oct_str){ text, sizeof text - 1 }), &json, NULL) == OCT_OK);
    CHECK(oct_config_parse(&arena_, json, &config, NULL) == OCT_OK);
}

static void end(void)
{
    oct_arena_reset(&arena_);
    CHECK(heap_is_empty());
}

/* ---- random changes -------------------------------------------------------------------------- */

typedef struct memory {
    oct_point_id ids[IDS_MAX];
    oct_slot points[IDS_MAX];
    float words[IDS_MAX][WORDS_MAX];
    oct_str keys[2];
} memory;

static const oct_str payloads[] = { { "", 0 }, { "{}", 2 }, { "{\"k\":[1,2]}", 11 } };

/* Ascending: numbers, then UUIDs. */
static oct_point_id random_id(uint32_t i)
{
    oct_point_id id = { .low = i * 100 + test_random_below(100) };
    if (i < IDS_MAX / 2) return id;
    id.is_uuid = true;
    id.high = test_random_below(2) ? i : 0;
    if (!id.high) id.high = 1;
    id.high += (uint64_t)i << 32;
    return id;
}

/* The vectors of a point in any of the forms, laid down at `at`. */
static void random_vectors(uint64_t present, float *at)
{
    float values[2 * ROWS_MAX];
    uint32_t indices[ROWS_MAX];
    for (uint32_t v = 0; v < config.vector_count; v++) {
        oct_named_vector vector = { .values = values,
                                    .kind = config.vectors[v].kind,
                                    .rows = 1 + test_random_below(ROWS_MAX),
                                    .indices = indices };
        if (!((present >> v) & 1)) continue;
        vector.count = config.vectors[v].size;
        if (vector.kind == OCT_VECTOR_MULTI) vector.count *= vector.rows;
        if (vector.kind == OCT_VECTOR_SPARSE) vector.count = vector.rows - 1;
        for (uint32_t i = 0; i < vector.count; i++)
            values[i] = test_random_float();
        for (uint32_t i = 0; i < ROWS_MAX; i++)
            indices[i] = i * 1000000000 + test_random_below(1000000000);
        at = oct_layout_put(&vector, at);
    }
}

static void random_points(memory *in, oct_change *out, bool payload)
{
    for (uint32_t i = 0; i < out->point_count; i++) {
        oct_slot *point = &in->points[i];
        *point = (oct_slot){ .id = random_id(i), .present = test_random_below(16) };
        random_vectors(point->present, in->words[i]);
        point->vectors = in->words[i];
        if (payload) point->payload = payloads[test_random_below(ARRAY_COUNT(payloads))];
    }
    out->points = in->points;
}

static oct_change random_change(memory *in, oct_write_kind kind)
{
    oct_change change = { .kind = kind };
    uint32_t count = test_random_below(IDS_MAX + 1);
    if (kind == OCT_WRITE_UPSERT || kind == OCT_WRITE_UPDATE_VECTORS) {
        change.point_count = count;
        random_points(in, &change, kind == OCT_WRITE_UPSERT);
        return change;
    }
    if (kind == OCT_WRITE_CREATE_INDEX || kind == OCT_WRITE_DELETE_INDEX) {
        change.field.key = OCT_STR("city.name");
        if (kind == OCT_WRITE_DELETE_INDEX) return change;
        change.field.type = (oct_field_type)test_random_below(OCT_FIELD_TYPE_COUNT);
        change.field.params = payloads[1];
        return change;
    }
    change.id_count = count;
    for (uint32_t i = 0; i < count; i++)
        in->ids[i] = random_id(i);
    change.ids = in->ids;
    if (kind == OCT_WRITE_DELETE_VECTORS) change.vectors = 1 + test_random_below(3);
    if (kind == OCT_WRITE_SET_PAYLOAD || kind == OCT_WRITE_OVERWRITE_PAYLOAD)
        change.payload = payloads[test_random_below(ARRAY_COUNT(payloads))];
    if (kind == OCT_WRITE_SET_PAYLOAD && count % 2) change.payload_key = OCT_STR("a.b");
    if (kind == OCT_WRITE_DELETE_PAYLOAD) {
        in->keys[0] = OCT_STR("x");
        in->keys[1] = OCT_STR("y[].z");
        change.keys = in->keys;
        change.key_count = count % 3;
    }
    return change;
}

static bool same_id(oct_point_id a, oct_point_id b)
{
    return a.low == b.low && a.high == b.high && a.is_uuid == b.is_uuid;
}

static bool same_str(oct_str a, oct_str b)
{
    return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.at, b.at, a.bytes) == 0);
}

static bool same(const oct_change *a, const oct_change *b)
{
    bool equal = a->kind == b->kind && a->point_count == b->point_count &&
                 a->id_count == b->id_count && a->vectors == b->vectors &&
                 a->key_count == b->key_count && same_str(a->payload, b->payload) &&
                 same_str(a->payload_key, b->payload_key) && same_str(a->field.key, b->field.key) &&
                 a->field.type == b->field.type && same_str(a->field.params, b->field.params);
    for (uint32_t i = 0; equal && i < a->id_count; i++)
        equal = same_id(a->ids[i], b->ids[i]);
    for (uint32_t i = 0; equal && i < a->key_count; i++)
        equal = same_str(a->keys[i], b->keys[i]);
    for (uint32_t i = 0; equal && i < a->point_count; i++) {
        const oct_slot *x = &a->points[i], *y = &b->points[i];
        equal =
            same_id(x->id, y->id) && x->present == y->present && same_str(x->payload, y->payload);
        size_t words = oct_layout_words(&config, x->present, x->vectors, config.vector_count);
        if (equal && words) equal = memcmp(x->vectors, y->vectors, words * sizeof(float)) == 0;
    }
    return equal;
}

static oct_status read_bytes(const uint8_t *at, size_t bytes, oct_change *out)
{
    return oct_record_read(&arena_, (oct_str){ (const char *)at, bytes }, &config, out, NULL);
}

/* ---- tests ----------------------------------------------------------------------------------- */

TEST(every_kind_comes_back)
{
    begin();
    for (uint32_t round = 0; round < ROUNDS * KINDS; round++) {
        memory in;
        oct_change change = random_change(&in, (oct_write_kind)(round % KINDS)), back;
        oct_buf record;
        oct_buf_init(&record, arena_.alloc, 1 << 20);
        CHECK(oct_record_write(&change, &config, &record, NULL) == OCT_OK);
        CHECK(read_bytes(record.at, record.bytes, &back) == OCT_OK);
        CHECK(same(&change, &back));
        oct_buf_deinit(&record);
    }
    end();
}

/* A changed record is refused, or is another one that is as good: then it can be written again. */
static void check_changed(const uint8_t *at, size_t bytes, uint64_t *accepted)
{
    oct_change back;
    oct_status status = read_bytes(at, bytes, &back);
    CHECK(status == OCT_OK || status == OCT_CORRUPT);
    if (status != OCT_OK) return;
    oct_buf again;
    oct_buf_init(&again, arena_.alloc, 1 << 20);
    CHECK(oct_record_write(&back, &config, &again, NULL) == OCT_OK);
    CHECK(again.bytes == bytes && memcmp(again.at, at, bytes) == 0);
    oct_buf_deinit(&again);
    ++*accepted;
}

TEST(cut_and_changed_records_are_refused_or_as_good)
{
    uint64_t accepted = 0, refused = 0;
    begin();
    for (uint32_t round = 0; round < ROUNDS; round++) {
        memory in;
        oct_change change = random_change(&in, (oct_write_kind)(round % KINDS)), back;
        oct_buf record;
        oct_buf_init(&record, arena_.alloc, 1 << 20);
        CHECK(oct_record_write(&change, &config, &record, NULL) == OCT_OK);
        for (size_t bytes = 0; bytes < record.bytes; bytes++)
            CHECK(read_bytes(record.at, bytes, &back) == OCT_CORRUPT);
        for (size_t i = 0; i < record.bytes; i++) {
            uint64_t before = accepted;
            uint8_t old = record.at[i];
            record.at[i] = (uint8_t)(old ^ (1 + test_random_below(255)));
            check_changed(record.at, record.bytes, &accepted);
            CHECK(!test_failed);
            record.at[i] = old;
            refused += accepted == before;
        }
        CHECK(oct_buf_append_u8(&record, 0, NULL) == OCT_OK);
        CHECK(read_bytes(record.at, record.bytes, &back) == OCT_CORRUPT);
        oct_buf_deinit(&record);
    }
    printf("  changed bytes: %" PRIu64 " refused, %" PRIu64 " another record\n", refused, accepted);
    CHECK(refused > 500 && accepted > 500);
    end();
}

/* Write `change`, which breaks a rule, and see it refused. */
static void refuse(const oct_change *change)
{
    oct_change back;
    oct_buf record;
    oct_buf_init(&record, arena_.alloc, 1 << 20);
    CHECK(oct_record_write(change, &config, &record, NULL) == OCT_OK);
    CHECK(read_bytes(record.at, record.bytes, &back) == OCT_CORRUPT);
    oct_buf_deinit(&record);
}

static void refuse_ids(oct_point_id first, oct_point_id second)
{
    const oct_point_id ids[] = { first, second };
    const oct_slot points[] = { { .id = first }, { .id = second } };
    refuse(&(oct_change){ .kind = OCT_WRITE_DELETE, .ids = ids, .id_count = 2 });
    refuse(&(oct_change){ .kind = OCT_WRITE_UPSERT, .points = points, .point_count = 2 });
}

/* One vector of these words. */
static void refuse_words(uint64_t present, const uint32_t *words)
{
    oct_slot point = { .id = { .low = 1 },
                       .present = present,
                       .vectors = (const float *)(const void *)words };
    refuse(&(oct_change){ .kind = OCT_WRITE_UPDATE_VECTORS, .points = &point, .point_count = 1 });
}

TEST(every_rule_is_checked)
{
    const oct_point_id one = { .low = 1 }, two = { .low = 2 };
    const oct_point_id uuid = { .low = 1, .high = 1, .is_uuid = true };
    static const float bad[] = { NAN, INFINITY, -INFINITY };
    static const char *const texts[] = { "1", "[]", "{", "{}x", "null", "{\"a\":NaN}", "\xff" };
    begin();
    refuse_ids(one, one); /* a point twice */
    refuse_ids(two, one);
    refuse_ids(uuid, one);
    refuse_ids(uuid, uuid);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        float vector[] = { 1, 2, bad[i] };
        oct_slot point = { .id = one, .present = 2, .vectors = vector };
        refuse(
            &(oct_change){ .kind = OCT_WRITE_UPDATE_VECTORS, .points = &point, .point_count = 1 });
    }
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        oct_str text = { texts[i], strlen(texts[i]) };
        oct_slot point = { .id = one, .payload = text };
        refuse(&(oct_change){ .kind = OCT_WRITE_UPSERT, .points = &point, .point_count = 1 });
        refuse(&(oct_change){ .kind = OCT_WRITE_SET_PAYLOAD, .payload = text });
        refuse(&(oct_change){ .kind = OCT_WRITE_OVERWRITE_PAYLOAD, .payload = text });
    }
    refuse_words(4, (uint32_t[]){ 0 });                /* no rows */
    refuse_words(8, (uint32_t[]){ 2, 7, 7, 0, 0 });    /* dimensions that do not ascend */
    refuse_words(8, (uint32_t[]){ 1, 7, 0x7fc00000 }); /* a value that is no number */
    oct_slot unknown = { .id = one, .present = 16 };   /* a fifth vector */
    refuse(&(oct_change){ .kind = OCT_WRITE_UPSERT, .points = &unknown, .point_count = 1 });
    refuse(&(oct_change){ .kind = OCT_WRITE_DELETE_VECTORS, .vectors = 16 });
    refuse(&(oct_change){ .kind = (oct_write_kind)KINDS });
    refuse(&(oct_change){ .kind = OCT_WRITE_CREATE_INDEX,
                          .field = { .type = (oct_field_type)OCT_FIELD_TYPE_COUNT } });
    end();
}

TEST(memory_may_run_out)
{
    memory in;
    oct_change change, back;
    uint8_t bytes[4096];
    oct_buf record;
    begin();
    in.points[0].present = 0;
    do
        change = random_change(&in, OCT_WRITE_UPSERT);
    while (change.point_count < IDS_MAX);
    in.points[1].payload = payloads[2];
    oct_buf_init(&record, arena_.alloc, sizeof bytes);
    CHECK(oct_record_write(&change, &config, &record, NULL) == OCT_OK);
    size_t count = record.bytes;
    memcpy(bytes, record.at, count);
    oct_buf_deinit(&record);
    uint64_t refusals = 0;
    for (uint64_t k = 1;; k++) {
        oct_counting_alloc counting;
        oct_arena arena;
        oct_counting_alloc_init(&counting, &heap, 0);
        counting.fail_at = k;
        oct_arena_init(&arena, &counting.alloc, 0);
        oct_status status =
            oct_record_read(&arena, (oct_str){ (const char *)bytes, count }, &config, &back, NULL);
        bool right = status == OCT_NOMEM || (status == OCT_OK && same(&change, &back));
        oct_arena_reset(&arena);
        CHECK(right);
        CHECK_EQ_U64(oct_atomic_load(&counting.bytes), 0);
        if (status == OCT_OK) break;
        refusals++;
    }
    CHECK(refusals > 1);
    end();
}

TEST_MAIN(every_kind_comes_back, cut_and_changed_records_are_refused_or_as_good,
          every_rule_is_checked, memory_may_run_out)
