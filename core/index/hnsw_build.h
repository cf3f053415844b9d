/* SPDX-License-Identifier: Apache-2.0
 *
 * hnsw_build.h - a graph under construction, shared by the hnsw_*.c files that build and by nobody
 * else. Who does what: head of hnsw_build.c. */
#ifndef OCTANT_INDEX_HNSW_BUILD_H
#define OCTANT_INDEX_HNSW_BUILD_H

#include "base/sync.h"
#include "index/hnsw_graph.h"

enum {
    HNSW_WORKERS_MAX = 64,
    HNSW_BUILD_ROWS_MAX = 64, /* of a multivector, looked at by a build: a multiple of 4 */
    /* Neighbours of lost neighbours looked at when a row is repaired. */
    HNSW_REPAIR_CANDIDATES_MAX = 4096
};

typedef enum hnsw_phase {
    /* hnsw_prepare.c says what these do */
    HNSW_FORGET,
    HNSW_MAP,
    HNSW_LEVELS,
    HNSW_CLEAR, /* a restored build begins here, and goes on with its two phases */
    HNSW_UPPERS,
    HNSW_OLD_UPPERS,
    HNSW_MEMBERS,
    HNSW_PENDING,
    HNSW_BATCHES,
    HNSW_FIT,     /* the code space */
    HNSW_ENCODE,  /* codes of all points */
    HNSW_ADOPT,   /* links of the points of an old graph */
    HNSW_BEGIN,   /* a batch is laid out */
    HNSW_SEARCH,  /* each point of it finds its neighbours in the frozen graph */
    HNSW_COLLECT, /* its links move into the graph, and make edges back */
    HNSW_COUNT,   /* the edges are sorted by row, */
    HNSW_SCATTER, /* a few bits at a time, */
    HNSW_GROUP,   /* and put into groups, one for each row */
    HNSW_APPLY,   /* each row takes its new links */
    HNSW_END,     /* the points of the batch are members */
    HNSW_CONNECT, /* points without a way in get one */
    HNSW_MIDDLES, /* hnsw_pack.c: how codes of 4 bits would be made, */
    HNSW_PACK,    /* and where they do for walks, they are */
    HNSW_SUM,     /* the checksum of the links */
    HNSW_DONE,
    HNSW_PART_COPY, /* hnsw_checkpoint.c: links and members are taken over, */
    HNSW_PART_AUDIT /* and checked */
} hnsw_phase;

enum { HNSW_RADIX_BITS = 11 /* edges are sorted by so many bits of the row at a time */ };

/* "The row gets a link to source." A row is counted through all levels: that of an offset on level
 * 0, and behind them the upper rows. */
typedef struct hnsw_edge {
    uint32_t row;
    uint32_t source; /* node */
    int32_t score;   /* with the source as target */
} hnsw_edge;

/* Whose row is written, how many links it may have, and how many it is to have at least, if there
 * are so many candidates. */
typedef struct hnsw_place {
    uint32_t node, offset, level, max, least;
} hnsw_place;

/* What one thread works with. */
typedef struct hnsw_worker {
    oct_hnsw_scratch *scratch;
    uint64_t *keys;   /* [keys_capacity] candidates of one row */
    uint32_t *chosen; /* [m0] offsets chosen so far */
} hnsw_worker;

/* A phase that is one loop on one thread: items first .. end - 1, of `count`, at most `round` of
 * them between two looks at the clock. */
typedef struct hnsw_loop {
    oct_status (*run)(oct_hnsw_builder *builder, uint32_t first, uint32_t end, oct_error *error);
    uint32_t count, round;
} hnsw_loop;

/* Where the walk through the batches to come is. */
typedef struct hnsw_plan {
    uint32_t batch_end; /* of pending points */
    uint32_t rows;      /* own ones of the batch so far */
    uint32_t upper;     /* place among the upper points */
} hnsw_plan;

