/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: bodies of writes become the right structs, and every wrong body is refused with the
 * path, the reason and the position of what is wrong.
 * Method: exact structs and exact messages, form by form. */

#include <math.h>

#include "api_support.h"

#define UPSERT "PUT /collections/c/points"

static bool floats_are(const float *values, uint32_t count, const float *expected, uint32_t wanted)
{
    return count == wanted && memcmp(values, expected, wanted * sizeof *values) == 0;
}

/* ---- upsert ---------------------------------------------------------------------------- */

TEST(upsert_of_a_list)
{
    api_case it;
    api_begin(&it, "PUT", "/collections/c/points?wait=true",
              "{\"points\":[{\"id\":18446744073709551615,\"vector\":[1,-2.5,3e0],"
              "\"payload\":{\"a\" : [1, null]}},"
              "{\"id\":\"550E8400e29b41d4a716446655440000\",\"vectors\":{\"a\":[1],\"b\":[2,3]}},"
              "{\"id\":0,\"vector\":{},\"payload\":null}]}");
    CHECK_EQ_STR(it.error.message, "");
    const oct_write *write = &it.request.write;
    CHECK(write->kind == OCT_WRITE_UPSERT && write->wait && write->point_count == 3);
    CHECK(write->update_mode == OCT_UPDATE_UPSERT && !write->update_filter);
    const oct_point *point = write->points;
    CHECK(point[0].id.low == UINT64_MAX && !point[0].id.is_uuid);
    CHECK(point[0].vector_count == 1 && point[0].vectors[0].name.bytes == 0);
    CHECK(floats_are(point[0].vectors[0].values, point[0].vectors[0].count,
                     (float[]){ 1, -2.5f, 3 }, 3));
    CHECK_STR_IS(point[0].payload, "{\"a\":[1,null]}");
    CHECK(point[1].id.is_uuid && point[1].id.high == UINT64_C(0x550e8400e29b41d4));
    CHECK(point[1].vector_count == 2);
    CHECK_STR_IS(point[1].vectors[0].name, "a");
    CHECK_STR_IS(point[1].vectors[1].name, "b");
    CHECK(floats_are(point[1].vectors[1].values, 2, (float[]){ 2, 3 }, 2));
    CHECK(point[1].payload.bytes == 0);
    CHECK(point[2].vector_count == 0 && point[2].payload.bytes == 0);
    api_end(&it);
}

TEST(upsert_of_a_batch)
{
    api_case it;
    api_begin(&it, "PUT", "/collections/c/points",
              "{\"batch\":{\"ids\":[1,2],\"vectors\":[[1,2],[3,4]],\"payloads\":[null,{\"k\":1}]},"
              "\"update_mode\":\"insert_only\",\"update_filter\":{},\"shard_key\":null}");
    CHECK_EQ_STR(it.error.message, "");
    const oct_write *write = &it.request.write;
    CHECK(write->point_count == 2 && !write->wait && write->update_filter);
    CHECK(write->update_mode == OCT_UPDATE_INSERT_ONLY);
    CHECK(write->points[1].id.low == 2);
    CHECK(floats_are(write->points[1].vectors[0].values, write->points[1].vectors[0].count,
                     (float[]){ 3, 4 }, 2));
    CHECK(write->points[0].payload.bytes == 0);
    CHECK_STR_IS(write->points[1].payload, "{\"k\":1}");
    api_end(&it);
}

TEST(upsert_of_a_named_batch)
{
    api_case it;
    api_begin(&it, "PUT", "/collections/c/points",
              "{\"batch\":{\"ids\":[1,2],\"vectors\":{\"a\":[[1],[2]],\"b\":[[3],[4]]}},"
              "\"update_mode\":\"update_only\"}");
    CHECK_EQ_STR(it.error.message, "");
    const oct_point *points = it.request.write.points;
    CHECK(it.request.write.update_mode == OCT_UPDATE_UPDATE_ONLY);
    CHECK(points[0].vector_count == 2 && points[1].vector_count == 2);
    CHECK_STR_IS(points[1].vectors[0].name, "a");
    CHECK(points[1].vectors[0].values[0] == 2.0f && points[1].vectors[1].values[0] == 4.0f);
    api_end(&it);
}

