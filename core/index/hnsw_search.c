/* SPDX-License-Identifier: Apache-2.0
 *
 * hnsw_search.c - answering one query: walk on codes, then score the best on the floats.
 *
 * Codes order the candidates well but not exactly, so the walk's best few times `limit` points are
 * scored again with the f32 kernels, in one go so that their rows are asked for together; the
 * answer carries only exact similarities. Without codes the walk's scores are exact already.
 *
 * Filters. A walk that drops forbidden points falls apart when few are allowed, and a walk over
 * all points finds few allowed ones. So there are three ways (query/plan.c says which):
 *
 *   - Very few allowed: no walk. Their codes are scored one after another, which misses none of
 *     them; a walk would take as long.
 *   - Many allowed: walk as if there were no filter, with ef widened by the share of allowed
 *     points, and drop the others at the end. Ending the walk as soon as ef allowed ones lie
 *     before the cursor, instead, was measured: the same speed at equal recall.
 *   - Few allowed: only allowed points are scored and kept; forbidden ones are looked through, to
 *     their own neighbours (the two-hop expansion of ACORN-1), each once per walk. It starts where
 *     an unfiltered walk would, and from a few allowed points spread over the segment, because
 *     all allowed ones may be far from the query. Where the graph has links within payload blocks
 *     (hnsw_links.h), they are followed too, and when enough of a point's lead to allowed points,
 *     nothing is looked through.
 *
 * The second way falls back to the third when it finds too little. */
#include <string.h>

#include "base/bits.h"
#include "base/prefetch.h"
#include "index/hnsw_graph.h"
#include "index/multi.h"

enum {
    /* Points scored exactly, when the query doesn't say: 3 * limit / 2 + 30; bench/hnsw.c shows no
     * loss against rescoring all. */
    RESCORE_MORE = 30,
    /* Allowed points a filtered walk starts from besides the descent's. */
    SEEDS = 16,
    /* Where the graph of the whole has no more links a row than this, it leads nowhere, and a walk
     * along links within blocks starts from one in so many allowed points, up to so many. */
    THIN_M = 2,
    POINTS_PER_SEED = 128,
    SEEDS_MAX = 512,
    /* Looking through forbidden points stops when this many rows' worth of points is gathered. Less
     * costs recall and saves little: the time goes into reading the rows. */
    GATHER_ROWS = 4,
    /* Points scanned at a time. */
    SCAN_POINTS = 128,
    QUERY_BYTES_MAX = 4 << 20 /* of a multivector as codes */
};

/* A walk over all points is widened to so many times ef at most. */
#define SHARE_MIN 0.01

/* Candidates kept by a walk that may end early, and its least patience, as multiples of ef. Chosen
 * so that an ef finds about as much as a walk to the end of just ef candidates. */
#define ROOM         1.25
#define PATIENCE_MIN 0.2

/* One query on its way. */
typedef struct search {
    const oct_hnsw *graph; /* without its quantized codes when they are to be ignored */
    const oct_hnsw_query *query;
    oct_hnsw_scratch *scratch;
    hnsw_target target;
    uint32_t ef;          /* candidates of a walk that keeps allowed points only */
    uint32_t ef_wide;     /* of one that keeps all; 0: not this way */
    hnsw_pace pace;       /* of that one */
    uint32_t seeds;       /* where a walk over allowed points starts */
    uint32_t gather_most; /* no more rows are looked at when so much is gathered */
    uint32_t near_enough; /* links within blocks that make looking through points needless */
} search;

static bool is_allowed(const search *s, uint32_t offset)
{
    return !s->query->allowed || oct_bits_get(s->query->allowed, offset);
}

static uint32_t ef_clamped(const search *s, double ef)
{
    double most = MIN((double)s->graph->header.inserted, (double)OCT_LIMIT_MAX);
    return (uint32_t)MAX(1.0, MIN(ef, most));
}

static double rescore_wanted(const search *s, uint32_t limit)
{
    const oct_quant *quant = s->graph->flat.quant;
    double wanted = 1.5 * limit + (double)RESCORE_MORE;
    if (quant)
        wanted = (double)oct_quant_rescored(quant, limit, s->query->oversampling);
    else if (s->query->oversampling > 0)
        wanted = (double)s->query->oversampling * limit;
    return MAX(wanted, (double)limit);
}

