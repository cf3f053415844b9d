/* SPDX-License-Identifier: Apache-2.0
 *
 * quant_product.c - product quantization: one byte for 1, 2, 4, 8 or 16 components (x4 .. x64),
 * the nearest of 256 centroids of that chunk.
 *
 * Centroids come from k-means over 2,048 evenly spaced rows, chunk by chunk, from evenly spaced
 * starts, for a fixed number of rounds; a centroid nobody is near to moves to the row worst served.
 * Nothing is random, so the same rows give the same centroids everywhere. Chunks are trained in
 * parallel.
 *
 * A query becomes a table of what each centroid of each chunk would add to the similarity, in
 * 16-bit steps of one width for all chunks, so that a score is a sum of integers:
 *     similarity = offset + width * sum of table[chunk][code]
 * The widest chunk's range decides the width; it is bounded by the smallest and largest value of
 * each component among the centroids, which spares a pass. 2^16 steps and chunks fit int32, since
 * the steps are fewer when there are very many chunks.
 *
 * Params: for each chunk [components][256] values, then the smallest and the largest of each
 * component. Behind the last component of the vector there are zeros, in queries and rows alike. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "index/quant_codes.h"

enum { CENTROIDS = 256, SAMPLE_ROWS = 2048, ROUNDS = 8, COMPONENTS_MAX = 16 };

typedef struct product_query {
    double width, offset; /* similarity = width * score + offset */
    uint64_t reserved[6]; /* the table begins at a multiple of 64 */
    uint16_t table[];     /* [chunks][CENTROIDS] */
} product_query;
STATIC_ASSERT(sizeof(product_query) == QUANT_ALIGN_BYTES, "the table is aligned");

static uint32_t components(const quant_header *header)
{
    return header->compression / 4;
}

static uint32_t chunks_of(const quant_header *header)
{
    return (header->dim + components(header) - 1) / components(header);
}

static void plan(quant_header *header)
{
    uint32_t padded = chunks_of(header) * components(header);
    header->param_floats = padded * (CENTROIDS + 2);
    header->extra_words = 0;
    header->row_bytes = (uint32_t)oct_quant_aligned(chunks_of(header), (size_t)OCT_PACKED_ALIGN);
}

/* The centroids of a chunk, [components][CENTROIDS]. */
static const float *centroids_of(const oct_quant *quant, uint32_t chunk)
{
    return quant->params + (size_t)chunk * components(&quant->header) * CENTROIDS;
}

/* Where the smallest values begin, and the largest behind them. */
static size_t bounds_at(const quant_header *header)
{
    return (size_t)chunks_of(header) * components(header) * CENTROIDS;
}

/* The components of a chunk, zeros behind the end. */
static void load_chunk(const quant_header *header, const float *vector, uint32_t chunk, float *out)
{
    uint32_t width = components(header);
    for (uint32_t d = 0; d < width; d++) {
        uint32_t at = chunk * width + d;
        out[d] = at < header->dim ? vector[at] : 0.0f;
    }
}

/* The nearest centroid to x, the first of equals, and its squared distance. */
static uint32_t nearest(const float *centroids, uint32_t width, const float *x, float *distance)
{
    float distances[CENTROIDS] = { 0 };
    for (uint32_t d = 0; d < width; d++) {
        const float *values = centroids + (size_t)d * CENTROIDS;
        const float value = x[d];
        for (uint32_t k = 0; k < CENTROIDS; k++) {
            float difference = values[k] - value;
            distances[k] += difference * difference;
        }
    }
    uint32_t best = 0;
    for (uint32_t k = 1; k < CENTROIDS; k++)
        best = distances[k] < distances[best] ? k : best;
    *distance = distances[best];
    return best;
}

/* ---- training --------------------------------------------------------------------------- */

typedef struct product_work {
    float rows[SAMPLE_ROWS][COMPONENTS_MAX]; /* the chunk of each sampled row */
    double sums[COMPONENTS_MAX][CENTROIDS];
    uint32_t counts[CENTROIDS];
} product_work;

static size_t train_bytes(const quant_header *header)
{
    UNUSED(header);
    return sizeof(product_work);
}

static size_t encode_bytes(const quant_header *header)
{
    UNUSED(header);
    return 0;
}

static uint32_t train_steps(const quant_header *header)
{
    return chunks_of(header);
}

