/* SPDX-License-Identifier: Apache-2.0
 *
 * sparse.c - an inverted index of bounds: it says which points may be among the best; their own
 * vectors say which are.
 *
 * Bytes (sparse_format.h): a header; a header per shard of 65,536 points; then per shard, each at a
 * multiple of 8: u64 ends[dimensions], strictly ascending, the last = postings; u32
 * dimensions[dimensions], strictly ascending; f32 lowest[dimensions], f32 steps[dimensions]; u16
 * offsets[postings], strictly ascending within a dimension; u8 codes[postings]; zeros to a
 * multiple of 8.
 *
 * A posting is 3 bytes: where, and a code that says between which two of 256 steps the value lies.
 * From it follows what the posting can contribute at most. A search adds these bounds, dimension
 * after dimension, as 16-bit integers (so the inner loop is two loads, a look-up and an add to
 * memory that fits the second-level cache), and scores the points whose sums are above the worst
 * of the best so far from their own vectors: few more than the answer. The comparison allows for
 * all rounding of the bounds, so the answer is exact, and its scores are those of the dot
 * product in the order of the dimensions, whatever found them. To have a worst of the best early,
 * the points of the first shard with the highest sums are scored first.
 *
 * Where bounds may be negative, a sum of 0 does not tell that a point has none of the dimensions;
 * until the bar is above 0 all points are scored then.
 *
 * Rejected: postings with their floats (8 bytes, added in floats: 1.7 times slower on 50,000 texts
 * with 120 dimensions); sums in floats (the conversions cost more than the memory saved);
 * document-at-a-time with skipping (WAND): its heap and skips cost more per posting than adding
 * does, unless queries are very short. */
#include "index/sparse.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "index/sparse_format.h"

enum {
    GROUP_POINTS = 64,       /* compared at once */
    LIKELY_AT_ONCE = 256,    /* dimensions of a point; their places are bytes */
    LOW_PER_DIMENSION = 128, /* of a query: few others share its low bits */
    LOW_MIN = 4096,          /* what is likely, and where, fits the first-level cache together */
    LOW_MAX = 16384
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
    uint8_t *low = NULL;
    uint32_t *last = NULL;
    uint32_t bits = 4, low_count = LOW_MIN;
    ASSERT(count <= OCT_VECTOR_VALUES_MAX);
    while ((UINT32_C(1) << bits) < 4 * count)
        bits++;
    while (low_count < LOW_MAX && low_count < LOW_PER_DIMENSION * (uint64_t)count)
        low_count *= 2;
    *out = (oct_sparse_probe){
        .indices = indices, .weights = weights, .count = count, .shift = 32 - bits
    };
    TRY(oct_arena_array(arena, (size_t)1 << bits, sizeof *slots, &slots, error));
    TRY(oct_arena_array(arena, low_count, sizeof *low, &low, error));
    TRY(oct_arena_array(arena, low_count, sizeof *last, &last, error));
    out->slots = slots;
    out->low = low;
    out->last = last;
    out->low_mask = low_count - 1;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = slot_of(out, indices[i]);
        while (slots[at])
            at = (at + 1) & slot_mask(out);
        slots[at] = i + 1;
        low[indices[i] & out->low_mask] = 1;
        last[indices[i] & out->low_mask] = i;
    }
done:
    return status;
}

/* The place in the query of a dimension with the low bits of one of its own, or UINT32_MAX. */
static uint32_t look_up(const oct_sparse_probe *probe, uint32_t dimension)
{
    uint32_t last = probe->last[dimension & probe->low_mask];
    if (probe->indices[last] == dimension) return last;
    uint32_t at = slot_of(probe, dimension);
    for (; probe->slots[at]; at = (at + 1) & slot_mask(probe))
        if (probe->indices[probe->slots[at] - 1] == dimension) return probe->slots[at] - 1;
    return UINT32_MAX;
}

/* The places in indices[0, count) of those that may be the query's, ascending; how many. Most are
 * not, and which are can't be guessed: so each place is written, and stays if it is one. Four at a
 * time, as each group waits for the number found before it. */
