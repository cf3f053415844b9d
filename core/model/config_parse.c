/* SPDX-License-Identifier: Apache-2.0
 *
 * config_parse.c - the body of a create-collection request as an oct_collection_config, and that
 * of an update-collection request as what it changes.
 *
 * Messages name the JSON path of the first mistake: wrong types and words as a format error
 * (400), values out of range as a validation error (422, where Qdrant spells a vector's name in a
 * map as `?`). Settings that would change what a search finds and that Octant does not have are
 * refused, never ignored. */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "model/config.h"
#include "model/config_settings.h"
#include "model/payload.h"

/* Qdrant's bound, because there a name becomes a directory. */
enum { VECTOR_NAME_BYTES_MAX = 200 };
STATIC_ASSERT(VECTOR_NAME_BYTES_MAX <= (int)OCT_VECTOR_NAME_BYTES_MAX, "Qdrant's bound is ours");

/* Of a threshold that is kept to be shown again. */
#define SIZE_MAX_SCAN (UINT64_C(1) << 50)

/* Where in the body a record stands, for messages. */
typedef struct record_place {
    const char *prefix; /* "vectors" */
    oct_str name;       /* of a vector in a map; at NULL: none */
    const char *suffix; /* ".hnsw_config", or "" */
} record_place;

static oct_status fail_type(const record_place *place, const char *member, const oct_json *value,
                            const char *expected, oct_error *error)
{
    return oct_fail(error, OCT_BAD_INPUT,
                    "Format error in JSON body: %s%s%.*s%s%s%s: invalid type: %s, expected %s",
                    place->prefix, place->name.at ? "." : "", (int)place->name.bytes,
                    place->name.at ? place->name.at : "", place->suffix, *place->prefix ? "." : "",
                    member, oct_json_kind_name(value), expected);
}

static oct_status fail_range(const record_place *place, const oct_config_setting *setting,
                             uint64_t value, oct_error *error)
{
    const char *dot = *place->prefix ? "." : "";
    const char *name = place->name.at ? ".?" : "";
    if (value < setting->min)
        return oct_fail(error, OCT_VALIDATION,
                        "Validation error in JSON body: [%s%s%s%s%s: value %" PRIu64
                        " invalid, must be %" PRIu64 " or larger]",
                        place->prefix, name, place->suffix, dot, setting->name, value,
                        setting->min);
    return oct_fail(error, OCT_VALIDATION,
                    "Validation error in JSON body: [%s%s%s%s%s: value %" PRIu64
                    " invalid, must be %" PRIu64 " or smaller]",
                    place->prefix, name, place->suffix, dot, setting->name, value, setting->max);
}

static oct_status fail_unsupported(const record_place *place, const char *member, oct_error *error)
{
    return oct_fail(error, OCT_BAD_INPUT, "Wrong input: %s%s%.*s%s%s is not supported yet",
                    place->prefix, place->name.at ? "." : "", (int)place->name.bytes,
                    place->name.at ? place->name.at : "", *place->prefix ? "." : "", member);
}

/* A member that is there and not null, or NULL. */
static const oct_json *member_of(const oct_json *object, const char *name)
{
    const oct_json *value = oct_json_get(object, oct_str_of(name));
    return value && oct_json_kind_of(value) != OCT_JSON_NULL ? value : NULL;
}

static bool is_string(const oct_json *value, const char *text)
{
    return oct_json_kind_of(value) == OCT_JSON_STRING &&
           oct_str_equal(oct_json_string(value), oct_str_of(text));
}

