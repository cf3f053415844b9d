/* SPDX-License-Identifier: Apache-2.0
 *
 * hnsw.h - approximate search in one vector field of one segment: a layered proximity graph over
 * 7-bit codes of the vectors, packed into 4 bits when it is built. Design and differences from the
 * paper: head of hnsw.c.
 *
 * Where the field has multivectors (flat.ends), near is who has a high max_sim: hnsw_multi.c.
 *
 * Life: create a builder over the rows, call oct_hnsw_build_step until done, finish it into a
 * graph; write the graph into a file section; later open it from that section. A graph is
 * immutable, so any number of threads search it, each with its own scratch. */
#ifndef OCTANT_INDEX_HNSW_H
#define OCTANT_INDEX_HNSW_H

#include "base/topk.h"
#include "index/flat.h"
#include "octant/host.h"

enum {
    OCT_HNSW_M_MIN = 1,
    OCT_HNSW_M_MAX = 1024,
    OCT_HNSW_LEVELS_MAX = 16,
    OCT_HNSW_POINTS_MAX = 1 << 30 /* offsets leave two bits of a word free */
};

typedef struct oct_hnsw oct_hnsw;
typedef struct oct_hnsw_builder oct_hnsw_builder;
typedef struct oct_hnsw_scratch oct_hnsw_scratch;

/* ---- search ----------------------------------------------------------------------------- */

/* How allowed points are found; query/plan.c knows when to do what. */
typedef enum oct_hnsw_way {
    OCT_HNSW_WALK_ALL,     /* walk over all points, drop forbidden ones at the end */
    OCT_HNSW_WALK_ALLOWED, /* keep allowed ones only, look through forbidden ones */
    OCT_HNSW_SCAN          /* score every allowed one (on codes first, if the graph has them) */
} oct_hnsw_way;

typedef struct oct_hnsw_query {
    oct_hnsw_way way;    /* without `allowed`, WALK_ALLOWED is WALK_ALL */
    const float *vector; /* [dim], prepared as the rows are; of multivectors [rows][dim] */
    uint32_t rows;       /* of multivectors, else 0 */
    uint32_t ef;         /* width of the walk; raised to the number of hits asked for */
    /* How many of the best walked points are scored exactly, as a multiple of the hits asked for;
     * 0 = our choice. Never more than ef points. Without codes it has no effect. */
    float oversampling;
    /* For graphs over quantized codes (index/quant.h), which have these choices: */
    bool ignore_codes;       /* walk on the rows */
    bool rescore;            /* else the answer carries estimates; without codes it has no effect */
    const uint64_t *allowed; /* bit per point: may be returned; NULL = all */
    const uint32_t *listed;  /* SCAN only: [allowed_count] those points, instead of `allowed` */
    /* Points allowed, or for a walk a good estimate. Much too large costs recall, much too small
     * costs time. */
    uint32_t allowed_count;
    bool (*cancelled)(void *arg); /* asked about every 1000 distances; NULL = never cancelled */
    void *cancelled_arg;
} oct_hnsw_query;

/* Can a multivector of so many rows be walked to? Not when its codes would take megabytes, which
 * the scratch would keep. */
bool oct_hnsw_takes(const oct_hnsw *graph, uint32_t rows);

/* What a search cost, for telemetry and benches; kept in the scratch by the last search. */
typedef struct oct_hnsw_cost {
    uint64_t walked;   /* points scored while walking, all levels */
    uint64_t rescored; /* points scored exactly afterwards */
    uint64_t expanded; /* points whose links were followed on level 0 */
} oct_hnsw_cost;

/* Working memory of one search at a time. It grows to what the largest search needed and may be
 * used with any graph, one after another: keep a pool of them. */
OCT_MUST_CHECK oct_status oct_hnsw_scratch_create(const oct_alloc *alloc, oct_hnsw_scratch **out,
                                                  oct_error *error);
void oct_hnsw_scratch_destroy(oct_hnsw_scratch *scratch); /* NULL allowed */
oct_hnsw_cost oct_hnsw_scratch_cost(const oct_hnsw_scratch *scratch);

