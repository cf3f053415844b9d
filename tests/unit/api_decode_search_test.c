/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: bodies of reads become the right structs with Qdrant's defaults, and every wrong body is
 * refused with path, reason and position.
 * Method: exact structs and exact messages, form by form. */

#include "api_support.h"

#define QUERY  "POST /collections/c/points/query"
#define SEARCH "POST /collections/c/points/search"
#define SCROLL "POST /collections/c/points/scroll"

static void query(api_case *it, const char *body)
{
    api_begin(it, "POST", "/collections/c/points/query", body);
}

TEST(defaults_of_a_query)
{
    api_case it;
    query(&it, "{}");
    const oct_query *out = &it.request.query;
    CHECK_EQ_STR(it.error.message, "");
    CHECK(out->kind == OCT_QUERY_NONE && out->limit == 10 && out->offset == 0);
    CHECK(!out->filter && out->hnsw_ef == OCT_UNSET && !out->exact && !out->indexed_only);
    CHECK(!out->has_score_threshold && out->using_vector.bytes == 0);
    CHECK(out->with_payload.mode == OCT_SELECT_NONE && out->with_vector.mode == OCT_SELECT_NONE);
    api_end(&it);
}

TEST(null_members_are_absent)
{
    api_case it;
    query(&it, "{\"query\":null,\"prefetch\":null,\"using\":null,\"filter\":null,\"params\":null,"
               "\"score_threshold\":null,\"limit\":null,\"offset\":null,\"with_vector\":null,"
               "\"with_payload\":null,\"lookup_from\":null,\"shard_key\":null}");
    CHECK_EQ_STR(it.error.message, "");
    CHECK(it.request.query.limit == 10 && it.request.query.kind == OCT_QUERY_NONE);
    api_end(&it);
}

TEST(a_full_query)
{
    api_case it;
    query(&it, "{\"query\":[1,2],\"using\":\"v\",\"filter\":{},\"limit\":3,\"offset\":4,"
               "\"params\":{\"hnsw_ef\":64,\"exact\":true,\"indexed_only\":true,"
               "\"quantization\":{\"ignore\":true,\"rescore\":null,\"oversampling\":1.5},"
               "\"acorn\":{\"enable\":true,\"max_selectivity\":0.4}},"
               "\"score_threshold\":-0.5,\"with_payload\":true,\"with_vectors\":[\"v\",\"\"],"
               "\"prefetch\":[],\"some_future_member\":1}");
    const oct_query *out = &it.request.query;
    CHECK_EQ_STR(it.error.message, "");
    CHECK(out->kind == OCT_QUERY_VECTOR && out->vector_count == 2 && out->vector[1] == 2.0f);
    CHECK_STR_IS(out->using_vector, "v");
    CHECK(out->filter && out->limit == 3 && out->offset == 4 && out->hnsw_ef == 64);
    CHECK(out->exact && out->indexed_only);
    CHECK(out->has_score_threshold && out->score_threshold == -0.5f);
    CHECK(out->with_payload.mode == OCT_SELECT_ALL);
    CHECK(out->with_vector.mode == OCT_SELECT_INCLUDE && out->with_vector.key_count == 2);
    api_end(&it);
}

TEST(a_query_by_point_id)
{
    api_case it;
    query(&it, "{\"query\":7}");
    CHECK(it.status == OCT_OK && it.request.query.kind == OCT_QUERY_POINT);
    CHECK(it.request.query.point.low == 7);
    api_end(&it);
    query(&it, "{\"query\":{\"nearest\":\"550e8400-e29b-41d4-a716-446655440000\"}}");
    CHECK(it.status == OCT_OK && it.request.query.kind == OCT_QUERY_POINT);
    CHECK(it.request.query.point.is_uuid);
    api_end(&it);
    query(&it, "{\"query\":{\"nearest\":[1]}}");
    CHECK(it.status == OCT_OK && it.request.query.kind == OCT_QUERY_VECTOR);
    api_end(&it);
}

