/* SPDX-License-Identifier: Apache-2.0
 *
 * hnsw_graph.h - the flat form of a graph and the walk over it, shared by the hnsw_*.c files and
 * by nobody else.
 *
 * One block of bytes holds the graph, in memory and in a file alike:
 *
 *     header        hnsw_header, 128 bytes
 *     upper_points  u32 [upper_count]      offsets of the points above level 0, ascending
 *     upper_starts  u32 [upper_count + 1]  first upper row of each; the difference is its level
 *     upper_links   u32 [upper_rows][m]    rows of levels 1, 2, ... of one point are neighbours
 *     links         u32 [count][m0]        rows of level 0
 *     bias          i32 [count]            only with codes; of multivectors [rows]
 *     codes         u8  [count][row_bytes] likewise
 *     middles       u8  [dim]              only with packed codes (oct_codes_packing)
 *
 * each part at a multiple of 64 bytes, gaps zero, all little-endian. A row of links ends at its
 * stride or at the first HNSW_NONE; everything behind that is HNSW_NONE too. Links of upper levels
 * name places in upper_points, not offsets, so following one needs no search. A `node` is the
 * name of a point on a level: its offset on level 0, its place in upper_points above. Both orders
 * agree, so ties broken by node are broken by offset. */
#ifndef OCTANT_INDEX_HNSW_GRAPH_H
#define OCTANT_INDEX_HNSW_GRAPH_H

#include <string.h>

#include "index/hnsw.h"
#include "index/quant.h"
#include "simd/codes.h"

#define HNSW_NONE  UINT32_MAX
#define HNSW_MAGIC UINT32_C(0x534e4848) /* "HHNS" */

enum {
    HNSW_VERSION = 2,
    HNSW_ALIGN_BYTES = 64,
    HNSW_FLAG_CODES = 1,
    HNSW_FLAG_PART = 2,  /* a checkpoint: members follow the links instead of codes */
    HNSW_FLAG_MULTI = 4, /* over multivectors */
    HNSW_FLAG_PACKED = 8 /* the codes have 4 bits, for walks only: graphs are built on 7 */
};

typedef struct hnsw_header {
    uint32_t magic, version;
    uint32_t count, dim;
    uint32_t metric, flags;
    uint32_t m, ef_construct;
    uint64_t seed;
    uint32_t inserted; /* points in the graph */
    uint32_t levels;   /* 1 + level of the entry; 0 when the graph is empty */
    uint32_t entry;    /* offset; 0 when the graph is empty */
    uint32_t upper_count, upper_rows;
    uint32_t row_bytes; /* of one code row, 0 without codes */
    uint32_t crc;  /* crc32c of the block up to bias (in a part: to its end), taking this as 0 */
    float scale;   /* of the code space; 0 without codes */
    uint32_t mark; /* the caller's */
    uint32_t rows; /* of all multivectors, each with a code; else 0: a code a point */
    uint32_t step; /* of packed codes, else 0 */
    uint32_t reserved[11];
} hnsw_header;
STATIC_ASSERT(sizeof(hnsw_header) == 128, "the header is 128 bytes");

/* Where the parts begin and end. */
typedef struct hnsw_layout {
    size_t upper_points, upper_starts, upper_links, links, bias, codes, middles, end;
} hnsw_layout;

/* A check of a whole graph under way: first the checksum of its bytes, then its structure. */
typedef struct hnsw_audit {
    const uint8_t *at; /* where the bytes are, header and all */
    size_t covered, summed;
    uint32_t expected, crc;
    uint32_t checked; /* lists and rows */
} hnsw_audit;

struct oct_hnsw {
    oct_flat flat;
    const oct_alloc *alloc;
    hnsw_header header;
    hnsw_layout layout;
    oct_codes space;
    uint32_t m0;
    uint32_t entry_node; /* on the top level */
    const uint8_t *block;
    uint8_t *owned; /* the allocation around block; NULL when the block is borrowed */
    size_t owned_bytes;
    /* Into the block. */
    const uint32_t *upper_points, *upper_starts, *upper_links, *links;
    const int32_t *bias;
    const uint8_t *codes;
    hnsw_audit audit; /* while it is opened */
    /* Links within payload blocks (hnsw_links.c), borrowed; NULL when there are none. */
    const uint32_t *block_starts, *block_links;
    uint32_t block_m, block_mark; /* of the parameters they were built with */
};

/* The layout of a header's counts; LIMIT when it doesn't fit this machine's memory. */
OCT_MUST_CHECK oct_status oct_hnsw_layout(const hnsw_header *header, hnsw_layout *out,
                                          oct_error *error);
