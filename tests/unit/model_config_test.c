/* SPDX-License-Identifier: Apache-2.0 */
/* model_config_test.c - collection configs and index schemas: parsed, shown, stored, refused. */
#include <math.h>

#include "model/config.h"

#include "model_support.h"

typedef void config_writer(oct_json_writer *writer, const oct_collection_config *config);

/* The text a writer makes, in the arena. */
static oct_str written(oct_arena *arena, config_writer *write, const oct_collection_config *config)
{
    oct_buf buf;
    oct_json_writer writer;
    oct_str out = { "", 0 };
    oct_buf_init(&buf, &model_malloc, 1 << 20);
    oct_json_writer_init(&writer, &buf);
    write(&writer, config);
    oct_status status = oct_json_writer_status(&writer);
    if (status == OCT_OK)
        status = oct_arena_str(arena, (oct_str){ (const char *)buf.at, buf.bytes }, &out, NULL);
    if (status != OCT_OK) test_fail(__FILE__, __LINE__, "the writer failed");
    oct_buf_deinit(&buf);
    return out;
}

static bool parses(oct_arena *arena, const char *body, oct_collection_config *config)
{
    oct_error error = { .message = "" };
    const oct_json *json = model_json(arena, body);
    oct_status status = json ? oct_config_parse(arena, json, config, &error) : OCT_BAD_INPUT;
    if (status != OCT_OK) printf("%s\n%s\n", body, error.message);
    return status == OCT_OK;
}

/* ---- shown ------------------------------------------------------------------------------ */

#define SHOWN_DEFAULTS                                                                             \
    "\"shard_number\":1,\"replication_factor\":1,\"write_consistency_factor\":1,"                  \
    "\"on_disk_payload\":true}"
#define SHOWN_HNSW                                                                                 \
    "\"hnsw_config\":{\"m\":16,\"ef_construct\":100,\"full_scan_threshold\":10000,"                \
    "\"max_indexing_threads\":0,\"on_disk\":false}"
#define SHOWN_OPTIMIZERS                                                                           \
    "\"optimizer_config\":{\"deleted_threshold\":0.2,\"vacuum_min_vector_number\":1000,"           \
    "\"default_segment_number\":0,\"max_segment_size\":null,\"memmap_threshold\":null,"            \
    "\"indexing_threshold\":10000,\"flush_interval_sec\":5,\"max_optimization_threads\":null,"     \
    "\"prevent_unoptimized\":null}"
#define SHOWN_WAL                                                                                  \
    "\"wal_config\":{\"wal_capacity_mb\":32,\"wal_segments_ahead\":0,\"wal_retain_closed\":1}"

static void check_shown(const char *body, const char *wanted)
{
    oct_arena arena;
    oct_collection_config config;
    oct_arena_init(&arena, &model_malloc, 0);
    if (!parses(&arena, body, &config) ||
        !model_is(written(&arena, oct_config_write, &config), wanted))
        test_fail(__FILE__, __LINE__, body);
    oct_arena_reset(&arena);
}

TEST(configs_are_shown_as_qdrant_does)
{
    check_shown("{}", "{\"params\":{\"vectors\":{}," SHOWN_DEFAULTS "," SHOWN_HNSW
                      "," SHOWN_OPTIMIZERS "," SHOWN_WAL ",\"quantization_config\":null}");
    check_shown("{\"vectors\":{\"size\":4,\"distance\":\"Dot\"},\"what\":[]}",
                "{\"params\":{\"vectors\":{\"size\":4,\"distance\":\"Dot\"}," SHOWN_DEFAULTS
                "," SHOWN_HNSW "," SHOWN_OPTIMIZERS "," SHOWN_WAL ",\"quantization_config\":null}");
    check_shown("{\"vectors\":{\"text\":{\"size\":65536,\"distance\":\"Euclid\",\"on_disk\":true,"
                "\"hnsw_config\":{\"m\":0,\"payload_m\":8}},"
                "\"image\":{\"size\":1,\"distance\":\"Cosine\"}},"
                "\"shard_number\":2,\"on_disk_payload\":false,\"metadata\":{ \"a\": [1] }}",
                "{\"params\":{\"vectors\":{\"image\":{\"size\":1,\"distance\":\"Cosine\"},"
                "\"text\":{\"size\":65536,\"distance\":\"Euclid\","
                "\"hnsw_config\":{\"m\":0,\"payload_m\":8},"
                "\"on_disk\":true}},\"shard_number\":2,\"replication_factor\":1,"
                "\"write_consistency_factor\":1,\"on_disk_payload\":false}," SHOWN_HNSW
                "," SHOWN_OPTIMIZERS "," SHOWN_WAL ",\"quantization_config\":null,"
                "\"metadata\":{\"a\":[1]}}");
    CHECK(true);
}