TEST(a_query_through_the_bulk_lane)
{
    static const float floats[] = { 1, 2, 3 };
    api_case it;
    memset(&it, 0, sizeof it);
    it.call.floats = floats;
    it.call.float_count = 3;
    api_begin_with(&it, "POST", "/collections/c/points/query", "{\"query\":{\"$f32\":[1,2]}}", 0);
    CHECK_EQ_STR(it.error.message, "");
    CHECK(it.request.query.vector == floats + 1 && it.request.query.vector_count == 2);
    api_end(&it);
    api_begin_with(&it, "POST", "/collections/c/points/query",
                   "{\"query\":{\"nearest\":{\"$f32\":[0,1]}}}", 0);
    CHECK_EQ_STR(it.error.message, "");
    CHECK(it.request.query.vector == floats && it.request.query.vector_count == 1);
    api_end(&it);
}

TEST(payload_selectors)
{
    api_case it;
    query(&it, "{\"with_payload\":[\"a\",\"b[].c\"]}");
    CHECK(it.status == OCT_OK && it.request.query.with_payload.mode == OCT_SELECT_INCLUDE);
    CHECK(it.request.query.with_payload.key_count == 2);
    api_end(&it);
    query(&it, "{\"with_payload\":{\"exclude\":[\"a\"]}}");
    CHECK(it.status == OCT_OK && it.request.query.with_payload.mode == OCT_SELECT_EXCLUDE);
    CHECK_STR_IS(it.request.query.with_payload.keys[0], "a");
    api_end(&it);
    query(&it, "{\"with_payload\":{\"include\":[]}}");
    CHECK(it.status == OCT_OK && it.request.query.with_payload.mode == OCT_SELECT_INCLUDE);
    CHECK(it.request.query.with_payload.key_count == 0);
    api_end(&it);
    query(&it, "{\"with_payload\":false,\"with_vector\":true}");
    CHECK(it.status == OCT_OK && it.request.query.with_payload.mode == OCT_SELECT_NONE);
    CHECK(it.request.query.with_vector.mode == OCT_SELECT_ALL);
    api_end(&it);
    api_rejects(QUERY, "{\"with_payload\":{\"include\":[],\"exclude\":[]}}", OCT_BAD_INPUT,
                "with_payload: expected a boolean, an array of strings, or an object with an "
                "include/exclude field, got object at line 1 column 17");
    api_rejects(QUERY, "{\"with_payload\":7}", OCT_BAD_INPUT,
                "with_payload: expected a boolean, an array of strings, or an object with an "
                "include/exclude field, got integer at line 1 column 17");
    api_rejects(QUERY, "{\"with_vector\":{}}", OCT_BAD_INPUT,
                "with_vector: expected a boolean, or an array of strings, got object at line 1 "
                "column 16");
}

TEST(bad_queries_are_refused)
{
    api_rejects(QUERY, "{\"limit\":0}", OCT_VALIDATION,
                "[limit: value 0 invalid, must be 1 or larger]");
    api_rejects(QUERY, "{\"limit\":-1}", OCT_BAD_INPUT,
                "limit: expected a non-negative integer, got integer at line 1 column 10");
    api_rejects(QUERY, "{\"limit\":1.5}", OCT_BAD_INPUT,
                "limit: expected a non-negative integer, got floating point number at line 1 "
                "column 10");
    api_rejects(QUERY, "{\"offset\":\"1\"}", OCT_BAD_INPUT,
                "offset: expected a non-negative integer, got string at line 1 column 11");
    api_rejects(QUERY, "{\"using\":1}", OCT_BAD_INPUT,
                "using: expected a string, got integer at line 1 column 10");
    api_rejects(QUERY, "{\"score_threshold\":1e300}", OCT_BAD_INPUT,
                "score_threshold: number does not fit a 32-bit float at line 1 column 20");
    api_rejects(QUERY, "{\"score_threshold\":\"high\"}", OCT_BAD_INPUT,
                "score_threshold: expected a number, got string at line 1 column 20");
    api_rejects(QUERY, "{\"query\":true}", OCT_BAD_INPUT,
                "query: expected some form of vector, id, or a type of query, got boolean at line "
                "1 column 10");
    api_rejects(QUERY, "{\"query\":[]}", OCT_VALIDATION, "[query: dense vector must not be empty]");
    api_rejects(QUERY, "{\"query\":{}}", OCT_BAD_INPUT,
                "query: expected an array of numbers, got object at line 1 column 10");
    api_rejects(QUERY, "{\"params\":{\"hnsw_ef\":0}}", OCT_VALIDATION,
                "[params.hnsw_ef: value 0 invalid, must be 1 or larger]");
    api_rejects(QUERY, "{\"params\":{\"quantization\":{\"oversampling\":0.5}}}", OCT_VALIDATION,
                "[params.quantization.oversampling: value 0.5 invalid, must be 1.0 or larger]");
    api_rejects(QUERY, "{\"params\":{\"acorn\":{\"max_selectivity\":2}}}", OCT_VALIDATION,
                "[params.acorn.max_selectivity: value 2 invalid, must be from 0.0 to 1.0]");
}