TEST(of_duplicate_members_the_last_counts)
{
    api_case it;
    api_begin(&it, "PUT", "/collections/c/points",
              "{\"points\":[{\"id\":1,\"id\":2,\"vector\":{\"a\":[1],\"b\":[5],\"a\":[2,3]}}]}");
    CHECK_EQ_STR(it.error.message, "");
    const oct_point *point = it.request.write.points;
    CHECK(point->id.low == 2 && point->vector_count == 2);
    CHECK_STR_IS(point->vectors[0].name, "a");
    CHECK(point->vectors[0].count == 2 && point->vectors[0].values[0] == 2.0f);
    api_end(&it);
}

TEST(bad_upserts_are_refused)
{
    api_rejects(UPSERT, "", OCT_BAD_INPUT, "EOF while parsing a value at line 1 column 0");
    api_rejects(UPSERT, "[]", OCT_BAD_INPUT, "expected an object, got array at line 1 column 1");
    api_rejects(UPSERT, "{}", OCT_BAD_INPUT,
                "missing field `points` or `batch` at line 1 column 1");
    api_rejects(UPSERT, "{\"points\":{}}", OCT_BAD_INPUT,
                "points: expected an array, got object at line 1 column 11");
    api_rejects(UPSERT, "{\"points\":[null]}", OCT_BAD_INPUT,
                "points[0]: expected an object, got null at line 1 column 12");
    api_rejects(UPSERT, "{\"points\":[\n {\"id\":1,\"vector\":[]},\n  {\"vector\":[1]}]}",
                OCT_VALIDATION, "[points[0].vector: dense vector must not be empty]");
    api_rejects(UPSERT, "{\"points\":[\n {\"id\":1,\"vector\":[2]},\n  {\"vector\":[1]}]}",
                OCT_BAD_INPUT, "points[1]: missing field `id` at line 3 column 3");
    api_rejects(UPSERT, "{\"points\":[{\"id\":1}]}", OCT_BAD_INPUT,
                "points[0]: missing field `vector` at line 1 column 12");
    api_rejects(UPSERT, "{\"points\":[{\"id\":1,\"vector\":\"x\"}]}", OCT_BAD_INPUT,
                "points[0].vector: expected an array of numbers, got string at line 1 column 29");
    api_rejects(UPSERT, "{\"points\":[{\"id\":1,\"vector\":[1,2],\"payload\":[]}]}", OCT_BAD_INPUT,
                "points[0].payload: expected an object, got array at line 1 column 45");
    api_rejects(UPSERT, "{\"points\":[],\"update_mode\":\"x\"}", OCT_BAD_INPUT,
                "update_mode: unknown variant `x`, expected one of `upsert`, `insert_only`, "
                "`update_only` at line 1 column 28");
    api_rejects(UPSERT, "{\"points\":[],\"shard_key\":\"a\"}", OCT_BAD_INPUT,
                "shard_key: this is not supported yet at line 1 column 26");
}

TEST(bad_batches_are_refused)
{
    api_rejects(UPSERT, "{\"batch\":{\"ids\":[1,2],\"vectors\":[[1]]}}", OCT_VALIDATION,
                "[batch: number of ids and vectors must be equal (2 != 1)]");
    api_rejects(UPSERT, "{\"batch\":{\"ids\":[1],\"vectors\":[[1]],\"payloads\":[]}}",
                OCT_VALIDATION, "[batch: number of ids and payloads must be equal (1 != 0)]");
    api_rejects(UPSERT, "{\"batch\":{\"ids\":[1],\"vectors\":{\"a\":[[1],[2]]}}}", OCT_VALIDATION,
                "[batch.vectors: number of ids and vectors must be equal (1 != 2)]");
    api_rejects(UPSERT, "{\"batch\":{\"vectors\":[]}}", OCT_BAD_INPUT,
                "batch: missing field `ids` at line 1 column 10");
    api_rejects(UPSERT, "{\"batch\":{\"ids\":[1],\"vectors\":{\"a\":[[1,true]]}}}", OCT_BAD_INPUT,
                "batch.vectors.a[0][1]: expected a number, got boolean at line 1 column 40");
}