TEST(given_settings_are_shown)
{
    check_shown("{\"vectors\":{\"size\":4,\"distance\":\"Dot\",\"memory\":\"cold\"},"
                "\"sparse_vectors\":{\"s\":{\"index\":{\"memory\":\"pinned\"}}},"
                "\"payload\":{\"memory\":\"cached\"}}",
                "{\"params\":{\"vectors\":{\"size\":4,\"distance\":\"Dot\",\"memory\":\"cold\"},"
                "\"shard_number\":1,\"replication_factor\":1,\"write_consistency_factor\":1,"
                "\"on_disk_payload\":true,\"payload\":{\"memory\":\"cached\"},"
                "\"sparse_vectors\":{\"s\":{\"index\":{\"memory\":\"pinned\"}}}}," SHOWN_HNSW
                "," SHOWN_OPTIMIZERS "," SHOWN_WAL ",\"quantization_config\":null}");
    check_shown(
        "{\"hnsw_config\":{\"m\":8,\"ef_construct\":4,\"full_scan_threshold\":10,"
        "\"max_indexing_threads\":3,\"on_disk\":true,\"payload_m\":5,\"memory\":\"cold\","
        "\"inline_storage\":false},"
        "\"wal_config\":{\"wal_capacity_mb\":1,\"wal_segments_ahead\":2,\"wal_retain_closed\":3},"
        "\"optimizers_config\":{\"deleted_threshold\":0,\"vacuum_min_vector_number\":100,"
        "\"default_segment_number\":2,\"max_segment_size\":1,\"memmap_threshold\":0,"
        "\"indexing_threshold\":0,\"flush_interval_sec\":9,\"max_optimization_threads\":4}}",
        "{\"params\":{\"vectors\":{}," SHOWN_DEFAULTS
        ",\"hnsw_config\":{\"m\":8,\"ef_construct\":4,\"full_scan_threshold\":10,"
        "\"max_indexing_threads\":3,\"on_disk\":true,\"memory\":\"cold\",\"payload_m\":5,"
        "\"inline_storage\":false},"
        "\"optimizer_config\":{\"deleted_threshold\":0.0,\"vacuum_min_vector_number\":100,"
        "\"default_segment_number\":2,\"max_segment_size\":1,\"memmap_threshold\":0,"
        "\"indexing_threshold\":0,\"flush_interval_sec\":9,\"max_optimization_threads\":4,"
        "\"prevent_unoptimized\":null},"
        "\"wal_config\":{\"wal_capacity_mb\":1,\"wal_segments_ahead\":2,\"wal_retain_closed\":3},"
        "\"quantization_config\":null}");
    CHECK(true);
}

/* ---- effective values ------------------------------------------------------------------- */

TEST(vectors_override_the_collection)
{
    oct_arena arena;
    oct_collection_config config;
    oct_arena_init(&arena, &model_malloc, 0);
    bool parsed =
        parses(&arena,
               "{\"vectors\":{\"a\":{\"size\":1,\"distance\":\"Dot\",\"hnsw_config\":{\"m\":4}},"
               "\"b\":{\"size\":2,\"distance\":\"Manhattan\",\"hnsw_config\":{\"payload_m\":0}}},"
               "\"hnsw_config\":{\"m\":9,\"ef_construct\":50},"
               "\"optimizers_config\":{\"max_optimization_threads\":\"auto\"}}",
               &config);
    uint32_t a = oct_config_find_vector(&config, OCT_STR("a"));
    uint32_t b = oct_config_find_vector(&config, OCT_STR("b"));
    oct_hnsw_config of_a = oct_config_hnsw(&config, a);
    oct_hnsw_config of_b = oct_config_hnsw(&config, b);
    oct_optimizers_config optimizers = oct_config_optimizers(&config);
    oct_arena_reset(&arena);
    CHECK(parsed && a == 0 && b == 1);
    CHECK(of_a.m == 4 && of_a.ef_construct == 50 && of_a.full_scan_threshold == 10000);
    CHECK(of_a.payload_m == 4 && of_a.on_disk == 0 && of_a.max_indexing_threads == 0);
    CHECK(of_b.m == 9 && of_b.payload_m == 0);
    CHECK(optimizers.max_optimization_threads == OCT_UNSET);
    CHECK(optimizers.deleted_threshold == 0.2 && optimizers.indexing_threshold == 10000);
    CHECK(optimizers.max_segment_size == OCT_UNSET && optimizers.vacuum_min_vector_number == 1000);
}

TEST(unknown_vectors_are_not_found)
{
    oct_collection_config config = { .vector_count = 0 };
    CHECK(oct_config_find_vector(&config, OCT_STR("a")) == OCT_CONFIG_NO_VECTOR);
}

/* ---- stored and copied ------------------------------------------------------------------ */

/* A random setting, or nothing. */
static int put_setting(char *text, size_t bytes, const char *name, uint32_t min, uint32_t range)
{
    if (test_random_below(2)) return 0;
    return snprintf(text, bytes, "\"%s\":%" PRIu32 ",", name, min + test_random_below(range));
}

