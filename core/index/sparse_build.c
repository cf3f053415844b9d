/* SPDX-License-Identifier: Apache-2.0
 *
 * sparse_build.c - making the inverted index of sparse vectors (bytes: head of sparse.c).
 *
 * The first pass collects the dimensions of all values; sorted, they give the dimensions that occur
 * and how often. The second puts each value where it belongs. A hash map from dimensions to counts
 * would take less memory, but dimensions are chosen by strangers, and a build must not depend on a
 * random seed. */
#include <string.h>

#include "base/alloc.h"
#include "index/sparse.h"
#include "index/sparse_format.h"

struct oct_sparse_builder {
    const oct_alloc *alloc;
    uint32_t *all; /* [count] the dimensions of all values; after arranging NULL */
    size_t count, capacity;
    uint32_t *indices; /* [dimensions] */
    uint64_t *ends;    /* [dimensions]: while adding, where the next posting goes */
    float *highest, *lowest;
    uint32_t dimensions;
    uint32_t *offsets; /* [count] */
    float *values;
};

oct_status oct_sparse_builder_create(const oct_alloc *alloc, oct_sparse_builder **out,
                                     oct_error *error)
{
    *out = oct_new_zeroed(alloc, sizeof **out);
    if (!*out) return oct_fail_nomem(error, "an inverted index");
    (*out)->alloc = alloc;
    return OCT_OK;
}

void oct_sparse_builder_destroy(oct_sparse_builder *builder)
{
    if (!builder) return;
    const oct_alloc *alloc = builder->alloc;
    size_t dimensions = builder->dimensions, count = builder->count;
    oct_free(alloc, builder->all, builder->all ? builder->capacity * sizeof(uint32_t) : 0);
    oct_free(alloc, builder->indices, dimensions * sizeof(uint32_t));
    oct_free(alloc, builder->ends, dimensions * sizeof(uint64_t));
    oct_free(alloc, builder->highest, dimensions * sizeof(float));
    oct_free(alloc, builder->lowest, dimensions * sizeof(float));
    oct_free(alloc, builder->offsets, count * sizeof(uint32_t));
    oct_free(alloc, builder->values, count * sizeof(float));
    oct_free(alloc, builder, sizeof *builder);
}

oct_status oct_sparse_builder_count(oct_sparse_builder *builder, const oct_named_vector *vector,
                                    oct_error *error)
{
    oct_status status = OCT_OK;
    if (vector->count == 0) return OCT_OK;
    TRY(oct_array_reserve(builder->alloc, &builder->all, &builder->capacity,
                          builder->count + vector->count, sizeof(uint32_t), error));
    memcpy(builder->all + builder->count, vector->indices, vector->count * sizeof(uint32_t));
    builder->count += vector->count;
done:
    return status;
}

/* One pass of a radix sort, by byte `shift / 8`; false when all are equal there, and nothing was
 * done. */
static bool sort_by_byte(const uint32_t *from, uint32_t *to, size_t count, uint32_t shift)
{
    size_t starts[257] = { 0 };
    for (size_t i = 0; i < count; i++) starts[((from[i] >> shift) & 255) + 1]++;
    if (starts[((from[0] >> shift) & 255) + 1] == count) return false;
    for (size_t b = 0; b < 256; b++) starts[b + 1] += starts[b];
    for (size_t i = 0; i < count; i++) to[starts[(from[i] >> shift) & 255]++] = from[i];
    return true;
}

static oct_status sort_all(oct_sparse_builder *builder, oct_error *error)
{
    size_t count = builder->count;
    if (count < 2) return OCT_OK;
    uint32_t *spare = oct_new(builder->alloc, count * sizeof(uint32_t));
    if (!spare) return oct_fail_nomem(error, "the dimensions of sparse vectors");
    uint32_t *from = builder->all, *to = spare;
    for (uint32_t shift = 0; shift < 32; shift += 8) {
        if (!sort_by_byte(from, to, count, shift)) continue;
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != builder->all) memcpy(builder->all, from, count * sizeof(uint32_t));
    oct_free(builder->alloc, spare, count * sizeof(uint32_t));
    return OCT_OK;
}