TEST(bad_ids_are_refused)
{
    api_rejects(UPSERT, "{\"points\":[{\"id\":\"nouuid\",\"vector\":[1]}]}", OCT_BAD_INPUT,
                "points[0].id: value nouuid is not a valid point ID, valid values are either an "
                "unsigned integer or a UUID at line 1 column 18");
    api_rejects(UPSERT, "{\"points\":[{\"id\":\"12\",\"vector\":[1]}]}", OCT_BAD_INPUT,
                "points[0].id: value 12 is not a valid point ID, valid values are either an "
                "unsigned integer or a UUID at line 1 column 18");
    api_rejects(UPSERT, "{\"points\":[{\"id\":-1,\"vector\":[1]}]}", OCT_BAD_INPUT,
                "points[0].id: value -1 is not a valid point ID, valid values are either an "
                "unsigned integer or a UUID at line 1 column 18");
    api_rejects(UPSERT, "{\"points\":[{\"id\":18446744073709551616,\"vector\":[1]}]}",
                OCT_BAD_INPUT,
                "points[0].id: value floating point number is not a valid point ID, valid values "
                "are either an unsigned integer or a UUID at line 1 column 18");
}

TEST(forms_of_vectors)
{
    api_case it;
    api_begin(&it, "PUT", "/collections/c/points",
              "{\"points\":[{\"id\":1,\"vector\":{\"s\":{\"indices\":[9,0,4294967295,3],"
              "\"values\":[1,2,3,4]},\"m\":[[1,2],[3,4],[5,6]],\"e\":{\"indices\":[],"
              "\"values\":[]}}},{\"id\":2,\"vector\":[[1,2]]}]}");
    static const uint32_t sorted[] = { 0, 3, 9, UINT32_MAX };
    static const float values[] = { 2, 4, 1, 3 }, rows[] = { 1, 2, 3, 4, 5, 6 };
    CHECK_EQ_STR(it.error.message, "");
    const oct_point *points = it.request.write.points;
    const oct_named_vector *vectors = points[0].vectors;
    CHECK(points[0].vector_count == 3 && points[1].vector_count == 1);
    CHECK(vectors[0].kind == OCT_VECTOR_SPARSE && vectors[0].count == 4);
    CHECK(memcmp(vectors[0].indices, sorted, sizeof sorted) == 0);
    CHECK(memcmp(vectors[0].values, values, sizeof values) == 0);
    CHECK(vectors[1].kind == OCT_VECTOR_MULTI && vectors[1].rows == 3 && vectors[1].count == 6);
    CHECK(memcmp(vectors[1].values, rows, sizeof rows) == 0);
    CHECK(vectors[2].kind == OCT_VECTOR_SPARSE && vectors[2].count == 0);
    CHECK(points[1].vectors[0].kind == OCT_VECTOR_MULTI && points[1].vectors[0].rows == 1);
    api_end(&it);
}

