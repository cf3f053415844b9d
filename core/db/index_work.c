/* SPDX-License-Identifier: Apache-2.0
 *
 * index_work.c - the indexes of a new payload field, built while writers go on.
 *
 * Sealed segments never change, so their indexes need no lock: they are built over the segments of
 * a pinned view. Then the writer lock is taken. If seals or merges have meanwhile published
 * segments that lack the index, the lock is left again and theirs are built, too; else the change
 * is applied, which finds all indexes there (apply.c). The memory segment has none in any case:
 * filters read its payloads. What a crash leaves is either no record of the change, and no index,
 * or the record: its replay builds the index again. */
#include "base/alloc.h"
#include "db/collection.h"

const oct_fields *oct_index_work_of(const oct_index_work *work, const oct_sealed *sealed)
{
    for (uint32_t i = 0; work && work->view && i < work->view->count; i++)
        if (work->view->entries[i].sealed == sealed) return work->fields[i];
    return NULL;
}

bool oct_index_work_covers(const oct_index_work *work, const oct_view *view)
{
    for (uint32_t i = 0; view && i < view->count; i++) {
        const oct_sealed *sealed = view->entries[i].sealed;
        if (sealed && !oct_index_work_of(work, sealed)) return false;
    }
    return true;
}

void oct_index_work_end(oct_collection *collection, oct_index_work *work)
{
    uint32_t count = work->view ? work->view->count : 0;
    for (uint32_t i = 0; work->fields && i < count; i++)
        oct_fields_unpin(work->fields[i]);
    oct_free(collection->alloc, work->fields, count * sizeof *work->fields);
    oct_view_unpin(work->view);
    *work = (oct_index_work){ .view = NULL };
}

oct_status oct_index_work_step(oct_collection *collection, const oct_field_config *field,
                               oct_index_work *work, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_index_work next = { .view = oct_collection_view(collection) };
    if (!next.view) return OCT_OK; /* it never loaded: the write will say so */
    next.fields = oct_new_zeroed(collection->alloc, next.view->count * sizeof *next.fields);
    if (!next.fields) TRY(oct_fail_nomem(error, "payload indexes"));
    for (uint32_t i = 0; i < next.view->count; i++) {
        const oct_view_entry *entry = &next.view->entries[i];
        if (!entry->sealed) continue;
        const oct_fields_request request = { field, 1, entry->fields,
                                             oct_index_work_of(work, entry->sealed) };
        TRY(oct_fields_create(entry->sealed, &request, &next.fields[i], error));
    }
    oct_index_work_end(collection, work);
    *work = next;
    next = (oct_index_work){ .view = NULL };
done:
    oct_index_work_end(collection, &next);
    return status;
}
