/* SPDX-License-Identifier: Apache-2.0
 *
 * verify.c - `octant check`: read everything of a collection and say what is wrong. Opening has
 * checked footers, ids and graphs' structure already; this reads every block, checks graphs for
 * what only a walk shows, and that no point lives twice. */
#include "db/collection.h"

static oct_status verify_graph(const oct_collection *collection, const oct_sealed *sealed,
                               uint32_t v, oct_error *error)
{
    const oct_hnsw *graph = sealed->vectors[v].graph;
    oct_hnsw_report report;
    if (!graph) return OCT_OK;
    oct_status status = oct_hnsw_check(collection->alloc, graph, &report, error);
    if (status != OCT_OK) return status;
    if (report.out_of_range || report.self_links || report.repeated_links || report.wrong_levels ||
        report.unreachable)
        return oct_fail(error, OCT_CORRUPT,
                        "%s: graph of vector %" PRIu32 ": %" PRIu32 " unreachable points, %" PRIu32
                        " bad links",
                        sealed->path, v, report.unreachable,
                        report.out_of_range + report.self_links + report.repeated_links +
                            report.wrong_levels);
    return OCT_OK;
}

static oct_status verify_once(const oct_view *view, uint32_t at, oct_error *error)
{
    const oct_view_entry *entry = &view->entries[at];
    for (uint32_t i = 0; i < entry->count; i++) {
        oct_location where;
        if (!oct_entry_alive(entry, i)) continue;
        if (oct_view_find(view, oct_sealed_id(entry->sealed, i), &where) && where.entry == at)
            continue;
        return oct_fail(error, OCT_CORRUPT, "%s: point %" PRIu32 " lives in two segments",
                        entry->sealed->path, i);
    }
    return OCT_OK;
}

oct_status oct_collection_check(oct_collection *collection, oct_error *finding)
{
    oct_status status = OCT_OK;
    oct_mutex_lock(&collection->writer);
    status = oct_collection_problem(collection, finding);
    oct_mutex_unlock(&collection->writer);
    oct_view *view = status == OCT_OK ? oct_collection_view(collection) : NULL;
    for (uint32_t i = 0; view && i < view->count && status == OCT_OK; i++) {
        oct_sealed *sealed = view->entries[i].sealed;
        if (!sealed) continue;
        status = oct_container_verify(sealed->container, finding);
        for (uint32_t v = 0; status == OCT_OK && v < sealed->vector_count; v++)
            status = verify_graph(collection, sealed, v, finding);
        if (status == OCT_OK) status = verify_once(view, i, finding);
    }
    if (view && status == OCT_OK)
        oct_note(finding, "%.*s: ok, %" PRIu64 " points in %" PRIu32 " segments",
                 (int)collection->name.bytes, collection->name.at, oct_view_alive_count(view),
                 view->count);
    oct_view_unpin(view);
    return status;
}
