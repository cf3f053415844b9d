/* SPDX-License-Identifier: Apache-2.0
 *
 * config_quantization.c - `quantization_config`: from JSON and back.
 *
 * Four forms are told apart by their member: {"scalar": {..}}, {"product": {..}}, {"binary": {..}},
 * {"turbo": {..}}. Where several stand side by side the first of these counts, as in Qdrant, which
 * tries them in this order. `always_ram` and `memory` are kept and shown; both are wishes about
 * memory that change no answer. */
#include <math.h>

#include "base/str.h"
#include "model/config.h"
#include "model/config_settings.h"

/* Words of one member; words[i] stands for values[i], or for i when values is NULL. */
typedef struct word_list {
    const char *const *words;
    const uint64_t *values;
    uint32_t count;
    const char *expected;
} word_list;

static const char *const compression_words[] = { "x4", "x8", "x16", "x32", "x64" };
static const uint64_t compression_values[] = { 4, 8, 16, 32, 64 };
static const word_list compressions = { compression_words, compression_values, 5,
                                        "`x4`, `x8`, `x16`, `x32`, `x64`" };
static const char *const encoding_words[] = { "one_bit", "two_bits", "one_and_half_bits" };
static const word_list encodings = { encoding_words, NULL, 3,
                                     "`one_bit`, `two_bits`, `one_and_half_bits`" };
static const char *const query_words[] = { "default", "binary", "scalar4bits", "scalar8bits" };
static const word_list query_encodings = { query_words, NULL, 4,
                                           "`default`, `binary`, `scalar4bits`, `scalar8bits`" };
static const char *const bits_words[] = { "bits1", "bits1_5", "bits2", "bits4" };
static const word_list turbo_bits = { bits_words, NULL, 4, "`bits1`, `bits1_5`, `bits2`, `bits4`" };
const char *const oct_placement_words[OCT_PLACEMENT_PINNED + 1] = { "cold", "cached", "pinned" };
static const word_list memories = { oct_placement_words, NULL, 3, "`cold`, `cached`, `pinned`" };

static const char *const kind_names[OCT_QUANTIZATION_COUNT] = { "", "scalar", "product", "binary",
                                                                "turbo" };

const char *oct_quantization_name(oct_quantization_kind kind)
{
    ASSERT((unsigned)kind < OCT_QUANTIZATION_COUNT);
    return kind_names[kind];
}

/* Where in the body the config stands, for messages. */
typedef struct quantization_place {
    const char *prefix; /* "vectors" or "" */
    oct_str name;       /* of a vector in a map; at NULL: none */
    const char *kind;   /* "scalar", ... */
} quantization_place;

/* "Format error in JSON body: vectors.a.quantization_config.scalar.MEMBER: WHAT". */
static oct_status fail_at(const quantization_place *place, const char *member, const char *what,
                          const char *expected, oct_error *error)
{
    return oct_fail(error, OCT_BAD_INPUT,
                    "Format error in JSON body: %s%s%.*s%squantization_config%s%s%s%s: %s%s",
                    place->prefix, place->name.at ? "." : "", (int)place->name.bytes,
                    place->name.at ? place->name.at : "", *place->prefix ? "." : "",
                    *place->kind ? "." : "", place->kind, *member ? "." : "", member, what,
                    expected);
}

static const oct_json *member_of(const oct_json *object, const char *name)
{
    const oct_json *value = oct_json_get(object, oct_str_of(name));
    return value && oct_json_kind_of(value) != OCT_JSON_NULL ? value : NULL;
}

static oct_status parse_word(const oct_json *object, const char *name, const word_list *list,
                             const quantization_place *place, uint64_t *out, oct_error *error)
{
    const oct_json *value = member_of(object, name);
    *out = OCT_UNSET;
    if (!value) return OCT_OK;
    for (uint32_t i = 0; i < list->count && oct_json_kind_of(value) == OCT_JSON_STRING; i++)
        if (oct_str_equal(oct_json_string(value), oct_str_of(list->words[i]))) {
            *out = list->values ? list->values[i] : i;
            return OCT_OK;
        }
    return fail_at(place, name, "expected one of ", list->expected, error);
}

