/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: quantization_config is read, kept, shown and refused as Qdrant does, for a collection and
 * for one vector.
 * Method: bodies and their shown forms, by hand; every form survives storage. */
#include "model/config.h"
#include "model_support.h"

static bool parses(oct_arena *arena, const char *body, oct_collection_config *out)
{
    oct_error error = { .message = "" };
    if (oct_config_parse(arena, model_json(arena, body), out, &error) == OCT_OK) return true;
    printf("%s\n", error.message);
    return false;
}

static oct_str written(oct_arena *arena,
                       void (*write)(oct_json_writer *writer, const oct_collection_config *config),
                       const oct_collection_config *config)
{
    oct_buf buf;
    oct_json_writer writer;
    oct_str text = { NULL, 0 };
    oct_buf_init(&buf, &model_malloc, 1 << 16);
    oct_json_writer_init(&writer, &buf);
    write(&writer, config);
    if (oct_json_writer_status(&writer) == OCT_OK &&
        oct_arena_str(arena, (oct_str){ (const char *)buf.at, buf.bytes }, &text, NULL) != OCT_OK)
        abort();
    oct_buf_deinit(&buf);
    return text;
}

/* The config is shown with `form` for the collection and for the vector, which has `own`; storing
 * and reading it again changes nothing; a copy is equal, and another config isn't. */
static void check_forms(const char *form, const char *own, const char *shown_form,
                        const char *shown_own)
{
    oct_arena arena;
    oct_collection_config config, back, other;
    const oct_collection_config *copy;
    const oct_json *stored;
    char body[1024], wanted[512];
    oct_arena_init(&arena, &model_malloc, 0);
    snprintf(body, sizeof body,
             "{\"vectors\":{\"a\":{\"size\":4,\"distance\":\"Dot\",\"quantization_config\":%s},"
             "\"b\":{\"size\":4,\"distance\":\"Dot\"}},\"quantization_config\":%s}",
             own, form);
    CHECK(parses(&arena, body, &config));
    oct_str shown = written(&arena, oct_config_write, &config);
    snprintf(wanted, sizeof wanted, "},\"quantization_config\":%s}", shown_form);
    CHECK(strstr(shown.at, wanted) != NULL);
    snprintf(wanted, sizeof wanted, "\"distance\":\"Dot\",\"quantization_config\":%s}", shown_own);
    CHECK(strstr(shown.at, wanted) != NULL);
    CHECK(oct_json_parse(&arena, written(&arena, oct_config_store, &config), &stored, NULL) ==
          OCT_OK);
    CHECK(oct_config_parse(&arena, stored, &back, NULL) == OCT_OK);
    CHECK(oct_config_equal(&config, &back));
    CHECK(oct_config_copy(&model_malloc, &config, &copy, NULL) == OCT_OK);
    CHECK(oct_config_equal(&config, copy));
    oct_config_free(&model_malloc, copy);
    CHECK(oct_config_quantization(&config, 0) == &config.vectors[0].quantization);
    CHECK(oct_config_quantization(&config, 1) == &config.quantization);
    CHECK(parses(&arena,
                 "{\"vectors\":{\"a\":{\"size\":4,\"distance\":\"Dot\"},"
                 "\"b\":{\"size\":4,\"distance\":\"Dot\"}}}",
                 &other));
    CHECK(!oct_config_equal(&config, &other));
    CHECK(oct_config_quantization(&other, 0) == NULL);
    oct_arena_reset(&arena);
}

TEST(what_is_given_is_shown)
{
    check_forms("{\"scalar\":{\"type\":\"int8\"}}",
                "{ \"scalar\": { \"always_ram\": true, \"quantile\": 0.99, \"type\": \"int8\" } }",
                "{\"scalar\":{\"type\":\"int8\"}}",
                "{\"scalar\":{\"type\":\"int8\",\"quantile\":0.99,\"always_ram\":true}}");
    check_forms("{\"scalar\":{\"type\":\"int8\",\"quantile\":1,\"memory\":\"pinned\"}}",
                "{\"scalar\":{\"type\":\"int8\",\"quantile\":null,\"what\":7,"
                "\"always_ram\":false}}",
                "{\"scalar\":{\"type\":\"int8\",\"quantile\":1.0,\"memory\":\"pinned\"}}",
                "{\"scalar\":{\"type\":\"int8\",\"always_ram\":false}}");
    check_forms("{\"turbo\":{}}", "{\"turbo\":{\"bits\":\"bits1_5\",\"memory\":\"cached\"}}",
                "{\"turbo\":{}}", "{\"turbo\":{\"memory\":\"cached\",\"bits\":\"bits1_5\"}}");
    check_forms("{\"product\":{\"compression\":\"x4\"}}",
                "{\"product\":{\"always_ram\":false,\"compression\":\"x64\"}}",
                "{\"product\":{\"compression\":\"x4\"}}",
                "{\"product\":{\"compression\":\"x64\",\"always_ram\":false}}");
    check_forms("{\"binary\":{}}",
                "{\"binary\":{\"encoding\":\"two_bits\",\"query_encoding\":\"scalar4bits\","
                "\"always_ram\":true,\"memory\":\"cold\"}}",
                "{\"binary\":{}}",
                "{\"binary\":{\"always_ram\":true,\"memory\":\"cold\",\"encoding\":\"two_bits\","
                "\"query_encoding\":\"scalar4bits\"}}");
    check_forms("{\"binary\":{\"encoding\":\"one_and_half_bits\",\"query_encoding\":"
                "\"scalar8bits\"}}",
                "{\"binary\":{\"encoding\":\"one_bit\",\"query_encoding\":\"binary\"}}",
                "{\"binary\":{\"encoding\":\"one_and_half_bits\",\"query_encoding\":"
                "\"scalar8bits\"}}",
                "{\"binary\":{\"encoding\":\"one_bit\",\"query_encoding\":\"binary\"}}");
    CHECK(true);
}