/* ---- the walk through forbidden points --------------------------------------------------- */

/* Look at the links of a forbidden point; allowed ones not met before are gathered. */
static uint32_t gather_through(const search *s, uint32_t node, uint32_t count)
{
    oct_hnsw_scratch *scratch = s->scratch;
    const uint32_t *row = oct_hnsw_row(s->graph, node, 0);
    for (uint32_t i = 0; i < s->graph->m0 && row[i] != HNSW_NONE; i++) {
        if (!is_allowed(s, row[i])) continue;
        scratch->nodes[count] = row[i];
        count += oct_hnsw_visit(scratch, row[i]);
    }
    return count;
}

/* Gather along the links within payload blocks; *near counts links to allowed points, whether met
 * before or not. */
static uint32_t gather_in_blocks(const search *s, uint32_t node, uint32_t count, uint32_t *near)
{
    oct_hnsw_scratch *scratch = s->scratch;
    if (!s->graph->block_starts) return count;
    const uint32_t *row = s->graph->block_links + s->graph->block_starts[node];
    uint32_t length = s->graph->block_starts[node + 1] - s->graph->block_starts[node];
    for (uint32_t i = 0; i < length && count < s->gather_most; i++) {
        if (!is_allowed(s, row[i])) continue;
        ++*near;
        scratch->nodes[count] = row[i];
        count += oct_hnsw_visit(scratch, row[i]);
    }
    return count;
}

/* Gather the allowed points one or two links from `node`, not met before, direct ones first. */
static uint32_t gather_two_hops(const search *s, uint32_t node)
{
    oct_hnsw_scratch *scratch = s->scratch;
    const uint32_t *row = oct_hnsw_row(s->graph, node, 0);
    uint32_t m0 = s->graph->m0;
    uint32_t count = 0;
    uint32_t near = 0;
    uint32_t forbidden_count = 0;
    uint32_t *forbidden = scratch->offsets; /* free on level 0, and as long as nodes */
    for (uint32_t i = 0; i < m0 && row[i] != HNSW_NONE; i++) {
        bool fresh = oct_hnsw_visit(scratch, row[i]);
        if (!fresh) continue;
        if (is_allowed(s, row[i]))
            scratch->nodes[count++] = row[i];
        else
            forbidden[forbidden_count++] = row[i];
    }
    count = gather_in_blocks(s, node, count, &near);
    if (near >= s->near_enough) return count;
    for (uint32_t i = 0; i < forbidden_count; i++)
        oct_prefetch(oct_hnsw_row(s->graph, forbidden[i], 0), 1);
    for (uint32_t i = 0; i < forbidden_count && count < s->gather_most; i++)
        count = gather_through(s, forbidden[i], count);
    return count;
}

/* Start from the descent's point and from allowed points spread over the segment. */
static uint32_t gather_seeds(const search *s, uint32_t start)
{
    oct_hnsw_scratch *scratch = s->scratch;
    const uint64_t *allowed = s->query->allowed;
    const uint64_t *present = s->graph->flat.present;
    uint32_t words = (uint32_t)oct_bits_words(s->graph->header.count);
    uint32_t count = 0;
    scratch->nodes[0] = start;
    count += oct_hnsw_visit(scratch, start);
    scratch->nodes[count] = s->graph->header.entry;
    count += oct_hnsw_visit(scratch, s->graph->header.entry);
    uint32_t stride = MAX(words / s->seeds, 1u);
    for (uint32_t first = 0; first < words; first += stride) {
        uint64_t bits = 0;
        uint32_t word = first;
        for (; word < MIN(words, first + stride) && bits == 0; word++)
            bits = allowed[word] & (present ? present[word] : UINT64_MAX);
        if (bits == 0) continue;
        uint32_t offset = (word - 1) * 64 + (uint32_t)__builtin_ctzll(bits);
        if (offset >= s->graph->header.count || count >= s->seeds) continue;
        scratch->nodes[count] = offset;
        count += oct_hnsw_visit(scratch, offset);
    }
    return count;
}

