/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: oct_search answers what POST points/query answers, hit for hit, and refuses what it
 * refuses, in the same words; running out of memory is an answer and leaks nothing.
 * Method: a small database with numbers and UUIDs as ids, in sealed segments and in memory; random
 * vectors, limits and options through both ways, the reply being taken apart; then every refusal;
 * then the n-th allocation fails, for every n. */
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "base_heap.h"
#include "model/point_id.h"
#include "octant/octant.h"
#include "sim/model.h"
#include "test.h"

enum { DIM = 8, POINTS = 200, LIMIT_MAX = 20, BATCH = 5 };

static oct_vfs *vfs;
static sim_world world;
static char body[1 << 16];
static int text_bytes; /* of a text in the payload of each point */

static void call(const char *verb, const char *path, const char *text, oct_reply *reply)
{
    const oct_call_request request = { .verb = verb,
                                       .path = oct_str_of(path),
                                       .body = oct_str_of(text) };
    oct_call(world.db, &request, reply);
}

static void must_call(const char *verb, const char *path, const char *text)
{
    oct_reply reply;
    call(verb, path, text, &reply);
    if (reply.status != OCT_OK) printf("%s: %.*s\n", path, (int)reply.body_bytes, reply.body);
    oct_reply_free(world.db, &reply);
    CHECK(reply.status == OCT_OK);
}

/* Append the vector as JSON; nine digits give every float back. */
static size_t print_vector(char *at, size_t room, const float *vector)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < DIM; i++)
        bytes +=
            (size_t)snprintf(at + bytes, room - bytes, "%s%.9g", i ? "," : "[", (double)vector[i]);
    return bytes + (size_t)snprintf(at + bytes, room - bytes, "]");
}

static void random_vectors(float *out, uint32_t count)
{
    for (uint32_t i = 0; i < count * DIM; i++)
        out[i] = test_random_float();
}

static void put_point(uint32_t i)
{
    float vector[DIM];
    char id[48];
    random_vectors(vector, 1);
    if (i % 3 == 0)
        (void)snprintf(id, sizeof id, "\"00000000-0000-4000-8000-%012" PRIx32 "\"", i);
    else
        (void)snprintf(id, sizeof id, "%" PRIu64, i % 7 == 0 ? UINT64_MAX - i : (uint64_t)i);
    size_t at =
        (size_t)snprintf(body, sizeof body, "{\"points\":[{\"id\":%s,\"vector\":{\"v\":", id);
    at += print_vector(body + at, sizeof body - at, vector);
    (void)snprintf(body + at, sizeof body - at,
                   "},\"payload\":{\"n\":%" PRIu32 ",\"text\":\"%*s\"}}]}", i % 10, text_bytes, "");
    must_call("PUT", "/collections/c/points?wait=true", body);
}

static void begin(const oct_alloc *alloc)
{
    oct_error error = { .message = "" };
    CHECK(oct_vfs_memory_create(&heap, &vfs, &error) == OCT_OK);
    vfs->caps &= ~(uint32_t)OCT_CAP_VIEW; /* so that payloads are read when they are needed */
    sim_init(&world, alloc, vfs);
    world.options.appendable_points_max = 60;
    CHECK(sim_open(&world, &error) == OCT_OK);
    must_call("PUT", "/collections/c",
              "{\"vectors\":{\"v\":{\"size\":8,\"distance\":\"Cosine\"}},"
              "\"optimizers_config\":{\"indexing_threshold\":1},"
              "\"hnsw_config\":{\"full_scan_threshold\":10}}");
    for (uint32_t i = 0; i < POINTS; i++)
        put_point(i);
    CHECK(sim_settle(&world, 100, &error) == OCT_OK);
}

static void end(void)
{
    sim_close(&world);
    oct_vfs_memory_destroy(vfs);
}

/* ---- both ways ---------------------------------------------------------------------------- */

/* Is the JSON point of a reply this hit? */
static bool same_hit(const oct_json *point, const oct_search_hit *hit)
{
    char text[OCT_POINT_ID_TEXT_BYTES];
    const oct_json *id = oct_json_get(point, OCT_STR("id"));
    const oct_json *score = oct_json_get(point, OCT_STR("score"));
    if (!id || !score || (float)oct_json_number(score) != hit->score) return false;
    oct_point_id_print(hit->id, text);
    if (hit->id.is_uuid) return oct_str_equal(oct_json_string(id), oct_str_of(text));
    return oct_json_kind_of(id) == OCT_JSON_UINT && oct_json_uint(id) == hit->id.low;
}