/* Set the pointers of a graph whose header, layout and block are set. */
void oct_hnsw_attach(oct_hnsw *graph);
/* Memory for a block, uninitialised, with its first byte aligned: *owned is what is to be freed. */
OCT_MUST_CHECK oct_status oct_hnsw_block_create(const oct_alloc *alloc, size_t bytes,
                                                uint8_t **owned, size_t *owned_bytes,
                                                uint8_t **block, oct_error *error);
/* The place of a point in upper_points, or HNSW_NONE. */
uint32_t oct_hnsw_upper_find(const oct_hnsw *graph, uint32_t offset);
/* Check a header against rows, and the section size against the header, but not its crc. CORRUPT.
 * *covered: bytes that are under the crc, its own apart. */
OCT_MUST_CHECK oct_status oct_hnsw_header_read(const void *at, size_t bytes, const oct_flat *flat,
                                               hnsw_header *out, hnsw_layout *layout,
                                               size_t *covered, oct_error *error);
/* Begin to check everything a search relies on. */
hnsw_audit oct_hnsw_audit_begin(const hnsw_header *header, const void *at, size_t covered);
/* Go on with it, for a fraction of a millisecond, on a graph whose pointers are set. `members` (bit
 * per point; NULL: all) is the set of points in the graph. *done when all is well. CORRUPT. */
OCT_MUST_CHECK oct_status oct_hnsw_audit_step(const oct_hnsw *graph, const uint64_t *members,
                                              hnsw_audit *audit, bool *done, oct_error *error);
/* crc32c of a header, its crc taken as 0. */
uint32_t oct_hnsw_header_crc(const hnsw_header *header);
/* ... and the bytes behind it up to `end`. */
uint32_t oct_hnsw_crc(const hnsw_header *header, const uint8_t *block, size_t end);

static inline const uint32_t *oct_hnsw_row(const oct_hnsw *graph, uint32_t node, uint32_t level)
{
    if (level == 0) return graph->links + (size_t)node * graph->m0;
    return graph->upper_links + ((size_t)graph->upper_starts[node] + level - 1) * graph->header.m;
}

static inline uint32_t oct_hnsw_row_stride(const oct_hnsw *graph, uint32_t level)
{
    return level == 0 ? graph->m0 : graph->header.m;
}

static inline uint32_t oct_hnsw_upper_level(const oct_hnsw *graph, uint32_t node)
{
    return graph->upper_starts[node + 1] - graph->upper_starts[node];
}

static inline uint32_t oct_hnsw_node_offset(const oct_hnsw *graph, uint32_t node, uint32_t level)
{
    return level == 0 ? node : graph->upper_points[node];
}

static inline bool oct_hnsw_has_codes(const oct_hnsw *graph)
{
    return (graph->header.flags & HNSW_FLAG_CODES) != 0;
}

static inline bool oct_hnsw_is_packed(const oct_hnsw *graph)
{
    return (graph->header.flags & HNSW_FLAG_PACKED) != 0;
}

/* ---- the walk --------------------------------------------------------------------------- */

/* A candidate in one word: score (higher is better) above node (lower is better) above a flag
 * that says its links were followed. A greater word is a better candidate, and no two nodes are
 * equal, so sorting candidates needs no second key. */
static inline uint64_t oct_hnsw_key(int32_t score, uint32_t node)
{
    uint32_t high = (uint32_t)score ^ UINT32_C(0x80000000);
    return (uint64_t)high << 32 | (uint64_t)(UINT32_C(0x7fffffff) - node) << 1;
}
static inline uint32_t oct_hnsw_key_node(uint64_t key)
{
    return UINT32_C(0x7fffffff) - ((uint32_t)key >> 1);
}
static inline int32_t oct_hnsw_key_score(uint64_t key)
{
    return (int32_t)((uint32_t)(key >> 32) ^ UINT32_C(0x80000000));
}

/* A float similarity as an integer of the same order, and back. */
static inline int32_t oct_hnsw_score_pack(float similarity)
{
    int32_t bits;
    memcpy(&bits, &similarity, sizeof bits);
    return bits < 0 ? bits ^ INT32_MAX : bits;
}
static inline float oct_hnsw_score_unpack(int32_t score)
{
    int32_t bits = score < 0 ? score ^ INT32_MAX : score;
    float similarity;
    memcpy(&similarity, &bits, sizeof similarity);
    return similarity;
}

/* Does a walk compare codes, quantized ones or the graph's own? */
static inline bool oct_hnsw_walks_codes(const oct_hnsw *graph)
{
    return graph->flat.quant || oct_hnsw_has_codes(graph);
}

/* How rows that are on disk are scored in a walk: once a read failed the scores mean nothing, and
 * the walk's answer is `status`. */
typedef struct hnsw_reads {
    oct_flat_buffer buffer;
    oct_status status;
    oct_error *error;
} hnsw_reads;