static void put_hnsw(char *text, size_t bytes)
{
    size_t at = 0;
    at += (size_t)snprintf(text + at, bytes - at, "\"hnsw_config\":{");
    at += (size_t)put_setting(text + at, bytes - at, "m", 0, 100);
    at += (size_t)put_setting(text + at, bytes - at, "ef_construct", 4, 100);
    at += (size_t)put_setting(text + at, bytes - at, "full_scan_threshold_kb", 10, 100000);
    at += (size_t)put_setting(text + at, bytes - at, "payload_m", 0, 100);
    snprintf(text + at, bytes - at, "\"max_indexing_threads\":null}");
}

static void random_body(char *text, size_t bytes)
{
    static const char *const metrics[] = { "Cosine", "Euclid", "Dot", "Manhattan" };
    size_t at = (size_t)snprintf(text, bytes, "{\"vectors\":{");
    uint32_t vectors = test_random_below(5);
    for (uint32_t i = 0; i < vectors; i++) {
        char hnsw[400];
        put_hnsw(hnsw, sizeof hnsw);
        at += (size_t)snprintf(
            text + at, bytes - at,
            "%s\"v%" PRIu32 "\":{\"size\":%" PRIu32 ",\"distance\":\"%s\",%s,\"on_disk\":%s}",
            i ? "," : "", test_random_below(1000), 1 + test_random_below(65536),
            metrics[test_random_below(4)], hnsw, test_random_below(2) ? "true" : "null");
    }
    at += (size_t)snprintf(text + at, bytes - at, "},");
    at += (size_t)put_setting(text + at, bytes - at, "shard_number", 1, 9);
    char hnsw[400];
    put_hnsw(hnsw, sizeof hnsw);
    at += (size_t)snprintf(text + at, bytes - at, "%s,\"optimizers_config\":{", hnsw);
    at += (size_t)put_setting(text + at, bytes - at, "indexing_threshold", 0, 9);
    at += (size_t)put_setting(text + at, bytes - at, "max_segment_size", 1, 9);
    at += (size_t)put_setting(text + at, bytes - at, "max_optimization_threads", 0, 9);
    at += (size_t)snprintf(text + at, bytes - at, "\"deleted_threshold\":%s},",
                           test_random_below(2) ? "null" : "0.123456789");
    snprintf(text + at, bytes - at, "\"metadata\":%s}",
             test_random_below(2) ? "null" : "{\"k\":\"v\"}");
}

static void check_round_trip(const char *body)
{
    oct_arena arena;
    oct_collection_config config;
    oct_collection_config back;
    const oct_collection_config *copy = NULL;
    oct_arena_init(&arena, &model_malloc, 0);
    bool right = parses(&arena, body, &config);
    if (right) {
        oct_str stored = written(&arena, oct_config_store, &config);
        const oct_json *json;
        right = oct_json_parse(&arena, stored, &json, NULL) == OCT_OK &&
                oct_config_parse(&arena, json, &back, NULL) == OCT_OK &&
                oct_config_equal(&config, &back) &&
                oct_config_copy(&model_malloc, &config, &copy, NULL) == OCT_OK;
    }
    oct_arena second;
    oct_arena_init(&second, &model_malloc, 0);
    oct_str shown = right ? written(&second, oct_config_write, &config) : (oct_str){ "", 0 };
    oct_arena_reset(&arena); /* the copy must not need it */
    right = right && oct_str_equal(written(&second, oct_config_write, copy), shown);
    oct_config_free(&model_malloc, copy);
    oct_arena_reset(&second);
    if (!right) test_fail(__FILE__, __LINE__, body);
}

TEST(stored_configs_come_back_equal)
{
    check_round_trip("{}");
    check_round_trip("{\"vectors\":{}}");
    check_round_trip("{\"vectors\":{\"size\":4,\"distance\":\"Dot\"}}");
    check_round_trip("{\"vectors\":{\"\":{\"size\":4,\"distance\":\"Dot\"}}}");
    check_round_trip("{\"vectors\":{\"size\":{\"size\":4,\"distance\":\"Dot\"}}}");
    for (int i = 0; i < 300; i++) {
        char body[8000];
        random_body(body, sizeof body);
        check_round_trip(body);
    }
    CHECK(true);
}