static oct_status parse_quantile(const oct_json *object, const quantization_place *place,
                                 float *out, oct_error *error)
{
    const oct_json *value = member_of(object, "quantile");
    if (!value) return OCT_OK;
    if (!oct_json_is_number(value))
        return fail_at(place, "quantile", "expected a number", "", error);
    double quantile = oct_json_number(value);
    if (!(quantile >= 0.5 && quantile <= 1.0))
        return oct_fail(error, OCT_VALIDATION,
                        "Validation error in JSON body: [%s%s%squantization_config.scalar.quantile:"
                        " value %g invalid, must be from 0.5 to 1.0]",
                        place->prefix, place->name.at ? ".?" : "", *place->prefix ? "." : "",
                        quantile);
    *out = (float)quantile;
    return OCT_OK;
}

static oct_status parse_always_ram(const oct_json *object, const quantization_place *place,
                                   uint64_t *out, oct_error *error)
{
    const oct_json *value = member_of(object, "always_ram");
    if (!value) return OCT_OK;
    if (oct_json_kind_of(value) != OCT_JSON_BOOL)
        return fail_at(place, "always_ram", "expected a boolean", "", error);
    *out = oct_json_bool(value);
    return OCT_OK;
}

static oct_status parse_scalar(const oct_json *object, const quantization_place *place,
                               oct_quantization_config *out, oct_error *error)
{
    const oct_json *type = member_of(object, "type");
    if (!type) return fail_at(place, "", "missing field `type`", "", error);
    if (oct_json_kind_of(type) != OCT_JSON_STRING ||
        !oct_str_equal(oct_json_string(type), OCT_STR("int8")))
        return fail_at(place, "type", "expected ", "`int8`", error);
    return parse_quantile(object, place, &out->quantile, error);
}

static oct_status parse_kind(const oct_json *object, const quantization_place *place,
                             oct_quantization_config *out, oct_error *error)
{
    oct_status status = OCT_OK;
    switch (out->kind) {
    case OCT_QUANTIZATION_SCALAR:
        TRY(parse_scalar(object, place, out, error));
        break;
    case OCT_QUANTIZATION_PRODUCT:
        TRY(parse_word(object, "compression", &compressions, place, &out->compression, error));
        if (out->compression == OCT_UNSET)
            TRY(fail_at(place, "", "missing field `compression`", "", error));
        break;
    case OCT_QUANTIZATION_BINARY:
        TRY(parse_word(object, "encoding", &encodings, place, &out->encoding, error));
        TRY(parse_word(object, "query_encoding", &query_encodings, place, &out->query_encoding,
                       error));
        break;
    case OCT_QUANTIZATION_TURBO:
        TRY(parse_word(object, "bits", &turbo_bits, place, &out->bits, error));
        break;
    case OCT_QUANTIZATION_NONE:
    case OCT_QUANTIZATION_COUNT:
        break;
    }
    TRY(parse_always_ram(object, place, &out->always_ram, error));
    TRY(parse_word(object, "memory", &memories, place, &out->memory, error));
done:
    return status;
}

static oct_quantization_config unset(oct_quantization_kind kind)
{
    return (oct_quantization_config){ .kind = kind,
                                      .quantile = NAN,
                                      .compression = OCT_UNSET,
                                      .encoding = OCT_UNSET,
                                      .query_encoding = OCT_UNSET,
                                      .bits = OCT_UNSET,
                                      .always_ram = OCT_UNSET,
                                      .memory = OCT_UNSET };
}