static oct_status parse_placement(const oct_json *value, const oct_config_setting *setting,
                                  const record_place *place, void *record, oct_error *error)
{
    uint64_t word = 0;
    while (word < ARRAY_COUNT(oct_placement_words) && !is_string(value, oct_placement_words[word]))
        word++;
    if (word == ARRAY_COUNT(oct_placement_words))
        return oct_fail(error, OCT_BAD_INPUT,
                        "Format error in JSON body: %s%s%.*s%s%s%s: expected one of `cold`, "
                        "`cached`, `pinned`",
                        place->prefix, place->name.at ? "." : "", (int)place->name.bytes,
                        place->name.at ? place->name.at : "", place->suffix,
                        *place->prefix ? "." : "", setting->name);
    if (word > setting->max)
        return oct_fail(error, OCT_VALIDATION,
                        "Validation error in JSON body: [%s%s%s.%s: `%s` memory placement is not "
                        "supported for %s storage]",
                        place->prefix, place->name.at ? ".?" : "", place->suffix, setting->name,
                        oct_placement_words[word],
                        place->name.at || strcmp(place->prefix, "vectors") == 0 ? "dense vector"
                                                                                : "payload");
    oct_setting_set(setting, record, word);
    return OCT_OK;
}

/* Read one setting into the record; it stays as it is when the body does not have it. */
static oct_status parse_setting(const oct_json *object, const oct_config_setting *setting,
                                const record_place *place, void *record, oct_error *error)
{
    const oct_json *value = member_of(object, setting->name);
    if (!value && setting->alias) value = member_of(object, setting->alias);
    if (!value) return OCT_OK;
    if (setting->form == OCT_SETTING_PLACEMENT)
        return parse_placement(value, setting, place, record, error);
    if (setting->form == OCT_SETTING_BOOLEAN) {
        if (oct_json_kind_of(value) != OCT_JSON_BOOL)
            return fail_type(place, setting->name, value, "a boolean", error);
        oct_setting_set(setting, record, oct_json_bool(value));
        return OCT_OK;
    }
    if (oct_json_kind_of(value) != OCT_JSON_UINT)
        return fail_type(place, setting->name, value, "an unsigned integer", error);
    uint64_t number = oct_json_uint(value);
    if (number == 0 && setting->form == OCT_SETTING_COUNT)
        return oct_fail(error, OCT_BAD_INPUT,
                        "Format error in JSON body: %s%s%s: invalid value: integer `0`, expected a "
                        "nonzero u32",
                        place->prefix, *place->prefix ? "." : "", setting->name);
    if (number < setting->min || number > setting->max)
        return fail_range(place, setting, number, error);
    oct_setting_set(setting, record, number);
    return OCT_OK;
}

static oct_status parse_settings(const oct_json *object, const oct_config_setting *settings,
                                 size_t count, const record_place *place, void *record,
                                 oct_error *error)
{
    oct_status status = OCT_OK;
    for (size_t i = 0; i < count; i++)
        TRY(parse_setting(object, &settings[i], place, record, error));
done:
    return status;
}

/* *out is the member when it is an object, NULL when it is missing or null. */
static oct_status object_member(const oct_json *object, const record_place *place, const char *name,
                                const oct_json **out, oct_error *error)
{
    *out = member_of(object, name);
    if (*out && oct_json_kind_of(*out) != OCT_JSON_OBJECT)
        return fail_type(place, name, *out, "an object", error);
    return OCT_OK;
}

static void unset_all(const oct_config_setting *settings, size_t count, void *record)
{
    for (size_t i = 0; i < count; i++)
        oct_setting_set(&settings[i], record, OCT_UNSET);
}

static oct_status parse_hnsw(const oct_json *owner, record_place place, oct_hnsw_config *out,
                             oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_json *object;
    unset_all(oct_hnsw_settings, OCT_HNSW_SETTINGS, out);
    TRY(object_member(owner, &place, "hnsw_config", &object, error));
    if (!object) return OCT_OK;
    if (*place.prefix)
        place.suffix = ".hnsw_config";
    else
        place.prefix = "hnsw_config";
    TRY(parse_settings(object, oct_hnsw_settings, OCT_HNSW_SETTINGS, &place, out, error));
done:
    return status;
}

/* ---- vectors ---------------------------------------------------------------------------- */