/* What a walk goes towards: a code when it compares codes (of quantized ones: a prepared query),
 * else floats. */
typedef struct hnsw_target {
    const uint8_t *code;
    const float *vector;
    hnsw_reads *reads; /* set when it compares rows that are on disk, or those of multivectors */
    uint32_t rows;     /* multivectors: of the query, one after another; 0: it is the point */
    uint32_t offset;   /* at this offset, as in builds */
} hnsw_target;

/* When a walk ends before all its candidates were followed: as soon as `patience` points in turn
 * bettered none of the `best` first places. Patience UINT32_MAX, as builds have it: never. */
typedef struct hnsw_pace {
    uint32_t best, patience;
} hnsw_pace;

struct oct_hnsw_scratch {
    const oct_alloc *alloc;
    uint8_t *memory; /* one allocation; every array below lies in it */
    size_t memory_bytes;
    size_t words, ef, gather, code_bytes; /* room for so much */
    uint64_t *visited;                    /* [words], bit per node; all zero between walks */
    uint32_t *touched; /* [words + 1]: [touched_count] words of visited that aren't zero */
    uint64_t *pool;    /* [ef]: [pool_count] best candidates, best first */
    uint64_t *fresh;   /* [ef] keys on their way into the pool, best first */
    uint32_t *nodes;   /* [gather] gathered neighbours */
    uint32_t *offsets; /* [gather] of those */
    int32_t *scores;   /* [gather] of those */
    uint8_t *code;     /* [code_bytes] of the target, aligned */
    uint32_t touched_count, pool_count;
    hnsw_pace pace;
    oct_hnsw_cost cost;
    bool (*cancelled)(void *arg); /* of the running search; NULL while building */
    void *cancelled_arg;
    uint64_t next_poll; /* value of cost.walked at which `cancelled` is asked again */
};

/* Room for walks on this graph with `ef` candidates and `gather` neighbours at once, towards a
 * query of `rows` rows. NOMEM leaves the scratch as usable as before. */
OCT_MUST_CHECK oct_status oct_hnsw_scratch_prepare(oct_hnsw_scratch *scratch, const oct_hnsw *graph,
                                                   uint32_t ef, uint32_t gather, uint32_t rows,
                                                   oct_error *error);
/* Bytes from one row of a query as codes to the next. */
size_t oct_hnsw_query_bytes(const oct_hnsw *graph);

/* Similarities (packed or code scores) of the target and `count` points. */
void oct_hnsw_score(const oct_hnsw *graph, hnsw_target target, const uint32_t *offsets,
                    uint32_t count, int32_t *scores);

/* The same in a graph over multivectors (hnsw_multi.c). */
void oct_hnsw_score_multi(const oct_hnsw *graph, hnsw_target target, const uint32_t *offsets,
                          uint32_t count, int32_t *scores);

/* Ask for the lines that scoring these points will read. */
void oct_hnsw_prefetch(const oct_hnsw *graph, const uint32_t *offsets, uint32_t count);

/* Steepest ascent from the entry down to `level` + 1; the node of `level` to start from, which
 * for a level at or above the top is the entry's. The graph isn't empty. */
uint32_t oct_hnsw_descend(const oct_hnsw *graph, hnsw_target target, oct_hnsw_scratch *scratch,
                          uint32_t level);

/* The best `ef` nodes of `level` found from `start`, into scratch->pool; false when cancelled. The
 * scratch is prepared for this ef and a full row of links, and says how patient the walk is. */
bool oct_hnsw_walk(const oct_hnsw *graph, hnsw_target target, oct_hnsw_scratch *scratch,
                   uint32_t level, uint32_t start, uint32_t ef);

/* The parts of a walk that a filtered one (hnsw_search.c) is made of, too. */

/* True when it is time to stop. */
bool oct_hnsw_cancelled(oct_hnsw_scratch *scratch);
/* Mark a node; the word before marking is returned, so that the caller can test its bit. */
static inline bool oct_hnsw_visit(oct_hnsw_scratch *scratch, uint32_t node)
{
    uint32_t word = node / 64;
    uint64_t before = scratch->visited[word];
    uint64_t bit = UINT64_C(1) << (node % 64);
    scratch->visited[word] = before | bit;
    scratch->touched[scratch->touched_count] = word;
    scratch->touched_count += before == 0;
    return (before & bit) == 0;
}
void oct_hnsw_forget_visits(oct_hnsw_scratch *scratch);
/* Score scratch->nodes [count] of `level` and put what is good enough into the pool of at most
 * `ef`; the first place that changed, or pool_count when none did. */
uint32_t oct_hnsw_admit(const oct_hnsw *graph, hnsw_target target, oct_hnsw_scratch *scratch,
                        uint32_t level, uint32_t count, uint32_t ef);

#endif