oct_status oct_quantization_parse(const oct_json *owner, const char *prefix, oct_str name,
                                  oct_quantization_config *out, oct_error *error)
{
    quantization_place place = { .prefix = prefix, .name = name, .kind = "" };
    const oct_json *config = member_of(owner, "quantization_config");
    if (!config && !*prefix) config = member_of(owner, "quantization");
    *out = unset(OCT_QUANTIZATION_NONE);
    if (!config) return OCT_OK;
    for (int kind = 1; kind < OCT_QUANTIZATION_COUNT; kind++) {
        if (oct_json_kind_of(config) != OCT_JSON_OBJECT) break;
        const oct_json *object = member_of(config, kind_names[kind]);
        if (!object) continue;
        place.kind = kind_names[kind];
        if (oct_json_kind_of(object) != OCT_JSON_OBJECT)
            return fail_at(&place, "", "expected an object", "", error);
        *out = unset((oct_quantization_kind)kind);
        return parse_kind(object, &place, out, error);
    }
    return fail_at(&place, "", "expected an object with one of ",
                   "`scalar`, `product`, `binary`, `turbo`", error);
}

oct_status oct_quantization_parse_update(const oct_json *owner, const char *prefix, oct_str name,
                                         oct_quantization_config *out, oct_error *error)
{
    const oct_json *config = member_of(owner, "quantization_config");
    if (!config && !*prefix) config = member_of(owner, "quantization");
    if (!config || oct_json_kind_of(config) != OCT_JSON_STRING)
        return oct_quantization_parse(owner, prefix, name, out, error);
    *out = unset(OCT_QUANTIZATION_NONE);
    out->disabled = oct_str_equal(oct_json_string(config), OCT_STR("Disabled"));
    if (out->disabled) return OCT_OK;
    quantization_place place = { .prefix = prefix, .name = name, .kind = "" };
    return fail_at(&place, "", "expected an object or ", "`Disabled`", error);
}

/* ---- writing ---------------------------------------------------------------------------- */

static void write_word(oct_json_writer *writer, const char *name, const word_list *list,
                       uint64_t value)
{
    if (value == OCT_UNSET) return;
    for (uint32_t i = 0; i < list->count; i++) {
        if ((list->values ? list->values[i] : i) != value) continue;
        oct_json_key(writer, oct_str_of(name));
        oct_json_write_str(writer, oct_str_of(list->words[i]));
    }
}

void oct_quantization_write(oct_json_writer *writer, const oct_quantization_config *config)
{
    ASSERT(config->kind > OCT_QUANTIZATION_NONE && config->kind < OCT_QUANTIZATION_COUNT);
    oct_json_begin_object(writer);
    oct_json_key(writer, oct_str_of(kind_names[config->kind]));
    oct_json_begin_object(writer);
    if (config->kind == OCT_QUANTIZATION_SCALAR) {
        oct_json_key(writer, OCT_STR("type"));
        oct_json_write_str(writer, OCT_STR("int8"));
        if (!isnan(config->quantile)) {
            oct_json_key(writer, OCT_STR("quantile"));
            oct_json_write_float(writer, config->quantile);
        }
    }
    write_word(writer, "compression", &compressions, config->compression);
    if (config->always_ram != OCT_UNSET) {
        oct_json_key(writer, OCT_STR("always_ram"));
        oct_json_write_bool(writer, config->always_ram != 0);
    }
    write_word(writer, "memory", &memories, config->memory);
    write_word(writer, "encoding", &encodings, config->encoding);
    write_word(writer, "query_encoding", &query_encodings, config->query_encoding);
    write_word(writer, "bits", &turbo_bits, config->bits);
    oct_json_end_object(writer);
    oct_json_end_object(writer);
}

bool oct_quantization_equal(const oct_quantization_config *a, const oct_quantization_config *b)
{
    if (a->kind != b->kind) return false;
    if (a->kind == OCT_QUANTIZATION_NONE) return true;
    bool quantiles = isnan(a->quantile) ? isnan(b->quantile)
                                        : a->quantile >= b->quantile && a->quantile <= b->quantile;
    return quantiles && a->compression == b->compression && a->encoding == b->encoding &&
           a->query_encoding == b->query_encoding && a->bits == b->bits &&
           a->always_ram == b->always_ram && a->memory == b->memory;
}
