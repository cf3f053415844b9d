/* SPDX-License-Identifier: Apache-2.0 */
/* model_config_update_test.c - updates of configs: what they give and what they leave; refusals. An
 * updated config must be equal to one created with what it should have become. */
#include "model/config.h"

#include "model_support.h"

/* Parse a creation and an update of it, and merge them. */
static oct_status updated(oct_arena *arena, const char *create, const char *update,
                          oct_collection_config *out, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_json *body = NULL;
    oct_collection_config config, given;
    TRY(oct_json_parse(arena, oct_str_of(create), &body, error));
    TRY(oct_config_parse(arena, body, &config, error));
    TRY(oct_json_parse(arena, oct_str_of(update), &body, error));
    TRY(oct_config_parse_update(arena, body, &given, error));
    TRY(oct_config_update(arena, &config, &given, out, error));
    if (!oct_config_same_shape(&config, out)) TRY(oct_fail(error, OCT_CORRUPT, "another shape"));
done:
    return status;
}

static bool becomes(const char *create, const char *update, const char *wanted)
{
    oct_arena arena;
    oct_error error = { .message = "" };
    oct_collection_config got, config;
    oct_arena_init(&arena, &model_malloc, 0);
    bool same = updated(&arena, create, update, &got, &error) == OCT_OK &&
                oct_config_parse(&arena, model_json(&arena, wanted), &config, &error) == OCT_OK &&
                oct_config_equal(&got, &config);
    if (!same) printf("%s\n%s\n%s\n", update, wanted, error.message);
    oct_arena_reset(&arena);
    return same;
}

#define A(more) "{\"vectors\":{\"size\":4,\"distance\":\"Dot\"" more "}}"
#define AB(a, b)                                                                                   \
    "{\"vectors\":{\"a\":{\"size\":4,\"distance\":\"Dot\"" a                                       \
    "},\"b\":{\"size\":2,\"distance\":\"Cosine\",\"multivector_config\":{\"comparator\":"          \
    "\"max_sim\"}" b "}}}"
#define S(index) "{\"sparse_vectors\":{\"s\":{" index "}}}"
#define SCALAR   "\"quantization_config\":{\"scalar\":{\"type\":\"int8\",\"quantile\":0.9}}"
#define BINARY   "\"quantization_config\":{\"binary\":{}}"
#define DISABLED "\"quantization_config\":\"Disabled\""

TEST(nothing_given_changes_nothing)
{
    CHECK(becomes(A(""), "{}", A("")));
    CHECK(becomes(A(",\"on_disk\":true"), "{\"what\":[],\"vectors\":null,\"hnsw_config\":{}}",
                  A(",\"on_disk\":true")));
    CHECK(becomes(AB(",\"hnsw_config\":{\"m\":3}," SCALAR, ""),
                  "{\"vectors\":{\"a\":{\"hnsw_config\":{\"m\":null},\"quantization_config\":null},"
                  "\"b\":{}},\"metadata\":null,\"strict_mode_config\":{\"enabled\":false}}",
                  AB(",\"hnsw_config\":{\"m\":3}," SCALAR, "")));
}

TEST(settings_are_merged_one_by_one)
{
    CHECK(becomes("{\"hnsw_config\":{\"m\":3,\"on_disk\":true}}",
                  "{\"hnsw_config\":{\"m\":0,\"payload_m\":5,\"memory\":\"cold\"}}",
                  "{\"hnsw_config\":{\"m\":0,\"payload_m\":5,\"on_disk\":true,"
                  "\"memory\":\"cold\"}}"));
    CHECK(becomes(A(",\"hnsw_config\":{\"m\":3}"),
                  "{\"vectors\":{\"\":{\"hnsw_config\":{\"ef_construct\":9},\"on_disk\":false,"
                  "\"memory\":\"cached\"}}}",
                  A(",\"hnsw_config\":{\"m\":3,\"ef_construct\":9},\"on_disk\":false,"
                    "\"memory\":\"cached\"")));
    CHECK(becomes("{\"optimizers_config\":{\"deleted_threshold\":0.5,\"max_segment_size\":7,"
                  "\"max_optimization_threads\":4}}",
                  "{\"optimizer_config\":{\"indexing_threshold_kb\":0,"
                  "\"max_optimization_threads\":\"auto\"}}",
                  "{\"optimizers_config\":{\"deleted_threshold\":0.5,\"max_segment_size\":7,"
                  "\"indexing_threshold\":0}}"));
    CHECK(becomes("{\"optimizers_config\":{\"deleted_threshold\":0.5}}",
                  "{\"optimizers_config\":{\"deleted_threshold\":0}}",
                  "{\"optimizers_config\":{\"deleted_threshold\":0}}"));
    CHECK(becomes("{\"shard_number\":2}",
                  "{\"params\":{\"shard_number\":9,\"replication_factor\":3,"
                  "\"on_disk_payload\":false,\"payload\":{\"memory\":\"cold\"}}}",
                  "{\"shard_number\":2,\"replication_factor\":3,\"on_disk_payload\":false,"
                  "\"payload\":{\"memory\":\"cold\"}}"));
    CHECK(becomes("{}", "{\"params\":{\"read_fan_out_factor\":2,\"read_fan_out_delay_ms\":0}}",
                  "{\"read_fan_out_factor\":2,\"read_fan_out_delay_ms\":0}"));
}

