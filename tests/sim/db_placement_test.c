/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: where rows, codes, graphs and payloads are kept changes no answer.
 * Method: collections that differ in nothing but `memory`, `on_disk`, `always_ram` and
 * `on_disk_payload`, drawn at random, get the same writes; every query must get the same bytes from
 * all of them, as reply text without its time: exact, walked, rescored, filtered and scrolled, of
 * every form and datatype. On storage with views and without, before a restart and after. */
#include <stdarg.h>

#include "base/str.h"
#include "sim/model.h"
#include "unit/base_heap.h"
#include "unit/test.h"

enum { COLLECTIONS = 6, POINTS = 900, BATCH = 60, DIM = 12, QUERIES = 220, TEXT_BYTES = 1 << 18 };

static sim_world world;
static oct_error error;
static char text[TEXT_BYTES];
static size_t text_bytes;

static void put(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int bytes = vsnprintf(text + text_bytes, sizeof text - text_bytes, format, list);
    va_end(list);
    ASSERT(bytes >= 0 && text_bytes + (size_t)bytes < sizeof text);
    text_bytes += (size_t)bytes;
}

static oct_reply call(const char *verb, uint32_t collection, const char *rest)
{
    char path[64];
    oct_reply reply;
    (void)snprintf(path, sizeof path, "/collections/p%" PRIu32 "%s", collection, rest);
    oct_call(
        world.db,
        &(oct_call_request){ .verb = verb, .path = oct_str_of(path), .body = { text, text_bytes } },
        &reply);
    return reply;
}

/* The same request to all; their replies must be equal up to the time. */
static bool same_replies(const char *verb, const char *rest)
{
    oct_reply first = call(verb, 0, rest);
    bool same = first.status == OCT_OK;
    if (!same) printf("%s: %.*s\n", text, (int)first.body_bytes, first.body);
    for (uint32_t i = 1; i < COLLECTIONS; i++) {
        oct_reply other = call(verb, i, rest);
        const char *end = same ? strstr(first.body, "\"time\"") : NULL;
        size_t bytes = end ? (size_t)(end - first.body) : 0;
        bool equal = other.status == OCT_OK && bytes > 0 && other.body_bytes >= bytes &&
                     memcmp(first.body, other.body, bytes) == 0;
        if (same && !equal)
            printf("%s\n%.*s\np%" PRIu32 ": %.*s\n", text, (int)first.body_bytes, first.body, i,
                   (int)other.body_bytes, other.body);
        same = same && equal;
        oct_reply_free(world.db, &other);
    }
    oct_reply_free(world.db, &first);
    return same;
}

/* ---- collections --------------------------------------------------------------------------- */

/* Of a vector: nothing, the old word, the new one, or both against each other. */
static const char *rows_place(uint32_t collection)
{
    static const char *const places[] = { "", ",\"on_disk\":true", ",\"memory\":\"cold\"",
                                          ",\"on_disk\":true,\"memory\":\"cached\"",
                                          ",\"on_disk\":false,\"memory\":\"cold\"" };
    if (collection == 0) return places[0];
    return places[collection == 1 ? 2 : test_random_below(5)];
}

static const char *codes_place(uint32_t collection)
{
    static const char *const places[] = { "", ",\"always_ram\":true", ",\"memory\":\"cold\"",
                                          ",\"memory\":\"pinned\"" };
    return places[collection ? test_random_below(4) : 0];
}

static const char *other_place(uint32_t collection)
{
    static const char *const places[] = { "\"cold\"", "\"cached\"", "null" };
    return places[collection ? test_random_below(3) : 2];
}

static void create(uint32_t i)
{
    text_bytes = 0;
    put("{\"vectors\":{\"a\":{\"size\":12,\"distance\":\"Cosine\"%s},", rows_place(i));
    put("\"b\":{\"size\":12,\"distance\":\"Dot\"%s,\"quantization_config\":{\"scalar\":{"
        "\"type\":\"int8\"%s}}},",
        rows_place(i), codes_place(i));
    put("\"c\":{\"size\":12,\"distance\":\"Euclid\"%s,\"quantization_config\":{\"binary\":{"
        "\"encoding\":\"two_bits\"%s}}},",
        rows_place(i), codes_place(i));
    put("\"d\":{\"size\":12,\"distance\":\"Manhattan\",\"hnsw_config\":{\"inline_storage\":false}%"
        "s},",
        rows_place(i));
    put("\"h\":{\"size\":12,\"distance\":\"Euclid\",\"datatype\":\"float16\"%s},", rows_place(i));
    put("\"u\":{\"size\":12,\"distance\":\"Cosine\",\"datatype\":\"uint8\"%s},", rows_place(i));
    put("\"m\":{\"size\":12,\"distance\":\"Dot\",\"multivector_config\":{\"comparator\":"
        "\"max_sim\"}%s,\"quantization_config\":{\"scalar\":{\"type\":\"int8\"%s}}},",
        rows_place(i), codes_place(i));
    put("\"n\":{\"size\":12,\"distance\":\"Euclid\",\"datatype\":\"float16\","
        "\"multivector_config\":{\"comparator\":\"max_sim\"}%s}},",
        rows_place(i));
    put("\"sparse_vectors\":{\"s\":{\"index\":{\"memory\":%s}}},", other_place(i));
    put("\"payload\":{\"memory\":%s},\"on_disk_payload\":%s,", other_place(i),
        i % 2 ? "true" : "false");
    put("\"hnsw_config\":{\"m\":6,\"ef_construct\":16,\"full_scan_threshold\":10,\"memory\":%s},"
        "\"optimizers_config\":{\"indexing_threshold\":1}}",
        other_place(i));
    oct_reply reply = call("PUT", i, "");
    if (reply.status != OCT_OK) printf("%s: %s\n", text, reply.body);
    CHECK(reply.status == OCT_OK);
    oct_reply_free(world.db, &reply);
}

