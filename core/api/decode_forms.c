/* SPDX-License-Identifier: Apache-2.0
 *
 * decode_forms.c - the vectors that are not one row of numbers: {"indices":[..],"values":[..]} and
 * [[..],[..]].
 *
 * A sparse vector leaves here with its dimensions ascending, whatever order they came in: all else
 * relies on it. Sorting is a merge of runs, which costs the same for every input. */
#include <string.h>

#include "api/decode_parts.h"
#include "model/vector.h"

bool oct_node_is_sparse(const oct_node *node)
{
    return oct_node_is(node, OCT_JSON_OBJECT) && oct_node_member(node, "indices").value &&
           oct_node_member(node, "values").value;
}

/* ---- sparse -------------------------------------------------------------------------- */

static oct_status read_indices(oct_decoder *decoder, const oct_node *node, uint32_t *out)
{
    oct_status status = OCT_OK;
    oct_node item;
    oct_items items = oct_items_of(node);
    while (oct_items_next(&items, &item)) {
        TRY(oct_expect(decoder, &item, OCT_JSON_UINT));
        if (oct_json_uint(item.value) > UINT32_MAX)
            TRY(OCT_FAIL_AT(decoder, &item, OCT_BAD_INPUT,
                            "invalid value: integer `%" PRIu64 "`, expected u32",
                            oct_json_uint(item.value)));
        out[item.index] = (uint32_t)oct_json_uint(item.value);
    }
done:
    return status;
}

static void merge_runs(const uint64_t *from, uint64_t *to, size_t start, size_t middle, size_t end)
{
    size_t a = start, b = middle;
    for (size_t k = start; k < end; k++)
        to[k] = a < middle && (b >= end || from[a] <= from[b]) ? from[a++] : from[b++];
}

/* Bring a vector into the order of its dimensions. */
static oct_status sort_sparse(oct_arena *arena, uint32_t *indices, float *values, size_t count,
                              oct_error *error)
{
    oct_status status = OCT_OK;
    uint64_t *from, *to; /* a dimension, and where its value is */
    float *old;
    TRY(oct_arena_array(arena, count, sizeof *from, &from, error));
    TRY(oct_arena_array(arena, count, sizeof *to, &to, error));
    TRY(oct_arena_array(arena, count, sizeof *old, &old, error));
    for (size_t i = 0; i < count; i++)
        from[i] = (uint64_t)indices[i] << 32 | i;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width)
            merge_runs(from, to, start, MIN(start + width, count), MIN(start + 2 * width, count));
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    memcpy(old, values, count * sizeof *old);
    for (size_t i = 0; i < count; i++) {
        indices[i] = (uint32_t)(from[i] >> 32);
        values[i] = old[(uint32_t)from[i]];
    }
done:
    return status;
}

oct_status oct_read_sparse(oct_decoder *decoder, const oct_node *node, oct_named_vector *out)
{
    oct_status status = OCT_OK;
    oct_node list = oct_node_member(node, "indices"), numbers = oct_node_member(node, "values");
    const float *given = NULL;
    float *values;
    uint32_t *indices;
    uint32_t count = 0;
    TRY(oct_expect(decoder, &list, OCT_JSON_ARRAY));
    TRY(oct_read_floats(decoder, &numbers, &given, &count));
    if (oct_json_count(list.value) != count)
        TRY(OCT_FAIL_AT(decoder, &numbers, OCT_VALIDATION, "must be the same length as indices"));
    if (count > OCT_VECTOR_VALUES_MAX)
        TRY(OCT_FAIL_AT(decoder, node, OCT_LIMIT, "%" PRIu32 " values, at most %d are allowed",
                        count, (int)OCT_VECTOR_VALUES_MAX));
    TRY(oct_arena_array(decoder->arena, count, sizeof *indices, &indices, decoder->error));
    TRY(read_indices(decoder, &list, indices));
    if (!oct_vector_ascends(indices, count)) {
        TRY(oct_arena_array(decoder->arena, count, sizeof *values, &values, decoder->error));
        memcpy(values, given, count * sizeof *values);
        TRY(sort_sparse(decoder->arena, indices, values, count, decoder->error));
        given = values;
    }
    if (!oct_vector_ascends(indices, count))
        TRY(OCT_FAIL_AT(decoder, &list, OCT_VALIDATION, "must be unique"));
    out->kind = OCT_VECTOR_SPARSE;
    out->values = given;
    out->count = count;
    out->indices = indices;
done:
    return status;
}

/* ---- multi --------------------------------------------------------------------------- */

oct_status oct_read_multi(oct_decoder *decoder, const oct_node *node, oct_named_vector *out)
{
    oct_status status = OCT_OK;
    oct_node item;
    float *values = NULL;
    size_t rows = oct_json_count(node->value), dim = 0;
    oct_items items = oct_items_of(node);
    while (oct_items_next(&items, &item)) {
        const float *row = NULL;
        uint32_t count = 0;
        TRY(oct_read_floats(decoder, &item, &row, &count));
        if (count == 0)
            TRY(OCT_FAIL_AT(decoder, &item, OCT_VALIDATION, "dense vector must not be empty"));
        if (item.index == 0) dim = count;
        if (count != dim)
            TRY(OCT_FAIL_AT(decoder, &item, OCT_VALIDATION,
                            "all vectors must have the same dimension, found vector with "
                            "dimension %" PRIu32,
                            count));
        if (rows > OCT_VECTOR_VALUES_MAX / dim)
            TRY(OCT_FAIL_AT(decoder, node, OCT_LIMIT, "%" PRIu64 " values, at most %d are allowed",
                            (uint64_t)(rows * dim), (int)OCT_VECTOR_VALUES_MAX));
        if (item.index == 0)
            TRY(oct_arena_array(decoder->arena, rows * dim, sizeof *values, &values,
                                decoder->error));
        memcpy(values + item.index * dim, row, dim * sizeof *values);
    }
    out->kind = OCT_VECTOR_MULTI;
    out->values = values;
    out->count = (uint32_t)(rows * dim);
    out->rows = (uint32_t)rows;
done:
    return status;
}