static uint32_t find_likely(const oct_sparse_probe *probe, const uint32_t *indices, uint32_t count,
                            uint8_t *places)
{
    const uint8_t *low = probe->low;
    uint32_t mask = probe->low_mask, found = 0, i = 0;
    for (; i + 4 <= count; i += 4) {
        uint32_t one = low[indices[i] & mask];
        uint32_t two = one + low[indices[i + 1] & mask];
        uint32_t three = two + low[indices[i + 2] & mask];
        uint8_t *at = places + found;
        at[0] = (uint8_t)i;
        at[one] = (uint8_t)(i + 1);
        at[two] = (uint8_t)(i + 2);
        at[three] = (uint8_t)(i + 3);
        found += three + low[indices[i + 3] & mask];
    }
    for (; i < count; i++) {
        places[found] = (uint8_t)i;
        found += low[indices[i] & mask];
    }
    return found;
}

/* The sum over `count` dimensions and values of a point, on top of `sum`. */
static float add_products(const oct_sparse_probe *probe, const uint32_t *indices,
                          const float *values, uint32_t count, float sum)
{
    uint8_t places[LIKELY_AT_ONCE];
    uint32_t likely = find_likely(probe, indices, count, places);
    for (uint32_t i = 0; i < likely; i++) {
        uint32_t at = look_up(probe, indices[places[i]]);
        if (at != UINT32_MAX) sum += probe->weights[at] * values[places[i]];
    }
    return sum;
}

float oct_sparse_probe_dot(const oct_sparse_probe *probe, const oct_named_vector *vector)
{
    float sum = 0;
    for (uint32_t first = 0; first < vector->count; first += LIKELY_AT_ONCE)
        sum = add_products(probe, vector->indices + first, vector->values + first,
                           MIN(vector->count - first, LIKELY_AT_ONCE), sum);
    return sum;
}

void oct_sparse_probe_tally(const oct_sparse_probe *probe, const oct_named_vector *vector,
                            uint64_t *counts)
{
    for (uint32_t first = 0; first < vector->count; first += LIKELY_AT_ONCE) {
        uint8_t places[LIKELY_AT_ONCE];
        const uint32_t *indices = vector->indices + first;
        uint32_t likely =
            find_likely(probe, indices, MIN(vector->count - first, LIKELY_AT_ONCE), places);
        for (uint32_t i = 0; i < likely; i++) {
            uint32_t at = look_up(probe, indices[places[i]]);
            if (at != UINT32_MAX) counts[at]++;
        }
    }
}

/* ---- opening ---------------------------------------------------------------------------- */

static oct_status corrupt(const char *what, oct_error *error)
{
    return oct_fail(error, OCT_CORRUPT, "inverted index: %s", what);
}

static uint64_t start_of(const oct_sparse_shard *shard, uint32_t place)
{
    return place ? shard->ends[place - 1] : 0;
}

/* Place a shard's arrays at `at`; their bytes, or 0 when they are more than are left. */
static uint64_t place_shard(const uint8_t *at, size_t left, const sparse_shard_header *header,
                            oct_sparse_shard *out)
{
    uint64_t dimensions = header->dimensions, postings = header->postings;
    if (postings > left / 3 || dimensions > left / 20) return 0;
    uint64_t bytes = (dimensions * 20 + postings * 3 + 7) / 8 * 8;
    if (bytes > left) return 0;
    out->dimension_count = header->dimensions;
    out->ends = (const uint64_t *)(const void *)at;
    at += dimensions * 8;
    out->indices = (const uint32_t *)(const void *)at;
    at += dimensions * 4;
    out->lowest = (const float *)(const void *)at;
    at += dimensions * 4;
    out->steps = (const float *)(const void *)at;
    at += dimensions * 4;
    out->offsets = (const uint16_t *)(const void *)at;
    out->codes = at + postings * 2;
    return bytes;
}

