/* SPDX-License-Identifier: Apache-2.0
 *
 * sparse_build.c - making the inverted index of sparse vectors (bytes: head of sparse.c).
 *
 * The first pass collects the dimensions of all values, shard after shard; sorted, those of a shard
 * give the dimensions that occur in it and how often. The second puts each value where it belongs;
 * they become codes when they are written, once the extremes of their dimension are known. A hash
 * map from dimensions to counts would take less memory, but dimensions are chosen by strangers, and
 * a build must not depend on a random seed. */
#include <float.h>
#include <string.h>

#include "base/alloc.h"
#include "index/sparse.h"
#include "index/sparse_format.h"

typedef struct shard {
    size_t start;   /* of its postings */
    uint32_t first; /* of its dimensions */
    uint32_t dimensions;
} shard;

struct oct_sparse_builder {
    const oct_alloc *alloc;
    uint32_t *all; /* [count] the dimensions of all values; after arranging NULL */
    size_t count, capacity;
    shard *shards; /* [shard_count] and one behind, which has the ends */
    size_t shard_count, shard_capacity;
    uint32_t *indices; /* [dimensions] those of all shards */
    uint64_t *ends;    /* [dimensions] while adding, where the next posting goes */
    uint32_t dimensions;
    uint16_t *offsets; /* [count] */
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
    oct_free(alloc, builder->shards, builder->shard_capacity * sizeof(shard));
    oct_free(alloc, builder->indices, dimensions * sizeof(uint32_t));
    oct_free(alloc, builder->ends, dimensions * sizeof(uint64_t));
    oct_free(alloc, builder->offsets, count * sizeof(uint16_t));
    oct_free(alloc, builder->values, count * sizeof(float));
    oct_free(alloc, builder, sizeof *builder);
}

/* Begin all shards up to number `last` that have not begun. */
static oct_status begin_shards(oct_sparse_builder *builder, size_t last, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(oct_array_reserve(builder->alloc, &builder->shards, &builder->shard_capacity, last + 1,
                          sizeof(shard), error));
    while (builder->shard_count <= last)
        builder->shards[builder->shard_count++] = (shard){ .start = builder->count };
done:
    return status;
}

oct_status oct_sparse_builder_count(oct_sparse_builder *builder, uint32_t offset,
                                    const oct_named_vector *vector, oct_error *error)
{
    oct_status status = OCT_OK;
    if (vector->count == 0) return OCT_OK;
    TRY(begin_shards(builder, offset / SPARSE_SHARD_POINTS, error));
    TRY(oct_array_reserve(builder->alloc, &builder->all, &builder->capacity,
                          builder->count + vector->count, sizeof(uint32_t), error));
    memcpy(builder->all + builder->count, vector->indices, vector->count * sizeof(uint32_t));
    builder->count += vector->count;
done:
    return status;
}

/* ---- arranging -------------------------------------------------------------------------- */

/* One pass of a radix sort; false when all are equal in that byte, and nothing was done. */
static bool sort_by_byte(const uint32_t *from, uint32_t *to, size_t count, uint32_t shift)
{
    size_t starts[257] = { 0 };
    for (size_t i = 0; i < count; i++)
        starts[((from[i] >> shift) & 255) + 1]++;
    if (starts[((from[0] >> shift) & 255) + 1] == count) return false;
    for (size_t b = 0; b < 256; b++)
        starts[b + 1] += starts[b];
    for (size_t i = 0; i < count; i++)
        to[starts[(from[i] >> shift) & 255]++] = from[i];
    return true;
}

static oct_status sort(const oct_alloc *alloc, uint32_t *list, size_t count, oct_error *error)
{
    if (count < 2) return OCT_OK;
    uint32_t *spare = oct_new(alloc, count * sizeof(uint32_t));
    if (!spare) return oct_fail_nomem(error, "the dimensions of sparse vectors");
    uint32_t *from = list, *to = spare;
    for (uint32_t shift = 0; shift < 32; shift += 8) {
        if (!sort_by_byte(from, to, count, shift)) continue;
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != list) memcpy(list, from, count * sizeof(uint32_t));
    oct_free(alloc, spare, count * sizeof(uint32_t));
    return OCT_OK;
}

/* Is posting i the first of its dimension in its shard, which starts at `start`? */
static bool is_first(const oct_sparse_builder *builder, size_t start, size_t i)
{
    return i == start || builder->all[i] != builder->all[i - 1];
}