/* Offer the nearest points to `best`, with exact similarities. Same graph, query and limit: same
 * hits on every target. Fewer than best->limit come when fewer are allowed or reachable.
 * NOMEM, CANCELLED, or what the rows' touch answers; `best` then holds an undefined part. */
OCT_MUST_CHECK oct_status oct_hnsw_search(const oct_hnsw *graph, const oct_hnsw_query *query,
                                          oct_hnsw_scratch *scratch, oct_topk *best,
                                          oct_error *error);

/* ---- build ------------------------------------------------------------------------------ */

typedef struct oct_hnsw_params {
    uint32_t m;            /* links of a point per upper level; level 0 has 2m */
    uint32_t ef_construct; /* width of the walk that finds a new point's neighbours */
    uint64_t seed;         /* levels come from hash(seed, offset) */
    bool codes;            /* walk on 7-bit codes (ignored for Manhattan, which walks on floats) */
    uint32_t mark;         /* the caller's, kept with graph or links; it means nothing here */
} oct_hnsw_params;

/* A graph to start from: points it holds keep their links where both ends live on. */
typedef struct oct_hnsw_reuse {
    const oct_hnsw *graph;       /* borrowed until the builder is destroyed; same m and metric */
    const uint32_t *new_offsets; /* [old count]: its offset now, or OCT_HNSW_GONE; no repeats */
} oct_hnsw_reuse;

#define OCT_HNSW_GONE UINT32_MAX

/* Start building over the present points of `flat` (copied; what it points to outlives builder and
 * graph). `host` supplies memory, clock and threads and outlives both. `reuse` may be NULL. The
 * memory of the build is taken here and in its first steps. VALIDATION for parameters out of range,
 * NOMEM. */
OCT_MUST_CHECK oct_status oct_hnsw_builder_create(const oct_host *host, const oct_flat *flat,
                                                  const oct_hnsw_params *params,
                                                  const oct_hnsw_reuse *reuse,
                                                  oct_hnsw_builder **out, oct_error *error);
void oct_hnsw_builder_destroy(oct_hnsw_builder *builder); /* NULL allowed */

/* Work for about budget_ns (UINT64_MAX: to the end), then return; *done when nothing is left. The
 * graph doesn't depend on how the work was cut, nor on host->parallel_width. What the rows' touch
 * answers; before the first point is inserted NOMEM, LIMIT, VALIDATION of `reuse`, and CORRUPT of a
 * restored build. The builder can then only be destroyed. */
OCT_MUST_CHECK oct_status oct_hnsw_build_step(oct_hnsw_builder *builder, uint64_t budget_ns,
                                              bool *done, oct_error *error);

/* Points in the graph so far and points it will have. */
void oct_hnsw_builder_progress(const oct_hnsw_builder *builder, uint32_t *inserted,
                               uint32_t *total);

/* Distances computed so far: of walks, and of rows that were repaired or pruned. */
uint64_t oct_hnsw_builder_distances(const oct_hnsw_builder *builder);

/* Take the graph out of a done builder (asserted), which is then only to be destroyed. */
void oct_hnsw_builder_finish(oct_hnsw_builder *builder, oct_hnsw **out);

/* ---- bytes ------------------------------------------------------------------------------ */

/* Where written bytes go: oct_container_append has this shape but for the argument order. */
typedef struct oct_hnsw_sink {
    oct_status (*append)(void *self, const void *source, size_t bytes, oct_error *error);
    void *self;
} oct_hnsw_sink;

/* The graph as one section: header, links, codes. Its size, and the bytes themselves. */
uint64_t oct_hnsw_bytes(const oct_hnsw *graph);
OCT_MUST_CHECK oct_status oct_hnsw_write(const oct_hnsw *graph, const oct_hnsw_sink *sink,
                                         oct_error *error);

/* The same graph without its codes, to be opened beside quantized ones: flat.quant, on which it is
 * then walked. */
OCT_MUST_CHECK oct_status oct_hnsw_write_bare(const oct_hnsw *graph, const oct_hnsw_sink *sink,
                                              oct_error *error);