/* POST the same query and compare all of its hits. */
static bool same_as_rest(const oct_search_request *request, const float *vector,
                         const oct_search_hit *hits, uint32_t count)
{
    oct_arena arena;
    oct_reply reply;
    oct_error error;
    const oct_json *root = NULL;
    size_t at = (size_t)snprintf(
        body, sizeof body, "{\"using\":\"v\",\"limit\":%" PRIu32 ",\"query\":", request->limit);
    at += print_vector(body + at, sizeof body - at, vector);
    if (request->options.bytes > 2)
        at += (size_t)snprintf(body + at, sizeof body - at, ",%.*s",
                               (int)request->options.bytes - 2, request->options.at + 1);
    (void)snprintf(body + at, sizeof body - at, "}");
    call("POST", "/collections/c/points/query", body, &reply);
    oct_arena_init(&arena, &heap, 0);
    bool same =
        reply.status == OCT_OK &&
        oct_json_parse(&arena, (oct_str){ reply.body, reply.body_bytes }, &root, &error) == OCT_OK;
    const oct_json *result = same ? oct_json_get(root, OCT_STR("result")) : NULL;
    const oct_json *points = result ? oct_json_get(result, OCT_STR("points")) : NULL;
    same = points && oct_json_count(points) == count;
    if (same) {
        oct_json_iter iter = oct_json_iterate(points);
        for (uint32_t i = 0; same && i < count; i++)
            same = same_hit(oct_json_next(&iter, NULL), &hits[i]);
    }
    oct_arena_reset(&arena);
    oct_reply_free(world.db, &reply);
    return same;
}

TEST(answers_are_those_of_points_query)
{
    static const char *const options[] = {
        "",
        "{}",
        "{\"filter\":{\"must\":[{\"key\":\"n\",\"match\":{\"value\":3}}]}}",
        "{\"score_threshold\":0.5}",
        "{\"offset\":3}",
        "{\"params\":{\"exact\":true}}",
        "{\"params\":{\"hnsw_ef\":4},\"filter\":{\"must_not\":[{\"has_id\":[1,2,4]}]}}",
    };
    oct_error error = { .message = "" };
    begin(&heap);
    for (uint32_t round = 0; round < 70; round++) {
        float vectors[BATCH * DIM];
        oct_search_hit hits[BATCH * LIMIT_MAX];
        uint32_t counts[BATCH];
        random_vectors(vectors, BATCH);
        const oct_search_request request = {
            .collection = OCT_STR("c"),
            .using_vector = OCT_STR("v"),
            .vectors = vectors,
            .vector_count = test_random_below(BATCH + 1),
            .dim = DIM,
            .limit = 1 + test_random_below(LIMIT_MAX),
            .options = oct_str_of(options[round % ARRAY_COUNT(options)]),
        };
        CHECK(oct_search(world.db, &request, hits, counts, &error) == OCT_OK);
        for (uint32_t i = 0; i < request.vector_count; i++)
            CHECK(same_as_rest(&request, vectors + i * DIM, hits + i * request.limit, counts[i]));
    }
    end();
}

TEST(typed_members_win)
{
    oct_search_hit typed[LIMIT_MAX], untyped[LIMIT_MAX];
    uint32_t typed_count, untyped_count;
    float vector[DIM];
    oct_error error = { .message = "" };
    begin(&heap);
    random_vectors(vector, 1);
    oct_search_request request = { .collection = OCT_STR("c"),
                                   .using_vector = OCT_STR("v"),
                                   .vectors = vector,
                                   .vector_count = 1,
                                   .dim = DIM,
                                   .limit = LIMIT_MAX };
    request.options = OCT_STR("{\"params\":{\"exact\":true}}");
    CHECK(oct_search(world.db, &request, untyped, &untyped_count, &error) == OCT_OK);
    request.options = OCT_STR("{\"using\":\"absent\",\"limit\":1,\"params\":{\"hnsw_ef\":1}}");
    request.exact = true;
    CHECK(oct_search(world.db, &request, typed, &typed_count, &error) == OCT_OK);
    CHECK(typed_count == LIMIT_MAX && untyped_count == LIMIT_MAX);
    for (uint32_t i = 0; i < LIMIT_MAX; i++) {
        CHECK(oct_point_id_compare(typed[i].id, untyped[i].id) == 0);
        CHECK(typed[i].score == untyped[i].score);
    }
    end();
}

