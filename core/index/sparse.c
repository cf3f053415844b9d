/* SPDX-License-Identifier: Apache-2.0
 *
 * sparse.c - an inverted index, searched block by block.
 *
 * Bytes: a header (sparse_format.h); u64 ends[dimensions], strictly ascending, the last = postings;
 * u32 dimensions[dimensions], strictly ascending; f32 highest and f32 lowest [dimensions], the
 * extremes of each one's values; u32 offsets[postings], strictly ascending within a dimension; f32
 * values[postings], finite.
 *
 * A search takes the points in blocks of BLOCK_POINTS, whose scores fit the first-level cache, and
 * adds dimension after dimension into them. So every point's sum is made in the order of the
 * dimensions, and the inner loop is a multiply-add without a branch but its end. Then the block's
 * scores are compared with the worst of the best so far, 64 at a time.
 *
 * Once the best are full, dimensions whose largest contributions together can't lift a point over
 * the worst of them are left out of the adding (the smallest such contributions first); a point
 * that the others bring near enough is scored again from its own vector. The bound is widened by
 * what the rounding of the partial sums can be, so the answer is exact, and it is the same bits,
 * because scoring again adds in the same order.
 *
 * Rejected: document-at-a-time with skipping (WAND): its heap and skips cost more per posting than
 * adding does, unless queries are very short; hashing scores (no gain while blocks fit the cache).
 */
#include "index/sparse.h"

#include <math.h>
#include <string.h>

#include "base/bits.h"
#include "index/sparse_format.h"

enum {
    BLOCK_POINTS = 4096,
    GROUP_POINTS = 64 /* compared at once; one word of a bitset */
};

/* ---- dot products ----------------------------------------------------------------------- */

static uint32_t slot_of(const oct_sparse_probe *probe, uint32_t dimension)
{
    return (uint32_t)(((uint64_t)dimension * UINT64_C(0x9E3779B97F4A7C15)) >> 32) >> probe->shift;
}

static uint32_t slot_mask(const oct_sparse_probe *probe)
{
    return UINT32_MAX >> probe->shift;
}

oct_status oct_sparse_probe_create(oct_arena *arena, const uint32_t *indices, const float *weights,
                                   uint32_t count, oct_sparse_probe *out, oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t *slots = NULL;
    uint32_t bits = 4;
    ASSERT(count <= OCT_VECTOR_VALUES_MAX);
    while ((UINT32_C(1) << bits) < 4 * count) bits++;
    *out = (oct_sparse_probe){ indices, weights, count, 32 - bits, NULL };
    TRY(oct_arena_array(arena, (size_t)1 << bits, sizeof *slots, &slots, error));
    out->slots = slots;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = slot_of(out, indices[i]);
        while (slots[at]) at = (at + 1) & slot_mask(out);
        slots[at] = i + 1;
    }
done:
    return status;
}

uint32_t oct_sparse_probe_find(const oct_sparse_probe *probe, uint32_t dimension)
{
    uint32_t at = slot_of(probe, dimension);
    for (; probe->slots[at]; at = (at + 1) & slot_mask(probe))
        if (probe->indices[probe->slots[at] - 1] == dimension) return probe->slots[at] - 1;
    return UINT32_MAX;
}

float oct_sparse_probe_dot(const oct_sparse_probe *probe, const oct_named_vector *vector)
{
    float sum = 0;
    for (uint32_t i = 0; i < vector->count; i++) {
        uint32_t at = oct_sparse_probe_find(probe, vector->indices[i]);
        if (at != UINT32_MAX) sum += probe->weights[at] * vector->values[i];
    }
    return sum;
}

/* ---- opening ---------------------------------------------------------------------------- */

static oct_status corrupt(const char *what, oct_error *error)
{
    return oct_fail(error, OCT_CORRUPT, "inverted index: %s", what);
}

/* Place the arrays behind the header; false when the size is not theirs. */
static bool place_arrays(const uint8_t *at, size_t bytes, const sparse_header *header,
                         oct_sparse *out)
{
    uint64_t dimensions = header->dimensions, postings = header->postings;
    if (postings > bytes / 8) return false;
    if (sizeof *header + dimensions * 20 + postings * 8 != bytes) return false;
    out->dimension_count = header->dimensions;
    at += sizeof *header;
    out->ends = (const uint64_t *)(const void *)at;
    at += dimensions * 8;
    out->indices = (const uint32_t *)(const void *)at;
    at += dimensions * 4;
    out->highest = (const float *)(const void *)at;
    at += dimensions * 4;
    out->lowest = (const float *)(const void *)at;
    at += dimensions * 4;
    out->offsets = (const uint32_t *)(const void *)at;
    at += postings * 4;
    out->values = (const float *)(const void *)at;
    return true;
}