TEST(bad_vectors_are_refused)
{
    api_rejects(UPSERT, "{\"points\":[{\"id\":1,\"vector\":[1,2,\"x\"]}]}", OCT_BAD_INPUT,
                "points[0].vector[2]: expected a number, got string at line 1 column 34");
    api_rejects(UPSERT, "{\"points\":[{\"id\":1,\"vector\":[1,1e39]}]}", OCT_BAD_INPUT,
                "points[0].vector[1]: number does not fit a 32-bit float at line 1 column 32");
#define SPARSE(indices, values)                                                                    \
    "{\"points\":[{\"id\":1,\"vector\":{\"s\":{\"indices\":" indices ",\"values\":" values "}}}]}"
    api_rejects(UPSERT, "{\"points\":[{\"id\":1,\"vector\":[[1],[2,3]]}]}", OCT_VALIDATION,
                "[points[0].vector[1]: all vectors must have the "
                "same dimension, found vector with dimension 2]");
    api_rejects(UPSERT, "{\"points\":[{\"id\":1,\"vector\":[[],[]]}]}", OCT_VALIDATION,
                "[points[0].vector[0]: dense vector must not be "
                "empty]");
    api_rejects(UPSERT, "{\"points\":[{\"id\":1,\"vector\":[[1],2]}]}", OCT_BAD_INPUT,
                "points[0].vector[1]: expected an array of numbers, got integer at line 1 column "
                "34");
    api_rejects(UPSERT, SPARSE("[1,2]", "[1]"), OCT_VALIDATION,
                "[points[0].vector.s.values: must be the same "
                "length as indices]");
    api_rejects(UPSERT, SPARSE("[1,1]", "[1,2]"), OCT_VALIDATION,
                "[points[0].vector.s.indices: must be unique]");
    api_rejects(UPSERT, SPARSE("[4294967296]", "[1]"), OCT_BAD_INPUT,
                "points[0].vector.s.indices[0]: invalid value: integer `4294967296`, expected u32 "
                "at line 1 column 46");
    api_rejects(UPSERT, SPARSE("[-1]", "[1]"), OCT_BAD_INPUT,
                "points[0].vector.s.indices[0]: expected a non-negative integer, got integer at "
                "line 1 column 46");
    api_rejects(UPSERT, "{\"points\":[{\"id\":1,\"vector\":{\"text\":\"hi\",\"model\":\"m\"}}]}",
                OCT_BAD_INPUT,
                "points[0].vector: inference is not supported yet at line 1 column 29");
    api_rejects(
        UPSERT, "{\"points\":[{\"id\":1,\"vector\":{\"a\":{\"image\":\"u\",\"model\":\"m\"}}}]}",
        OCT_BAD_INPUT, "points[0].vector.a: inference is not supported yet at line 1 column 34");
    api_rejects(UPSERT, "{\"points\":[{\"id\":1,\"vector\":{\"a\":7}}]}", OCT_BAD_INPUT,
                "points[0].vector.a: expected an array of numbers, got integer at line 1 column "
                "34");
}

TEST(too_many_named_vectors_are_refused)
{
    char body[2000] = "{\"points\":[{\"id\":1,\"vector\":{";
    for (unsigned i = 0; i <= OCT_NAMED_VECTORS_MAX; i++)
        snprintf(body + strlen(body), sizeof body - strlen(body), "%s\"v%u\":[1]", i ? "," : "", i);
    snprintf(body + strlen(body), sizeof body - strlen(body), "}}]}");
    api_rejects(UPSERT, body, OCT_LIMIT,
                "points[0].vector: 65 named vectors, at most 64 are allowed at line 1 column 29");
}

/* ---- the bulk lane ---------------------------------------------------------------------- */

static void bulk(api_case *it, const char *body, const float *floats, size_t count)
{
    memset(it, 0, sizeof *it);
    it->call.floats = floats;
    it->call.float_count = count;
    api_begin_with(it, "PUT", "/collections/c/points", body, 0);
}

static void bulk_rejects(const char *body, const float *floats, size_t count, const char *message)
{
    api_case it;
    bulk(&it, body, floats, count);
    oct_error error = it.error;
    oct_status status = it.status;
    api_end(&it);
    CHECK_EQ_STR(error.message, message);
    CHECK(status == OCT_BAD_INPUT);
}

TEST(bulk_vectors_are_ranges_of_the_floats_passed)
{
    static const float floats[] = { 1, 2, 3, 4, 5 };
    api_case it;
    bulk(&it,
         "{\"points\":[{\"id\":1,\"vector\":{\"$f32\":[1,3]}},"
         "{\"id\":2,\"vector\":{\"a\":{\"$f32\":[4,1]}}}]}",
         floats, 5);
    CHECK_EQ_STR(it.error.message, "");
    const oct_point *points = it.request.write.points;
    CHECK(points[0].vectors[0].values == floats + 1 && points[0].vectors[0].count == 3);
    CHECK(points[0].vectors[0].name.bytes == 0);
    CHECK(points[1].vectors[0].values == floats + 4);
    CHECK_STR_IS(points[1].vectors[0].name, "a");
    api_end(&it);
}