struct oct_hnsw_builder {
    const oct_host *host;
    const oct_alloc *alloc;
    oct_hnsw *graph; /* its block is ours to write until finished */
    uint8_t *block;
    uint32_t count, m, dim; /* the graph's, for sizes */
    hnsw_phase phase;
    uint32_t next; /* item of the phase to go on with */

    uint32_t uppers_listed;
    hnsw_plan plan;
    oct_codes_fitting fitting;
    uint32_t fit_items;
    oct_status fit_status; /* of touching the rows that are fitted */
    oct_error *fit_error;
    const uint8_t *part; /* bytes of the checkpoint to restore; NULL: none, or restored */
    hnsw_audit audit;    /* of it */

    uint64_t *members; /* bit per point: in the graph, can be found */
    uint32_t *pending; /* [pending_count] offsets to be inserted, ascending */
    uint32_t pending_count, pending_done;
    uint32_t total;     /* points the graph will have */
    uint32_t batch_max; /* 2 % of those */

    uint32_t batch_count; /* points pending[pending_done ..] of this batch */
    uint32_t *batch_rows; /* [batch_max + 1] first own row of each in the next two */
    uint32_t own_rows_max;
    uint32_t *own_nodes;            /* [own_rows_max][m] links of the new points, all levels */
    int32_t *own_scores;            /* of those */
    hnsw_edge *edges, *edges_other; /* [own_rows_max * m] */
    uint32_t edge_count;
    uint32_t shift;                        /* bits of the row by which edges are sorted */
    uint32_t places[1 << HNSW_RADIX_BITS]; /* of the edges with those bits */
    uint32_t *groups;                      /* [own_rows_max * m + 1] where each row's edges begin */
    uint32_t group_count;

    const oct_hnsw *old; /* NULL when starting from nothing */
    const uint32_t *new_offsets;
    uint32_t *old_offsets; /* [count] or HNSW_NONE */
    uint32_t *new_uppers;  /* [old upper_count] or HNSW_NONE */

    uint64_t *reached; /* bit per point */
    uint32_t *queue;   /* [count] of reached points */
    uint32_t queue_head, queue_tail;

    oct_codes_packing packing; /* step 0: codes are kept as they are */
    uint8_t *middles;          /* [dim] of it */

    uint32_t worker_count;
    uint32_t keys_capacity;
    hnsw_worker workers[HNSW_WORKERS_MAX];
    oct_atomic_u64 item; /* next item of a running round */
    uint32_t round_end, round_block;
};

/* ---- writing the block ------------------------------------------------------------------ */

static inline uint32_t *oct_hnsw_build_row(oct_hnsw_builder *builder, uint32_t node, uint32_t level)
{
    const uint8_t *row = (const uint8_t *)oct_hnsw_row(builder->graph, node, level);
    return (uint32_t *)(void *)(builder->block + (row - builder->graph->block));
}

static inline uint32_t oct_hnsw_row_length(const uint32_t *row, uint32_t stride)
{
    uint32_t length = 0;
    while (length < stride && row[length] != HNSW_NONE)
        length++;
    return length;
}

/* ---- choosing neighbours (hnsw_select.c) -------------------------------------------------- */

/* Sort keys best first. */
void oct_hnsw_sort_keys(uint64_t *keys, uint32_t count);
/* Stored point `offset` as a target. */
static inline hnsw_target oct_hnsw_target(const oct_hnsw *graph, uint32_t offset)
{
    if (graph->flat.ends) return (hnsw_target){ .offset = offset };
    if (!oct_hnsw_has_codes(graph))
        return (hnsw_target){ .vector = oct_flat_row(&graph->flat, offset) };
    return (hnsw_target){ .code = graph->codes + (size_t)offset * graph->header.row_bytes };
}
/* The score of (target `from`, point `to`) as that of (target `to`, point `from`): symmetric scores
 * have both biases, a walk's only that of the point. Those of multivectors are symmetric. */