TEST(the_older_name_is_taken_and_null_is_nothing)
{
    oct_arena arena;
    oct_collection_config config;
    oct_arena_init(&arena, &model_malloc, 0);
    CHECK(parses(&arena, "{\"quantization\":{\"scalar\":{\"type\":\"int8\"}}}", &config));
    CHECK(config.quantization.kind == OCT_QUANTIZATION_SCALAR);
    CHECK(parses(&arena, "{\"quantization_config\":null}", &config));
    CHECK(config.quantization.kind == OCT_QUANTIZATION_NONE);
    oct_arena_reset(&arena);
}

static void check_refused(const char *config, oct_status wanted, const char *message)
{
    static const char *const places[] = { "", "vectors.", "vectors.v." };
    static const char *const bodies[] = {
        "{\"quantization_config\":%s}",
        "{\"vectors\":{\"size\":4,\"distance\":\"Dot\",\"quantization_config\":%s}}",
        "{\"vectors\":{\"v\":{\"size\":4,\"distance\":\"Dot\",\"quantization_config\":%s}}}"
    };
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++) {
        oct_arena arena;
        oct_collection_config parsed;
        oct_error error = { .message = "" };
        char body[512], full[512];
        bool hides_name = wanted == OCT_VALIDATION && i == 2;
        snprintf(body, sizeof body, bodies[i], config);
        snprintf(full, sizeof full, message, hides_name ? "vectors.?." : places[i]);
        oct_arena_init(&arena, &model_malloc, 0);
        oct_status status = oct_config_parse(&arena, model_json(&arena, body), &parsed, &error);
        oct_arena_reset(&arena);
        if (status == wanted && strcmp(error.message, full) == 0) continue;
        printf("status %d: %s\n", (int)status, error.message);
        test_fail(__FILE__, __LINE__, body);
    }
}

TEST(mistakes_are_refused)
{
#define FORMAT "Format error in JSON body: %squantization_config"
    static const char forms[] =
        FORMAT ": expected an object with one of `scalar`, `product`, `binary`, `turbo`";
    check_refused("{}", OCT_BAD_INPUT, forms);
    check_refused("7", OCT_BAD_INPUT, forms);
    check_refused("\"Disabled\"", OCT_BAD_INPUT, forms);
    check_refused("{\"scalar\":null}", OCT_BAD_INPUT, forms);
    check_refused("{\"scalar\":[]}", OCT_BAD_INPUT, FORMAT ".scalar: expected an object");
    check_refused("{\"scalar\":{}}", OCT_BAD_INPUT, FORMAT ".scalar: missing field `type`");
    check_refused("{\"scalar\":{\"type\":\"int4\"}}", OCT_BAD_INPUT,
                  FORMAT ".scalar.type: expected `int8`");
    check_refused("{\"scalar\":{\"type\":\"int8\",\"quantile\":\"1\"}}", OCT_BAD_INPUT,
                  FORMAT ".scalar.quantile: expected a number");
    check_refused("{\"scalar\":{\"type\":\"int8\",\"always_ram\":1}}", OCT_BAD_INPUT,
                  FORMAT ".scalar.always_ram: expected a boolean");
    check_refused("{\"scalar\":{\"type\":\"int8\",\"memory\":\"warm\"}}", OCT_BAD_INPUT,
                  FORMAT ".scalar.memory: expected one of `cold`, `cached`, `pinned`");
    check_refused("{\"product\":{}}", OCT_BAD_INPUT,
                  FORMAT ".product: missing field `compression`");
    check_refused("{\"product\":{\"compression\":\"x3\"}}", OCT_BAD_INPUT,
                  FORMAT ".product.compression: expected one of `x4`, `x8`, `x16`, `x32`, `x64`");
    check_refused("{\"binary\":{\"encoding\":4}}", OCT_BAD_INPUT,
                  FORMAT ".binary.encoding: expected one of `one_bit`, `two_bits`, "
                         "`one_and_half_bits`");
    check_refused("{\"binary\":{\"query_encoding\":\"scalar\"}}", OCT_BAD_INPUT,
                  FORMAT ".binary.query_encoding: expected one of `default`, `binary`, "
                         "`scalar4bits`, `scalar8bits`");
    check_refused("{\"turbo\":{\"bits\":4}}", OCT_BAD_INPUT,
                  FORMAT ".turbo.bits: expected one of `bits1`, `bits1_5`, `bits2`, `bits4`");
    CHECK(true);
}

TEST(values_out_of_range_are_validation_errors)
{
#define RANGE "Validation error in JSON body: [%squantization_config.scalar.quantile: value "
    check_refused("{\"scalar\":{\"type\":\"int8\",\"quantile\":0.49}}", OCT_VALIDATION,
                  RANGE "0.49 invalid, must be from 0.5 to 1.0]");
    check_refused("{\"scalar\":{\"type\":\"int8\",\"quantile\":2}}", OCT_VALIDATION,
                  RANGE "2 invalid, must be from 0.5 to 1.0]");
    CHECK(true);
}

TEST_MAIN(what_is_given_is_shown, the_older_name_is_taken_and_null_is_nothing, mistakes_are_refused,
          values_out_of_range_are_validation_errors)
