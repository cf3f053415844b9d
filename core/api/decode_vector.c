/* SPDX-License-Identifier: Apache-2.0
 *
 * decode_vector.c - vectors, and the two unions around them: the vectors of a point, and a query.
 *
 * Numbers go straight from the parsed JSON into one float array in the arena. With the bulk lane
 * (octant.h) a vector is {"$f32":[start,count]}: a range of floats the caller passed beside the
 * JSON, used in place. Only finite numbers pass either way. */
#include "api/decode_parts.h"

#include <math.h>

#include "base/str.h"

/* {"text"|"image"|"object": .., "model": "name"}: something to embed. */
static bool is_inference(const oct_node *object)
{
    oct_node model = oct_node_member(object, "model");
    return oct_node_is(&model, OCT_JSON_STRING) &&
           (oct_node_member(object, "text").value || oct_node_member(object, "image").value ||
            oct_node_member(object, "object").value);
}

static bool is_bulk(const oct_decoder *decoder, const oct_node *node)
{
    return decoder->floats && oct_node_is(node, OCT_JSON_OBJECT) &&
           oct_node_member(node, "$f32").value;
}

/* The first item tells, which may be of the bulk lane. */
static bool is_array_of_rows(const oct_decoder *decoder, const oct_node *node)
{
    if (!oct_node_is(node, OCT_JSON_ARRAY) || oct_json_count(node->value) == 0) return false;
    oct_items items = oct_items_of(node);
    oct_node first;
    return oct_items_next(&items, &first) &&
           (oct_node_is(&first, OCT_JSON_ARRAY) || is_bulk(decoder, &first));
}

/* ---- one vector ---------------------------------------------------------------------- */

static oct_status read_numbers(oct_decoder *decoder, const oct_node *node, const float **out,
                               uint32_t *count)
{
    oct_status status = OCT_OK;
    size_t length = oct_json_count(node->value);
    float *values = NULL;
    TRY(oct_arena_array(decoder->arena, length, sizeof *values, &values, decoder->error));
    size_t good = oct_json_floats(node->value, values);
    if (good < length) {
        oct_items items = oct_items_of(node);
        oct_node item = { .value = NULL };
        for (size_t i = 0; i <= good; i++)
            (void)oct_items_next(&items, &item); /* it is there */
        if (!oct_json_is_number(item.value)) TRY(oct_unexpected(decoder, &item, "a number"));
        TRY(OCT_FAIL_AT(decoder, &item, OCT_BAD_INPUT, "number does not fit a 32-bit float"));
    }
    *out = values;
    *count = (uint32_t)length;
done:
    return status;
}

/* The two integers of {"$f32":[start,count]}. */
static oct_status read_bulk_range(oct_decoder *decoder, const oct_node *range, uint64_t bounds[2])
{
    oct_status status = OCT_OK;
    oct_node item;
    if (!oct_node_is(range, OCT_JSON_ARRAY) || oct_json_count(range->value) != 2)
        TRY(OCT_FAIL_AT(decoder, range, OCT_BAD_INPUT, "expected [start, count]"));
    oct_items items = oct_items_of(range);
    while (oct_items_next(&items, &item)) {
        TRY(oct_expect(decoder, &item, OCT_JSON_UINT));
        bounds[item.index] = oct_json_uint(item.value);
    }
done:
    return status;
}

static oct_status read_bulk(oct_decoder *decoder, const oct_node *node, const float **out,
                            uint32_t *count)
{
    oct_status status = OCT_OK;
    uint64_t bounds[2] = { 0, 0 };
    oct_node range = oct_node_member(node, "$f32");
    TRY(read_bulk_range(decoder, &range, bounds));
    if (bounds[0] > decoder->float_count || bounds[1] > decoder->float_count - bounds[0] ||
        bounds[1] > UINT32_MAX)
        TRY(OCT_FAIL_AT(decoder, &range, OCT_BAD_INPUT,
                        "floats %" PRIu64 " to %" PRIu64 "+%" PRIu64 " are not inside the %" PRIu64
                        " passed",
                        bounds[0], bounds[0], bounds[1], (uint64_t)decoder->float_count));
    const float *values = decoder->floats + bounds[0];
    for (uint64_t i = 0; i < bounds[1]; i++)
        if (!isfinite(values[i]))
            TRY(OCT_FAIL_AT(decoder, &range, OCT_BAD_INPUT, "float %" PRIu64 " is not finite",
                            bounds[0] + i));
    *out = values;
    *count = (uint32_t)bounds[1];
done:
    return status;
}

oct_status oct_read_floats(oct_decoder *decoder, const oct_node *node, const float **out,
                           uint32_t *count)
{
    if (is_bulk(decoder, node)) return read_bulk(decoder, node, out, count);
    if (!oct_node_is(node, OCT_JSON_ARRAY))
        return oct_unexpected(decoder, node, "an array of numbers");
    return read_numbers(decoder, node, out, count);
}

