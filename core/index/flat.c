/* SPDX-License-Identifier: Apache-2.0
 *
 * flat.c - exact search: score rows one after another, keep the best.
 *
 * Points come in blocks of 64, one word of the bitsets: absent and forbidden points are dropped
 * with two ANDs, the rest is scored. Neighbours are scored one row after another; that it is one
 * stream, which processors read ahead by themselves, is presumably why. Scattered rows go four at
 * a time, and the lines of the next four are asked for meanwhile. Measured on 384 dimensions, AVX2,
 * dot (medians, nanoseconds a row; four at a time, then one): 40,000 neighbours 172 and 74, every
 * second of them 103 and 144; 45 random rows of 10,000 120 and 134, of 50,000 234 and 308.
 *
 * Rows of other datatypes than float32 are scored one by one where they lie (simd/compact.h). Rows
 * on disk are read into a buffer, those that lie near each other at once, and scored there: the
 * same bits, since all kernels of a similarity give the same.
 *
 * The answer is the same for any order of points, because oct_topk has a total order. */
#include "index/flat.h"

#include "base/alloc.h"
#include "base/prefetch.h"
#include "simd/metric.h"

enum {
    BLOCK_POINTS = 64,       /* one word of a bitset */
    CANCEL_DISTANCES = 1024, /* distances between two looks at `cancelled` */
    READ_BYTES = 64 << 10,   /* read at once, or one row */
    GAP_BYTES = 4096,        /* read rather than skipped: a call costs as much */
    AHEAD_BYTES = 2048       /* of a row asked for ahead; the hardware follows from there */
};

/* One search: what its helpers share. */
typedef struct scan {
    const oct_flat *flat;
    const float *query;
    const oct_flat_limits *limits;
    oct_topk *best;
    oct_flat_buffer buffer;
    uint32_t distances; /* since the last look at `cancelled` */
} scan;

/* uint8 with Cosine: rows keep their lengths. */
static bool has_lengths(const oct_flat *flat)
{
    return flat->metric == OCT_METRIC_COSINE && flat->datatype == OCT_DATATYPE_UINT8;
}

static float score_compact(const oct_flat *flat, const float *query, const uint8_t *row)
{
    float square;
    bool lengths = has_lengths(flat);
    float similarity = oct_compact_similarity(flat->metric, flat->datatype, query, row, flat->dim,
                                              lengths ? &square : NULL);
    return lengths ? oct_metric_over_length(similarity, square) : similarity;
}

float oct_flat_similarity(const oct_flat *flat, const float *query, const float *row)
{
    float similarity = oct_metric_similarity(flat->kernels, flat->metric, query, row, flat->dim);
    if (!has_lengths(flat)) return similarity;
    return oct_metric_over_length(similarity, flat->kernels->dot_f32(row, row, flat->dim));
}

float oct_flat_score_stored(const oct_flat *flat, const float *query, const uint8_t *row)
{
    if (flat->datatype != OCT_DATATYPE_FLOAT32) return score_compact(flat, query, row);
    return oct_flat_similarity(flat, query, (const float *)(const void *)row);
}

float oct_flat_score(const oct_flat *flat, const float *query, size_t row)
{
    if (!flat->rows) return score_compact(flat, query, oct_flat_stored(flat, row));
    return oct_flat_similarity(flat, query, flat->rows + row * flat->dim);
}

bool oct_flat_decode(const oct_flat *flat, const uint8_t *stored, size_t rows, float *values)
{
    size_t bytes = oct_flat_row_bytes(flat);
    for (size_t i = 0; i < rows; i++) {
        if (!oct_compact_is_sound(flat->datatype, stored + i * bytes)) return false;
        oct_compact_decode(flat->datatype, stored + i * bytes, flat->dim, values + i * flat->dim);
    }
    return true;
}

void oct_flat_buffer_free(oct_flat_buffer *buffer)
{
    if (buffer->memory) oct_free(buffer->alloc, buffer->memory, buffer->bytes);
    *buffer = (oct_flat_buffer){ .bytes = 0 };
}

