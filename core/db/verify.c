/* SPDX-License-Identifier: Apache-2.0
 *
 * verify.c - `octant check`: read everything of a collection and say what is wrong. Opening has
 * checked footers, ids and graphs' structure already; this reads every block, compares all that was
 * made of the points with the points (segment/verify.c), and checks that no point lives twice. */
#include "db/collection.h"

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
        if (status == OCT_OK) status = oct_sealed_verify(sealed, finding);
        if (status == OCT_OK) status = verify_once(view, i, finding);
    }
    if (view && status == OCT_OK)
        oct_note(finding, "%.*s: ok, %" PRIu64 " points in %" PRIu32 " segments",
                 (int)collection->name.bytes, collection->name.at, oct_view_alive_count(view),
                 view->count);
    oct_view_unpin(view);
    return status;
}