/* Set `indices` and the starts of their postings from the sorted dimensions. */
static void fill_dimensions(oct_sparse_builder *builder)
{
    uint32_t at = 0;
    for (size_t i = 0; i < builder->count; i++) {
        if (i > 0 && builder->all[i] == builder->all[i - 1]) continue;
        builder->indices[at] = builder->all[i];
        builder->ends[at++] = i;
    }
    ASSERT(at == builder->dimensions);
}

oct_status oct_sparse_builder_arrange(oct_sparse_builder *builder, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_alloc *alloc = builder->alloc;
    uint32_t dimensions = 0;
    TRY(sort_all(builder, error));
    for (size_t i = 0; i < builder->count; i++)
        dimensions += i == 0 || builder->all[i] != builder->all[i - 1];
    builder->dimensions = dimensions; /* what is freed; the arrays are NULL until then */
    TRY(oct_array_resize(alloc, &builder->indices, 0, dimensions, sizeof(uint32_t), error));
    TRY(oct_array_resize(alloc, &builder->ends, 0, dimensions, sizeof(uint64_t), error));
    TRY(oct_array_resize(alloc, &builder->highest, 0, dimensions, sizeof(float), error));
    TRY(oct_array_resize(alloc, &builder->lowest, 0, dimensions, sizeof(float), error));
    fill_dimensions(builder);
    oct_free(alloc, builder->all, builder->all ? builder->capacity * sizeof(uint32_t) : 0);
    builder->all = NULL;
    TRY(oct_array_resize(alloc, &builder->offsets, 0, builder->count, sizeof(uint32_t), error));
    TRY(oct_array_resize(alloc, &builder->values, 0, builder->count, sizeof(float), error));
done:
    return status;
}

/* The place of a dimension that is there, at or behind `from`: the steps double until they pass. */
static uint32_t find_behind(const oct_sparse_builder *builder, uint32_t from, uint32_t dimension)
{
    uint32_t step = 1, first = from, end = from;
    while (end < builder->dimensions && builder->indices[end] < dimension) {
        first = end + 1;
        end = step < builder->dimensions - end ? end + step : builder->dimensions;
        step *= 2;
    }
    while (first < end) {
        uint32_t middle = first + (end - first) / 2;
        if (builder->indices[middle] < dimension) first = middle + 1;
        else end = middle;
    }
    ASSERT(first < builder->dimensions && builder->indices[first] == dimension);
    return first;
}

void oct_sparse_builder_add(oct_sparse_builder *builder, uint32_t offset,
                            const oct_named_vector *vector)
{
    uint32_t place = 0;
    for (uint32_t i = 0; i < vector->count; i++) {
        place = find_behind(builder, place, vector->indices[i]);
        uint64_t at = builder->ends[place]++;
        ASSERT(at < builder->count);
        builder->offsets[at] = offset;
        builder->values[at] = vector->values[i];
    }
}

/* The extremes of each dimension, when all values are there. */
static void find_extremes(const oct_sparse_builder *builder)
{
    uint64_t at = 0;
    for (uint32_t d = 0; d < builder->dimensions; d++) {
        float highest = builder->values[at], lowest = highest;
        for (; at < builder->ends[d]; at++) {
            highest = MAX(highest, builder->values[at]);
            lowest = MIN(lowest, builder->values[at]);
        }
        builder->highest[d] = highest;
        builder->lowest[d] = lowest;
    }
}

oct_status oct_sparse_builder_write(const oct_sparse_builder *builder,
                                    oct_status (*append)(void *self, const void *source,
                                                         size_t bytes, oct_error *error),
                                    void *self, oct_error *error)
{
    oct_status status = OCT_OK;
    size_t dimensions = builder->dimensions, count = builder->count;
    sparse_header header = { .dimensions = builder->dimensions, .postings = count };
    find_extremes(builder);
    TRY(append(self, &header, sizeof header, error));
    TRY(append(self, builder->ends, dimensions * sizeof(uint64_t), error));
    TRY(append(self, builder->indices, dimensions * sizeof(uint32_t), error));
    TRY(append(self, builder->highest, dimensions * sizeof(float), error));
    TRY(append(self, builder->lowest, dimensions * sizeof(float), error));
    TRY(append(self, builder->offsets, count * sizeof(uint32_t), error));
    TRY(append(self, builder->values, count * sizeof(float), error));
done:
    return status;
}