oct_status oct_flat_get(const oct_flat *flat, size_t row, size_t count, oct_flat_buffer *buffer,
                        const uint8_t **out, oct_error *error)
{
    size_t bytes = count * oct_flat_row_bytes(flat);
    if (!flat->read) {
        *out = oct_flat_stored(flat, row);
        return oct_flat_touch(flat, row, count, error);
    }
    if (bytes > buffer->bytes) {
        oct_flat_buffer_free(buffer);
        buffer->memory = oct_new(flat->alloc, bytes);
        if (!buffer->memory) return oct_fail_nomem(error, "rows read from disk");
        buffer->alloc = flat->alloc;
        buffer->bytes = bytes;
    }
    *out = buffer->memory;
    return flat->read(flat->read_arg, (uint64_t)row * oct_flat_row_bytes(flat), buffer->memory,
                      bytes, error);
}

static void prefetch_row(const oct_flat *flat, uint32_t offset)
{
    oct_prefetch(oct_flat_stored(flat, offset), MIN(oct_flat_row_bytes(flat), (size_t)AHEAD_BYTES));
}

oct_status oct_flat_touch(const oct_flat *flat, size_t row, size_t count, oct_error *error)
{
    if (!flat->touch || flat->read) return OCT_OK;
    return flat->touch(flat->touch_arg, oct_flat_stored(flat, row),
                       count * oct_flat_row_bytes(flat), error);
}

static void offer(oct_topk *best, float score, uint32_t offset)
{
    oct_hit hit = { .score = score, .offset = offset };
    if (best->count == best->limit && !oct_hit_before(hit, best->hits[0])) return;
    oct_topk_push(best, hit);
}

bool oct_flat_scores_fours(const oct_flat *flat)
{
    return flat->rows && !has_lengths(flat);
}

void oct_flat_score_four(const oct_flat *flat, const float *query, const uint32_t offsets[4],
                         float scores[4])
{
    const float *rows[4];
    for (int i = 0; i < 4; i++)
        rows[i] = oct_flat_row(flat, offsets[i]);
    oct_metric_similarity_x4(flat->kernels, flat->metric, query, rows, flat->dim, scores);
}

static void score_four(const scan *s, const uint32_t offsets[4])
{
    float scores[4];
    oct_flat_score_four(s->flat, s->query, offsets, scores);
    for (int i = 0; i < 4; i++)
        offer(s->best, scores[i], offsets[i]);
}

static void score_one(const scan *s, uint32_t offset)
{
    offer(s->best, oct_flat_score(s->flat, s->query, offset), offset);
}

/* Rows on disk that lie near each other are read at once. */
static oct_status score_read(scan *s, const uint32_t *offsets, uint32_t count, oct_error *error)
{
    oct_status status = OCT_OK;
    size_t bytes = oct_flat_row_bytes(s->flat);
    size_t gap = GAP_BYTES / bytes, most = MAX(READ_BYTES / bytes, (size_t)1);
    for (uint32_t i = 0, j; i < count; i = j) {
        const uint8_t *rows;
        uint32_t first = offsets[i], end = first + 1;
        for (j = i + 1; j < count && offsets[j] >= end && offsets[j] - end <= gap; j++) {
            if (offsets[j] - first >= most) break;
            end = offsets[j] + 1;
        }
        TRY(oct_flat_get(s->flat, first, end - first, &s->buffer, &rows, error));
        for (uint32_t k = i; k < j; k++)
            offer(s->best,
                  oct_flat_score_stored(s->flat, s->query, rows + (offsets[k] - first) * bytes),
                  offsets[k]);
    }
done:
    return status;
}

static bool are_neighbours(const uint32_t offsets[4])
{
    return offsets[1] == offsets[0] + 1 && offsets[2] == offsets[0] + 2 &&
           offsets[3] == offsets[0] + 3;
}