/* Sort each shard's dimensions and count those that differ. */
static oct_status sort_shards(oct_sparse_builder *builder, uint32_t *dimensions, oct_error *error)
{
    oct_status status = OCT_OK;
    for (size_t k = 0; k + 1 < builder->shard_count; k++) {
        shard *now = &builder->shards[k];
        size_t end = now[1].start;
        if (end > now->start) /* without any there is no array */
            TRY(sort(builder->alloc, builder->all + now->start, end - now->start, error));
        now->first = *dimensions;
        for (size_t i = now->start; i < end; i++)
            now->dimensions += is_first(builder, now->start, i);
        if (now->dimensions > UINT32_MAX - *dimensions)
            TRY(oct_fail(error, OCT_LIMIT, "too many dimensions of sparse vectors"));
        *dimensions += now->dimensions;
    }
done:
    return status;
}

/* The dimensions of all shards, and the starts of their postings. */
static void fill_dimensions(oct_sparse_builder *builder)
{
    uint32_t at = 0;
    for (size_t k = 0; k + 1 < builder->shard_count; k++) {
        const shard *now = &builder->shards[k];
        for (size_t i = now->start; i < now[1].start; i++) {
            if (!is_first(builder, now->start, i)) continue;
            builder->indices[at] = builder->all[i];
            builder->ends[at++] = i;
        }
    }
    ASSERT(at == builder->dimensions);
}

oct_status oct_sparse_builder_arrange(oct_sparse_builder *builder, uint32_t point_count,
                                      oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_alloc *alloc = builder->alloc;
    uint32_t dimensions = 0;
    size_t count = builder->count;
    size_t shards = point_count / SPARSE_SHARD_POINTS + (point_count % SPARSE_SHARD_POINTS != 0);
    TRY(begin_shards(builder, shards, error)); /* and the one behind */
    ASSERT(builder->shard_count == shards + 1);
    TRY(sort_shards(builder, &dimensions, error));
    builder->dimensions = dimensions; /* what is freed; the arrays are NULL until then */
    TRY(oct_array_resize(alloc, &builder->indices, 0, dimensions, sizeof(uint32_t), error));
    TRY(oct_array_resize(alloc, &builder->ends, 0, dimensions, sizeof(uint64_t), error));
    fill_dimensions(builder);
    oct_free(alloc, builder->all, builder->all ? builder->capacity * sizeof(uint32_t) : 0);
    builder->all = NULL;
    TRY(oct_array_resize(alloc, &builder->offsets, 0, count, sizeof(uint16_t), error));
    TRY(oct_array_resize(alloc, &builder->values, 0, count, sizeof(float), error));
done:
    return status;
}

/* ---- adding ----------------------------------------------------------------------------- */

/* The place of a dimension that is there, at or behind `from`: the steps double until they pass. */
static uint32_t find_behind(const oct_sparse_builder *builder, uint32_t from, uint32_t last,
                            uint32_t dimension)
{
    uint32_t step = 1, first = from, end = from;
    while (end < last && builder->indices[end] < dimension) {
        first = end + 1;
        end = step < last - end ? end + step : last;
        step *= 2;
    }
    while (first < end) {
        uint32_t middle = first + (end - first) / 2;
        if (builder->indices[middle] < dimension)
            first = middle + 1;
        else
            end = middle;
    }
    ASSERT(first < last && builder->indices[first] == dimension);
    return first;
}

void oct_sparse_builder_add(oct_sparse_builder *builder, uint32_t offset,
                            const oct_named_vector *vector)
{
    const shard *now = &builder->shards[offset / SPARSE_SHARD_POINTS];
    uint32_t place = now->first;
    for (uint32_t i = 0; i < vector->count; i++) {
        place = find_behind(builder, place, now->first + now->dimensions, vector->indices[i]);
        uint64_t at = builder->ends[place]++;
        ASSERT(at < builder->count);
        builder->offsets[at] = (uint16_t)(offset % SPARSE_SHARD_POINTS);
        builder->values[at] = vector->values[i];
    }
}

/* ---- writing ---------------------------------------------------------------------------- */

typedef struct sink {
    oct_status (*append)(void *self, const void *source, size_t bytes, oct_error *error);
    void *self;
} sink;

static uint64_t start_of(const oct_sparse_builder *builder, const shard *now, uint32_t place)
{
    return place == now->first ? now->start : builder->ends[place - 1];
}