static bool walk_filtered(const search *s, uint32_t start, uint32_t ef)
{
    oct_hnsw_scratch *scratch = s->scratch;
    uint64_t *pool = scratch->pool;
    uint32_t cursor = 0;
    bool stopped = false;
    scratch->pool_count = 0;
    uint32_t count = gather_seeds(s, start);
    (void)oct_hnsw_admit(s->graph, s->target, scratch, 0, count, ef); /* the cursor is at 0 */
    while (cursor < scratch->pool_count && !stopped) {
        if (pool[cursor] & 1) {
            cursor++;
            continue;
        }
        pool[cursor] |= 1;
        count = gather_two_hops(s, oct_hnsw_key_node(pool[cursor]));
        oct_hnsw_prefetch(s->graph, scratch->nodes, count);
        if (cursor + 1 < scratch->pool_count)
            oct_prefetch(oct_hnsw_row(s->graph, oct_hnsw_key_node(pool[cursor + 1]), 0), 1);
        uint32_t changed = oct_hnsw_admit(s->graph, s->target, scratch, 0, count, ef);
        cursor = MIN(changed, cursor + 1);
        scratch->cost.expanded++;
        stopped = oct_hnsw_cancelled(scratch);
    }
    oct_hnsw_forget_visits(scratch);
    return !stopped;
}

/* ---- scanning the allowed ---------------------------------------------------------------- */

/* Score scratch->nodes [count] for the pool; false when cancelled. */
static bool scan_nodes(const search *s, uint32_t count)
{
    oct_hnsw_prefetch(s->graph, s->scratch->nodes, count);
    (void)oct_hnsw_admit(s->graph, s->target, s->scratch, 0, count, s->ef); /* no cursor here */
    return !oct_hnsw_cancelled(s->scratch);
}

/* Put the best `ef` of all allowed points into the pool, without walking. */
static bool scan_allowed(const search *s)
{
    const uint64_t *present = s->graph->flat.present;
    uint32_t words = (uint32_t)oct_bits_words(s->graph->header.count);
    uint32_t count = 0;
    s->scratch->pool_count = 0;
    for (uint32_t word = 0; word < words; word++) {
        uint64_t bits = s->query->allowed ? s->query->allowed[word] : UINT64_MAX;
        uint32_t left = s->graph->header.count - word * 64;
        if (present) bits &= present[word];
        if (left < 64) bits &= (UINT64_C(1) << left) - 1;
        for (; bits; bits &= bits - 1)
            s->scratch->nodes[count++] = word * 64 + (uint32_t)__builtin_ctzll(bits);
        if (count <= SCAN_POINTS - 64 && word + 1 < words) continue;
        if (!scan_nodes(s, count)) return false;
        count = 0;
    }
    return true;
}

/* The same for a list. */
static bool scan_listed(const search *s)
{
    uint32_t count = 0;
    s->scratch->pool_count = 0;
    for (uint32_t i = 0; i < s->query->allowed_count; i++) {
        uint32_t offset = s->query->listed[i];
        s->scratch->nodes[count] = offset;
        count += oct_flat_has(&s->graph->flat, offset);
        if (count < SCAN_POINTS && i + 1 < s->query->allowed_count) continue;
        if (!scan_nodes(s, count)) return false;
        count = 0;
    }
    return true;
}

/* ---- the answer ------------------------------------------------------------------------- */

/* Drop forbidden points from the pool; how many are left. */
static uint32_t keep_allowed(const search *s)
{
    uint64_t *pool = s->scratch->pool;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->scratch->pool_count; i++) {
        if (is_allowed(s, oct_hnsw_key_node(pool[i]))) pool[kept++] = pool[i];
    }
    s->scratch->pool_count = kept;
    return kept;
}

/* Set how wide a walk over all points is and when it may end. What counts is the places that would
 * be scored again, also where scores are exact already: those of the answer alone settle too early.
 * Among those of an `ef` without a filter, only a share is held by allowed points. A walk with room
 * for all is to find all, and a narrow one has nothing to save. */