/* Assign every row to its centroid and sum up; the row served worst. */
static uint32_t assign(product_work *work, uint32_t rows, const float *centroids, uint32_t width)
{
    uint32_t worst = 0;
    float largest = -1.0f;
    memset(work->sums, 0, sizeof work->sums);
    memset(work->counts, 0, sizeof work->counts);
    for (uint32_t r = 0; r < rows; r++) {
        float distance;
        uint32_t k = nearest(centroids, width, work->rows[r], &distance);
        for (uint32_t d = 0; d < width; d++)
            work->sums[d][k] += (double)work->rows[r][d];
        work->counts[k]++;
        if (distance > largest) worst = r;
        largest = MAX(largest, distance);
    }
    return worst;
}

/* Move centroids to the middle of their rows, and one that has none to the row `worst`. */
static void move_centroids(const product_work *work, float *centroids, uint32_t width,
                           uint32_t worst)
{
    bool moved = false;
    for (uint32_t k = 0; k < CENTROIDS; k++) {
        bool empty = work->counts[k] == 0;
        if (empty && moved) continue;
        for (uint32_t d = 0; d < width; d++)
            centroids[(size_t)d * CENTROIDS + k] =
                empty ? work->rows[worst][d]
                      : oct_quant_float(work->sums[d][k] / (double)work->counts[k]);
        moved = moved || empty;
    }
}

static void set_bounds(const quant_training *training, uint32_t chunk, const float *centroids)
{
    const quant_header *header = &training->quant->header;
    uint32_t width = components(header), padded = chunks_of(header) * width;
    float *low = training->params + bounds_at(header), *high = low + padded;
    for (uint32_t d = 0; d < width; d++) {
        const float *values = centroids + (size_t)d * CENTROIDS;
        uint32_t at = chunk * width + d;
        low[at] = high[at] = values[0];
        for (uint32_t k = 1; k < CENTROIDS; k++) {
            low[at] = MIN(low[at], values[k]);
            high[at] = MAX(high[at], values[k]);
        }
    }
}

/* One chunk a step, one round of k-means a pass. */
static bool train(quant_training *training)
{
    const quant_header *header = &training->quant->header;
    product_work *work = training->work;
    uint32_t chunk = training->step, width = components(header);
    uint32_t rows = MIN(training->sample_count, (uint32_t)SAMPLE_ROWS);
    float *centroids = training->params + (size_t)chunk * width * CENTROIDS;
    for (uint32_t r = 0; r < rows; r++) {
        uint32_t at = (uint32_t)((uint64_t)r * training->sample_count / rows);
        load_chunk(header, oct_flat_row(training->flat, training->sample[at]), chunk,
                   work->rows[r]);
    }
    for (uint32_t k = 0; k < CENTROIDS && rows > 0 && training->pass == 0; k++)
        for (uint32_t d = 0; d < width; d++)
            centroids[(size_t)d * CENTROIDS + k] = work->rows[(size_t)k * rows / CENTROIDS][d];
    if (rows > 0) move_centroids(work, centroids, width, assign(work, rows, centroids, width));
    if (training->pass + 1 == ROUNDS) set_bounds(training, chunk, centroids);
    return true;
}

/* ---- coding ----------------------------------------------------------------------------- */

static void encode(const oct_quant *quant, const float *vector, void *work, uint8_t *row,
                   uint32_t *extra)
{
    const quant_header *header = &quant->header;
    uint32_t chunks = chunks_of(header);
    float x[COMPONENTS_MAX], distance;
    UNUSED(work);
    UNUSED(extra);
    for (uint32_t chunk = 0; chunk < chunks; chunk++) {
        load_chunk(header, vector, chunk, x);
        row[chunk] = (uint8_t)nearest(centroids_of(quant, chunk), components(header), x, &distance);
    }
    memset(row + chunks, 0, header->row_bytes - chunks);
}

static size_t query_bytes(const quant_header *header)
{
    return sizeof(product_query) + (size_t)chunks_of(header) * CENTROIDS * sizeof(uint16_t);
}

/* The least a component's centroids add to the similarity, and how much more the best can. */
static void component_range(oct_metric metric, double q, double low, double high, double *least,
                            double *range)
{
    if (metric == OCT_METRIC_COSINE || metric == OCT_METRIC_DOT) {
        *least = MIN(q * low, q * high);
        *range = fabs(q) * (high - low);
        return;
    }
    double farthest = MAX(fabs(q - low), fabs(q - high));
    if (metric == OCT_METRIC_EUCLID) farthest *= farthest;
    *least = -farthest;
    *range = farthest;
}