/* Either of the two in pieces: the next one, from *at on (0 at first), which moves; *done when it
 * was the last. */
enum { OCT_HNSW_PIECE_BYTES = 256 << 10 };
OCT_MUST_CHECK oct_status oct_hnsw_write_piece(const oct_hnsw *graph, bool bare, size_t *at,
                                               const oct_hnsw_sink *sink, bool *done,
                                               oct_error *error);

/* A graph over the section's bytes (64-byte aligned, borrowed as `flat` is) and the rows it was
 * built from. Everything is checked, so that a search needs no checks: CORRUPT says what is wrong.
 * Without codes every row is touched here. NOMEM. */
OCT_MUST_CHECK oct_status oct_hnsw_open(const oct_alloc *alloc, const oct_flat *flat,
                                        const void *at, size_t bytes, oct_hnsw **out,
                                        oct_error *error);
void oct_hnsw_destroy(oct_hnsw *graph); /* NULL allowed */
/* Free a piece of a graph that was built, which is good for nothing then but more of that; true
 * when nothing but its destruction is left. NULL allowed. */
bool oct_hnsw_release(oct_hnsw *graph);
/* The same in steps of a fraction of a millisecond. Begin gives a graph that is good for nothing
 * but further steps, and to be destroyed; when one is *done, it is open. */
OCT_MUST_CHECK oct_status oct_hnsw_open_begin(const oct_alloc *alloc, const oct_flat *flat,
                                              const void *at, size_t bytes, oct_hnsw **out,
                                              oct_error *error);
OCT_MUST_CHECK oct_status oct_hnsw_open_step(oct_hnsw *graph, bool *done, oct_error *error);

/* Checkpoints of a long build. A builder can be saved when at rest, which it is most of the time;
 * when not, after a few more steps. Codes are left out: they are computed again. Restoring
 * with the same rows and parameters goes on exactly where it was: the same final graph. The bytes
 * are borrowed for the first steps, while oct_hnsw_builder_restoring. CORRUPT, also from these
 * steps, when they aren't a valid part of such a build. */
bool oct_hnsw_builder_at_rest(const oct_hnsw_builder *builder);
OCT_MUST_CHECK oct_status oct_hnsw_builder_save(const oct_hnsw_builder *builder,
                                                const oct_hnsw_sink *sink, oct_error *error);
OCT_MUST_CHECK oct_status oct_hnsw_builder_restore(const oct_host *host, const oct_flat *flat,
                                                   const oct_hnsw_params *params, const void *at,
                                                   size_t bytes, oct_hnsw_builder **out,
                                                   oct_error *error);
bool oct_hnsw_builder_restoring(const oct_hnsw_builder *builder);

/* ---- inspection ------------------------------------------------------------------------- */

typedef struct oct_hnsw_report {
    uint32_t points;       /* in the graph */
    uint32_t levels;       /* 1 = level 0 only; 0 = empty graph */
    uint32_t unreachable;  /* points no walk over level-0 links from the entry finds */
    uint64_t links;        /* on level 0 */
    uint32_t out_of_range; /* links to offsets that don't exist or aren't in the graph */
    uint32_t self_links;
    uint32_t repeated_links;
    uint32_t wrong_levels; /* links on a level that their target doesn't have */
} oct_hnsw_report;

/* Examine the whole graph. The last four are 0 in every graph that was built; opening checks all of
 * them but repeated links, which do no harm. NOMEM. */
OCT_MUST_CHECK oct_status oct_hnsw_check(const oct_alloc *alloc, const oct_hnsw *graph,
                                         oct_hnsw_report *report, oct_error *error);

/* Is the graph's own code of row `row` (a point's is its offset) what `vector` is coded as? True of
 * graphs without codes. `memory` is of oct_codes_row_bytes. */
bool oct_hnsw_check_code(const oct_hnsw *graph, size_t row, const float *vector, uint8_t *memory);

/* Plain facts of a graph. */
oct_hnsw_params oct_hnsw_graph_params(const oct_hnsw *graph);
uint32_t oct_hnsw_point_count(const oct_hnsw *graph);

#endif
