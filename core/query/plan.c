/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.c - scan, walk or skip.
 *
 * A scan costs one row per selected point. A walk of width ef scores some m0 neighbours for each
 * of ef candidates, at random places. Rules, first match wins:
 *
 *   0. Multivectors and sparse vectors: scan. No graph is ever built over them, so there is none to
 *      wait for either; what scanning means for sparse vectors is search_forms.c's to say.
 *   1. No graph: scan; or skip when only indexed segments are wanted and this one's selected rows
 *      are as large as those that should have a graph (Qdrant's rule).
 *   2. `exact`: scan.
 *   3. At most ROWS_PER_CANDIDATE selected points per candidate of the walk: scan, which is then no
 *      slower and exact. This includes requests for most points of a segment.
 *   4. A filter leaves less than full_scan_threshold KiB of rows: scan, as Qdrant does. Without a
 *      filter that setting is about building graphs, and this graph has been built.
 *   5. Walk. The graph itself chooses between looking through forbidden points and scanning
 *      codes (index/hnsw_search.c).
 *
 * The count is exact, not an estimate, because selecting has been done by then. */
#include "query/plan.h"

#include "model/config.h"

/* A walk reads about this many rows' worth of memory per candidate, on codes and at random places,
 * against a scan's full rows in order. */
enum { ROWS_PER_CANDIDATE = 8 };

static uint64_t rows_bytes(const oct_collection_config *config, uint32_t v, uint32_t rows)
{
    return (uint64_t)rows * config->vectors[v].size * sizeof(float);
}

/* Are these rows fewer than what deserves a graph? */
static bool is_small(const oct_collection_config *config, uint32_t v, uint32_t rows)
{
    uint64_t indexing = oct_config_optimizers(config).indexing_threshold;
    uint64_t full_scan = oct_config_hnsw(config, v).full_scan_threshold;
    if (indexing == 0) return true; /* graphs are turned off: nothing waits for one */
    return rows_bytes(config, v, rows) < MAX(indexing, full_scan) * 1024;
}

oct_plan oct_plan_search(const oct_collection_config *config, uint32_t v, const oct_query *query,
                         const oct_plan_facts *facts)
{
    if (config->vectors[v].kind != OCT_VECTOR_DENSE)
        return (oct_plan){ .way = OCT_PLAN_SCAN };
    if (!facts->has_graph) {
        bool skip = query->indexed_only && !is_small(config, v, facts->selected);
        return (oct_plan){ .way = skip ? OCT_PLAN_SKIP : OCT_PLAN_SCAN };
    }
    oct_hnsw_config hnsw = oct_config_hnsw(config, v);
    uint64_t asked = query->hnsw_ef != OCT_UNSET ? query->hnsw_ef : hnsw.ef_construct;
    uint64_t ef = MAX(MIN(asked, (uint64_t)OCT_HNSW_EF_MAX), facts->wanted);
    bool few = facts->selected <= ef * ROWS_PER_CANDIDATE;
    bool small = facts->filtered &&
                 rows_bytes(config, v, facts->selected) <= hnsw.full_scan_threshold * 1024;
    if (query->exact || few || small) return (oct_plan){ .way = OCT_PLAN_SCAN };
    return (oct_plan){ .way = OCT_PLAN_WALK, .ef = (uint32_t)ef };
}