TEST(different_configs_are_not_equal)
{
    const char *const bodies[] = {
        "{}",
        "{\"vectors\":{\"size\":4,\"distance\":\"Dot\"}}",
        "{\"vectors\":{\"\":{\"size\":4,\"distance\":\"Dot\"}}}",
        "{\"vectors\":{\"size\":5,\"distance\":\"Dot\"}}",
        "{\"vectors\":{\"size\":4,\"distance\":\"Cosine\"}}",
        "{\"vectors\":{\"size\":4,\"distance\":\"Dot\",\"on_disk\":false}}",
        "{\"vectors\":{\"size\":4,\"distance\":\"Dot\",\"hnsw_config\":{\"m\":16}}}",
        "{\"hnsw_config\":{\"m\":16}}",
        "{\"optimizers_config\":{\"deleted_threshold\":0.2}}",
        "{\"optimizers_config\":{\"deleted_threshold\":0.3}}",
        "{\"optimizers_config\":{\"indexing_threshold\":10000}}",
        "{\"shard_number\":2}",
        "{\"metadata\":{}}",
    };
    oct_arena arena;
    oct_collection_config configs[ARRAY_COUNT(bodies)];
    oct_arena_init(&arena, &model_malloc, 0);
    bool right = true;
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++)
        right = right && parses(&arena, bodies[i], &configs[i]);
    for (size_t i = 0; right && i < ARRAY_COUNT(bodies); i++)
        for (size_t j = 0; j < ARRAY_COUNT(bodies); j++)
            if (oct_config_equal(&configs[i], &configs[j]) != (i == j)) {
                printf("%s\n%s\n", bodies[i], bodies[j]);
                right = false;
            }
    oct_arena_reset(&arena);
    CHECK(right);
}

/* ---- refused ---------------------------------------------------------------------------- */

static void check_refused(const char *body, oct_status wanted, const char *message)
{
    oct_arena arena;
    oct_collection_config config;
    oct_error error = { .message = "" };
    oct_arena_init(&arena, &model_malloc, 0);
    oct_status status = oct_config_parse(&arena, model_json(&arena, body), &config, &error);
    oct_arena_reset(&arena);
    if (status != wanted || strcmp(error.message, message) != 0) {
        printf("status %d: %s\n", (int)status, error.message);
        test_fail(__FILE__, __LINE__, body);
    }
}

#define VECTOR(more) "{\"vectors\":{\"size\":4,\"distance\":\"Dot\"," more "}}"

TEST(values_out_of_range_are_validation_errors)
{
#define VALIDATION "Validation error in JSON body: "
    check_refused("{\"vectors\":{\"size\":65537,\"distance\":\"Dot\"}}", OCT_VALIDATION,
                  VALIDATION "[vectors.size: value 65537 invalid, must be from 1 to 65536]");
    check_refused("{\"vectors\":{\"a\":{\"size\":65537,\"distance\":\"Dot\"}}}", OCT_VALIDATION,
                  VALIDATION "[vectors.?.size: value 65537 invalid, must be from 1 to 65536]");
    check_refused(VECTOR("\"hnsw_config\":{\"ef_construct\":3}"), OCT_VALIDATION,
                  VALIDATION
                  "[vectors.hnsw_config.ef_construct: value 3 invalid, must be 4 or larger]");
    check_refused("{\"hnsw_config\":{\"full_scan_threshold\":9}}", OCT_VALIDATION,
                  VALIDATION
                  "[hnsw_config.full_scan_threshold: value 9 invalid, must be 10 or larger]");
    check_refused("{\"hnsw_config\":{\"m\":2049}}", OCT_VALIDATION,
                  VALIDATION "[hnsw_config.m: value 2049 invalid, must be 2048 or smaller]");
    check_refused("{\"wal_config\":{\"wal_capacity_mb\":0}}", OCT_VALIDATION,
                  VALIDATION "[wal_config.wal_capacity_mb: value 0 invalid, must be 1 or larger]");
    check_refused("{\"optimizers_config\":{\"vacuum_min_vector_number\":99}}", OCT_VALIDATION,
                  VALIDATION "[optimizers_config.vacuum_min_vector_number: value 99 invalid, must "
                             "be 100 or larger]");
    check_refused("{\"optimizers_config\":{\"deleted_threshold\":1.5}}", OCT_VALIDATION,
                  VALIDATION "[optimizers_config.deleted_threshold: value invalid, must be from "
                             "0.0 to 1.0]");
    CHECK(true);
}