TEST(bulk_ranges_outside_are_refused)
{
    static const float floats[] = { 1, NAN, INFINITY };
    const char *whole = "{\"points\":[{\"id\":1,\"vector\":{\"$f32\":[0,4]}}]}";
    bulk_rejects(whole, floats, 3,
                 "points[0].vector.$f32: floats 0 to 0+4 are not inside the 3 passed at line 1 "
                 "column 37");
    bulk_rejects("{\"points\":[{\"id\":1,\"vector\":{\"$f32\":[18446744073709551615,2]}}]}", floats,
                 3,
                 "points[0].vector.$f32: floats 18446744073709551615 to 18446744073709551615+2 are "
                 "not inside the 3 passed at line 1 column 37");
    bulk_rejects("{\"points\":[{\"id\":1,\"vector\":{\"$f32\":[0,2]}}]}", floats, 3,
                 "points[0].vector.$f32: float 1 is not finite at line 1 column 37");
    bulk_rejects("{\"points\":[{\"id\":1,\"vector\":{\"$f32\":[2,1]}}]}", floats, 3,
                 "points[0].vector.$f32: float 2 is not finite at line 1 column 37");
    bulk_rejects("{\"points\":[{\"id\":1,\"vector\":{\"$f32\":[0]}}]}", floats, 3,
                 "points[0].vector.$f32: expected [start, count] at line 1 column 37");
    bulk_rejects("{\"points\":[{\"id\":1,\"vector\":{\"$f32\":[0,-1]}}]}", floats, 3,
                 "points[0].vector.$f32[1]: expected a non-negative integer, got integer at line 1 "
                 "column 40");
    /* Without floats it is the name of a vector, and that takes numbers. */
    api_case it;
    bulk(&it, "{\"points\":[{\"id\":1,\"vector\":{\"$f32\":[0,4]}}]}", NULL, 0);
    CHECK(it.status == OCT_OK);
    CHECK_STR_IS(it.request.write.points[0].vectors[0].name, "$f32");
    api_end(&it);
}

/* ---- the other writes -------------------------------------------------------------------- */

TEST(points_are_selected_by_ids_or_filter)
{
    api_case it;
    api_begin(&it, "POST", "/collections/c/points/delete", "{\"points\":[3,1],\"shard_key\":null}");
    CHECK(it.status == OCT_OK && it.request.write.kind == OCT_WRITE_DELETE);
    CHECK(it.request.write.selector.id_count == 2 && !it.request.write.selector.filter);
    CHECK(it.request.write.selector.ids[0].low == 3);
    api_end(&it);
    api_begin(&it, "POST", "/collections/c/points/payload/clear", "{\"filter\":{}}");
    CHECK(it.status == OCT_OK && it.request.write.kind == OCT_WRITE_CLEAR_PAYLOAD);
    CHECK(it.request.write.selector.filter && it.request.write.selector.id_count == 0);
    api_end(&it);
    api_rejects("POST /collections/c/points/delete", "{}", OCT_BAD_INPUT,
                "Either list of point ids or filter must be provided at line 1 column 1");
    api_rejects("POST /collections/c/points/payload/clear", "{\"points\":1}", OCT_BAD_INPUT,
                "points: expected an array, got integer at line 1 column 11");
}

TEST(writes_of_nothing_are_refused)
{
    static const char *const empty = "Bad request: Empty update request";
    api_rejects(UPSERT, "{\"points\":[]}", OCT_BAD_INPUT, empty);
    api_rejects(UPSERT, "{\"batch\":{\"ids\":[],\"vectors\":[]}}", OCT_BAD_INPUT, empty);
    api_rejects("POST /collections/c/points/delete", "{\"points\":[]}", OCT_BAD_INPUT, empty);
    api_rejects("POST /collections/c/points/payload", "{\"payload\":{\"a\":1},\"points\":[]}",
                OCT_BAD_INPUT, empty);
}

