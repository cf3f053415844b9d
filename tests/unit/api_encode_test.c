/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: responses are, byte for byte, the JSON that Qdrant answers: what was not asked for is
 * left out, what is empty is there.
 * Method: hand-made responses against literal texts. */

#include <math.h>

#include "api/encode.h"
#include "api_support.h"
#include "base/buf.h"

static char encoded[8192];

/* The result of `op` as text. */
static const char *result_of(oct_op op, const oct_response *response)
{
    oct_request request;
    memset(&request, 0, sizeof request);
    request.op = op;
    oct_buf buf;
    oct_json_writer writer;
    oct_buf_init(&buf, &test_alloc, 1 << 20);
    oct_json_writer_init(&writer, &buf);
    oct_encode_result(&writer, &request, response);
    bool fits = oct_json_writer_status(&writer) == OCT_OK && buf.bytes < sizeof encoded;
    if (fits) memcpy(encoded, buf.at, buf.bytes);
    encoded[fits ? buf.bytes : 0] = '\0';
    oct_buf_deinit(&buf);
    return encoded;
}

static const float some[] = { 1.0f, 0.5f, 0.1f };
static const oct_named_vector unnamed = { .name = { "", 0 }, .values = some, .count = 2 };
static const oct_named_vector named[] = {
    { .name = { "a", 1 }, .values = some, .count = 1 },
    { .name = { "", 0 }, .values = some + 2, .count = 1 },
};
static const oct_named_vector forms[] = {
    { .name = { "m", 1 }, .values = some, .count = 2, .kind = OCT_VECTOR_MULTI, .rows = 2 },
    { .name = { "s", 1 },
      .values = some,
      .count = 2,
      .kind = OCT_VECTOR_SPARSE,
      .indices = (const uint32_t[]){ 0, UINT32_MAX } },
    { .name = { "e", 1 },
      .values = some,
      .kind = OCT_VECTOR_SPARSE,
      .indices = (const uint32_t[]){ 0 } },
};

TEST(scored_points)
{
    const oct_found_point points[] = {
        { .id = { .low = 1 }, .version = 3, .score = 0.5f },
        { .id = { .low = UINT64_MAX },
          .version = 4,
          .score = -1.0f,
          .payload = OCT_STR("{\"k\":1}"),
          .vectors = &unnamed,
          .vector_count = 1 },
        { .id = { .high = 0x550e8400e29b41d4, .low = 0xa716446655440000, .is_uuid = true },
          .score = 0.0f,
          .payload = OCT_STR("{}"),
          .vectors = named,
          .vector_count = 2 },
    };
    const oct_response response = { .found = { .points = points, .count = 3 } };
    const char *list = "[{\"id\":1,\"version\":3,\"score\":0.5},"
                       "{\"id\":18446744073709551615,\"version\":4,\"score\":-1.0,"
                       "\"payload\":{\"k\":1},\"vector\":[1.0,0.5]},"
                       "{\"id\":\"550e8400-e29b-41d4-a716-446655440000\",\"version\":0,"
                       "\"score\":0.0,\"payload\":{},\"vector\":{\"a\":[1.0],\"\":[0.1]}}]";
    char expected[1000];
    snprintf(expected, sizeof expected, "{\"points\":%s}", list);
    CHECK_EQ_STR(result_of(OCT_OP_points_query, &response), expected);
    CHECK_EQ_STR(result_of(OCT_OP_points_search, &response), list);
}