static oct_status parse_size(const oct_json *object, const record_place *place, uint32_t *out,
                             oct_error *error)
{
    const oct_json *value = oct_json_get(object, OCT_STR("size"));
    if (!value)
        return oct_fail(error, OCT_BAD_INPUT,
                        "Format error in JSON body: %s%s%.*s: missing field `size`", place->prefix,
                        place->name.at ? "." : "", (int)place->name.bytes,
                        place->name.at ? place->name.at : "");
    if (oct_json_kind_of(value) != OCT_JSON_UINT)
        return fail_type(place, "size", value, "an integer from 1 to 65536", error);
    uint64_t size = oct_json_uint(value);
    if (size == 0) /* a format error in Qdrant, as its type there has no zero */
        return oct_fail(error, OCT_BAD_INPUT,
                        "Format error in JSON body: %s%s%.*s.size: invalid value: integer `0`, "
                        "expected an integer from 1 to 65536",
                        place->prefix, place->name.at ? "." : "", (int)place->name.bytes,
                        place->name.at ? place->name.at : "");
    if (size > OCT_VECTOR_SIZE_MAX)
        return oct_fail(error, OCT_VALIDATION,
                        "Validation error in JSON body: [%s%s.size: value %" PRIu64
                        " invalid, must be from 1 to %d]",
                        place->prefix, place->name.at ? ".?" : "", size, (int)OCT_VECTOR_SIZE_MAX);
    *out = (uint32_t)size;
    return OCT_OK;
}

static oct_status parse_metric(const oct_json *object, const record_place *place, oct_metric *out,
                               oct_error *error)
{
    const oct_json *value = oct_json_get(object, OCT_STR("distance"));
    if (value)
        for (int i = 0; i < OCT_METRIC_COUNT; i++)
            if (is_string(value, oct_metric_name((oct_metric)i))) {
                *out = (oct_metric)i;
                return OCT_OK;
            }
    return oct_fail(error, OCT_BAD_INPUT,
                    "Format error in JSON body: %s%s%.*s.distance: expected one of `Cosine`, "
                    "`Euclid`, `Dot`, `Manhattan`",
                    place->prefix, place->name.at ? "." : "", (int)place->name.bytes,
                    place->name.at ? place->name.at : "");
}

/* {"comparator": "max_sim"} makes a vector a multivector. */
static oct_status parse_multivector(const oct_json *owner, const record_place *place,
                                    oct_vector_kind *out, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_json *object;
    TRY(object_member(owner, place, "multivector_config", &object, error));
    if (!object) return OCT_OK;
    const oct_json *comparator = oct_json_get(object, OCT_STR("comparator"));
    if (!comparator || !is_string(comparator, "max_sim"))
        TRY(oct_fail(error, OCT_BAD_INPUT,
                     "Format error in JSON body: %s%s%.*s.multivector_config.comparator: expected "
                     "`max_sim`",
                     place->prefix, place->name.at ? "." : "", (int)place->name.bytes,
                     place->name.at ? place->name.at : ""));
    *out = OCT_VECTOR_MULTI;
done:
    return status;
}

static oct_status parse_datatype(const oct_json *owner, const record_place *place,
                                 oct_datatype *out, bool *given, oct_error *error)
{
    const oct_json *value = member_of(owner, "datatype");
    *given = value != NULL;
    if (!value) return OCT_OK;
    for (int i = 0; i < OCT_DATATYPE_COUNT; i++)
        if (is_string(value, oct_datatype_name((oct_datatype)i))) {
            *out = (oct_datatype)i;
            return OCT_OK;
        }
    return oct_fail(error, OCT_BAD_INPUT,
                    "Format error in JSON body: %s%s%.*s%s.datatype: expected one of `float32`, "
                    "`float16`, `uint8`, `turbo4`",
                    place->prefix, place->name.at ? "." : "", (int)place->name.bytes,
                    place->name.at ? place->name.at : "", place->suffix);
}

static const oct_config_setting vector_settings[] = {
    { "on_disk", NULL, offsetof(oct_vector_params, on_disk), 0, 1, OCT_UNSET, OCT_SETTING_BOOLEAN,
      false },
    { "memory", NULL, offsetof(oct_vector_params, memory), 0, OCT_PLACEMENT_CACHED, OCT_UNSET,
      OCT_SETTING_PLACEMENT, false },
};