TEST(quantization_is_replaced_or_disabled)
{
    CHECK(becomes("{" SCALAR "}", "{" BINARY "}", "{" BINARY "}"));
    CHECK(becomes("{" SCALAR "}", "{\"quantization\":\"Disabled\"}", "{}"));
    CHECK(becomes("{}", "{" DISABLED "}", "{}"));
    CHECK(becomes(AB("," SCALAR, ""), "{\"vectors\":{\"a\":{" DISABLED "}}}", AB("", "")));
    CHECK(becomes(AB("," SCALAR, ""), "{\"vectors\":{\"a\":{" BINARY "}}," SCALAR "}",
                  "{" SCALAR ",\"vectors\":{\"a\":{\"size\":4,\"distance\":\"Dot\"," BINARY
                  "},\"b\":{\"size\":2,\"distance\":\"Cosine\",\"multivector_config\":"
                  "{\"comparator\":\"max_sim\"}}}}"));
}

TEST(sparse_vectors_keep_what_is_not_given)
{
    CHECK(becomes(S(""), "{\"sparse_vectors\":{\"s\":{\"modifier\":\"idf\"}}}",
                  S("\"modifier\":\"idf\"")));
    CHECK(becomes(S("\"modifier\":\"idf\",\"index\":{\"on_disk\":true}"),
                  "{\"sparse_vectors\":{\"s\":{\"index\":{\"full_scan_threshold\":7,"
                  "\"memory\":\"pinned\"}}}}",
                  S("\"modifier\":\"idf\",\"index\":{\"on_disk\":true,"
                    "\"full_scan_threshold\":7,\"memory\":\"pinned\"}")));
}

TEST(metadata_is_merged)
{
    CHECK(becomes("{}", "{\"metadata\":{\"a\":null}}", "{\"metadata\":{\"a\":null}}"));
    CHECK(becomes("{\"metadata\":{\"a\":1,\"b\":{\"c\":1}}}",
                  "{\"metadata\":{\"a\":null,\"b\":{\"d\":2},\"e\":[]}}",
                  "{\"metadata\":{\"b\":{\"d\":2},\"e\":[]}}"));
    CHECK(becomes("{\"metadata\":{\"a\":1}}", "{\"metadata\":{\"a\":null}}", "{\"metadata\":{}}"));
}

static bool is_refused(const char *update, oct_status wanted, const char *message)
{
    oct_arena arena;
    oct_error error = { .message = "" };
    oct_collection_config got;
    oct_arena_init(&arena, &model_malloc, 0);
    oct_status status = updated(
        &arena,
        "{\"vectors\":{\"a\":{\"size\":4,\"distance\":\"Dot\"}},\"sparse_vectors\":{\"s\":{}}}",
        update, &got, &error);
    bool same = status == wanted && strcmp(error.message, message) == 0;
    if (!same) printf("%s\n%d %s\n", update, (int)status, error.message);
    oct_arena_reset(&arena);
    return same;
}