TEST(what_comes_later_is_refused_by_name)
{
    static const char *const kinds[] = { "recommend", "discover", "context",
                                         "order_by",  "fusion",   "rrf",
                                         "formula",   "sample",   "relevance_feedback" };
    char body[100], message[200];
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        snprintf(body, sizeof body, "{\"query\":{\"%s\":{}}}", kinds[i]);
        snprintf(message, sizeof message,
                 "query.%s: this kind of query is not supported yet at line 1 column %zu", kinds[i],
                 14 + strlen(kinds[i]));
        api_rejects(QUERY, body, OCT_BAD_INPUT, message);
    }
    api_rejects(QUERY, "{\"query\":{\"nearest\":[1],\"mmr\":{}}}", OCT_BAD_INPUT,
                "query.mmr: this is not supported yet at line 1 column 31");
    api_rejects(QUERY, "{\"prefetch\":{\"query\":1}}", OCT_BAD_INPUT,
                "prefetch: this is not supported yet at line 1 column 13");
    api_rejects(QUERY, "{\"lookup_from\":{}}", OCT_BAD_INPUT,
                "lookup_from: this is not supported yet at line 1 column 16");
    api_rejects(QUERY, "{\"params\":{\"idf\":{\"corpus\":{}}}}", OCT_BAD_INPUT,
                "params.idf: this is not supported yet at line 1 column 18");
    api_rejects(SCROLL, "{\"order_by\":\"a\"}", OCT_BAD_INPUT,
                "order_by: this is not supported yet at line 1 column 13");
    api_case it;
    query(&it, "{\"prefetch\":{}}");
    CHECK(it.request.stage == OCT_STAGE_REFUSED);
    api_end(&it);
}

TEST(the_older_search)
{
    api_case it;
    api_begin(&it, "POST", "/collections/c/points/search", "{\"vector\":[1,2],\"limit\":5}");
    CHECK_EQ_STR(it.error.message, "");
    CHECK(it.request.query.kind == OCT_QUERY_VECTOR && it.request.query.limit == 5);
    CHECK(it.request.query.using_vector.bytes == 0 && it.request.query.vector_count == 2);
    api_end(&it);
    api_begin(&it, "POST", "/collections/c/points/search",
              "{\"vector\":{\"name\":\"v\",\"vector\":[3]},\"top\":1,\"offset\":2,\"filter\":{},"
              "\"params\":{\"exact\":true},\"with_vector\":true,\"score_threshold\":0.25}");
    CHECK_EQ_STR(it.error.message, "");
    CHECK_STR_IS(it.request.query.using_vector, "v");
    CHECK(it.request.query.vector[0] == 3.0f && it.request.query.limit == 1);
    CHECK(it.request.query.offset == 2 && it.request.query.filter && it.request.query.exact);
    CHECK(it.request.query.has_score_threshold);
    api_end(&it);
    api_rejects(SEARCH, "{\"vector\":[1]}", OCT_BAD_INPUT,
                "missing field `limit` at line 1 column 1");
    api_rejects(SEARCH, "{\"limit\":1}", OCT_BAD_INPUT,
                "missing field `vector` at line 1 column 1");
    api_rejects(SEARCH, "{\"vector\":[1],\"limit\":0}", OCT_VALIDATION,
                "[limit: value 0 invalid, must be 1 or larger]");
    api_rejects(SEARCH, "{\"vector\":7,\"limit\":1}", OCT_BAD_INPUT,
                "vector: expected an array of numbers, got integer at line 1 column 11");
    api_rejects(SEARCH, "{\"vector\":{\"name\":1,\"vector\":[1]},\"limit\":1}", OCT_BAD_INPUT,
                "vector.name: expected a string, got integer at line 1 column 19");
}