static oct_status parse_vector(const oct_json *object, oct_str name, oct_vector_params *out,
                               oct_error *error)
{
    oct_status status = OCT_OK;
    record_place place = { .prefix = "vectors", .name = name, .suffix = "" };
    *out = (oct_vector_params){ .on_disk = OCT_UNSET, .memory = OCT_UNSET };
    if (name.at) out->name = name;
    TRY(parse_size(object, &place, &out->size, error));
    TRY(parse_metric(object, &place, &out->metric, error));
    TRY(parse_settings(object, vector_settings, ARRAY_COUNT(vector_settings), &place, out, error));
    TRY(parse_hnsw(object, place, &out->hnsw, error));
    TRY(oct_quantization_parse(object, "vectors", name, &out->quantization, error));
    TRY(parse_multivector(object, &place, &out->kind, error));
    TRY(parse_datatype(object, &place, &out->datatype, &out->has_datatype, error));
done:
    return status;
}

/* `form`: "dense" or "sparse". */
static oct_status check_vector_name(oct_str name, const char *form, oct_error *error)
{
    static const char forbidden[] = "<>:\"/\\|?*\x1f"; /* and NUL, which ends the string */
    if (name.bytes > VECTOR_NAME_BYTES_MAX)
        return oct_fail(error, OCT_BAD_INPUT,
                        "Wrong input: Invalid %s vector name `%.*s`: vector name must be at "
                        "most %d bytes long",
                        form, oct_str_shown(name, VECTOR_NAME_BYTES_MAX), name.at,
                        VECTOR_NAME_BYTES_MAX);
    for (size_t i = 0; i < name.bytes; i++)
        if (memchr(forbidden, name.at[i], sizeof forbidden))
            return oct_fail(error, OCT_BAD_INPUT,
                            "Wrong input: Invalid %s vector name `%.*s`: vector name cannot "
                            "contain \"%c\" char",
                            form, (int)name.bytes, name.at, name.at[i] ? name.at[i] : '0');
    return OCT_OK;
}

/* Insert into the sorted array of `count` vectors: Qdrant lists vectors by name. */
static void insert_by_name(oct_vector_params *vectors, uint32_t count, oct_vector_params vector)
{
    uint32_t at = count;
    for (; at > 0 && oct_str_compare(vectors[at - 1].name, vector.name) > 0; at--)
        vectors[at] = vectors[at - 1];
    vectors[at] = vector;
}

static oct_status parse_vector_map(oct_arena *arena, const oct_json *map,
                                   oct_collection_config *out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_vector_params *vectors;
    size_t count = oct_json_count(map);
    if (count > OCT_NAMED_VECTORS_MAX)
        TRY(oct_fail(error, OCT_BAD_INPUT,
                     "Wrong input: vectors: %zu vectors; at most %d are allowed", count,
                     (int)OCT_NAMED_VECTORS_MAX));
    TRY(oct_arena_array(arena, count, sizeof *vectors, &vectors, error));
    oct_str name = { NULL, 0 };
    oct_json_iter iter = oct_json_iterate(map);
    const oct_json *value;
    while ((value = oct_json_next(&iter, &name)) != NULL) {
        if (oct_json_get(map, name) != value) continue; /* a duplicate: the last one counts */
        oct_vector_params vector;
        TRY(check_vector_name(name, "dense", error));
        TRY(oct_arena_str(arena, name, &name, error));
        if (oct_json_kind_of(value) != OCT_JSON_OBJECT)
            TRY(fail_type(&(record_place){ .prefix = "vectors", .suffix = "" }, name.at, value,
                          "an object", error));
        TRY(parse_vector(value, name, &vector, error));
        insert_by_name(vectors, out->vector_count, vector);
        out->vector_count++;
    }
    out->vectors = vectors;
done:
    return status;
}

