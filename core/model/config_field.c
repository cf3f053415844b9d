/* SPDX-License-Identifier: Apache-2.0
 *
 * config_field.c - the schema of a payload index: from JSON and back.
 *
 * Parameters are kept as text, because hardly anything but the API looks at them: most tune
 * Qdrant's own structures (`lookup`, `range`, `on_disk`), ours serve all conditions at once. Two
 * say which fields get links within blocks (segment/links.c): `is_tenant` and `enable_hnsw`. */
#include <string.h>

#include "base/str.h"
#include "model/config.h"
#include "model/config_settings.h"
#include "model/json_path.h"

static const char *const type_names[OCT_FIELD_TYPE_COUNT] = { "keyword", "integer", "float",
                                                              "bool" };
static const char *const later_types[] = { "geo", "text", "datetime", "uuid" };

/* Parameters that are booleans; a bit per type that takes them. */
static const struct {
    const char *name;
    unsigned types;
} bool_params[] = {
    { "is_tenant", 1u << OCT_FIELD_KEYWORD },
    { "lookup", 1u << OCT_FIELD_INTEGER },
    { "range", 1u << OCT_FIELD_INTEGER },
    { "is_principal", 1u << OCT_FIELD_INTEGER | 1u << OCT_FIELD_FLOAT },
    { "on_disk", ~0u },
    { "enable_hnsw", ~0u },
    { "prefix", 1u << OCT_FIELD_KEYWORD },
};

bool oct_field_config_flag(const oct_field_config *config, const char *name, bool otherwise)
{
    /* The text is ours, minified: no name is part of another, and no string holds one. */
    size_t length = strlen(name);
    for (size_t at = 0; at + length + 2 < config->params.bytes; at++) {
        const char *text = config->params.at + at;
        if (*text != '"' || memcmp(text + 1, name, length) != 0) continue;
        if (text[length + 1] == '"' && text[length + 2] == ':')
            return at + length + 3 < config->params.bytes && text[length + 3] == 't';
    }
    return otherwise;
}

const char *oct_field_type_name(oct_field_type type)
{
    ASSERT((unsigned)type < OCT_FIELD_TYPE_COUNT);
    return type_names[type];
}

static oct_status parse_type(const oct_json *value, oct_field_type *out, oct_error *error)
{
    if (oct_json_kind_of(value) != OCT_JSON_STRING)
        return oct_fail(error, OCT_BAD_INPUT,
                        "Format error in JSON body: field_schema: expected a type's name, got %s",
                        oct_json_kind_name(value));
    oct_str name = oct_json_string(value);
    for (int i = 0; i < OCT_FIELD_TYPE_COUNT; i++)
        if (oct_str_equal(name, oct_str_of(type_names[i]))) {
            *out = (oct_field_type)i;
            return OCT_OK;
        }
    for (size_t i = 0; i < ARRAY_COUNT(later_types); i++)
        if (oct_str_equal(name, oct_str_of(later_types[i])))
            return oct_fail(error, OCT_BAD_INPUT,
                            "Wrong input: field_schema: payload indexes of type `%s` are not "
                            "supported yet",
                            later_types[i]);
    return oct_fail(error, OCT_BAD_INPUT,
                    "Format error in JSON body: field_schema: unknown type `%.*s`, expected one of "
                    "`keyword`, `integer`, `float`, `bool`",
                    oct_str_shown(name, 200), name.at);
}

/* Indexes lie where their file does, whatever is asked for: the word is kept to be shown. */
static oct_status parse_memory(const oct_json *schema, oct_json_writer *writer, oct_error *error)
{
    const oct_json *value = oct_json_get(schema, OCT_STR("memory"));
    if (!value || oct_json_kind_of(value) == OCT_JSON_NULL) return OCT_OK;
    for (size_t i = 0; i < ARRAY_COUNT(oct_placement_words); i++) {
        oct_str word = oct_str_of(oct_placement_words[i]);
        if (oct_json_kind_of(value) != OCT_JSON_STRING ||
            !oct_str_equal(oct_json_string(value), word))
            continue;
        oct_json_key(writer, OCT_STR("memory"));
        oct_json_write_str(writer, word);
        return OCT_OK;
    }
    return oct_fail(error, OCT_BAD_INPUT,
                    "Format error in JSON body: field_schema.memory: expected one of `cold`, "
                    "`cached`, `pinned`");
}