TEST(wrong_types_are_format_errors)
{
#define FORMAT "Format error in JSON body: "
    check_refused("[]", OCT_BAD_INPUT, FORMAT "the body: invalid type: array, expected an object");
    check_refused("{\"vectors\":null}", OCT_BAD_INPUT,
                  FORMAT "vectors: invalid type: null, expected vector parameters or a map of "
                         "them");
    check_refused("{\"vectors\":{\"size\":0,\"distance\":\"Dot\"}}", OCT_BAD_INPUT,
                  FORMAT "vectors.size: invalid value: integer `0`, expected an integer from 1 to "
                         "65536");
    check_refused("{\"vectors\":{\"a\":{\"size\":1.5,\"distance\":\"Dot\"}}}", OCT_BAD_INPUT,
                  FORMAT "vectors.a.size: invalid type: floating point number, expected an integer "
                         "from 1 to 65536");
    check_refused("{\"vectors\":{\"a\":{\"distance\":\"Dot\"}}}", OCT_BAD_INPUT,
                  FORMAT "vectors.a: missing field `size`");
    check_refused("{\"vectors\":{\"size\":4}}", OCT_BAD_INPUT,
                  FORMAT "vectors.distance: expected one of `Cosine`, `Euclid`, `Dot`, "
                         "`Manhattan`");
    check_refused("{\"vectors\":{\"size\":4,\"distance\":\"cosine\"}}", OCT_BAD_INPUT,
                  FORMAT "vectors.distance: expected one of `Cosine`, `Euclid`, `Dot`, "
                         "`Manhattan`");
    check_refused("{\"vectors\":{\"a\":4}}", OCT_BAD_INPUT,
                  FORMAT "vectors.a: invalid type: integer, expected an object");
    check_refused(VECTOR("\"hnsw_config\":{\"m\":\"16\"}"), OCT_BAD_INPUT,
                  FORMAT "vectors.hnsw_config.m: invalid type: string, expected an unsigned "
                         "integer");
    check_refused(VECTOR("\"on_disk\":1"), OCT_BAD_INPUT,
                  FORMAT "vectors.on_disk: invalid type: integer, expected a boolean");
    check_refused("{\"shard_number\":0}", OCT_BAD_INPUT,
                  FORMAT "shard_number: invalid value: integer `0`, expected a nonzero u32");
    check_refused("{\"shard_number\":-1}", OCT_BAD_INPUT,
                  FORMAT "shard_number: invalid type: integer, expected an unsigned integer");
    check_refused("{\"hnsw_config\":[]}", OCT_BAD_INPUT,
                  FORMAT "hnsw_config: invalid type: array, expected an object");
    check_refused("{\"metadata\":7}", OCT_BAD_INPUT,
                  FORMAT "metadata: invalid type: integer, expected an object");
    check_refused("{\"optimizers_config\":{\"max_optimization_threads\":\"many\"}}", OCT_BAD_INPUT,
                  FORMAT "optimizers_config.max_optimization_threads: invalid type: string, "
                         "expected an unsigned integer");
    CHECK(true);
}

TEST(what_is_missing_is_said)
{
#define MISSING(what) "Wrong input: " what " is not supported yet"
    check_refused("{\"strict_mode_config\":{\"enabled\":true}}", OCT_BAD_INPUT,
                  MISSING("strict_mode_config.enabled"));
    check_refused("{\"sharding_method\":\"custom\"}", OCT_BAD_INPUT,
                  MISSING("sharding_method other than auto"));
    check_refused("{\"optimizers_config\":{\"prevent_unoptimized\":true}}", OCT_BAD_INPUT,
                  MISSING("optimizers_config.prevent_unoptimized"));
    check_round_trip("{\"sparse_vectors\":{},\"quantization_config\":null,"
                     "\"sharding_method\":\"auto\","
                     "\"strict_mode_config\":{\"enabled\":false,\"max_query_limit\":1}}");
    check_round_trip(VECTOR("\"datatype\":\"float32\",\"quantization_config\":null,"
                            "\"memory\":\"cold\""));
    CHECK(true);
}

TEST(forms_of_vectors)
{
    check_round_trip(VECTOR("\"datatype\":\"uint8\""));
    check_round_trip(VECTOR("\"datatype\":\"float16\""));
    check_round_trip(VECTOR("\"datatype\":\"turbo4\""));
    check_refused(VECTOR("\"datatype\":\"int8\""), OCT_BAD_INPUT,
                  FORMAT "vectors.datatype: expected one of `float32`, `float16`, `uint8`, "
                         "`turbo4`");
    check_round_trip("{\"vectors\":{\"a\":{\"size\":4,\"distance\":\"Dot\","
                     "\"multivector_config\":{\"comparator\":\"max_sim\"}}},\"sparse_vectors\":"
                     "{\"t\":{\"modifier\":\"idf\"},\"s\":{\"modifier\":\"none\",\"index\":"
                     "{\"on_disk\":true,\"full_scan_threshold\":7,\"datatype\":\"uint8\"}}}}");
    check_round_trip("{\"sparse_vectors\":{\"s\":{\"index\":{}}}}");
    check_round_trip("{\"vectors\":{\"size\":4,\"distance\":\"Dot\"},"
                     "\"sparse_vectors\":{\"s\":{}}}");
    check_refused("{\"vectors\":{\"a\":{\"size\":4,\"distance\":\"Dot\","
                  "\"multivector_config\":{}}}}",
                  OCT_BAD_INPUT,
                  FORMAT "vectors.a.multivector_config.comparator: expected `max_sim`");
    check_refused("{\"sparse_vectors\":{\"s\":{\"modifier\":\"bm25\"}}}", OCT_BAD_INPUT,
                  FORMAT "sparse_vectors.s.modifier: expected one of `none`, `idf`");
    check_refused("{\"sparse_vectors\":{\"s\":{\"index\":{\"datatype\":\"int8\"}}}}", OCT_BAD_INPUT,
                  FORMAT "sparse_vectors.s.index.datatype: expected one of `float32`, `float16`, "
                         "`uint8`, `turbo4`");
    check_refused("{\"sparse_vectors\":{\"s\":7}}", OCT_BAD_INPUT,
                  FORMAT "sparse_vectors.s: invalid type: integer, expected an object");
    check_refused("{\"sparse_vectors\":{\"\":{}}}", OCT_BAD_INPUT,
                  "Wrong input: a sparse vector needs a name");
    check_refused("{\"vectors\":{\"s\":{\"size\":4,\"distance\":\"Dot\"}},"
                  "\"sparse_vectors\":{\"s\":{}}}",
                  OCT_BAD_INPUT,
                  "Wrong input: Vector name `s` is used for a dense and a sparse vector");
    CHECK(true);
}