static uint64_t start_of(const oct_sparse *sparse, uint32_t place)
{
    return place ? sparse->ends[place - 1] : 0;
}

/* The postings of one dimension; its end is below the end of the arrays. */
static oct_status check_postings(const oct_sparse *sparse, uint32_t place, oct_error *error)
{
    uint64_t start = start_of(sparse, place);
    float highest = -INFINITY, lowest = INFINITY;
    for (uint64_t i = start; i < sparse->ends[place]; i++) {
        float value = sparse->values[i];
        if (sparse->offsets[i] >= sparse->point_count) return corrupt("no such point", error);
        if (i > start && sparse->offsets[i - 1] >= sparse->offsets[i])
            return corrupt("postings out of order", error);
        if (!isfinite(value)) return corrupt("a value is not finite", error);
        highest = MAX(highest, value);
        lowest = MIN(lowest, value);
    }
    if (!(sparse->highest[place] == highest && sparse->lowest[place] == lowest))
        return corrupt("wrong extremes", error);
    return OCT_OK;
}

oct_status oct_sparse_open(const void *at, size_t bytes, uint32_t point_count, oct_sparse *out,
                           oct_error *error)
{
    oct_status status = OCT_OK;
    sparse_header header;
    static const uint64_t zero[ARRAY_COUNT(header.zero)] = { 0 };
    *out = (oct_sparse){ .point_count = point_count };
    if (bytes < sizeof header) return corrupt("too short", error);
    memcpy(&header, at, sizeof header);
    if (header.version != 0) return corrupt("written by a newer version", error);
    if (memcmp(header.zero, zero, sizeof zero) != 0 || !place_arrays(at, bytes, &header, out))
        return corrupt("the wrong size", error);
    for (uint32_t place = 0; place < out->dimension_count; place++) {
        if (place > 0 && out->indices[place - 1] >= out->indices[place])
            return corrupt("dimensions out of order", error);
        if (out->ends[place] <= start_of(out, place) || out->ends[place] > header.postings)
            return corrupt("impossible ends", error);
        TRY(check_postings(out, place, error));
    }
    if (start_of(out, out->dimension_count) != header.postings)
        return corrupt("postings of no dimension", error);
done:
    return status;
}

/* ---- statistics ------------------------------------------------------------------------- */

/* The place of a dimension, or UINT32_MAX. */
static uint32_t find_dimension(const oct_sparse *sparse, uint32_t dimension)
{
    uint32_t first = 0, end = sparse->dimension_count;
    while (first < end) {
        uint32_t middle = first + (end - first) / 2;
        if (sparse->indices[middle] < dimension) first = middle + 1;
        else end = middle;
    }
    bool found = first < sparse->dimension_count && sparse->indices[first] == dimension;
    return found ? first : UINT32_MAX;
}

uint64_t oct_sparse_count(const oct_sparse *sparse, uint32_t dimension, const uint64_t *alive)
{
    uint32_t place = find_dimension(sparse, dimension);
    if (place == UINT32_MAX) return 0;
    uint64_t start = start_of(sparse, place), end = sparse->ends[place], count = 0;
    if (!alive) return end - start;
    for (uint64_t i = start; i < end; i++) count += oct_bits_get(alive, sparse->offsets[i]);
    return count;
}

uint64_t oct_sparse_postings(const oct_sparse *sparse, const oct_sparse_probe *probe)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < probe->count; i++)
        sum += oct_sparse_count(sparse, probe->indices[i], NULL);
    return sum;
}

/* ---- search ----------------------------------------------------------------------------- */

/* A dimension of the query that occurs in the index. */
typedef struct term {
    const uint32_t *offsets; /* the next posting */
    const uint32_t *end;
    const float *values; /* beside offsets */
    float weight;
    float most;    /* no posting contributes more; >= 0 */
    float largest; /* nor more than this in size */
    bool skipped;  /* left out of the adding */
} term;

typedef struct search {
    const oct_sparse *sparse;
    const oct_sparse_query *query;
    oct_topk *best;
    term *terms; /* [count] in the order of the dimensions */
    uint32_t count;
    uint32_t *by_most; /* [count] terms by rising `most` */
    uint32_t skipped;  /* of by_most, from the first */
    float slack;       /* what a sum of the terms left in may lack to a similarity at most */
    float *scores;     /* [BLOCK_POINTS] zeros between blocks */
} search;