static void set_width(search *s, double ef, double share, uint32_t limit)
{
    double best = rescore_wanted(s, limit);
    double widened = 1 / MAX(MIN(share, 1.0), SHARE_MIN);
    bool patient = ef > best;
    s->ef_wide = ef_clamped(s, (patient ? ROOM : 1) * ef * widened);
    if (!patient || s->ef_wide >= s->graph->header.inserted) return;
    double patience = MAX((ef - best) / 2, ef * PATIENCE_MIN);
    s->pace.best = (uint32_t)MIN(best * widened, (double)s->ef_wide);
    s->pace.patience = (uint32_t)MAX(patience * widened, 1.0);
}

static oct_status walk(const search *s, oct_error *error)
{
    bool done = true;
    bool enough = false;
    if (s->query->way == OCT_HNSW_SCAN) {
        done = s->query->listed ? scan_listed(s) : scan_allowed(s);
        if (done) return OCT_OK;
        return oct_fail(error, OCT_CANCELLED, "search: cancelled while scanning codes");
    }
    uint32_t start = oct_hnsw_descend(s->graph, s->target, s->scratch, 0);
    if (s->ef_wide > 0) {
        s->scratch->pace = s->pace;
        done = oct_hnsw_walk(s->graph, s->target, s->scratch, 0, start, s->ef_wide);
        s->scratch->pace.patience = UINT32_MAX;
        enough = !s->query->allowed || keep_allowed(s) >= s->ef / 2;
    }
    if (done && !enough) {
        done = walk_filtered(s, start, s->ef);
        (void)keep_allowed(s); /* the start may be forbidden; how many are left doesn't matter */
    }
    if (!done) return oct_fail(error, OCT_CANCELLED, "search: cancelled while walking a graph");
    return OCT_OK;
}

/* The best of the pool with the similarities their scores stand for. */
static void answer_scores(const search *s, oct_topk *best)
{
    const oct_hnsw_scratch *scratch = s->scratch;
    const oct_quant *quant = s->graph->flat.ends ? NULL : s->graph->flat.quant;
    for (uint32_t i = 0; i < MIN(best->limit, scratch->pool_count); i++) {
        int32_t score = oct_hnsw_key_score(scratch->pool[i]);
        float similarity = quant ? oct_quant_similarity(quant, scratch->code, score)
                                 : oct_hnsw_score_unpack(score);
        oct_topk_push(
            best, (oct_hit){ .score = similarity, .offset = oct_hnsw_key_node(scratch->pool[i]) });
    }
}

static oct_status answer(const search *s, oct_topk *best, oct_error *error)
{
    oct_hnsw_scratch *scratch = s->scratch;
    if (!oct_hnsw_walks_codes(s->graph) || (s->graph->flat.quant && !s->query->rescore)) {
        answer_scores(s, best);
        return OCT_OK;
    }
    double wanted = MIN(rescore_wanted(s, best->limit), (double)scratch->pool_count);
    uint32_t count = (uint32_t)wanted;
    uint32_t *offsets = scratch->nodes;
    for (uint32_t i = 0; i < count; i++)
        offsets[i] = oct_hnsw_key_node(scratch->pool[i]);
    scratch->cost.rescored += count;
    const oct_multi_query rows = { .values = s->query->vector, .rows = s->query->rows };
    const oct_flat_limits limits = { .cancelled = s->query->cancelled,
                                     .cancelled_arg = s->query->cancelled_arg };
    if (s->graph->flat.ends)
        return oct_multi_scan_list(&s->graph->flat, &rows, offsets, count, best, error);
    return oct_flat_scan_list(&s->graph->flat, s->query->vector, offsets, count, &limits, best,
                              error);
}