TEST(vector_names_are_checked)
{
    check_refused("{\"vectors\":{\"a/b\":{\"size\":4,\"distance\":\"Dot\"}}}", OCT_BAD_INPUT,
                  "Wrong input: Invalid dense vector name `a/b`: vector name cannot contain \"/\" "
                  "char");
    char body[400];
    char message[400];
    snprintf(body, sizeof body, "{\"vectors\":{\"%0201d\":{\"size\":4,\"distance\":\"Dot\"}}}", 0);
    snprintf(message, sizeof message,
             "Wrong input: Invalid dense vector name `%0200d`: vector name must be at most 200 "
             "bytes long",
             0);
    check_refused(body, OCT_BAD_INPUT, message);
    CHECK(true);
}

TEST(the_number_of_vectors_is_limited)
{
    static char body[8000];
    size_t at = (size_t)snprintf(body, sizeof body, "{\"vectors\":{");
    for (int i = 0; i <= OCT_NAMED_VECTORS_MAX; i++) {
        if (i == OCT_NAMED_VECTORS_MAX) {
            snprintf(body + at, sizeof body - at, "}}");
            check_round_trip(body);
        }
        at += (size_t)snprintf(body + at, sizeof body - at,
                               "%s\"v%d\":{\"size\":4,\"distance\":\"Dot\"}", i ? "," : "", i);
    }
    snprintf(body + at, sizeof body - at, "}}");
    check_refused(body, OCT_BAD_INPUT, "Wrong input: vectors: 65 vectors; at most 64 are allowed");
    CHECK(true);
}

/* ---- index schemas ---------------------------------------------------------------------- */

static void check_schema(const char *key, const char *schema, const char *canonical_key,
                         const char *shown)
{
    oct_arena arena;
    oct_field_config config;
    oct_field_config back;
    oct_error error = { .message = "" };
    oct_buf buf;
    oct_json_writer writer;
    oct_arena_init(&arena, &model_malloc, 0);
    oct_buf_init(&buf, &model_malloc, 10000);
    oct_json_writer_init(&writer, &buf);
    oct_status status = oct_field_config_parse(&arena, oct_str_of(key), model_json(&arena, schema),
                                               &config, &error);
    bool right = status == OCT_OK && model_is(config.key, canonical_key);
    if (right) {
        oct_field_config_write(&writer, &config, 7);
        right = model_is((oct_str){ (const char *)buf.at, buf.bytes }, shown);
        oct_buf_clear(&buf);
        oct_json_writer_init(&writer, &buf);
        oct_field_config_store(&writer, &config);
        const oct_json *json;
        right = right && oct_json_writer_status(&writer) == OCT_OK &&
                oct_json_parse(&arena, (oct_str){ (const char *)buf.at, buf.bytes }, &json, NULL) ==
                    OCT_OK &&
                oct_field_config_parse(&arena, config.key, json, &back, NULL) == OCT_OK &&
                back.type == config.type && oct_str_equal(back.params, config.params);
    }
    oct_buf_deinit(&buf);
    oct_arena_reset(&arena);
    if (!right) {
        printf("%s\n", error.message);
        test_fail(__FILE__, __LINE__, schema);
    }
}

TEST(index_schemas_are_strings_or_objects)
{
    check_schema("a", "\"keyword\"", "a", "{\"data_type\":\"keyword\",\"points\":7}");
    check_schema("\"a\".b[]", "\"integer\"", "a.b[]", "{\"data_type\":\"integer\",\"points\":7}");
    check_schema("a", "\"float\"", "a", "{\"data_type\":\"float\",\"points\":7}");
    check_schema("a", "\"bool\"", "a", "{\"data_type\":\"bool\",\"points\":7}");
    check_schema("a", "{\"lookup\":true,\"is_tenant\":1,\"type\":\"integer\",\"range\":null}", "a",
                 "{\"data_type\":\"integer\",\"params\":{\"type\":\"integer\",\"lookup\":true},"
                 "\"points\":7}");
    check_schema("a", "{\"memory\":\"cold\",\"type\":\"bool\"}", "a",
                 "{\"data_type\":\"bool\",\"params\":{\"type\":\"bool\",\"memory\":\"cold\"},"
                 "\"points\":7}");
    check_schema("a", "{\"type\":\"keyword\",\"is_tenant\":true,\"on_disk\":false}", "a",
                 "{\"data_type\":\"keyword\",\"params\":{\"type\":\"keyword\",\"is_tenant\":true,"
                 "\"on_disk\":false},\"points\":7}");
    CHECK(true);
}

