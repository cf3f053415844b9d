/* SPDX-License-Identifier: Apache-2.0
 *
 * codes.h - 7-bit codes of vectors, on which graphs are built and walked.
 *
 * A code space maps x to the step r = round(x * 63 / limit), clipped to -63..63, and stores the
 * byte r + 64 (1..127). Bytes behind the dimension, up to a multiple of 64, are 0 and add nothing
 * to any product. One row is `row_bytes` such bytes and one int32, its bias.
 *
 * Scores. With u and c the bytes of two vectors and q and r their steps,
 *     sum u*c = sum q*r + 64 * sum q + 64 * sum r + 4096 * dim,
 * so with bias = -64 * sum r (and, for Euclid, minus half of sum r*r, rounded down)
 *     walk score      = dot_u7i8(u, c) + bias(row)
 *     symmetric score = dot_u7i8(u, c) + bias(row) + bias(query)
 * are 4096 * dim + sum q*r for Cosine and Dot, and 4096 * dim - |q - r|^2 / 2 for Euclid, the
 * walk score up to a constant of the query. Both are exact int32, larger is better, the same on
 * every CPU. Walk scores of one query compare with each other; symmetric scores of any pairs do,
 * and do not depend on which of the two is called the query. Rounding the half down makes the
 * Euclid score at most one too large.
 *
 * Range: for 65536 dimensions |dot| <= 1.06e9 and |bias| <= 4.0e8, so no sum overflows int32.
 *
 * Queries and rows are coded alike, so a stored row can be a query: that is how a graph is built.
 * Manhattan distance is not a product; its graphs walk on floats. */
#ifndef OCTANT_SIMD_CODES_H
#define OCTANT_SIMD_CODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "octant/status.h"
#include "octant/types.h"
#include "simd/kernels.h"

enum {
    OCT_CODES_ALIGN = 64,
    OCT_CODES_STEPS = 63,
    OCT_CODES_ZERO = 4096, /* a dimension's part in the walk score of two zeros */
    OCT_CODES_STEP_MAX = 16,
    OCT_CODES_ERROR_SHARE = 24
};

typedef struct oct_codes {
    float scale; /* width of one step: limit / 63. The only parameter to store; > 0, finite */
    uint32_t dim;
    uint32_t row_bytes; /* dim rounded up to a multiple of OCT_CODES_ALIGN */
    oct_metric metric;
} oct_codes;

/* Where the vectors to fit come from. `vector` returns vector `index` (dim finite floats,
 * preprocessed), valid until its next call. It is called with rising indexes, three times over. */
typedef struct oct_codes_source {
    const float *(*vector)(void *self, uint32_t index);
    void *self;
    uint32_t count;
} oct_codes_source;

/* False for Manhattan. */
bool oct_codes_supports(oct_metric metric);

/* Bytes of one code row of `dim` dimensions. */
size_t oct_codes_row_bytes(uint32_t dim);

/* Choose the code space of a set of vectors: the limit is the .998 quantile of |x| or, where the
 * components behind it are so large that clipping them costs more than wider steps, a multiple of
 * it. Looks at about a million components of evenly spaced vectors, so the same vectors always
 * give the same codes. An empty set is allowed. `metric` must be supported, dim must be
 * 1..OCT_VECTOR_SIZE_MAX. */
void oct_codes_fit(oct_codes *codes, oct_metric metric, uint32_t dim,
                   const oct_codes_source *source);

/* The same in steps: begin says how many items there are, each a look at one vector, to be done in
 * order; then comes the end. */
enum { OCT_CODES_WIDTHS = 12 /* limits that are tried */ };
typedef struct oct_codes_fitting {
    oct_codes_source source;
    uint32_t dim, vectors; /* how many of the source's, evenly spaced */
    uint32_t prefix;       /* of the quantile's bits, and its rank among values that share it */
    uint64_t rank;
    uint64_t counts[256];
    float limits[OCT_CODES_WIDTHS];
    double clipped[OCT_CODES_WIDTHS];
} oct_codes_fitting;
uint32_t oct_codes_fit_begin(oct_codes_fitting *fit, uint32_t dim, const oct_codes_source *source);
void oct_codes_fit_look(oct_codes_fitting *fit, uint32_t item);
void oct_codes_fit_end(const oct_codes_fitting *fit, oct_metric metric, oct_codes *codes);

/* The code space with a stored `scale`. CORRUPT when no fit could have made it. */
OCT_MUST_CHECK
oct_status oct_codes_restore(oct_metric metric, uint32_t dim, float scale, oct_codes *codes,
                             oct_error *error);

/* Write the row of a preprocessed vector (row_bytes bytes) and return its bias. */
int32_t oct_codes_encode(const oct_codes *codes, const float *vector, uint8_t *row);

/* The same for a query, whose bias only symmetric scores need. */
static inline int32_t oct_codes_encode_query(const oct_codes *codes, const float *vector,
                                             uint8_t *query)
{
    return oct_codes_encode(codes, vector, query);
}

/* Bytes of one row in 4 bits a dimension: a multiple of OCT_CODES_ALIGN. Its query is a 7-bit row
 * with zeros behind it, up to twice as many bytes. */
size_t oct_codes_packed_bytes(uint32_t dim);

/* Rows of 4 bits, for walks only. The value v = (r - middle) / step + 8, rounded down and kept in
 * 0..15, stands for the step s = (v - 8 + 1/2) * step + middle, all in steps of the 7-bit code. Of
 * a product sum q*r the row has sum q*s; sum q*(r - s) is lost, but where the query is near the
 * row, the better part of it is known: what it would be for a query halfway between the row and the
 * middles, and that is added. Middles of dimensions add the same to every product with a query, so
 *     dot_u7u4(query, packed) + bias
 *     bias = -64 * sum v + sum (r + middle) / 2 * (r - s) / step (Euclid: - sum r*r / 2 / step)
 * is about the walk score over `step`, up to a constant of the query, and a search needs neither
 * middles nor step. For 65536 dimensions no sum overflows. */
typedef struct oct_codes_packing {
    uint32_t step;          /* 1..OCT_CODES_STEP_MAX */
    const uint8_t *middles; /* [dim] as bytes of a row */
} oct_codes_packing;

/* The step with the least squared error, or 0 when that is more than one part in
 * OCT_CODES_ERROR_SHARE of the variance. `differences` counts, over some rows and all dimensions,
 * byte - middle + 128. */
uint32_t oct_codes_fit_packing(const uint32_t differences[256]);

/* The packed form of a row, which may lie where `row` begins or before, and its bias. */
int32_t oct_codes_pack(const oct_codes *codes, const oct_codes_packing *packing, const uint8_t *row,
                       uint8_t *packed);

/* The walk score of one row. */
static inline int32_t oct_codes_score(const oct_codes *codes, const oct_kernels *kernels,
                                      const uint8_t *query, const uint8_t *row, int32_t bias)
{
    return kernels->dot_u7i8(query, (const int8_t *)row, codes->row_bytes) + bias;
}

/* The similarity (see metric.h) that a symmetric score stands for: an estimate, whose error is
 * that of rounding and clipping the two vectors. */
float oct_codes_similarity(const oct_codes *codes, int32_t symmetric_score);

#endif