/* How wide to walk, and room for it. A scan keeps just what is scored again. */
static oct_status prepare(search *s, uint32_t limit, oct_error *error)
{
    const oct_hnsw_query *query = s->query;
    double share = 1;
    if (query->allowed) share = (double)query->allowed_count / (double)s->graph->header.inserted;
    double ef = MAX(query->ef, limit);
    const oct_quant *quant = s->graph->flat.quant;
    bool wide = query->way == OCT_HNSW_WALK_ALL;
    if (query->way == OCT_HNSW_WALK_ALLOWED) wide = !query->allowed;
    if (quant && (query->rescore || query->oversampling > 0))
        ef = MAX(ef, rescore_wanted(s, limit));
    if (query->way == OCT_HNSW_SCAN)
        ef = quant && !query->rescore ? (double)limit : rescore_wanted(s, limit);
    s->ef = ef_clamped(s, ef);
    s->pace.patience = UINT32_MAX;
    if (wide) set_width(s, ef, share, limit);
    s->near_enough = MAX(s->graph->block_m * 3 / 4, 1u);
    s->seeds = SEEDS;
    if (s->graph->header.m <= THIN_M)
        s->seeds = MIN(MAX(query->allowed_count / POINTS_PER_SEED, s->seeds), (uint32_t)SEEDS_MAX);
    uint32_t pool = MAX(s->ef, s->ef_wide);
    uint32_t row = MAX(s->graph->m0, 2 * s->graph->block_m);
    s->gather_most = GATHER_ROWS * row;
    uint32_t gather = MAX(MAX(s->gather_most + row, pool), (uint32_t)SEEDS_MAX);
    STATIC_ASSERT((uint32_t)SCAN_POINTS <= (uint32_t)SEEDS_MAX, "room for seeds does for a scan");
    return oct_hnsw_scratch_prepare(s->scratch, s->graph, pool, gather, MAX(query->rows, 1u),
                                    error);
}

/* Leave the quantized codes out. Walking on rows reads any of them, so all are touched first: an
 * atomic load per block when they are verified already. */
static oct_status ignore_codes(oct_hnsw *plain, oct_error *error)
{
    plain->flat.quant = NULL;
    if (oct_hnsw_has_codes(plain)) return OCT_OK;
    return oct_flat_touch(&plain->flat, 0, (size_t)oct_flat_row_count(&plain->flat), error);
}

/* The query's rows as the codes that are walked on. */
static void encode_query(const search *s)
{
    const oct_hnsw *graph = s->graph;
    uint32_t rows = s->target.rows;
    if (graph->flat.quant) {
        oct_multi_prepare(&graph->flat, s->query->vector, rows, s->scratch->code);
        return;
    }
    size_t bytes = oct_hnsw_query_bytes(graph);
    for (uint32_t q = 0; oct_hnsw_has_codes(graph) && q < rows; q++) {
        uint8_t *code = s->scratch->code + q * bytes;
        const float *row = s->query->vector + (size_t)q * graph->flat.dim;
        (void)oct_codes_encode_query(&graph->space, row, code); /* walks need no bias of it */
        memset(code + graph->space.row_bytes, 0, bytes - graph->space.row_bytes);
    }
}

bool oct_hnsw_takes(const oct_hnsw *graph, uint32_t rows)
{
    return rows <= QUERY_BYTES_MAX / MAX(oct_hnsw_query_bytes(graph), (size_t)1);
}

oct_status oct_hnsw_search(const oct_hnsw *graph, const oct_hnsw_query *query,
                           oct_hnsw_scratch *scratch, oct_topk *best, oct_error *error)
{
    oct_status status = OCT_OK;
    search s = { .graph = graph, .query = query, .scratch = scratch };
    hnsw_reads reads = { .status = OCT_OK, .error = error };
    scratch->cost = (oct_hnsw_cost){ 0 };
    if (graph->header.inserted == 0) return OCT_OK;
    ASSERT(query->way == OCT_HNSW_SCAN || !query->listed);
    oct_hnsw plain;
    if (query->ignore_codes && graph->flat.quant) {
        plain = *graph;
        s.graph = &plain;
        TRY(ignore_codes(&plain, error));
    }
    TRY(prepare(&s, best->limit, error));
    scratch->cancelled = query->cancelled;
    scratch->cancelled_arg = query->cancelled_arg;
    scratch->next_poll = 0;
    s.target = (hnsw_target){ .code = scratch->code,
                              .vector = query->vector,
                              .rows = MAX(query->rows, 1u) };
    encode_query(&s);
    if (!oct_hnsw_walks_codes(s.graph) && (graph->flat.read || graph->flat.ends))
        s.target.reads = &reads;
    status = walk(&s, error);
    if (reads.status != OCT_OK) status = reads.status;
    if (status == OCT_OK) status = answer(&s, best, error);
done:
    oct_flat_buffer_free(&reads.buffer);
    scratch->cancelled = NULL;
    return status;
}