TEST(records_have_no_score)
{
    const oct_found_point points[] = {
        { .id = { .low = 1 }, .version = 3, .score = 9, .payload = OCT_STR("{}") },
        { .id = { .low = 2 }, .vectors = named, .vector_count = 0 },
        { .id = { .low = 3 }, .vectors = named, .vector_count = 1 },
        { .id = { .low = 4 }, .vectors = forms, .vector_count = 3 },
    };
    oct_response response = { .found = { .points = points, .count = 4 } };
    CHECK_EQ_STR(result_of(OCT_OP_points_retrieve, &response),
                 "[{\"id\":1,\"payload\":{}},{\"id\":2,\"vector\":{}},"
                 "{\"id\":3,\"vector\":{\"a\":[1.0]}},"
                 "{\"id\":4,\"vector\":{\"m\":[[1.0],[0.5]],"
                 "\"s\":{\"indices\":[0,4294967295],\"values\":[1.0,0.5]},"
                 "\"e\":{\"indices\":[],\"values\":[]}}}]");
    response.found.count = 1;
    CHECK_EQ_STR(result_of(OCT_OP_points_get, &response), "{\"id\":1,\"payload\":{}}");
    response.found.count = 0;
    CHECK_EQ_STR(result_of(OCT_OP_points_retrieve, &response), "[]");
}

TEST(scroll_pages)
{
    const oct_found_point point = { .id = { .low = 1 } };
    oct_response response = {
        .found = { .points = &point, .count = 1, .has_next = true, .next = { .low = 2 } }
    };
    CHECK_EQ_STR(result_of(OCT_OP_points_scroll, &response),
                 "{\"points\":[{\"id\":1}],\"next_page_offset\":2}");
    response.found.has_next = false;
    CHECK_EQ_STR(result_of(OCT_OP_points_scroll, &response),
                 "{\"points\":[{\"id\":1}],\"next_page_offset\":null}");
}

TEST(small_results)
{
    oct_response response = { .write = { .operation_id = 7, .completed = true } };
    CHECK_EQ_STR(result_of(OCT_OP_points_upsert, &response),
                 "{\"operation_id\":7,\"status\":\"completed\"}");
    response.write.completed = false;
    CHECK_EQ_STR(result_of(OCT_OP_index_delete, &response),
                 "{\"operation_id\":7,\"status\":\"acknowledged\"}");
    response = (oct_response){ .count = 5 };
    CHECK_EQ_STR(result_of(OCT_OP_points_count, &response), "{\"count\":5}");
    response = (oct_response){ .flag = true };
    CHECK_EQ_STR(result_of(OCT_OP_collections_create, &response), "true");
    CHECK_EQ_STR(result_of(OCT_OP_collections_exists, &response), "{\"exists\":true}");
    response.flag = false;
    CHECK_EQ_STR(result_of(OCT_OP_collections_delete, &response), "false");
    const oct_str names[] = { OCT_STR("a"), OCT_STR("b\"") };
    response = (oct_response){ .names = names, .name_count = 2 };
    CHECK_EQ_STR(result_of(OCT_OP_collections_list, &response),
                 "{\"collections\":[{\"name\":\"a\"},{\"name\":\"b\\\"\"}]}");
    response.name_count = 0;
    CHECK_EQ_STR(result_of(OCT_OP_collections_list, &response), "{\"collections\":[]}");
}

/* A config through the parser, as the database would hold it. */
static void describe(api_case *it, oct_response *response, const oct_field_info *fields,
                     uint32_t field_count)
{
    api_begin(it, "PUT", "/collections/c", "{\"vectors\":{\"size\":4,\"distance\":\"Dot\"}}");
    *response = (oct_response){ .info = { .status = OCT_COLLECTION_GREEN,
                                          .points_count = 3,
                                          .indexed_vectors_count = 2,
                                          .segments_count = 1,
                                          .config = &it->request.config,
                                          .fields = fields,
                                          .field_count = field_count } };
}