static inline int32_t oct_hnsw_score_turn(const oct_hnsw *graph, int32_t score, uint32_t from,
                                          uint32_t to)
{
    if (graph->flat.ends || !oct_hnsw_has_codes(graph)) return score;
    return score + graph->bias[from] - graph->bias[to];
}
/* Write the links of `place` into row [max], unused places HNSW_NONE: of the `count` candidates in
 * worker->keys, best first and without `place` itself, those that are nearer to it than to any one
 * chosen before, and the best others up to place.least. Keys' scores have `place` as target; those
 * of the chosen go to scores [max] unless NULL. */
void oct_hnsw_select(const oct_hnsw *graph, hnsw_worker *worker, hnsw_place place, uint32_t count,
                     uint32_t *row, int32_t *scores);

/* ---- the phases ------------------------------------------------------------------------- */

/* hnsw_prepare.c: begin with the first phase; the loop of the phase at hand, if it is one of that
 * file's; go on to the next, whose memory is taken. `count` of all points 0 is allowed. NOMEM,
 * LIMIT. */
OCT_MUST_CHECK oct_status oct_hnsw_prepare_begin(oct_hnsw_builder *builder,
                                                 const oct_hnsw_reuse *reuse, oct_error *error);
hnsw_loop oct_hnsw_prepare_loop(const oct_hnsw_builder *builder);
OCT_MUST_CHECK oct_status oct_hnsw_prepare_next(oct_hnsw_builder *builder, oct_error *error);
/* hnsw_checkpoint.c: the loop of the phase at hand; to the next. CORRUPT. */
hnsw_loop oct_hnsw_restore_loop(const oct_hnsw_builder *builder);
OCT_MUST_CHECK oct_status oct_hnsw_restore_next(oct_hnsw_builder *builder, oct_error *error);
/* hnsw_repair.c */
void oct_hnsw_adopt(oct_hnsw_builder *builder, hnsw_worker *worker, uint32_t offset);
void oct_hnsw_adopt_finish(oct_hnsw_builder *builder);
/* hnsw_insert.c: how many of the pending points from `first` on make a batch when `inserted` are in
 * the graph; the phases of a batch, and the next of them: `HNSW_END`'s is left alone. */
uint32_t oct_hnsw_batch_size(const oct_hnsw_builder *builder, uint32_t inserted, uint32_t first);
void oct_hnsw_batch_begin(oct_hnsw_builder *builder);
hnsw_loop oct_hnsw_batch_loop(const oct_hnsw_builder *builder);
/* hnsw_pack.c: its phases; then, the graph becomes one of packed codes, if it is to be. */
hnsw_loop oct_hnsw_pack_loop(const oct_hnsw_builder *builder);
void oct_hnsw_pack_finish(oct_hnsw_builder *builder);
void oct_hnsw_batch_next(oct_hnsw_builder *builder);
void oct_hnsw_batch_search(oct_hnsw_builder *builder, hnsw_worker *worker, uint32_t i);
void oct_hnsw_batch_apply(oct_hnsw_builder *builder, hnsw_worker *worker, uint32_t group);
/* hnsw_connect.c: about `points` points; false when there is more to do. */
void oct_hnsw_connect_begin(oct_hnsw_builder *builder);
bool oct_hnsw_connect(oct_hnsw_builder *builder, uint32_t points);

/* ---- pieces of creation (hnsw_build.c) --------------------------------------------------- */

/* A builder whose graph has rows and a header, but no block yet. */
OCT_MUST_CHECK oct_status oct_hnsw_builder_base(const oct_host *host, const oct_flat *flat,
                                                const hnsw_header *header, oct_hnsw_builder **out,
                                                oct_error *error);
/* The block that the header now asks for, to be cleared. (hnsw_prepare.c) */
OCT_MUST_CHECK oct_status oct_hnsw_builder_block(oct_hnsw_builder *builder, oct_error *error);
/* A header for `params` over `flat`. VALIDATION. */
OCT_MUST_CHECK oct_status oct_hnsw_header_init(const oct_flat *flat, const oct_hnsw_params *params,
                                               hnsw_header *out, oct_error *error);
/* Highest level of a new point (hnsw_prepare.c). */
uint32_t oct_hnsw_level(uint64_t seed, uint32_t m, uint32_t offset);

#endif