static void chunk_range(const oct_quant *quant, const float *x, uint32_t chunk, double *least,
                        double *range)
{
    const quant_header *header = &quant->header;
    uint32_t width = components(header), padded = chunks_of(header) * width;
    const float *low = quant->params + bounds_at(header), *high = low + padded;
    *least = *range = 0;
    for (uint32_t d = 0; d < width; d++) {
        uint32_t at = chunk * width + d;
        double one_least, one_range;
        component_range(quant->metric, (double)x[d], (double)low[at], (double)high[at], &one_least,
                        &one_range);
        *least += one_least;
        *range += one_range;
    }
}

/* What each centroid adds to the similarity. */
static void chunk_values(const oct_quant *quant, const float *x, uint32_t chunk,
                         float values[CENTROIDS])
{
    const float *centroids = centroids_of(quant, chunk);
    memset(values, 0, CENTROIDS * sizeof *values);
    for (uint32_t d = 0; d < components(&quant->header); d++, centroids += CENTROIDS) {
        const float value = x[d];
        switch (quant->metric) {
        case OCT_METRIC_EUCLID:
            for (uint32_t k = 0; k < CENTROIDS; k++) {
                float difference = centroids[k] - value;
                values[k] -= difference * difference;
            }
            break;
        case OCT_METRIC_MANHATTAN:
            for (uint32_t k = 0; k < CENTROIDS; k++)
                values[k] -= fabsf(centroids[k] - value);
            break;
        default:
            for (uint32_t k = 0; k < CENTROIDS; k++)
                values[k] += centroids[k] * value;
        }
    }
}

static void prepare(const oct_quant *quant, const float *vector, void *memory)
{
    const quant_header *header = &quant->header;
    product_query *query = memory;
    const uint32_t chunks = chunks_of(header);
    const uint32_t steps = MIN(UINT16_MAX, (uint32_t)INT32_MAX / chunks);
    float x[COMPONENTS_MAX], values[CENTROIDS];
    double least, range, widest = 0;
    for (uint32_t chunk = 0; chunk < chunks; chunk++) {
        load_chunk(header, vector, chunk, x);
        chunk_range(quant, x, chunk, &least, &range);
        widest = MAX(widest, range);
    }
    query->width = widest / steps;
    query->offset = 0;
    const double per_step = widest > 0 ? steps / widest : 0;
    for (uint32_t chunk = 0; chunk < chunks; chunk++) {
        uint16_t *table = query->table + (size_t)chunk * CENTROIDS;
        load_chunk(header, vector, chunk, x);
        chunk_range(quant, x, chunk, &least, &range);
        chunk_values(quant, x, chunk, values);
        query->offset += least;
        for (uint32_t k = 0; k < CENTROIDS; k++) {
            double step = ((double)values[k] - least) * per_step + 0.5;
            step = step < (double)steps ? step : (double)steps; /* also what is no number */
            table[k] = (uint16_t)MAX(step, 0.0);
        }
    }
}

/* ---- scores ----------------------------------------------------------------------------- */

static void score(const oct_quant *quant, const void *memory, const uint32_t *offsets,
                  uint32_t count, int32_t *scores)
{
    const product_query *query = memory;
    const uint32_t chunks = chunks_of(&quant->header);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *row = oct_quant_row(quant, offsets[i]);
        const uint16_t *table = query->table;
        uint32_t sums[2] = { 0, 0 };
        uint32_t c = 0;
        for (; c + 2 <= chunks; c += 2, table += 2 * CENTROIDS) {
            sums[0] += table[row[c]];
            sums[1] += table[CENTROIDS + row[c + 1]];
        }
        if (c < chunks) sums[0] += table[row[c]];
        scores[i] = (int32_t)(sums[0] + sums[1]);
    }
}

static float similarity(const oct_quant *quant, const void *memory, int32_t value)
{
    const product_query *query = memory;
    double estimate = query->width * (double)value + query->offset;
    bool distance = quant->metric == OCT_METRIC_EUCLID || quant->metric == OCT_METRIC_MANHATTAN;
    if (distance && estimate > 0) estimate = 0;
    return oct_quant_float(estimate);
}

const quant_kind oct_quant_product = { .plan = plan,
                                       .train_bytes = train_bytes,
                                       .encode_bytes = encode_bytes,
                                       .train_steps = train_steps,
                                       .train_passes = ROUNDS,
                                       .train = train,
                                       .encode = encode,
                                       .query_bytes = query_bytes,
                                       .prepare = prepare,
                                       .score = score,
                                       .similarity = similarity };