/* The lowest value of a dimension, and a step with which 256 codes reach the highest. */
static void find_scale(const oct_sparse_builder *builder, const shard *now, uint32_t place,
                       float *lowest, float *step)
{
    uint64_t at = start_of(builder, now, place);
    float low = builder->values[at], high = low;
    for (; at < builder->ends[place]; at++) {
        low = MIN(low, builder->values[at]);
        high = MAX(high, builder->values[at]);
    }
    /* Halves, because the difference of two floats may be too large for one. A little more, so that
     * rounding leaves the highest inside. */
    double wide = ((double)high - (double)low) / (double)SPARSE_CODES;
    *lowest = low;
    *step = high > low ? MAX((float)(wide * 1.00001), FLT_MIN) : 0.0f;
}

static uint8_t code_of(float value, float lowest, float step)
{
    double place = step > 0 ? ((double)value - (double)lowest) / (double)step : 0;
    uint32_t code = place < SPARSE_CODES - 1 ? (uint32_t)place : SPARSE_CODES - 1;
    while (code < SPARSE_CODES - 1 && sparse_bound(lowest, step, code) < value)
        code++;
    return (uint8_t)code;
}

/* Ends count from the shard's start; then dimensions, lowest values, steps. */
static oct_status write_dimensions(const oct_sparse_builder *builder, const shard *now, sink to,
                                   oct_error *error)
{
    oct_status status = OCT_OK;
    float lowest, step;
    uint32_t last = now->first + now->dimensions;
    for (uint32_t place = now->first; place < last; place++) {
        uint64_t end = builder->ends[place] - now->start;
        TRY(to.append(to.self, &end, sizeof end, error));
    }
    if (now->dimensions)
        TRY(to.append(to.self, builder->indices + now->first, now->dimensions * sizeof(uint32_t),
                      error));
    for (uint32_t part = 0; part < 2; part++)
        for (uint32_t place = now->first; place < last; place++) {
            find_scale(builder, now, place, &lowest, &step);
            TRY(to.append(to.self, part ? &step : &lowest, sizeof(float), error));
        }
done:
    return status;
}

static oct_status write_codes(const oct_sparse_builder *builder, const shard *now, sink to,
                              oct_error *error)
{
    oct_status status = OCT_OK;
    uint8_t codes[512];
    float lowest, step;
    for (uint32_t place = now->first; place < now->first + now->dimensions; place++) {
        uint64_t at = start_of(builder, now, place);
        find_scale(builder, now, place, &lowest, &step);
        while (at < builder->ends[place]) {
            size_t count = (size_t)MIN(builder->ends[place] - at, (uint64_t)sizeof codes);
            for (size_t i = 0; i < count; i++)
                codes[i] = code_of(builder->values[at + i], lowest, step);
            TRY(to.append(to.self, codes, count, error));
            at += count;
        }
    }
done:
    return status;
}

static oct_status write_shard(const oct_sparse_builder *builder, const shard *now, sink to,
                              oct_error *error)
{
    static const uint8_t zeros[8] = { 0 };
    oct_status status = OCT_OK;
    size_t postings = now[1].start - now->start;
    TRY(write_dimensions(builder, now, to, error));
    if (postings)
        TRY(to.append(to.self, builder->offsets + now->start, postings * sizeof(uint16_t), error));
    TRY(write_codes(builder, now, to, error));
    size_t bytes = now->dimensions * (size_t)4 + postings * 3; /* beyond multiples of 8 */
    TRY(to.append(to.self, zeros, (8 - bytes % 8) % 8, error));
done:
    return status;
}

oct_status oct_sparse_builder_write(const oct_sparse_builder *builder,
                                    oct_status (*append)(void *self, const void *source,
                                                         size_t bytes, oct_error *error),
                                    void *self, oct_error *error)
{
    oct_status status = OCT_OK;
    const sink to = { append, self };
    size_t shards = builder->shard_count - 1;
    const sparse_header header = { .shards = (uint32_t)shards };
    TRY(append(self, &header, sizeof header, error));
    for (size_t k = 0; k < shards; k++) {
        const shard *now = &builder->shards[k];
        const sparse_shard_header part = { .postings = now[1].start - now->start,
                                           .dimensions = now->dimensions };
        TRY(append(self, &part, sizeof part, error));
    }
    for (size_t k = 0; k < shards; k++)
        TRY(write_shard(builder, &builder->shards[k], to, error));
done:
    return status;
}