static void check_schema_refused(const char *key, const char *schema, const char *message)
{
    oct_arena arena;
    oct_field_config config;
    oct_error error = { .message = "" };
    oct_arena_init(&arena, &model_malloc, 0);
    const oct_json *json = schema ? model_json(&arena, schema) : NULL;
    oct_status status = oct_field_config_parse(&arena, oct_str_of(key), json, &config, &error);
    oct_arena_reset(&arena);
    CHECK_EQ_U64(status, OCT_BAD_INPUT);
    CHECK_EQ_STR(error.message, message);
}

TEST(other_schemas_are_refused)
{
    check_schema_refused("a", NULL,
                         "Bad request: Can't auto-detect field type, please specify `field_schema` "
                         "in the request");
    check_schema_refused("a", "null",
                         "Bad request: Can't auto-detect field type, please specify `field_schema` "
                         "in the request");
    check_schema_refused("a", "\"geo\"",
                         "Wrong input: field_schema: payload indexes of type `geo` are not "
                         "supported yet");
    check_schema_refused("a", "{\"type\":\"text\"}",
                         "Wrong input: field_schema: payload indexes of type `text` are not "
                         "supported yet");
    check_schema_refused("a", "\"word\"",
                         FORMAT "field_schema: unknown type `word`, expected one of `keyword`, "
                                "`integer`, `float`, `bool`");
    check_schema_refused("a", "{}", FORMAT "field_schema: missing field `type`");
    check_schema_refused("a", "5", FORMAT "field_schema: expected a type's name, got integer");
    check_schema_refused("a", "{\"type\":\"bool\",\"on_disk\":\"yes\"}",
                         FORMAT "field_schema.on_disk: invalid type: string, expected a boolean");
    check_schema_refused("a b", "\"bool\"",
                         "Invalid json path: 'a b' (at byte 1): expected a form like a.b, a[].b, "
                         "a[0] or \"quoted key\"");
    CHECK(true);
}

/* ---- lost memory ------------------------------------------------------------------------ */

static oct_status sweep_body(const oct_alloc *alloc, void *arg)
{
    oct_status status = OCT_OK;
    oct_arena arena;
    const oct_json *json;
    oct_collection_config config;
    const oct_collection_config *copy = NULL;
    oct_field_config field;
    oct_arena_init(&arena, alloc, 0);
    TRY(oct_json_parse(&arena, oct_str_of(arg), &json, NULL));
    TRY(oct_config_parse(&arena, json, &config, NULL));
    TRY(oct_config_copy(alloc, &config, &copy, NULL));
    TRY(oct_json_parse(&arena, OCT_STR("{\"type\":\"keyword\",\"on_disk\":true}"), &json, NULL));
    TRY(oct_field_config_parse(&arena, OCT_STR("a.b"), json, &field, NULL));
done:
    oct_config_free(alloc, copy);
    oct_arena_reset(&arena);
    return status;
}

TEST(every_lost_allocation_is_nomem)
{
    char body[8000];
    random_body(body, sizeof body);
    CHECK(model_sweep(sweep_body, body));
}

/* payload_m of vector 0, for an index with these parameters. */
static uint64_t payload_m(uint64_t m, uint64_t own, uint64_t common, const char *params)
{
    oct_vector_params vector = { .size = 4,
                                 .hnsw = { OCT_UNSET, OCT_UNSET, OCT_UNSET, OCT_UNSET, OCT_UNSET,
                                           OCT_UNSET, own, OCT_UNSET } };
    oct_collection_config config = { .vectors = &vector, .vector_count = 1 };
    config.hnsw = (oct_hnsw_config){ m,         OCT_UNSET, OCT_UNSET, OCT_UNSET,
                                     OCT_UNSET, OCT_UNSET, common,    OCT_UNSET };
    const oct_field_config field = { .key = OCT_STR("k"), .params = oct_str_of(params) };
    CHECK_OR(0, oct_config_has_graph(&config, 0) ==
                    (m > 0 || (own != OCT_UNSET ? own > 0 : common != OCT_UNSET && common > 0)));
    return oct_config_payload_m(&config, 0, &field);
}

/* Where rows, codes, graph and payloads of a body with one vector lie, as digits. */
static unsigned placements(const char *body)
{
    oct_arena arena;
    oct_collection_config config;
    unsigned out = 9999;
    oct_arena_init(&arena, &model_malloc, 0);
    if (parses(&arena, body, &config))
        out = (unsigned)oct_config_rows_placement(&config, 0) * 1000 +
              (unsigned)oct_config_codes_placement(&config, 0) * 100 +
              (unsigned)oct_config_graph_placement(&config, 0) * 10 +
              (unsigned)oct_config_payload_placement(&config);
    oct_arena_reset(&arena);
    return out;
}