/* One object with a size is the unnamed vector, any other object a map of names. */
static oct_status parse_vectors(oct_arena *arena, const oct_json *body, oct_collection_config *out,
                                oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_json *value = oct_json_get(body, OCT_STR("vectors"));
    if (!value) return OCT_OK;
    if (oct_json_kind_of(value) != OCT_JSON_OBJECT)
        TRY(fail_type(&(record_place){ .prefix = "", .suffix = "" }, "vectors", value,
                      "vector parameters or a map of them", error));
    const oct_json *size = oct_json_get(value, OCT_STR("size"));
    const oct_json *distance = oct_json_get(value, OCT_STR("distance"));
    out->single_vector = (size && oct_json_kind_of(size) != OCT_JSON_OBJECT) ||
                         (distance && oct_json_kind_of(distance) != OCT_JSON_OBJECT);
    if (!out->single_vector) return parse_vector_map(arena, value, out, error);
    oct_vector_params *vector;
    TRY(oct_arena_array(arena, 1, sizeof *vector, &vector, error));
    TRY(parse_vector(value, (oct_str){ NULL, 0 }, vector, error));
    out->vectors = vector;
    out->vector_count = 1;
done:
    return status;
}

/* ---- sparse vectors --------------------------------------------------------------------- */

static oct_status parse_sparse_index(const oct_json *owner, record_place place,
                                     oct_sparse_params *out, oct_error *error)
{
    static const oct_config_setting settings[] = {
        { "full_scan_threshold", NULL, offsetof(oct_sparse_params, full_scan_threshold), 0,
          SIZE_MAX_SCAN, OCT_UNSET, OCT_SETTING_NUMBER, false },
        { "on_disk", NULL, offsetof(oct_sparse_params, on_disk), 0, 1, OCT_UNSET,
          OCT_SETTING_BOOLEAN, false },
        { "memory", NULL, offsetof(oct_sparse_params, memory), 0, OCT_PLACEMENT_PINNED, OCT_UNSET,
          OCT_SETTING_PLACEMENT, false },
    };
    oct_status status = OCT_OK;
    const oct_json *object;
    oct_datatype datatype = OCT_DATATYPE_FLOAT32;
    bool given = false;
    unset_all(settings, ARRAY_COUNT(settings), out);
    out->datatype = OCT_UNSET;
    TRY(object_member(owner, &place, "index", &object, error));
    if (!object) return OCT_OK;
    out->has_index = true;
    place.suffix = ".index";
    TRY(parse_settings(object, settings, ARRAY_COUNT(settings), &place, out, error));
    TRY(parse_datatype(object, &place, &datatype, &given, error));
    if (datatype == OCT_DATATYPE_TURBO4)
        TRY(oct_fail(error, OCT_VALIDATION,
                     "Validation error in JSON body: [sparse_vectors.?.index.datatype: sparse "
                     "vectors do not support the `turbo4` datatype]"));
    if (given) out->datatype = (uint64_t)datatype;
done:
    return status;
}

static oct_status parse_sparse_vector(const oct_json *object, oct_str name, oct_vector_params *out,
                                      oct_error *error)
{
    oct_status status = OCT_OK;
    record_place place = { .prefix = "sparse_vectors", .name = name, .suffix = "" };
    *out = (oct_vector_params){ .name = name,
                                .kind = OCT_VECTOR_SPARSE,
                                .on_disk = OCT_UNSET,
                                .memory = OCT_UNSET,
                                .metric = OCT_METRIC_DOT };
    unset_all(oct_hnsw_settings, OCT_HNSW_SETTINGS, &out->hnsw);
    TRY(parse_sparse_index(object, place, &out->sparse, error));
    const oct_json *modifier = member_of(object, "modifier");
    if (!modifier) return OCT_OK;
    out->sparse.has_modifier = true;
    out->sparse.idf = is_string(modifier, "idf");
    if (!out->sparse.idf && !is_string(modifier, "none"))
        TRY(oct_fail(error, OCT_BAD_INPUT,
                     "Format error in JSON body: sparse_vectors.%.*s.modifier: expected one of "
                     "`none`, `idf`",
                     (int)name.bytes, name.at));
done:
    return status;
}