TEST(payload_operations)
{
    api_case it;
    api_begin(&it, "POST", "/collections/c/points/payload",
              "{\"payload\":{\"a\":1},\"points\":[1],\"key\":\"x.\\\"y\\\"\"}");
    CHECK_EQ_STR(it.error.message, "");
    CHECK(it.request.write.kind == OCT_WRITE_SET_PAYLOAD);
    CHECK_STR_IS(it.request.write.payload, "{\"a\":1}");
    CHECK_STR_IS(it.request.write.payload_key, "x.y"); /* canonical: no needless quotes */
    api_end(&it);
    api_begin(&it, "PUT", "/collections/c/points/payload", "{\"payload\":{},\"filter\":{}}");
    CHECK(it.status == OCT_OK && it.request.write.kind == OCT_WRITE_OVERWRITE_PAYLOAD);
    CHECK(it.request.write.payload_key.bytes == 0);
    api_end(&it);
    api_begin(&it, "POST", "/collections/c/points/payload/delete",
              "{\"keys\":[\"a\",\"b[].c\"],\"points\":[1]}");
    CHECK(it.status == OCT_OK && it.request.write.key_count == 2);
    CHECK_STR_IS(it.request.write.keys[1], "b[].c");
    api_end(&it);
    api_rejects("POST /collections/c/points/payload", "{\"payload\":{}}", OCT_BAD_INPUT,
                "Either list of point ids or filter must be provided at line 1 column 1");
    api_rejects("POST /collections/c/points/payload", "{\"points\":[1]}", OCT_BAD_INPUT,
                "missing field `payload` at line 1 column 1");
    api_rejects("POST /collections/c/points/payload/delete", "{\"keys\":[1],\"points\":[1]}",
                OCT_BAD_INPUT, "keys[0]: expected a string, got integer at line 1 column 10");
}

TEST(a_bad_key_path_is_refused_with_its_place)
{
    api_case it;
    api_begin(&it, "POST", "/collections/c/points/payload/delete",
              "{\"keys\":[\"a\",\"b..c\"],\"points\":[1]}");
    CHECK(it.status == OCT_BAD_INPUT);
    CHECK(strncmp(it.error.message, "keys[1]: ", 9) == 0);
    CHECK(strstr(it.error.message, " at line 1 column 14") != NULL);
    api_end(&it);
}

TEST(vector_operations)
{
    api_case it;
    api_begin(&it, "PUT", "/collections/c/points/vectors",
              "{\"points\":[{\"id\":1,\"vector\":[1,2]}],\"update_filter\":{}}");
    CHECK(it.status == OCT_OK && it.request.write.kind == OCT_WRITE_UPDATE_VECTORS);
    CHECK(it.request.write.point_count == 1 && it.request.write.update_filter);
    api_end(&it);
    api_begin(&it, "POST", "/collections/c/points/vectors/delete",
              "{\"points\":[1],\"vector\":[\"a\",\"\"]}");
    CHECK(it.status == OCT_OK && it.request.write.kind == OCT_WRITE_DELETE_VECTORS);
    CHECK(it.request.write.key_count == 2);
    CHECK_STR_IS(it.request.write.keys[0], "a");
    api_end(&it);
    api_rejects("PUT /collections/c/points/vectors", "{\"points\":[]}", OCT_VALIDATION,
                "[points: must specify points to update]");
    api_rejects("PUT /collections/c/points/vectors", "{\"points\":[{\"id\":1,\"vector\":{}}]}",
                OCT_VALIDATION, "[points[0].vector: must specify vectors to update for point]");
    api_rejects("POST /collections/c/points/vectors/delete", "{\"points\":[1],\"vector\":[]}",
                OCT_VALIDATION, "[vector: must specify vector names to delete]");
    api_rejects("POST /collections/c/points/vectors/delete",
                "{\"points\":[1],\"filter\":{},\"vector\":[\"a\"]}", OCT_BAD_INPUT,
                "filter: points and a filter at once are not supported yet at line 1 column 24");
}