/* Score at most BLOCK_POINTS present, allowed points. */
static oct_status score_block(scan *s, const uint32_t *offsets, uint32_t count, oct_error *error)
{
    bool fours = oct_flat_scores_fours(s->flat);
    uint32_t i = 0;
    if (s->flat->read) return score_read(s, offsets, count, error);
    for (; fours && i + 4 <= count; i += 4) {
        if (are_neighbours(offsets + i)) {
            for (uint32_t j = i; j < i + 4; j++)
                score_one(s, offsets[j]);
            continue;
        }
        for (uint32_t j = i + 4; j < MIN(count, i + 8); j++)
            prefetch_row(s->flat, offsets[j]);
        score_four(s, offsets + i);
    }
    for (; i < count; i++)
        score_one(s, offsets[i]);
    return OCT_OK;
}

static oct_status poll(scan *s, uint32_t distances, oct_error *error)
{
    s->distances += distances;
    if (s->distances < CANCEL_DISTANCES) return OCT_OK;
    s->distances = 0;
    if (!s->limits->cancelled || !s->limits->cancelled(s->limits->cancelled_arg)) return OCT_OK;
    return oct_fail(error, OCT_CANCELLED, "search: cancelled during an exact scan");
}

/* The points of word `word` to be scored, as bits. */
static uint64_t wanted(const scan *s, uint32_t word)
{
    uint32_t first = word * BLOCK_POINTS;
    uint32_t left = s->flat->count - first;
    uint64_t bits = left >= BLOCK_POINTS ? UINT64_MAX : (UINT64_C(1) << left) - 1;
    if (s->flat->present) bits &= s->flat->present[word];
    if (s->limits->allowed) bits &= s->limits->allowed[word];
    return bits;
}

oct_status oct_flat_scan(const oct_flat *flat, const float *query, const oct_flat_limits *limits,
                         oct_topk *best, oct_error *error)
{
    scan s = { .flat = flat, .query = query, .limits = limits, .best = best };
    oct_status status = OCT_OK;
    uint32_t words = (uint32_t)oct_bits_words(flat->count);
    for (uint32_t word = 0; word < words; word++) {
        uint32_t offsets[BLOCK_POINTS];
        uint32_t count = 0;
        for (uint64_t bits = wanted(&s, word); bits; bits &= bits - 1)
            offsets[count++] = word * BLOCK_POINTS + (uint32_t)__builtin_ctzll(bits);
        if (count == 0) continue;
        TRY(oct_flat_touch(flat, offsets[0], offsets[count - 1] - offsets[0] + 1, error));
        TRY(score_block(&s, offsets, count, error));
        TRY(poll(&s, count, error));
    }
done:
    oct_flat_buffer_free(&s.buffer);
    return status;
}

oct_status oct_flat_scan_list(const oct_flat *flat, const float *query, const uint32_t *offsets,
                              uint32_t offset_count, const oct_flat_limits *limits, oct_topk *best,
                              oct_error *error)
{
    scan s = { .flat = flat, .query = query, .limits = limits, .best = best };
    oct_status status = OCT_OK;
    for (uint32_t first = 0; first < offset_count; first += BLOCK_POINTS) {
        uint32_t block[BLOCK_POINTS];
        uint32_t count = 0;
        uint32_t end = MIN(offset_count, first + BLOCK_POINTS);
        for (uint32_t i = first; i < end; i++) {
            ASSERT(offsets[i] < flat->count);
            if (!oct_flat_has(flat, offsets[i])) continue;
            if (limits->allowed && !oct_bits_get(limits->allowed, offsets[i])) continue;
            TRY(oct_flat_touch(flat, offsets[i], 1, error));
            block[count++] = offsets[i];
        }
        TRY(score_block(&s, block, count, error));
        TRY(poll(&s, count, error));
    }
done:
    oct_flat_buffer_free(&s.buffer);
    return status;
}