oct_status oct_read_vector(oct_decoder *decoder, const oct_node *node, oct_named_vector *out)
{
    oct_status status = OCT_OK;
    oct_str name = out->name;
    *out = (oct_named_vector){ .name = name };
    if (oct_node_is_sparse(node)) return oct_read_sparse(decoder, node, out);
    if (is_array_of_rows(decoder, node)) return oct_read_multi(decoder, node, out);
    if (oct_node_is(node, OCT_JSON_OBJECT) && is_inference(node))
        return oct_refuse_node(decoder, node, "inference is");
    TRY(oct_read_floats(decoder, node, &out->values, &out->count));
    if (out->count == 0)
        TRY(OCT_FAIL_AT(decoder, node, OCT_VALIDATION, "dense vector must not be empty"));
done:
    return status;
}

/* ---- the vectors of a point ---------------------------------------------------------- */

/* Where to put the vector `name`: the slot of the same name (of duplicate members the last
 * counts), or the next free one. */
static oct_named_vector *slot_of(oct_named_vector *vectors, uint32_t *count, oct_str name)
{
    for (uint32_t i = 0; i < *count; i++)
        if (oct_str_equal(vectors[i].name, name)) return &vectors[i];
    return &vectors[(*count)++];
}

static oct_status read_named(oct_decoder *decoder, const oct_node *node,
                             const oct_named_vector **out, uint32_t *count)
{
    oct_status status = OCT_OK;
    oct_named_vector *vectors = NULL;
    oct_node item;
    size_t members = oct_json_count(node->value);
    if (members > OCT_NAMED_VECTORS_MAX)
        TRY(OCT_FAIL_AT(decoder, node, OCT_LIMIT,
                        "%" PRIu64 " named vectors, at most %d are allowed", (uint64_t)members,
                        OCT_NAMED_VECTORS_MAX));
    TRY(oct_arena_array(decoder->arena, members, sizeof *vectors, &vectors, decoder->error));
    *count = 0;
    oct_items items = oct_items_of(node);
    while (oct_items_next(&items, &item)) {
        oct_named_vector *vector = slot_of(vectors, count, item.key);
        vector->name = item.key;
        TRY(oct_read_vector(decoder, &item, vector));
    }
    *out = vectors;
done:
    return status;
}

oct_status oct_read_vectors(oct_decoder *decoder, const oct_node *node,
                            const oct_named_vector **out, uint32_t *count)
{
    oct_status status = OCT_OK;
    oct_named_vector *single = NULL;
    if (oct_node_is(node, OCT_JSON_OBJECT) && !is_bulk(decoder, node)) {
        if (is_inference(node)) return oct_refuse_node(decoder, node, "inference is");
        return read_named(decoder, node, out, count);
    }
    TRY(oct_arena_array(decoder->arena, 1, sizeof *single, &single, decoder->error));
    single->name = OCT_STR("");
    TRY(oct_read_vector(decoder, node, single));
    *out = single;
    *count = 1;
done:
    return status;
}

/* ---- a query ------------------------------------------------------------------------- */

oct_status oct_read_query_vector(oct_decoder *decoder, const oct_node *node, oct_query *out)
{
    oct_named_vector vector = { .values = NULL };
    oct_status status = oct_read_vector(decoder, node, &vector);
    out->vector = vector.values;
    out->vector_count = vector.count;
    out->vector_kind = vector.kind;
    out->vector_rows = vector.rows;
    out->vector_indices = vector.indices;
    return status;
}

/* A vector or the id of a stored point. */
static oct_status read_vector_input(oct_decoder *decoder, const oct_node *node, oct_query *out)
{
    if (oct_node_is(node, OCT_JSON_UINT) || oct_node_is(node, OCT_JSON_STRING)) {
        out->kind = OCT_QUERY_POINT;
        return oct_read_point_id(decoder, node, &out->point);
    }
    if (!oct_node_is(node, OCT_JSON_ARRAY) && !oct_node_is(node, OCT_JSON_OBJECT))
        return oct_unexpected(decoder, node, "some form of vector, id, or a type of query");
    out->kind = OCT_QUERY_VECTOR;
    return oct_read_query_vector(decoder, node, out);
}

oct_status oct_read_query_union(oct_decoder *decoder, const oct_node *node, oct_query *out)
{
    static const char *const later[] = { "recommend", "discover", "context",
                                         "order_by",  "fusion",   "rrf",
                                         "formula",   "sample",   "relevance_feedback" };
    oct_status status = OCT_OK;
    if (!oct_node_is(node, OCT_JSON_OBJECT) || is_bulk(decoder, node))
        return read_vector_input(decoder, node, out);
    for (size_t i = 0; i < ARRAY_COUNT(later); i++) {
        oct_node kind = oct_node_member(node, later[i]);
        if (kind.value) return oct_refuse_node(decoder, &kind, "this kind of query is");
    }
    oct_node nearest = oct_node_member(node, "nearest");
    if (!nearest.value) return read_vector_input(decoder, node, out);
    TRY(oct_refuse(decoder, node, "mmr"));
    TRY(read_vector_input(decoder, &nearest, out));
done:
    return status;
}