/* One member of sparse_vectors; its name must be new. */
static oct_status add_sparse_vector(oct_arena *arena, const oct_json *value, oct_str name,
                                    oct_vector_params *vectors, oct_collection_config *out,
                                    oct_error *error)
{
    oct_status status = OCT_OK;
    oct_vector_params vector;
    uint32_t dense = 0;
    TRY(check_vector_name(name, "sparse", error));
    if (name.bytes == 0)
        TRY(oct_fail(error, OCT_BAD_INPUT, "Wrong input: a sparse vector needs a name"));
    TRY(oct_arena_str(arena, name, &name, error));
    if (oct_json_kind_of(value) != OCT_JSON_OBJECT)
        TRY(fail_type(&(record_place){ .prefix = "sparse_vectors", .suffix = "" }, name.at, value,
                      "an object", error));
    if (oct_config_find_vector(out, name) != OCT_CONFIG_NO_VECTOR)
        TRY(oct_fail(error, OCT_BAD_INPUT,
                     "Wrong input: Vector name `%.*s` is used for a dense and a sparse vector",
                     (int)name.bytes, name.at));
    TRY(parse_sparse_vector(value, name, &vector, error));
    while (dense < out->vector_count && vectors[dense].kind != OCT_VECTOR_SPARSE)
        dense++;
    insert_by_name(vectors + dense, out->vector_count - dense, vector);
    out->vector_count++;
done:
    return status;
}

/* They stand behind the others, in the order of their names. */
static oct_status parse_sparse_vectors(oct_arena *arena, const oct_json *body,
                                       const record_place *top, oct_collection_config *out,
                                       oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_json *map, *value;
    oct_vector_params *vectors;
    oct_str name = { NULL, 0 };
    TRY(object_member(body, top, "sparse_vectors", &map, error));
    if (!map || oct_json_count(map) == 0) return OCT_OK;
    size_t count = oct_json_count(map) + out->vector_count;
    if (count > OCT_NAMED_VECTORS_MAX)
        TRY(oct_fail(error, OCT_BAD_INPUT,
                     "Wrong input: sparse_vectors: %zu vectors in all; at most %d are allowed",
                     count, (int)OCT_NAMED_VECTORS_MAX));
    TRY(oct_arena_array(arena, count, sizeof *vectors, &vectors, error));
    for (uint32_t i = 0; i < out->vector_count; i++)
        vectors[i] = out->vectors[i];
    out->vectors = vectors;
    oct_json_iter iter = oct_json_iterate(map);
    while ((value = oct_json_next(&iter, &name)) != NULL) {
        if (oct_json_get(map, name) != value) continue; /* a duplicate: the last one counts */
        TRY(add_sparse_vector(arena, value, name, vectors, out, error));
    }
done:
    return status;
}

/* ---- the rest --------------------------------------------------------------------------- */

static oct_status parse_optimizers(const oct_json *body, const record_place *top,
                                   oct_optimizers_config *out, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_json *object;
    const record_place place = { .prefix = "optimizers_config", .suffix = "" };
    unset_all(oct_optimizer_settings, OCT_OPTIMIZER_SETTINGS, out);
    out->deleted_threshold = NAN;
    TRY(object_member(body, top, "optimizers_config", &object, error));
    if (!object) TRY(object_member(body, top, "optimizer_config", &object, error));
    if (!object) return OCT_OK;
    const oct_json *threshold = member_of(object, "deleted_threshold");
    if (threshold) {
        if (!oct_json_is_number(threshold))
            TRY(fail_type(&place, "deleted_threshold", threshold, "a number", error));
        out->deleted_threshold = oct_json_number(threshold);
        if (out->deleted_threshold < 0 || out->deleted_threshold > 1)
            TRY(oct_fail(error, OCT_VALIDATION,
                         "Validation error in JSON body: [optimizers_config.deleted_threshold: "
                         "value invalid, must be from 0.0 to 1.0]"));
    }
    const oct_json *prevent = member_of(object, "prevent_unoptimized");
    if (prevent && (oct_json_kind_of(prevent) != OCT_JSON_BOOL || oct_json_bool(prevent)))
        TRY(fail_unsupported(&place, "prevent_unoptimized", error));
    const oct_json *threads = member_of(object, "max_optimization_threads");
    bool automatic = threads && is_string(threads, "auto");
    size_t count = OCT_OPTIMIZER_SETTINGS;
    if (automatic) count--; /* it is the last one of the table */
    if (automatic) out->max_optimization_threads = OCT_AUTO;
    TRY(parse_settings(object, oct_optimizer_settings, count, &place, out, error));
done:
    return status;
}

