/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.c - scan, walk or skip: the one place that decides.
 *
 * Rules, first match wins:
 *
 *   0. Sparse vectors: scan. No graph is ever built over them, so there is none to wait for either;
 *      what scanning means for them is search_forms.c's to say.
 *   1. No graph: scan; or skip when only indexed segments are wanted and this one's selected rows
 *      are as large as those that should have a graph (Qdrant's rule).
 *   2. `exact`: scan.
 *   3. A filter leaves no more than full_scan_threshold KiB of rows: no walk, as Qdrant does. All
 *      codes of what is left are compared, and all rows when that is cheaper. Without a filter that
 *      setting is about building graphs, and this graph has been built.
 *   4. m is 0: the graph has links within payload blocks only. Unless the selected points are so
 *      linked, all codes are compared.
 *   5. ACORN was asked for, and the filter leaves no more than max_selectivity of the points:
 *      walk over the selected points.
 *   6. Else what costs least and finds enough:
 *
 *        measured on 100,000 x 384, f32 rows of 1536 bytes, codes of 384, one thread, AVX-512
 *          row compared in a scan             65 ns a point
 *          code compared in a scan            18 ns a point
 *          rows compared after that           45 for 10 answers: 3 us
 *          walk over all points             1600 ns per ef / share of selected points
 *          walk over selected points        3600 ns per ef (a tenth of the points selected)
 *          the same, linked among themselves  1700 ns per ef (to 2200 at a half)
 *
 *      A scan finds all, so where it costs as much as a walk it is better. The two walks cost the
 *      same at a share of a half; below, down to about a seventh, the wider one still finds more:
 *      at equal recall they meet there.
 *
 * Multivectors follow the same rules, with the bytes of all their rows; a point costs so much there
 * that nothing else counts, and the ratios of 6 are other ones:
 *
 *        measured on 10,000 x 8 rows x 64, queries of 8, one thread, AVX-512
 *          code compared in a scan          0.23 us a point
 *          walk over all points              5 to 8 us per ef
 *
 * Quantized codes change no other rule: scans and walks both compare codes then, at the same ratio
 * of costs, and full_scan_threshold counts originals, as in Qdrant. Widths count what is rescored.
 *
 * The count is exact, not an estimate, because selecting has been done by then. */
#include "query/plan.h"

#include "model/config.h"

enum {
    /* With so few, comparing rows is cheaper than codes first and the best rows afterwards. */
    FEW_POINTS = 100,
    /* A walk takes as long per candidate as so many points compared one after another: on codes and
     * on rows; over selected points and, in a graph small enough for caches, over all. */
    CODES_PER_ALLOWED = 200,
    ROWS_PER_ALLOWED = 50,
    CODES_PER_CANDIDATE = 40,
    ROWS_PER_CANDIDATE = 10,
    /* Multivectors, rows and codes alike. */
    MULTI_PER_ALLOWED = 60,
    MULTI_PER_CANDIDATE = 30
};

/* From this share of selected points on, a walk over all points finds more at equal speed. */
#define SHARE_OF_MANY         0.15

#define ACORN_MAX_SELECTIVITY 0.4 /* when not given (Qdrant) */

static uint64_t rows_bytes(const oct_collection_config *config, uint32_t v, uint64_t rows)
{
    return rows * config->vectors[v].size * sizeof(float);
}

/* Are these rows fewer than what deserves a graph? */
static bool is_small(const oct_collection_config *config, uint32_t v, uint64_t rows)
{
    uint64_t indexing = oct_config_optimizers(config).indexing_threshold;
    uint64_t full_scan = oct_config_hnsw(config, v).full_scan_threshold;
    if (indexing == 0) return true; /* graphs are turned off: nothing waits for one */
    return rows_bytes(config, v, rows) < MAX(indexing, full_scan) * 1024;
}

static double share_of(const oct_plan_facts *facts)
{
    return (double)facts->selected / (double)MAX(facts->points, 1u);
}

/* Compare all selected points. */
static oct_plan_way scan_of(const oct_plan_facts *facts)
{
    uint64_t few = MAX((uint64_t)FEW_POINTS, 2 * (uint64_t)facts->wanted);
    return facts->has_codes && facts->selected > few ? OCT_PLAN_SCAN_CODES : OCT_PLAN_SCAN;
}

oct_plan_way oct_plan_cheapest(const oct_plan_facts *facts, uint32_t ef)
{
    uint64_t candidates = MAX(ef, facts->wanted);
    bool many = share_of(facts) >= SHARE_OF_MANY;
    bool cheap = many || facts->linked;
    uint64_t points = cheap ? ROWS_PER_CANDIDATE : ROWS_PER_ALLOWED;
    if (facts->has_codes) points = cheap ? CODES_PER_CANDIDATE : CODES_PER_ALLOWED;
    if (facts->multi) points = cheap ? MULTI_PER_CANDIDATE : MULTI_PER_ALLOWED;
    if (facts->selected <= candidates * points) return scan_of(facts);
    return many && !facts->linked ? OCT_PLAN_WALK_ALL : OCT_PLAN_WALK_ALLOWED;
}

static bool wants_acorn(const oct_query *query, const oct_plan_facts *facts)
{
    double most =
        query->acorn.has_max_selectivity ? query->acorn.max_selectivity : ACORN_MAX_SELECTIVITY;
    return query->acorn.enable && facts->filtered && share_of(facts) <= most;
}

bool oct_plan_is_small(const oct_collection_config *config, uint32_t v, uint64_t rows)
{
    return (rows_bytes(config, v, rows) + 1023) / 1024 <=
           oct_config_hnsw(config, v).full_scan_threshold;
}

oct_plan oct_plan_search(const oct_collection_config *config, uint32_t v, const oct_query *query,
                         const oct_plan_facts *facts)
{
    if (config->vectors[v].kind == OCT_VECTOR_SPARSE) return (oct_plan){ .way = OCT_PLAN_SCAN };
    uint64_t rows = facts->multi ? facts->rows : facts->selected;
    if (!facts->has_graph) {
        bool indexed = facts->quantized || is_small(config, v, rows);
        bool skip = query->indexed_only && !indexed;
        return (oct_plan){ .way = skip ? OCT_PLAN_SKIP : OCT_PLAN_SCAN };
    }
    oct_hnsw_config hnsw = oct_config_hnsw(config, v);
    uint64_t asked = query->hnsw_ef != OCT_UNSET ? query->hnsw_ef : hnsw.ef_construct;
    uint64_t ef = MAX(MIN(asked, (uint64_t)OCT_HNSW_EF_MAX), facts->wanted);
    bool small = facts->filtered && oct_plan_is_small(config, v, rows);
    oct_plan plan = { .ef = (uint32_t)ef };
    if (query->exact)
        plan.way = OCT_PLAN_SCAN;
    else if (small || (hnsw.m == 0 && !facts->linked))
        plan.way = scan_of(facts);
    else if (wants_acorn(query, facts))
        plan.way = OCT_PLAN_WALK_ALLOWED;
    else
        plan.way = oct_plan_cheapest(facts, plan.ef);
    return plan;
}