static oct_status take_terms(search *s, oct_arena *work, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_sparse *sparse = s->sparse;
    const oct_sparse_probe *probe = s->query->probe;
    TRY(oct_arena_array(work, probe->count, sizeof *s->terms, &s->terms, error));
    TRY(oct_arena_array(work, probe->count, sizeof *s->by_most, &s->by_most, error));
    TRY(oct_arena_array(work, BLOCK_POINTS, sizeof *s->scores, &s->scores, error));
    for (uint32_t i = 0; i < probe->count; i++) {
        uint32_t place = find_dimension(sparse, probe->indices[i]);
        if (place == UINT32_MAX) continue;
        uint64_t start = start_of(sparse, place);
        float weight = probe->weights[i];
        float a = weight * sparse->highest[place], b = weight * sparse->lowest[place];
        s->terms[s->count++] = (term){ .offsets = sparse->offsets + start,
                                       .end = sparse->offsets + sparse->ends[place],
                                       .values = sparse->values + start,
                                       .weight = weight,
                                       .most = MAX(MAX(a, b), 0.0f),
                                       .largest = MAX(fabsf(a), fabsf(b)) };
    }
    for (uint32_t i = 0; i < s->count; i++) { /* insertion: queries are short */
        uint32_t at = i;
        for (; at > 0 && s->terms[s->by_most[at - 1]].most > s->terms[i].most; at--)
            s->by_most[at] = s->by_most[at - 1];
        s->by_most[at] = i;
    }
done:
    return status;
}

/* The similarity that a point must exceed; later points lose ties. */
static float bar_of(const search *s)
{
    bool full = s->best->count == s->best->limit;
    return full ? MAX(s->best->hits[0].score, s->query->floor) : s->query->floor;
}

static void add_block(search *s, uint32_t base, uint32_t end)
{
    for (uint32_t t = 0; t < s->count; t++) {
        term *now = &s->terms[t];
        if (now->skipped) continue;
        const uint32_t *offset = now->offsets;
        const float *value = now->values;
        float weight = now->weight, *scores = s->scores;
        for (; offset < now->end && *offset < end; offset++, value++)
            scores[*offset - base] += weight * *value;
        now->offsets = offset;
        now->values = value;
    }
}

static bool may_answer(const search *s, uint32_t offset)
{
    return !s->query->allowed || oct_bits_get(s->query->allowed, offset);
}

/* Offer the points of one group whose sums are above the bar less the slack. */
static oct_status offer_group(search *s, uint32_t base, const float *scores, uint32_t count,
                              oct_error *error)
{
    for (uint32_t i = 0; i < count; i++) {
        float score = scores[i];
        if (!(score > bar_of(s) - s->slack) || score == 0.0f || !may_answer(s, base + i)) continue;
        if (s->skipped) {
            oct_named_vector vector;
            oct_status status = s->query->read(s->query->self, base + i, &vector, error);
            if (status != OCT_OK) return status;
            score = oct_sparse_probe_dot(s->query->probe, &vector);
        }
        if (score > bar_of(s) && score != 0.0f)
            (void)oct_topk_push(s->best, (oct_hit){ score, base + i }); /* it knows better */
    }
    return OCT_OK;
}

/* How many of these are above the bar. Written so that compilers make vectors of it. */
static uint32_t count_above(const float *scores, float bar)
{
    uint32_t above = 0;
    for (uint32_t i = 0; i < GROUP_POINTS; i++)
        above += (uint32_t)(scores[i] > bar) & (uint32_t)(scores[i] != 0.0f);
    return above;
}

static oct_status offer_block(search *s, uint32_t base, uint32_t end, oct_error *error)
{
    oct_status status = OCT_OK;
    for (uint32_t at = 0; at < end - base; at += GROUP_POINTS) {
        const float *scores = s->scores + at;
        uint32_t count = MIN(end - base - at, (uint32_t)GROUP_POINTS);
        if (count_above(scores, bar_of(s) - s->slack) > 0)
            TRY(offer_group(s, base + at, scores, count, error));
    }
    memset(s->scores, 0, BLOCK_POINTS * sizeof *s->scores);
done:
    return status;
}

oct_status oct_sparse_search(const oct_sparse *sparse, const oct_sparse_query *query,
                             oct_arena *work, oct_topk *best, oct_error *error)
{
    oct_status status = OCT_OK;
    search s = { .sparse = sparse, .query = query, .best = best };
    TRY(take_terms(&s, work, error));
    for (uint32_t base = 0; base < sparse->point_count && s.count; base += BLOCK_POINTS) {
        uint32_t end = MIN(sparse->point_count, base + BLOCK_POINTS);
        add_block(&s, base, end);
        TRY(offer_block(&s, base, end, error));
    }
done:
    return status;
}