TEST(scroll_count_and_retrieve)
{
    api_case it;
    api_begin(&it, "POST", "/collections/c/points/scroll", "{}");
    CHECK(it.status == OCT_OK && it.request.scroll.limit == 10 && !it.request.scroll.has_offset);
    CHECK(it.request.scroll.with_payload.mode == OCT_SELECT_ALL);
    CHECK(it.request.scroll.with_vector.mode == OCT_SELECT_NONE && !it.request.scroll.filter);
    api_end(&it);
    api_begin(&it, "POST", "/collections/c/points/scroll",
              "{\"offset\":0,\"limit\":1,\"order_by\":null,\"filter\":{}}");
    CHECK(it.status == OCT_OK && it.request.scroll.has_offset && it.request.scroll.filter);
    CHECK(it.request.scroll.offset.low == 0 && it.request.scroll.limit == 1);
    api_end(&it);
    api_begin(&it, "POST", "/collections/c/points/count", "{}");
    CHECK(it.status == OCT_OK && it.request.count.exact && !it.request.count.filter);
    api_end(&it);
    api_begin(&it, "POST", "/collections/c/points/count", "{\"exact\":false,\"filter\":{}}");
    CHECK(it.status == OCT_OK && !it.request.count.exact && it.request.count.filter);
    api_end(&it);
    api_begin(&it, "POST", "/collections/c/points", "{\"ids\":[2,1,2]}");
    CHECK(it.status == OCT_OK && it.request.retrieve.id_count == 3);
    CHECK(it.request.retrieve.with_payload.mode == OCT_SELECT_ALL);
    CHECK(it.request.retrieve.with_vector.mode == OCT_SELECT_NONE);
    api_end(&it);
    api_rejects(SCROLL, "{\"limit\":0}", OCT_VALIDATION,
                "[limit: value 0 invalid, must be 1 or larger]");
    api_rejects("POST /collections/c/points", "{}", OCT_BAD_INPUT,
                "missing field `ids` at line 1 column 1");
    api_rejects("POST /collections/c/points/count", "null", OCT_BAD_INPUT,
                "expected an object, got null at line 1 column 1");
}

TEST(get_of_one_point)
{
    api_case it;
    api_begin(&it, "GET", "/collections/c/points/42", "");
    CHECK(it.status == OCT_OK && it.request.retrieve.id_count == 1);
    CHECK(it.request.retrieve.ids[0].low == 42);
    CHECK(it.request.retrieve.with_payload.mode == OCT_SELECT_ALL);
    CHECK(it.request.retrieve.with_vector.mode == OCT_SELECT_ALL);
    api_end(&it);
    api_begin(&it, "GET", "/collections/c/points/550e8400e29b41d4a716446655440000", "");
    CHECK(it.status == OCT_OK && it.request.retrieve.ids[0].is_uuid);
    api_end(&it);
    api_begin(&it, "GET", "/collections/c/points/abc", "");
    CHECK(it.status == OCT_BAD_INPUT && it.request.stage == OCT_STAGE_EXEC);
    CHECK_EQ_STR(it.error.message, "Can not recognize \"abc\" as point id");
    api_end(&it);
}

TEST_MAIN(defaults_of_a_query, null_members_are_absent, a_full_query, a_query_by_point_id,
          a_query_through_the_bulk_lane, payload_selectors, bad_queries_are_refused,
          what_comes_later_is_refused_by_name, the_older_search, scroll_count_and_retrieve,
          get_of_one_point)