/* Copy the known parameters, minified and in a fixed order, into *out. */
static oct_status parse_params(oct_arena *arena, const oct_json *schema, oct_field_type type,
                               oct_str *out, oct_error *error)
{
    enum { PARAMS_BYTES_MAX = 4096 };
    oct_status status = OCT_OK;
    oct_buf buf;
    oct_json_writer writer;
    oct_buf_init(&buf, arena->alloc, PARAMS_BYTES_MAX);
    oct_json_writer_init(&writer, &buf);
    oct_json_begin_object(&writer);
    oct_json_key(&writer, OCT_STR("type"));
    oct_json_write_str(&writer, oct_str_of(type_names[type]));
    for (size_t i = 0; i < ARRAY_COUNT(bool_params); i++) {
        const oct_json *value = oct_json_get(schema, oct_str_of(bool_params[i].name));
        if (!value || !(bool_params[i].types >> type & 1)) continue;
        if (oct_json_kind_of(value) == OCT_JSON_NULL) continue;
        if (oct_json_kind_of(value) != OCT_JSON_BOOL)
            TRY(oct_fail(error, OCT_BAD_INPUT,
                         "Format error in JSON body: field_schema.%s: invalid type: %s, expected a "
                         "boolean",
                         bool_params[i].name, oct_json_kind_name(value)));
        oct_json_key(&writer, oct_str_of(bool_params[i].name));
        oct_json_write_bool(&writer, oct_json_bool(value));
    }
    TRY(parse_memory(schema, &writer, error));
    oct_json_end_object(&writer);
    if (oct_json_writer_status(&writer) != OCT_OK) TRY(oct_fail_nomem(error, "index parameters"));
    TRY(oct_arena_str(arena, (oct_str){ (const char *)buf.at, buf.bytes }, out, error));
done:
    oct_buf_deinit(&buf);
    return status;
}

oct_status oct_field_config_parse(oct_arena *arena, oct_str key, const oct_json *schema,
                                  oct_field_config *out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_json_path path;
    oct_field_config config = { .type = OCT_FIELD_KEYWORD };
    TRY(oct_json_path_parse(arena, key, &path, error));
    TRY(oct_json_path_print(arena, &path, &config.key, error));
    if (!schema || oct_json_kind_of(schema) == OCT_JSON_NULL)
        TRY(oct_fail(error, OCT_BAD_INPUT,
                     "Bad request: Can't auto-detect field type, please specify `field_schema` in "
                     "the request"));
    if (oct_json_kind_of(schema) == OCT_JSON_OBJECT) {
        const oct_json *type = oct_json_get(schema, OCT_STR("type"));
        if (!type)
            TRY(oct_fail(error, OCT_BAD_INPUT,
                         "Format error in JSON body: field_schema: missing field `type`"));
        TRY(parse_type(type, &config.type, error));
        TRY(parse_params(arena, schema, config.type, &config.params, error));
    } else {
        TRY(parse_type(schema, &config.type, error));
    }
    *out = config;
done:
    return status;
}

void oct_field_config_write(oct_json_writer *writer, const oct_field_config *config,
                            uint64_t points)
{
    oct_json_begin_object(writer);
    oct_json_key(writer, OCT_STR("data_type"));
    oct_json_write_str(writer, oct_str_of(oct_field_type_name(config->type)));
    if (config->params.bytes) {
        oct_json_key(writer, OCT_STR("params"));
        oct_json_write_raw(writer, config->params);
    }
    oct_json_key(writer, OCT_STR("points"));
    oct_json_write_uint(writer, points);
    oct_json_end_object(writer);
}

void oct_field_config_store(oct_json_writer *writer, const oct_field_config *config)
{
    if (config->params.bytes)
        oct_json_write_raw(writer, config->params);
    else
        oct_json_write_str(writer, oct_str_of(oct_field_type_name(config->type)));
}