TEST(collection_info)
{
    const oct_field_info field = { .config = { .key = OCT_STR("city"), .type = OCT_FIELD_KEYWORD },
                                   .points = 2 };
    api_case it;
    oct_response response;
    describe(&it, &response, &field, 1);
    CHECK(it.status == OCT_OK);
    const char *text = result_of(OCT_OP_collections_get, &response);
    const char *start = "{\"status\":\"green\",\"optimizer_status\":\"ok\","
                        "\"indexed_vectors_count\":2,\"points_count\":3,\"segments_count\":1,"
                        "\"config\":{\"params\":{";
    CHECK(strncmp(text, start, strlen(start)) == 0);
    const char *end = strstr(text, ",\"payload_schema\":");
    CHECK(end != NULL);
    CHECK_EQ_STR(end, ",\"payload_schema\":{\"city\":{\"data_type\":\"keyword\",\"points\":2}},"
                      "\"update_queue\":{\"length\":0}}");
    response.info.status = OCT_COLLECTION_YELLOW;
    text = result_of(OCT_OP_collections_get, &response);
    start = "{\"status\":\"yellow\",\"optimizer_status\":\"ok\",";
    CHECK(strncmp(text, start, strlen(start)) == 0);
    response.info.status = OCT_COLLECTION_RED;
    response.info.problem = OCT_STR("bad block");
    text = result_of(OCT_OP_collections_get, &response);
    start = "{\"status\":\"red\",\"optimizer_status\":{\"error\":\"bad block\"},";
    CHECK(strncmp(text, start, strlen(start)) == 0);
    api_end(&it);
}

TEST(envelopes)
{
    const oct_response response = { .flag = true };
    oct_request request;
    memset(&request, 0, sizeof request);
    request.op = OCT_OP_collections_create;
    oct_buf buf;
    oct_json_writer writer;
    oct_buf_init(&buf, &test_alloc, 4096);
    oct_json_writer_init(&writer, &buf);
    oct_encode_success(&writer, &request, &response, 0.25);
    CHECK(oct_json_writer_status(&writer) == OCT_OK);
    CHECK(oct_str_equal((oct_str){ (char *)buf.at, buf.bytes },
                        OCT_STR("{\"result\":true,\"status\":\"ok\",\"time\":0.25}")));
    oct_buf_clear(&buf);
    oct_json_writer_init(&writer, &buf);
    oct_encode_error(&writer, OCT_STR("Not found: \"x\"\n"), 0.0);
    CHECK(oct_str_equal(
        (oct_str){ (char *)buf.at, buf.bytes },
        OCT_STR("{\"status\":{\"error\":\"Not found: \\\"x\\\"\\n\"},\"time\":0.0}")));
    oct_buf_clear(&buf);
    oct_json_writer_init(&writer, &buf);
    oct_encode_version(&writer);
    CHECK(oct_str_equal((oct_str){ (char *)buf.at, buf.bytes },
                        OCT_STR("{\"title\":\"octant\",\"version\":\"1.19.0\","
                                "\"octant_version\":\"0.1.0\"}")));
    oct_buf_deinit(&buf);
}

TEST(plain_texts)
{
    CHECK_EQ_STR(oct_encode_plain(OCT_OP_service_healthz), "healthz check passed");
    CHECK_EQ_STR(oct_encode_plain(OCT_OP_service_livez), "healthz check passed");
    CHECK_EQ_STR(oct_encode_plain(OCT_OP_service_readyz), "all shards are ready");
    CHECK(oct_encode_plain(OCT_OP_points_query) == NULL);
}

TEST(big_integers_are_tagged_on_request)
{
    const oct_found_point point = { .id = { .low = UINT64_MAX },
                                    .payload = OCT_STR("{\"n\":9007199254740993}") };
    const oct_response response = { .found = { .points = &point, .count = 1 } };
    oct_request request;
    memset(&request, 0, sizeof request);
    request.op = OCT_OP_points_retrieve;
    oct_buf buf;
    oct_json_writer writer;
    oct_buf_init(&buf, &test_alloc, 4096);
    oct_json_writer_init(&writer, &buf);
    writer.tag_big_integers = true;
    oct_encode_result(&writer, &request, &response);
    CHECK(oct_json_writer_status(&writer) == OCT_OK);
    CHECK(oct_str_equal((oct_str){ (char *)buf.at, buf.bytes },
                        OCT_STR("[{\"id\":{\"$int\":\"18446744073709551615\"},"
                                "\"payload\":{\"n\":{\"$int\":\"9007199254740993\"}}}]")));
    oct_buf_deinit(&buf);
}

TEST_MAIN(scored_points, records_have_no_score, scroll_pages, small_results, collection_info,
          envelopes, plain_texts, big_integers_are_tagged_on_request)