TEST(index_operations)
{
    api_case it;
    api_begin(&it, "PUT", "/collections/c/index",
              "{\"field_name\":\"a.b\",\"field_schema\":\"integer\"}");
    CHECK_EQ_STR(it.error.message, "");
    CHECK(it.request.write.kind == OCT_WRITE_CREATE_INDEX);
    CHECK_STR_IS(it.request.write.field.key, "a.b");
    CHECK(it.request.write.field.type == OCT_FIELD_INTEGER);
    api_end(&it);
    api_begin(&it, "DELETE", "/collections/c/index/a%5B%5D.b?wait=true", "");
    CHECK(it.status == OCT_OK && it.request.write.kind == OCT_WRITE_DELETE_INDEX);
    CHECK(it.request.write.wait);
    CHECK_STR_IS(it.request.write.field.key, "a[].b");
    api_end(&it);
    api_begin(&it, "DELETE", "/collections/c/index/a..b", "");
    CHECK(it.status == OCT_BAD_INPUT && it.request.stage == OCT_STAGE_PATH);
    api_end(&it);
    api_begin(&it, "PUT", "/collections/c/index", "{\"field_name\":\"a\"}");
    CHECK(it.status == OCT_BAD_INPUT);
    CHECK(strstr(it.error.message, "Can't auto-detect field type") != NULL);
    api_end(&it);
}

TEST(create_collection_bodies_go_to_the_config_parser)
{
    api_case it;
    api_begin(&it, "PUT", "/collections/c", "{\"vectors\":{\"size\":4,\"distance\":\"Dot\"}}");
    CHECK_EQ_STR(it.error.message, "");
    CHECK(it.request.config.vector_count == 1 && it.request.config.single_vector);
    CHECK(it.request.config.vectors[0].size == 4);
    CHECK(it.request.config.vectors[0].metric == OCT_METRIC_DOT);
    api_end(&it);
    api_rejects("PUT /collections/c", "7", OCT_BAD_INPUT,
                "expected an object, got integer at line 1 column 1");
}

TEST(positions_survive_odd_json)
{
    /* Escaped quotes, braces in strings and nested values before the culprit. */
    api_rejects(UPSERT,
                "{\"x\":\"}]\\\"{\",\"y\":[{\"a\":[1,\"]\"]},{}],\n\t\"points\" : [ {\"id\" : 1 ,\n"
                " \"vector\" : [ 1 , false ] } ] }",
                OCT_BAD_INPUT,
                "points[0].vector[1]: expected a number, got boolean at line 3 column 19");
    /* The key is escaped in the text, so the position is that of the object around it. */
    api_rejects(UPSERT, "{\"p\\u006fints\":3}", OCT_BAD_INPUT,
                "points: expected an array, got integer at line 1 column 1");
}

TEST(syntax_errors_have_a_position)
{
    api_case it;
    api_begin(&it, "PUT", "/collections/c/points", "{\"points\":\n[}");
    CHECK(it.status == OCT_BAD_INPUT && it.request.stage == OCT_STAGE_BODY);
    CHECK(strstr(it.error.message, "line 2") != NULL);
    api_end(&it);
}

TEST(a_body_has_a_limit)
{
    static char body[] = "{}";
    api_case it;
    memset(&it, 0, sizeof it);
    oct_arena_init(&it.arena, &test_alloc, 0);
    oct_str path = OCT_STR("/collections/c/points");
    CHECK(oct_route(&it.arena, "PUT", path, &it.request, &it.error) == OCT_OK);
    it.call.body = (oct_str){ body, (size_t)OCT_BODY_BYTES_MAX + 1 }; /* never read */
    CHECK(oct_decode(&it.arena, &it.call, &it.request, &it.error) == OCT_TOO_LARGE);
    CHECK_EQ_STR(it.error.message,
                 "JSON payload (33554433 bytes) is larger than allowed (limit: 33554432 bytes).");
    oct_arena_reset(&it.arena);
}

TEST_MAIN(upsert_of_a_list, upsert_of_a_batch, upsert_of_a_named_batch,
          of_duplicate_members_the_last_counts, bad_upserts_are_refused, bad_batches_are_refused,
          bad_ids_are_refused, forms_of_vectors, bad_vectors_are_refused,
          too_many_named_vectors_are_refused, bulk_vectors_are_ranges_of_the_floats_passed,
          bulk_ranges_outside_are_refused, points_are_selected_by_ids_or_filter,
          writes_of_nothing_are_refused, payload_operations,
          a_bad_key_path_is_refused_with_its_place, vector_operations, index_operations,
          create_collection_bodies_go_to_the_config_parser, positions_survive_odd_json,
          syntax_errors_have_a_position, a_body_has_a_limit)