/* ---- refusals ------------------------------------------------------------------------------ */

static void refused(const oct_search_request *request, oct_status status, const char *message)
{
    oct_search_hit hits[LIMIT_MAX];
    uint32_t counts[BATCH];
    oct_error error = { .message = "" };
    CHECK(oct_search(world.db, request, hits, counts, &error) == status);
    CHECK_EQ_STR(error.message, message);
    CHECK(oct_search(world.db, request, hits, counts, NULL) == status);
}

TEST(refusals_read_like_those_of_rest)
{
    float vector[DIM] = { 1 };
    begin(&heap);
    const oct_search_request good = { .collection = OCT_STR("c"),
                                      .using_vector = OCT_STR("v"),
                                      .vectors = vector,
                                      .vector_count = 1,
                                      .dim = DIM,
                                      .limit = LIMIT_MAX };
    oct_search_request bad = good;
    bad.collection = OCT_STR("d");
    refused(&bad, OCT_NOT_FOUND, "Not found: Collection `d` doesn't exist!");
    bad = good;
    bad.dim = DIM - 1;
    refused(&bad, OCT_BAD_INPUT, "Wrong input: Vector dimension error: expected dim: 8, got 7");
    bad = good;
    bad.using_vector = OCT_STR("w");
    refused(&bad, OCT_BAD_INPUT, "Wrong input: Not existing vector name error: w");
    bad = good;
    bad.limit = 0;
    refused(&bad, OCT_VALIDATION,
            "Validation error in JSON body: "
            "[limit: value 0 invalid, must be 1 or larger]");
    bad = good;
    bad.options = OCT_STR("{\"query\":[1]}");
    refused(&bad, OCT_BAD_INPUT,
            "Format error in JSON body: "
            "query: a typed search has its vectors beside the options");
    bad.options = OCT_STR("{\"with_payload\":true}");
    refused(&bad, OCT_BAD_INPUT,
            "Format error in JSON body: "
            "with_payload, with_vector: a typed search answers ids and scores only");
    bad.options = OCT_STR("[]");
    oct_error error = { .message = "" };
    oct_search_hit hits[LIMIT_MAX];
    uint32_t count;
    CHECK(oct_search(world.db, &bad, hits, &count, &error) == OCT_BAD_INPUT);
    CHECK(strncmp(error.message, "Format error in JSON body: ", 27) == 0);
    CHECK(oct_search(world.db, &good, hits, &count, &error) == OCT_OK);
    end();
}

TEST(sparse_vectors)
{
    oct_search_hit hits[2 * LIMIT_MAX];
    uint32_t counts[2] = { 0 };
    oct_error error = { .message = "" };
    const uint32_t indices[4] = { 3, 9, 1, 3 };
    const float values[4] = { 2, 0.5f, -1, 4 };
    begin(&heap);
    must_call("PUT", "/collections/s", "{\"sparse_vectors\":{\"t\":{}}}");
    must_call("PUT", "/collections/s/points?wait=true",
              "{\"points\":[{\"id\":7,\"vector\":{\"t\":{\"indices\":[3,1],\"values\":[1,8]}}},"
              "{\"id\":8,\"vector\":{\"t\":{\"indices\":[9],\"values\":[3]}}}]}");
    oct_search_request request = { .collection = OCT_STR("s"),
                                   .using_vector = OCT_STR("t"),
                                   .vectors = values,
                                   .indices = indices,
                                   .vector_count = 2,
                                   .dim = 2,
                                   .limit = LIMIT_MAX };
    CHECK(oct_search(world.db, &request, hits, counts, &error) == OCT_OK);
    CHECK(counts[0] == 2 && counts[1] == 1);
    CHECK(hits[0].id.low == 7 && hits[0].score == 2.0f);
    CHECK(hits[1].id.low == 8 && hits[1].score == 1.5f);
    CHECK(hits[LIMIT_MAX].id.low == 7 && hits[LIMIT_MAX].score == -4.0f);
    request.vector_count = 1;
    request.dim = 4;
    refused(&request, OCT_BAD_INPUT, "Wrong input: indices of `t` do not ascend");
    request.indices = NULL;
    refused(&request, OCT_BAD_INPUT,
            "Wrong input: Conversion between sparse and regular vectors failed");
    end();
}