static oct_status parse_payload(const oct_json *owner, record_place place,
                                oct_collection_config *out, oct_error *error)
{
    static const oct_config_setting memory = { "memory",
                                               NULL,
                                               offsetof(oct_collection_config, payload_memory),
                                               0,
                                               OCT_PLACEMENT_CACHED,
                                               OCT_UNSET,
                                               OCT_SETTING_PLACEMENT,
                                               false };
    const oct_json *object;
    out->payload_memory = OCT_UNSET;
    oct_status status = object_member(owner, &place, "payload", &object, error);
    if (*place.prefix)
        place.suffix = ".payload";
    else
        place.prefix = "payload";
    if (status == OCT_OK && object) status = parse_setting(object, &memory, &place, out, error);
    return status;
}

static oct_status refuse_strict_mode(const oct_json *body, const record_place *top,
                                     oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_json *strict;
    TRY(object_member(body, top, "strict_mode_config", &strict, error));
    const oct_json *enabled = strict ? member_of(strict, "enabled") : NULL;
    if (enabled && (oct_json_kind_of(enabled) != OCT_JSON_BOOL || oct_json_bool(enabled)))
        TRY(fail_unsupported(top, "strict_mode_config.enabled", error));
done:
    return status;
}

static oct_status refuse_unsupported(const oct_json *body, const record_place *top,
                                     oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(refuse_strict_mode(body, top, error));
    const oct_json *sharding = member_of(body, "sharding_method");
    if (sharding && !is_string(sharding, "auto"))
        TRY(fail_unsupported(top, "sharding_method other than auto", error));
done:
    return status;
}

static oct_status parse_metadata(oct_arena *arena, const oct_json *body, const record_place *top,
                                 oct_str *out, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_json *metadata;
    TRY(object_member(body, top, "metadata", &metadata, error));
    if (!metadata) return OCT_OK;
    TRY(oct_payload_from_json(arena, metadata, out, error));
    TRY(oct_config_check_metadata(*out, error));
done:
    return status;
}

oct_status oct_config_parse(oct_arena *arena, const oct_json *body, oct_collection_config *out,
                            oct_error *error)
{
    oct_status status = OCT_OK;
    const record_place top = { .prefix = "", .suffix = "" };
    const record_place wal_place = { .prefix = "wal_config", .suffix = "" };
    oct_collection_config config = { .vector_count = 0 };
    for (size_t i = 0; i < OCT_COLLECTION_SETTINGS; i++)
        oct_setting_set(&oct_collection_settings[i], &config,
                        oct_collection_settings[i].default_value);
    if (oct_json_kind_of(body) != OCT_JSON_OBJECT)
        TRY(fail_type(&top, "the body", body, "an object", error));
    TRY(refuse_unsupported(body, &top, error));
    TRY(parse_vectors(arena, body, &config, error));
    TRY(parse_sparse_vectors(arena, body, &top, &config, error));
    TRY(parse_settings(body, oct_collection_settings + OCT_WAL_SETTINGS,
                       OCT_COLLECTION_SETTINGS - OCT_WAL_SETTINGS, &top, &config, error));
    TRY(parse_hnsw(body, top, &config.hnsw, error));
    TRY(oct_quantization_parse(body, "", (oct_str){ NULL, 0 }, &config.quantization, error));
    TRY(parse_payload(body, top, &config, error));
    const oct_json *wal;
    TRY(object_member(body, &top, "wal_config", &wal, error));
    if (wal)
        TRY(parse_settings(wal, oct_collection_settings, OCT_WAL_SETTINGS, &wal_place, &config,
                           error));
    TRY(parse_optimizers(body, &top, &config.optimizers, error));
    if (config.optimizers.max_optimization_threads == OCT_AUTO)
        config.optimizers.max_optimization_threads = OCT_UNSET;
    TRY(parse_metadata(arena, body, &top, &config.metadata, error));
    *out = config;
done:
    return status;
}

/* ---- updates ---------------------------------------------------------------------------- */

