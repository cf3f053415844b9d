/* SPDX-License-Identifier: Apache-2.0
 *
 * quant.h - small codes of the vectors of one field of one segment, as a collection's
 * quantization_config asks for: made once, stored as a section of its own, scanned, and walked on
 * by the segment's graph.
 *
 * Scores are int32, larger is better, and compare within one query. They are the same on every
 * target. oct_quant_similarity turns one into an estimate of the similarity (simd/metric.h): what a
 * search shows that does not rescore.
 *
 * Kinds and the error of their estimates:
 *   scalar   8 bits a component on one interval for all: half a step of the row's component, of the
 *            query's (7 bits) a step; a step is interval / 252 (quant_scalar.c)
 *   product  1/4 to 1/64 of the bytes: about that of the nearest centroid; 0.05 to 0.5 of the
 *            spread of similarities (quant_product.c)
 *   turbo    4, 2, 1.5 or 1 bits a component of the rotated vector: 0.05, 0.2, 0.35, 0.43 of the
 *            spread, for Manhattan 0.2 at best (quant_turbo.c)
 *   binary   1, 1.5 or 2 bits a component: ranks, hardly measures. Estimates are a line fitted to
 *            pairs of rows, off by 0.25 to 0.65 of the spread of similarities (quant_binary.c)
 *
 * Rescoring, unless the query says, is Qdrant's choice: on for binary codes and for turbo codes
 * below 4 bits, off for the others.
 *
 * A quant is immutable; any number of threads use it, each with its own query memory. */
#ifndef OCTANT_INDEX_QUANT_H
#define OCTANT_INDEX_QUANT_H

#include "base/arena.h"
#include "index/flat.h"
#include "index/hnsw.h"
#include "octant/host.h"

typedef struct oct_quant oct_quant;
typedef struct oct_quant_builder oct_quant_builder;

/* What decides the codes; every member has a value (0 where it does not belong to the kind). */
typedef struct oct_quant_params {
    oct_quantization_kind kind;
    float quantile;
    uint32_t compression;
    oct_binary_encoding encoding;
    oct_query_encoding query_encoding;
    oct_turbo_bits bits;
} oct_quant_params;

/* The defaults filled in. `config` has a kind. */
oct_quant_params oct_quant_params_of(const oct_quantization_config *config);
/* Would these make the same codes, searched in the same way? */
bool oct_quant_params_equal(const oct_quant_params *a, const oct_quant_params *b);
/* Are these the codes that `config` (NULL: none) asks for? */
bool oct_quant_is_asked(const oct_quant *quant, const oct_quantization_config *config);
/* Does a search of such codes score its best again on the originals, when the query doesn't say? */
bool oct_quant_rescores(const oct_quant_params *params);

/* ---- build ------------------------------------------------------------------------------ */

/* Start coding the present rows of `flat` (copied; its rows outlive the builder). All memory is
 * taken here. `host` outlives builder and quant. NOMEM, LIMIT, or what touch answers. */
OCT_MUST_CHECK oct_status oct_quant_builder_create(const oct_host *host, const oct_flat *flat,
                                                   const oct_quant_params *params,
                                                   oct_quant_builder **out, oct_error *error);
void oct_quant_builder_destroy(oct_quant_builder *builder); /* NULL allowed */
/* Work for about budget_ns (UINT64_MAX: to the end); true when done. The codes depend neither on
 * how the work was cut nor on host->parallel_width. */
bool oct_quant_build_step(oct_quant_builder *builder, uint64_t budget_ns);
/* Share of the work done, 0..1. */
float oct_quant_builder_progress(const oct_quant_builder *builder);
/* Take the codes out of a done builder (asserted), which is then only to be destroyed. */
oct_quant *oct_quant_builder_finish(oct_quant_builder *builder);

/* ---- bytes ------------------------------------------------------------------------------ */

/* The codes as one section. Layout: quant_codes.h. */
OCT_MUST_CHECK oct_status oct_quant_write(const oct_quant *quant, const oct_hnsw_sink *sink,
                                          oct_error *error);
/* The same in pieces of OCT_HNSW_PIECE_BYTES: the next one, from *at on (0 at first), which moves;
 * *done when it was the last. */
OCT_MUST_CHECK oct_status oct_quant_write_piece(const oct_quant *quant, size_t *at,
                                                const oct_hnsw_sink *sink, bool *done,
                                                oct_error *error);
/* Codes over the section's bytes (64-byte aligned, borrowed) and the rows they were made of.
 * Everything a search relies on is checked: CORRUPT. */
OCT_MUST_CHECK oct_status oct_quant_open(const oct_alloc *alloc, const oct_flat *flat,
                                         const void *at, size_t bytes, oct_quant **out,
                                         oct_error *error);
void oct_quant_destroy(oct_quant *quant); /* NULL allowed */
/* As oct_hnsw_release. */
bool oct_quant_release(oct_quant *quant);

oct_quant_params oct_quant_params_get(const oct_quant *quant);
uint32_t oct_quant_row_bytes(const oct_quant *quant);

/* Is the code of row `row` what `vector` (NULL: no vector, zeros) is coded as? `memory` is of
 * oct_quant_check_bytes, aligned to 64. */
size_t oct_quant_check_bytes(const oct_quant *quant);
bool oct_quant_check_row(const oct_quant *quant, uint32_t row, const float *vector, void *memory);

/* ---- search ----------------------------------------------------------------------------- */

/* Bytes of a prepared query (aligned to 64 where it lies). */
size_t oct_quant_query_bytes(const oct_quant *quant);
/* `vector` is [dim], prepared as the rows are. */
void oct_quant_prepare(const oct_quant *quant, const float *vector, void *query);
/* Scores of `count` present points. */
void oct_quant_score(const oct_quant *quant, const void *query, const uint32_t *offsets,
                     uint32_t count, int32_t *scores);
/* The similarity a score stands for; never NaN, never falling with the score. */
float oct_quant_similarity(const oct_quant *quant, const void *query, int32_t score);
/* Ask for the lines that scoring these points will read. */
void oct_quant_prefetch(const oct_quant *quant, const uint32_t *offsets, uint32_t count);

/* How a quantized field is searched. */
typedef struct oct_quant_request {
    const float *vector; /* [dim], prepared */
    bool rescore;        /* score the best by code again on the rows */
    float oversampling;  /* of which there are so many times the hits asked for; 0 = our choice */
    oct_flat_limits limits;
} oct_quant_request;

/* How many of the best by code are rescored when `limit` hits are asked for. Our choice (Qdrant's
 * is `limit`) is 3 * limit / 2 + 30, and 4 * limit + 100 of coarse codes (those that rescore by
 * themselves, and product from x16 on): rows in memory cost little more than codes, and recall
 * gains much. */
uint32_t oct_quant_rescored(const oct_quant *quant, uint32_t limit, float oversampling);

/* Offer the best points by code to `best`, comparing with every present, allowed one; with exact
 * similarities when they are rescored, with estimates when not. flat->quant is set. `work` gives
 * memory. NOMEM, LIMIT, CANCELLED, or what touch answers; `best` then holds an undefined part. */
OCT_MUST_CHECK oct_status oct_quant_scan(const oct_flat *flat, const oct_quant_request *request,
                                         oct_arena *work, oct_topk *best, oct_error *error);

#endif