static oct_status check_shard(const oct_sparse_shard *shard, uint64_t postings, oct_error *error)
{
    for (uint32_t place = 0; place < shard->dimension_count; place++) {
        uint64_t start = start_of(shard, place);
        if (place > 0 && shard->indices[place - 1] >= shard->indices[place])
            return corrupt("dimensions out of order", error);
        if (shard->ends[place] <= start || shard->ends[place] > postings)
            return corrupt("impossible ends", error);
        if (!isfinite(shard->lowest[place]) || !isfinite(shard->steps[place]) ||
            shard->steps[place] < 0)
            return corrupt("impossible steps", error);
        for (uint64_t i = start; i < shard->ends[place]; i++)
            if (shard->offsets[i] >= shard->point_count ||
                (i > start && shard->offsets[i - 1] >= shard->offsets[i]))
                return corrupt("postings out of order", error);
    }
    if (start_of(shard, shard->dimension_count) != postings)
        return corrupt("postings of no dimension", error);
    return OCT_OK;
}

static oct_status open_shards(const uint8_t *at, size_t bytes, oct_sparse *out, oct_error *error)
{
    oct_status status = OCT_OK;
    size_t place = sizeof(sparse_header) + out->shard_count * sizeof(sparse_shard_header);
    for (uint32_t k = 0; k < out->shard_count; k++) {
        sparse_shard_header header;
        oct_sparse_shard *shard = &out->shards[k];
        memcpy(&header, at + sizeof(sparse_header) + k * sizeof header, sizeof header);
        uint64_t used = place_shard(at + place, bytes - place, &header, shard);
        if (header.zero != 0 || (used == 0 && (header.postings || header.dimensions)))
            TRY(corrupt("the wrong size", error));
        place += (size_t)used;
        shard->point_count =
            MIN(out->point_count - k * SPARSE_SHARD_POINTS, (uint32_t)SPARSE_SHARD_POINTS);
        TRY(check_shard(shard, header.postings, error));
    }
    if (place != bytes) TRY(corrupt("the wrong size", error));
done:
    return status;
}

oct_status oct_sparse_open(const oct_alloc *alloc, const void *at, size_t bytes,
                           uint32_t point_count, oct_sparse *out, oct_error *error)
{
    oct_status status = OCT_OK;
    sparse_header header;
    uint32_t shards = point_count / SPARSE_SHARD_POINTS + (point_count % SPARSE_SHARD_POINTS != 0);
    *out = (oct_sparse){ .point_count = point_count, .shard_count = shards };
    if (bytes < sizeof header) return corrupt("too short", error);
    memcpy(&header, at, sizeof header);
    if (header.version != 0) return corrupt("written by a newer version", error);
    if (header.zero != 0 || header.shards != shards ||
        (bytes - sizeof header) / sizeof(sparse_shard_header) < shards)
        return corrupt("the wrong size", error);
    TRY(oct_array_resize(alloc, &out->shards, 0, shards, sizeof *out->shards, error));
    TRY(open_shards(at, bytes, out, error));
done:
    if (status != OCT_OK) oct_sparse_close(alloc, out);
    return status;
}

void oct_sparse_close(const oct_alloc *alloc, oct_sparse *sparse)
{
    oct_free(alloc, sparse->shards,
             sparse->shards ? sparse->shard_count * sizeof *sparse->shards : 0);
    sparse->shards = NULL;
}

/* ---- statistics ------------------------------------------------------------------------- */

/* The place of a dimension, or UINT32_MAX. */
static uint32_t find_dimension(const oct_sparse_shard *shard, uint32_t dimension)
{
    uint32_t first = 0, end = shard->dimension_count;
    while (first < end) {
        uint32_t middle = first + (end - first) / 2;
        if (shard->indices[middle] < dimension)
            first = middle + 1;
        else
            end = middle;
    }
    bool found = first < shard->dimension_count && shard->indices[first] == dimension;
    return found ? first : UINT32_MAX;
}