/* What is given of one vector that must be there already. */
static oct_status parse_vector_update(const oct_json *object, oct_str name, oct_vector_params *out,
                                      oct_error *error)
{
    oct_status status = OCT_OK;
    record_place place = { .prefix = "vectors", .name = name, .suffix = "" };
    *out = (oct_vector_params){ .name = name, .on_disk = OCT_UNSET, .memory = OCT_UNSET };
    TRY(parse_settings(object, vector_settings, ARRAY_COUNT(vector_settings), &place, out, error));
    TRY(parse_hnsw(object, place, &out->hnsw, error));
    TRY(oct_quantization_parse_update(object, "vectors", name, &out->quantization, error));
done:
    return status;
}

/* The members of `vectors` or `sparse_vectors`, behind the vectors there are in `out`. */
static oct_status parse_vector_updates(oct_arena *arena, const oct_json *body,
                                       const record_place *top, const char *member,
                                       oct_collection_config *out, oct_error *error)
{
    oct_status status = OCT_OK;
    bool sparse = *member == 's';
    const oct_json *map, *value;
    oct_vector_params *vectors;
    oct_str name = { NULL, 0 };
    TRY(object_member(body, top, member, &map, error));
    if (!map) return OCT_OK;
    size_t count = oct_json_count(map) + out->vector_count;
    if (count > OCT_NAMED_VECTORS_MAX)
        TRY(oct_fail(error, OCT_BAD_INPUT, "Wrong input: %s: %zu vectors; at most %d are allowed",
                     member, count, (int)OCT_NAMED_VECTORS_MAX));
    TRY(oct_arena_array(arena, count, sizeof *vectors, &vectors, error));
    for (uint32_t i = 0; i < out->vector_count; i++)
        vectors[i] = out->vectors[i];
    out->vectors = vectors;
    oct_json_iter iter = oct_json_iterate(map);
    while ((value = oct_json_next(&iter, &name)) != NULL) {
        if (oct_json_get(map, name) != value) continue; /* a duplicate: the last one counts */
        TRY(oct_arena_str(arena, name, &name, error));
        if (oct_json_kind_of(value) != OCT_JSON_OBJECT)
            TRY(fail_type(&(record_place){ .prefix = member, .suffix = "" }, name.at, value,
                          "an object", error));
        oct_vector_params *vector = &vectors[out->vector_count++];
        TRY(sparse ? parse_sparse_vector(value, name, vector, error)
                   : parse_vector_update(value, name, vector, error));
    }
done:
    return status;
}

static oct_status parse_params(const oct_json *body, const record_place *top,
                               oct_collection_config *out, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_json *params;
    const record_place place = { .prefix = "params", .suffix = "" };
    out->payload_memory = OCT_UNSET;
    TRY(object_member(body, top, "params", &params, error));
    if (!params) return OCT_OK;
    TRY(parse_payload(params, place, out, error));
    TRY(parse_settings(params,
                       oct_collection_settings + OCT_COLLECTION_SETTINGS - OCT_PARAMS_SETTINGS,
                       OCT_PARAMS_SETTINGS, &place, out, error));
done:
    return status;
}

oct_status oct_config_parse_update(oct_arena *arena, const oct_json *body,
                                   oct_collection_config *out, oct_error *error)
{
    oct_status status = OCT_OK;
    const record_place top = { .prefix = "", .suffix = "" };
    oct_collection_config update = { .vector_count = 0 };
    unset_all(oct_collection_settings, OCT_COLLECTION_SETTINGS, &update);
    if (oct_json_kind_of(body) != OCT_JSON_OBJECT)
        TRY(fail_type(&top, "the body", body, "an object", error));
    TRY(refuse_strict_mode(body, &top, error));
    TRY(parse_vector_updates(arena, body, &top, "vectors", &update, error));
    TRY(parse_vector_updates(arena, body, &top, "sparse_vectors", &update, error));
    TRY(parse_params(body, &top, &update, error));
    TRY(parse_hnsw(body, top, &update.hnsw, error));
    TRY(oct_quantization_parse_update(body, "", (oct_str){ NULL, 0 }, &update.quantization, error));
    TRY(parse_optimizers(body, &top, &update.optimizers, error));
    TRY(parse_metadata(arena, body, &top, &update.metadata, error));
    *out = update;
done:
    return status;
}