TEST(where_parts_are_kept)
{
#define PLACED(rest) "{\"vectors\":{\"size\":4,\"distance\":\"Dot\"" rest "}"
#define CODES(rest)  ",\"quantization_config\":{\"scalar\":{\"type\":\"int8\"" rest "}}"
    CHECK_EQ_U64(placements(PLACED("}")), 1110);
    CHECK_EQ_U64(placements(PLACED(",\"on_disk\":true}")), 10);
    CHECK_EQ_U64(placements(PLACED(",\"on_disk\":true,\"memory\":\"cached\"}")), 1110);
    CHECK_EQ_U64(placements(PLACED(",\"on_disk\":false,\"memory\":\"cold\"}")), 10);
    CHECK_EQ_U64(placements(PLACED(",\"memory\":\"cold\"}" CODES(",\"always_ram\":true"))), 210);
    CHECK_EQ_U64(placements(PLACED(",\"memory\":\"cold\"}" CODES(",\"always_ram\":false"))), 10);
    CHECK_EQ_U64(placements(PLACED("}" CODES(",\"always_ram\":true,\"memory\":\"cold\""))), 1010);
    CHECK_EQ_U64(placements(PLACED("},\"hnsw_config\":{\"on_disk\":true}")), 1100);
    CHECK_EQ_U64(placements(PLACED("},\"hnsw_config\":{\"on_disk\":true,\"memory\":\"pinned\"}")),
                 1120);
    CHECK_EQ_U64(placements(PLACED(",\"hnsw_config\":{\"memory\":\"cold\"}}")), 1100);
    CHECK_EQ_U64(placements(PLACED("},\"on_disk_payload\":false")), 1111);
    CHECK_EQ_U64(
        placements(PLACED("},\"on_disk_payload\":false,\"payload\":{\"memory\":\"cold\"}")), 1110);
    check_refused(PLACED(",\"memory\":\"warm\"}"), OCT_BAD_INPUT,
                  FORMAT "vectors.memory: expected one of `cold`, `cached`, `pinned`");
    check_refused(PLACED(",\"memory\":\"pinned\"}"), OCT_VALIDATION,
                  "Validation error in JSON body: [vectors.memory: `pinned` memory placement is "
                  "not supported for dense vector storage]");
    check_refused("{\"vectors\":{\"a\":{\"size\":4,\"distance\":\"Dot\",\"memory\":\"pinned\"}}}",
                  OCT_VALIDATION,
                  "Validation error in JSON body: [vectors.?.memory: `pinned` memory placement is "
                  "not supported for dense vector storage]");
    check_refused("{\"payload\":{\"memory\":\"pinned\"}}", OCT_VALIDATION,
                  "Validation error in JSON body: [payload.memory: `pinned` memory placement is "
                  "not supported for payload storage]");
    check_refused("{\"hnsw_config\":{\"memory\":1}}", OCT_BAD_INPUT,
                  FORMAT "hnsw_config.memory: expected one of `cold`, `cached`, `pinned`");
#undef PLACED
#undef CODES
}

TEST(which_indexes_get_links_within_blocks)
{
    static const char plain[] = "{\"type\":\"keyword\"}";
    static const char tenant[] = "{\"type\":\"keyword\",\"is_tenant\":true,\"on_disk\":false}";
    static const char off[] = "{\"type\":\"integer\",\"is_tenant\":true,\"enable_hnsw\":false}";
    static const char on[] = "{\"type\":\"bool\",\"is_tenant\":false,\"enable_hnsw\":true}";
    CHECK_EQ_U64(payload_m(16, OCT_UNSET, OCT_UNSET, ""), 0);
    CHECK_EQ_U64(payload_m(16, OCT_UNSET, OCT_UNSET, plain), 0);
    CHECK_EQ_U64(payload_m(16, OCT_UNSET, OCT_UNSET, on), 0);
    CHECK_EQ_U64(payload_m(16, OCT_UNSET, OCT_UNSET, tenant), 16);
    CHECK_EQ_U64(payload_m(16, OCT_UNSET, OCT_UNSET, off), 0);
    CHECK_EQ_U64(payload_m(0, OCT_UNSET, 8, ""), 8);
    CHECK_EQ_U64(payload_m(0, OCT_UNSET, 8, on), 8);
    CHECK_EQ_U64(payload_m(0, OCT_UNSET, 8, off), 0);
    CHECK_EQ_U64(payload_m(16, 4, 8, plain), 4);
    CHECK_EQ_U64(payload_m(16, 0, 8, tenant), 0);
    CHECK_EQ_U64(payload_m(0, OCT_UNSET, OCT_UNSET, tenant), 0);
}

TEST_MAIN(configs_are_shown_as_qdrant_does, given_settings_are_shown,
          vectors_override_the_collection, unknown_vectors_are_not_found,
          stored_configs_come_back_equal, different_configs_are_not_equal,
          values_out_of_range_are_validation_errors, wrong_types_are_format_errors,
          what_is_missing_is_said, forms_of_vectors, vector_names_are_checked,
          the_number_of_vectors_is_limited, index_schemas_are_strings_or_objects,
          other_schemas_are_refused, every_lost_allocation_is_nomem, where_parts_are_kept,
          which_indexes_get_links_within_blocks)