static void put_row(void)
{
    for (uint32_t i = 0; i < DIM; i++)
        put("%c%.4f", i ? ',' : '[', (double)(test_random_float() * 8 + 9));
    put("]");
}

static void put_rows(void)
{
    put("[");
    put_row();
    for (uint32_t i = test_random_below(4); i > 0; i--) {
        put(",");
        put_row();
    }
    put("]");
}

static void put_sparse(void)
{
    uint32_t first = test_random_below(20);
    put("{\"indices\":[%" PRIu32 ",%" PRIu32 "],\"values\":[%.3f,%.3f]}", first,
        first + 1 + test_random_below(9), (double)test_random_float(), (double)test_random_float());
}

static void put_point(uint32_t id)
{
    put("{\"id\":%" PRIu32 ",\"payload\":{\"k\":%" PRIu32 ",\"t\":\"%.*s\"},\"vector\":{", id,
        test_random_below(9), (int)test_random_below(30), "some words that take up some room");
    const char *sep = "";
    for (const char *name = "abcdhu"; *name; name++) {
        if (test_random_below(12) == 0) continue;
        put("%s\"%c\":", sep, *name);
        put_row();
        sep = ",";
    }
    put("%s\"m\":", sep);
    put_rows();
    put(",\"n\":");
    put_rows();
    put(",\"s\":");
    put_sparse();
    put("}}");
}

static void fill(void)
{
    for (uint32_t first = 0; first < POINTS; first += BATCH) {
        text_bytes = 0;
        put("{\"points\":[");
        for (uint32_t i = 0; i < BATCH; i++) {
            if (i) put(",");
            put_point(first + i);
        }
        put("]}");
        CHECK(same_replies("PUT", "/points?wait=true"));
    }
    text_bytes = 0;
    put("{\"points\":[3,77,78,500]}");
    CHECK(same_replies("POST", "/points/delete?wait=true"));
}

/* ---- queries ------------------------------------------------------------------------------- */

static void put_filter(void)
{
    switch (test_random_below(4)) {
    case 0:
        put(",\"filter\":{\"must\":[{\"key\":\"k\",\"match\":{\"value\":%" PRIu32 "}}]}",
            test_random_below(10));
        break;
    case 1:
        put(",\"filter\":{\"must_not\":[{\"key\":\"k\",\"range\":{\"lt\":%" PRIu32 "}}]}",
            test_random_below(10));
        break;
    default:
        break;
    }
}

static void put_params(void)
{
    put(",\"params\":{\"exact\":%s,\"hnsw_ef\":%" PRIu32 ",\"quantization\":{\"ignore\":%s,"
        "\"rescore\":%s,\"oversampling\":%" PRIu32 "}}",
        test_random_below(4) ? "false" : "true", 8 + test_random_below(40),
        test_random_below(3) ? "false" : "true", test_random_below(3) ? "true" : "false",
        1 + test_random_below(3));
}

static bool query(void)
{
    char name = "abcdhumns"[test_random_below(9)];
    text_bytes = 0;
    put("{\"limit\":%" PRIu32 ",\"using\":\"%c\",\"with_vector\":%s,\"with_payload\":%s,\"query\":",
        1 + test_random_below(15), name, test_random_below(2) ? "true" : "false",
        test_random_below(2) ? "true" : "false");
    if (name == 's')
        put_sparse();
    else if (name == 'm' || name == 'n')
        put_rows();
    else
        put_row();
    put_filter();
    if (test_random_below(3)) put_params();
    put("}");
    return same_replies("POST", "/points/query");
}

static bool scroll(void)
{
    text_bytes = 0;
    put("{\"limit\":%" PRIu32 ",\"offset\":%" PRIu32 ",\"with_vector\":true",
        1 + test_random_below(60), test_random_below(POINTS));
    put_filter();
    put("}");
    return same_replies("POST", "/points/scroll");
}

static void compare(void)
{
    for (uint32_t i = 0; i < QUERIES; i++)
        CHECK(i % 10 == 0 ? scroll() : query());
}

static void run(bool views)
{
    oct_vfs *vfs = NULL;
    CHECK(oct_vfs_memory_create(heap_start(), &vfs, &error) == OCT_OK);
    oct_vfs poorer = *vfs;
    if (!views) poorer.caps &= ~(uint32_t)OCT_CAP_VIEW;
    sim_init(&world, &heap_counting.alloc, &poorer);
    world.options.appendable_points_max = 200;
    CHECK(sim_open(&world, &error) == OCT_OK);
    for (uint32_t i = 0; i < COLLECTIONS; i++)
        create(i);
    fill();
    compare(); /* some segments are sealed, one takes writes */
    CHECK(sim_settle(&world, 1000, &error) == OCT_OK);
    compare();
    sim_close(&world);
    CHECK(sim_open(&world, &error) == OCT_OK);
    compare();
    sim_close(&world);
    oct_vfs_memory_destroy(vfs);
    CHECK(heap_is_empty());
}

TEST(placement_changes_no_answer)
{
    run(true);
}

TEST(placement_changes_no_answer_without_views)
{
    run(false);
}

TEST_MAIN(placement_changes_no_answer, placement_changes_no_answer_without_views)
