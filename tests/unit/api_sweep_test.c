/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: whichever allocation of routing, decoding or encoding fails, the answer is NOMEM and
 * nothing leaks (the sanitizers watch).
 * Method: bodies of every operation; the n-th allocation and all after it fail, for every n until
 * a run needs fewer, at every position of the arena's blocks. */

#include "api/encode.h"
#include "api_support.h"
#include "base/buf.h"

typedef struct sweep_row {
    const char *verb;
    const char *path;
    const char *body;
} sweep_row;

static const sweep_row rows[] = {
    { "PUT", "/collections/c?timeout=5",
      "{\"vectors\":{\"a\":{\"size\":4,\"distance\":\"Dot\"},"
      "\"b\":{\"size\":2,\"distance\":\"Cosine\"}},"
      "\"metadata\":{\"x\":[1,2]}}" },
    { "PUT", "/collections/c/index?wait=true",
      "{\"field_name\":\"a.b[].c\",\"field_schema\":{\"type\":\"integer\",\"range\":true}}" },
    { "DELETE", "/collections/c/index/a%5B%5D.b", "" },
    { "PUT", "/collections/c/points?wait=true",
      "{\"points\":[{\"id\":1,\"vector\":[1,2,3],\"payload\":{\"a\":{\"b\":[1,2]}}},"
      "{\"id\":\"550e8400-e29b-41d4-a716-446655440000\",\"vector\":{\"a\":[1],\"b\":[2]}}],"
      "\"update_filter\":{\"must\":[{\"key\":\"a\",\"match\":{\"any\":[1,2]}}]}}" },
    { "PUT", "/collections/c/points",
      "{\"batch\":{\"ids\":[1,2],\"vectors\":{\"a\":[[1],[2]]},\"payloads\":[{\"a\":1},null]}}" },
    { "POST", "/collections/c/points", "{\"ids\":[1,2],\"with_payload\":[\"a\",\"b[]\"]}" },
    { "GET", "/collections/c%20d/points/7", "" },
    { "POST", "/collections/c/points/payload",
      "{\"payload\":{\"a\":1},\"points\":[1],\"key\":\"x.y\"}" },
    { "POST", "/collections/c/points/payload/delete", "{\"keys\":[\"a\",\"b\"],\"filter\":{}}" },
    { "PUT", "/collections/c/points/vectors", "{\"points\":[{\"id\":1,\"vector\":{\"a\":[1]}}]}" },
    { "POST", "/collections/c/points/vectors/delete", "{\"points\":[1],\"vector\":[\"a\"]}" },
    { "POST", "/collections/c/points/query",
      "{\"query\":[1,2],\"filter\":{"
      "\"must\":[{\"key\":\"a\",\"range\":{\"gt\":1},\"is_null\":false}],"
      "\"must_not\":{\"should\":[{\"has_id\":[1]},{\"is_empty\":{\"key\":\"b\"}}]},"
      "\"min_should\":{\"conditions\":[{}],\"min_count\":1}},"
      "\"with_payload\":{\"include\":[\"a\"]},\"with_vector\":[\"a\"]}" },
    { "POST", "/collections/c/points/search",
      "{\"vector\":{\"name\":\"a\",\"vector\":[1]},\"limit\":3}" },
    { "POST", "/collections/c/points/query/batch",
      "{\"searches\":[{\"query\":[1,2]},{\"filter\":{\"must\":[{\"has_id\":[1]}]}}]}" },
    { "POST", "/collections/c/points/scroll", "{\"offset\":3}" },
    { "POST", "/collections/c/points/count", "{\"filter\":{}}" },
};

/* Decode with the n-th allocation failing, and all after it; whether it still was enough. */
static bool decode_failing_at(const sweep_row *row, size_t filler, uint64_t n)
{
    api_case it;
    memset(&it, 0, sizeof it);
    it.filler = filler;
    api_begin_with(&it, row->verb, row->path, row->body, n);
    oct_status status = it.status;
    bool described = it.error.message[0] != '\0';
    api_end(&it);
    CHECK_OR(true, oct_atomic_load(&it.counting.bytes) == 0);
    CHECK_OR(true, status == OCT_OK || (status == OCT_NOMEM && described));
    return status == OCT_OK;
}

TEST(every_failing_allocation_of_decoding_is_nomem)
{
    /* The arena takes blocks, so most pushes allocate nothing; with every filler up to a block's
     * size, each push is the one that needs the next block once. */
    enum { FILLER_MAX = 4096 + 64, FILLER_STEP = 16 };
    uint64_t failures = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t filler = 0; filler <= FILLER_MAX; filler += FILLER_STEP) {
            uint64_t n = 1;
            while (!decode_failing_at(&rows[i], filler, n))
                n++;
            CHECK(!test_failed);
            failures += n - 1;
        }
    printf("%" PRIu64 " failures survived\n", failures);
    CHECK(failures > 1000);
}

/* A response with something of everything, encoded with the n-th allocation failing. */
static oct_status encode_failing_at(uint64_t n, uint64_t *calls)
{
    static const float values[] = { 0.1f, 0.2f, 0.3f };
    static const oct_named_vector vectors[] = {
        { .name = { "a", 1 }, .values = values, .count = 3 },
        { .name = { "b", 1 }, .values = values, .count = 3 }
    };
    oct_found_point points[40];
    for (size_t i = 0; i < 40; i++)
        points[i] = (oct_found_point){ .id = { .low = i },
                                       .payload = OCT_STR("{\"key\":[1,2,3]}"),
                                       .vectors = vectors,
                                       .vector_count = 2 };
    const oct_response response = { .found = { .points = points, .count = 40 } };
    oct_request request;
    memset(&request, 0, sizeof request);
    request.op = OCT_OP_points_query;
    oct_counting_alloc counting;
    oct_counting_alloc_init(&counting, &test_alloc, 0);
    counting.fail_at = n;
    oct_buf buf;
    oct_json_writer writer;
    oct_buf_init(&buf, &counting.alloc, 1 << 20);
    oct_json_writer_init(&writer, &buf);
    oct_encode_success(&writer, &request, &response, 0.5);
    oct_status status = oct_json_writer_status(&writer);
    oct_buf_deinit(&buf);
    *calls = oct_atomic_load(&counting.calls);
    CHECK_OR(OCT_IO, oct_atomic_load(&counting.bytes) == 0);
    return status;
}

TEST(every_failing_allocation_of_encoding_is_nomem)
{
    uint64_t calls = 0;
    CHECK(encode_failing_at(0, &calls) == OCT_OK);
    CHECK(calls > 1);
    uint64_t needed = calls;
    for (uint64_t n = 1; n <= needed; n++)
        CHECK(encode_failing_at(n, &calls) == OCT_NOMEM);
}

TEST_MAIN(every_failing_allocation_of_decoding_is_nomem,
          every_failing_allocation_of_encoding_is_nomem)