uint64_t oct_sparse_count(const oct_sparse *sparse, uint32_t dimension, const uint64_t *alive)
{
    uint64_t count = 0;
    for (uint32_t k = 0; k < sparse->shard_count; k++) {
        const oct_sparse_shard *shard = &sparse->shards[k];
        uint32_t place = find_dimension(shard, dimension);
        if (place == UINT32_MAX) continue;
        uint64_t start = start_of(shard, place), end = shard->ends[place];
        if (!alive) count += end - start;
        for (uint64_t i = start; alive && i < end; i++)
            count += oct_bits_get(alive, (size_t)k * SPARSE_SHARD_POINTS + shard->offsets[i]);
    }
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

/* A larger query would leave too few steps of a sum to each dimension. */
enum { TERMS_MAX = 8192 };

/* A dimension of the query that occurs in the shard. */
typedef struct term {
    uint32_t place;
    float weight;
} term;

typedef struct search {
    const oct_sparse_query *query;
    const oct_sparse_shard *shard;
    uint32_t first; /* offset of the shard's first point */
    oct_topk *best;
    term *terms; /* [count] of the shard */
    uint32_t count;
    bool positive;  /* no posting contributes less than 0 */
    double scale;   /* steps of a sum per 1 of similarity */
    double margin;  /* what the bounds may lack, by rounding, to a similarity at most */
    int16_t *sums;  /* [SPARSE_SHARD_POINTS] of bounds, in steps; 0 between shards */
    oct_hit *ahead; /* [best->limit] */
} search;

static double size_of(double a, double b)
{
    return MAX(fabs(a), fabs(b));
}

/* The terms of a shard; false when their bounds can't be added in steps. */
static bool take_terms(search *s)
{
    const oct_sparse_shard *shard = s->shard;
    const oct_sparse_probe *probe = s->query->probe;
    double most = 0;
    s->count = 0;
    s->positive = true;
    for (uint32_t i = 0; i < probe->count; i++) {
        uint32_t place = find_dimension(shard, probe->indices[i]);
        float weight = probe->weights[i];
        if (place == UINT32_MAX || weight == 0.0f) continue;
        float lowest = shard->lowest[place];
        float highest = sparse_bound(lowest, shard->steps[place], SPARSE_CODES - 1);
        s->terms[s->count++] = (term){ place, weight };
        s->positive &= weight > 0.0f ? lowest >= 0.0f : highest <= 0.0f;
        most += fabs((double)weight) * size_of(lowest, highest);
    }
    /* A sum's error is below count * 2^-24 * most; four such, and those of the bounds. */
    s->margin = most * (s->count + 8) * 0x1.0p-22;
    s->scale = (INT16_MAX - 2 - (double)s->count) / most;
    return s->count <= TERMS_MAX && most > 1e-30 && most < 1e36;
}

/* What postings of each code contribute at most, in steps. Rounded up by cutting off and adding 1,
 * which is one more than needed at most and lets compilers make vectors of it. A point that a
 * positive query touches is above 0 by it. */
static void fill_bounds(const search *s, const term *now, int16_t bounds[SPARSE_CODES])
{
    double step = s->shard->steps[now->place], scale = (double)now->weight * s->scale;
    double base = (double)s->shard->lowest[now->place] + (now->weight > 0 ? step : 0.0);
    for (int32_t code = 0; code < SPARSE_CODES; code++)
        bounds[code] = (int16_t)((int32_t)((base + step * code) * scale) + 1);
}

static void add_term(search *s, const term *now)
{
    const oct_sparse_shard *shard = s->shard;
    uint64_t i = start_of(shard, now->place), end = shard->ends[now->place];
    int16_t *sums = s->sums, bounds[SPARSE_CODES];
    fill_bounds(s, now, bounds);
    for (; i < end; i++)
        sums[shard->offsets[i]] = (int16_t)(sums[shard->offsets[i]] + bounds[shard->codes[i]]);
}

/* What a sum must exceed for its point to be scored. */
static int16_t bar_of(const search *s)
{
    bool full = s->best->count == s->best->limit;
    double bar = full ? MAX(s->best->hits[0].score, s->query->floor) : s->query->floor;
    double steps = (bar - s->margin) * s->scale;
    double least = s->positive ? 0 : INT16_MIN;
    if (!(steps > least)) return (int16_t)least;
    return steps < INT16_MAX ? (int16_t)floor(steps) : INT16_MAX;
}

static bool may_answer(const search *s, uint32_t offset)
{
    return !s->query->allowed || oct_bits_get(s->query->allowed, offset);
}

/* Score a point from its own vector, and offer it. */
static oct_status score_point(search *s, uint32_t offset, oct_error *error)
{
    oct_named_vector vector;
    oct_status status = s->query->read(s->query->self, offset, &vector, error);
    if (status != OCT_OK || !vector.values) return status;
    float score = oct_sparse_probe_dot(s->query->probe, &vector);
    bool answer = (score > 0.0f || score < 0.0f) && score > s->query->floor;
    if (answer) (void)oct_topk_push(s->best, (oct_hit){ score, offset }); /* it knows better */
    return OCT_OK;
}

/* Is any of these above the bar? Written so that compilers make vectors of it. */
static bool any_above(const int16_t *sums, int16_t bar)
{
    int16_t above = 0;
    for (uint32_t i = 0; i < GROUP_POINTS; i++)
        above |= (int16_t)(sums[i] > bar);
    return above != 0;
}

/* The places of the highest sums above the bar, in any order. */
static void find_highest(const search *s, oct_topk *out)
{
    int16_t bar = bar_of(s);
    for (uint32_t at = 0; at < s->shard->point_count; at += GROUP_POINTS) {
        if (!any_above(s->sums + at, bar)) continue;
        uint32_t end = MIN(s->shard->point_count, at + GROUP_POINTS);
        for (uint32_t i = at; i < end; i++) {
            if (s->sums[i] <= bar || !may_answer(s, s->first + i)) continue;
            (void)oct_topk_push(out, (oct_hit){ s->sums[i], i }); /* it is above the worst */
            if (out->count == out->limit) bar = (int16_t)out->hits[0].score;
        }
    }
}

/* Score the points with the highest sums, as many as the best lack, so that there is a bar. They
 * are not scored again: no bar is below INT16_MIN. */
static oct_status score_ahead(search *s, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_topk ahead;
    oct_topk_init(&ahead, s->ahead, s->best->limit - s->best->count);
    find_highest(s, &ahead);
    for (uint32_t i = 0; i < ahead.count; i++) {
        TRY(score_point(s, s->first + s->ahead[i].offset, error));
        s->sums[s->ahead[i].offset] = INT16_MIN;
    }
done:
    return status;
}

/* Score the points whose sums are above the bar. */
static oct_status score_rest(search *s, oct_error *error)
{
    oct_status status = OCT_OK;
    int16_t bar = bar_of(s);
    for (uint32_t at = 0; at < s->shard->point_count; at += GROUP_POINTS) {
        if (!any_above(s->sums + at, bar)) continue;
        uint32_t end = MIN(s->shard->point_count, at + GROUP_POINTS);
        for (uint32_t i = at; i < end; i++)
            if (s->sums[i] > bar && may_answer(s, s->first + i))
                TRY(score_point(s, s->first + i, error));
        bar = bar_of(s);
    }
done:
    return status;
}

/* Where bounds can't be added: score every point. */
static oct_status score_all(search *s, oct_error *error)
{
    oct_status status = OCT_OK;
    for (uint32_t i = 0; i < s->shard->point_count; i++)
        if (may_answer(s, s->first + i)) TRY(score_point(s, s->first + i, error));
done:
    return status;
}

static oct_status search_shard(search *s, oct_error *error)
{
    oct_status status = OCT_OK;
    bool steps = take_terms(s);
    if (s->count == 0) return OCT_OK;
    if (!steps) return score_all(s, error);
    for (uint32_t t = 0; t < s->count; t++)
        add_term(s, &s->terms[t]);
    if (s->best->count < s->best->limit) TRY(score_ahead(s, error));
    TRY(score_rest(s, error));
    memset(s->sums, 0, SPARSE_SHARD_POINTS * sizeof *s->sums);
done:
    return status;
}

oct_status oct_sparse_search(const oct_sparse *sparse, const oct_sparse_query *query,
                             oct_arena *work, oct_topk *best, oct_error *error)
{
    oct_status status = OCT_OK;
    search s = { .query = query, .best = best };
    TRY(oct_arena_array(work, query->probe->count, sizeof *s.terms, &s.terms, error));
    TRY(oct_arena_array(work, SPARSE_SHARD_POINTS, sizeof *s.sums, &s.sums, error)); /* zeros */
    TRY(oct_arena_array(work, best->limit, sizeof *s.ahead, &s.ahead, error));
    for (uint32_t k = 0; k < sparse->shard_count; k++) {
        s.shard = &sparse->shards[k];
        s.first = k * SPARSE_SHARD_POINTS;
        TRY(search_shard(&s, error));
    }
done:
    return status;
}