static uint32_t reads;
static oct_vfs counted; /* as it was */

static oct_status count_read(void *self, oct_file *file, uint64_t offset, void *target,
                             size_t bytes, oct_error *error)
{
    reads++;
    return counted.read(self, file, offset, target, bytes, error);
}

/* Reads that `count` searches with a filter take, of which only its selection needs any: payloads
 * are cold and have no index. */
static uint32_t reads_of(uint32_t count)
{
    float vectors[BATCH * DIM];
    oct_search_hit hits[BATCH * 5];
    uint32_t counts[BATCH];
    oct_error error = { .message = "" };
    random_vectors(vectors, count);
    const oct_search_request request = {
        .collection = OCT_STR("c"),
        .using_vector = OCT_STR("v"),
        .vectors = vectors,
        .vector_count = count,
        .dim = DIM,
        .limit = 5,
        .options = OCT_STR("{\"filter\":{\"must\":[{\"key\":\"n\",\"range\":{\"gte\":2}}]}}"),
    };
    reads = 0;
    CHECK_OR(0, oct_search(world.db, &request, hits, counts, &error) == OCT_OK);
    for (uint32_t i = 0; i < count; i++)
        CHECK_OR(0, counts[i] == 5);
    return reads;
}

TEST(vectors_of_a_call_share_the_selection_of_their_filter)
{
    text_bytes = 4000; /* more payloads in a segment than what was read last holds */
    begin(&heap);
    text_bytes = 0;
    counted = *vfs;
    vfs->read = count_read;
    (void)reads_of(1); /* the first reader checks what it reads */
    uint32_t one = reads_of(1);
    CHECK(one > 4);
    for (uint32_t count = 2; count <= BATCH; count++)
        CHECK_EQ_U64(reads_of(count), one);
    CHECK_EQ_U64(reads_of(1) + reads_of(1), 2 * one); /* between calls nothing is kept */
    end();
}

TEST(running_out_of_memory_is_an_answer)
{
    float vectors[2 * DIM];
    oct_search_hit hits[2 * LIMIT_MAX];
    uint32_t counts[2];
    uint32_t failures = 0, tries = 0;
    begin(heap_start());
    random_vectors(vectors, 2);
    const oct_search_request request = {
        .collection = OCT_STR("c"),
        .using_vector = OCT_STR("v"),
        .vectors = vectors,
        .vector_count = 2,
        .dim = DIM,
        .limit = LIMIT_MAX,
        .options = OCT_STR("{\"filter\":{\"must\":[{\"key\":\"n\",\"range\":{\"gte\":2}}]}}"),
    };
    oct_error error = { .message = "" };
    /* Once before, so that what is kept between searches is there. */
    CHECK(oct_search(world.db, &request, hits, counts, &error) == OCT_OK);
    uint64_t bytes = oct_atomic_load(&heap_counting.bytes);
    /* A refused search may succeed: without memory to share a selection, each vector makes one. */
    for (bool refused = true; refused; tries++) {
        heap_counting.fail_at = oct_atomic_load(&heap_counting.calls) + tries + 1;
        oct_status status = oct_search(world.db, &request, hits, counts, &error);
        refused = heap_failed();
        failures += status == OCT_NOMEM;
        CHECK(status == OCT_OK || (status == OCT_NOMEM && refused));
        CHECK_EQ_U64(oct_atomic_load(&heap_counting.bytes), bytes);
    }
    CHECK(failures > 4);
    heap_counting.fail_at = 0;
    end();
    CHECK(heap_is_empty());
}

TEST_MAIN(answers_are_those_of_points_query, typed_members_win, refusals_read_like_those_of_rest,
          sparse_vectors, vectors_of_a_call_share_the_selection_of_their_filter,
          running_out_of_memory_is_an_answer)