TEST(wrong_updates_are_refused)
{
#define FORMAT     "Format error in JSON body: "
#define VALIDATION "Validation error in JSON body: "
#define UNKNOWN    "Not existing vector name error: "
    CHECK(is_refused("[]", OCT_BAD_INPUT,
                     FORMAT "the body: invalid type: array, expected an object"));
    CHECK(is_refused("{\"vectors\":{\"x\":{}}}", OCT_BAD_INPUT, UNKNOWN "x"));
    CHECK(is_refused("{\"vectors\":{\"s\":{}}}", OCT_BAD_INPUT, UNKNOWN "s"));
    CHECK(is_refused("{\"vectors\":{\"\":{}}}", OCT_BAD_INPUT, UNKNOWN));
    CHECK(is_refused("{\"sparse_vectors\":{\"a\":{}}}", OCT_BAD_INPUT, UNKNOWN "a"));
    CHECK(is_refused("{\"vectors\":[]}", OCT_BAD_INPUT,
                     FORMAT "vectors: invalid type: array, expected an object"));
    CHECK(is_refused("{\"vectors\":{\"a\":1}}", OCT_BAD_INPUT,
                     FORMAT "vectors.a: invalid type: integer, expected an object"));
    CHECK(is_refused("{\"vectors\":{\"a\":{\"on_disk\":1}}}", OCT_BAD_INPUT,
                     FORMAT "vectors.a.on_disk: invalid type: integer, expected a boolean"));
    CHECK(is_refused("{\"vectors\":{\"a\":{\"hnsw_config\":{\"ef_construct\":3}}}}", OCT_VALIDATION,
                     VALIDATION "[vectors.?.hnsw_config.ef_construct: value 3 invalid, must be 4 "
                                "or larger]"));
    CHECK(is_refused("{\"vectors\":{\"a\":{\"quantization_config\":\"Enabled\"}}}", OCT_BAD_INPUT,
                     FORMAT "vectors.a.quantization_config: expected an object or `Disabled`"));
    CHECK(is_refused("{\"params\":{\"replication_factor\":0}}", OCT_BAD_INPUT,
                     FORMAT "params.replication_factor: invalid value: integer `0`, expected a "
                            "nonzero u32"));
    CHECK(is_refused("{\"params\":7}", OCT_BAD_INPUT,
                     FORMAT "params: invalid type: integer, expected an object"));
    CHECK(is_refused("{\"sparse_vectors\":{\"s\":{\"modifier\":\"x\"}}}", OCT_BAD_INPUT,
                     FORMAT "sparse_vectors.s.modifier: expected one of `none`, `idf`"));
    CHECK(is_refused("{\"metadata\":[]}", OCT_BAD_INPUT,
                     FORMAT "metadata: invalid type: array, expected an object"));
    CHECK(is_refused("{\"strict_mode_config\":{\"enabled\":true}}", OCT_BAD_INPUT,
                     "Wrong input: strict_mode_config.enabled is not supported yet"));
}

TEST(metadata_has_a_limit)
{
    enum { HALF = OCT_METADATA_BYTES_MAX / 2 };
    static char create[HALF + 100], update[HALF + 100], again[2 * HALF + 100];
    oct_arena arena;
    oct_error error;
    oct_collection_config got;
    char *text = memset(calloc(1, 2 * HALF + 1), 'x', 2 * HALF);
    (void)snprintf(create, sizeof create, "{\"metadata\":{\"a\":\"%.*s\"}}", HALF, text);
    (void)snprintf(update, sizeof update, "{\"metadata\":{\"b\":\"%.*s\"}}", HALF, text);
    (void)snprintf(again, sizeof again, "{\"metadata\":{\"b\":\"%.*s\"}}", 2 * HALF, text);
    oct_arena_init(&arena, &model_malloc, 0);
    CHECK(updated(&arena, create, "{}", &got, &error) == OCT_OK);
    CHECK(updated(&arena, create, update, &got, &error) == OCT_LIMIT);
    CHECK(updated(&arena, again, "{}", &got, &error) == OCT_LIMIT);
    oct_arena_reset(&arena);
    free(text);
}

static oct_status sweep_body(const oct_alloc *alloc, void *arg)
{
    oct_arena arena;
    oct_collection_config got;
    oct_error error;
    oct_arena_init(&arena, alloc, 0);
    oct_status status = updated(&arena, AB("," SCALAR, ""), (const char *)arg, &got, &error);
    oct_arena_reset(&arena);
    return status;
}

TEST(every_lost_allocation_is_nomem)
{
    char update[] = "{\"vectors\":{\"a\":{" DISABLED "},\"b\":{}},\"metadata\":{\"a\":[1]}}";
    CHECK(model_sweep(sweep_body, update));
}

TEST_MAIN(nothing_given_changes_nothing, settings_are_merged_one_by_one,
          quantization_is_replaced_or_disabled, sparse_vectors_keep_what_is_not_given,
          metadata_is_merged, wrong_updates_are_refused, metadata_has_a_limit,
          every_lost_allocation_is_nomem)
