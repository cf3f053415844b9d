/* SPDX-License-Identifier: Apache-2.0
 *
 * count.c - how many points a filter selects, and which. Counts are exact whether or not that was
 * asked for: collecting by indexes is cheap, and what indexes can't answer has no good estimate. */
#include "index/field_sort.h"
#include "model/point_id.h"
#include "query/read.h"
#include "query/source.h"

oct_status oct_read_count(const oct_reading *reading, const oct_count *count, uint64_t *out,
                          oct_error *error)
{
    oct_status status = OCT_OK;
    uint64_t sum = 0;
    oct_selecting selecting;
    *out = 0;
    TRY(oct_selecting_begin(&selecting, reading, count->filter, error));
    for (uint32_t i = 0; i < reading->view->count; i++) {
        const oct_view_entry *entry = &reading->view->entries[i];
        oct_selection selection;
        bool listed;
        TRY(oct_selecting_list(&selecting, entry, &selection, &listed, error));
        if (!listed) TRY(oct_selecting_entry(&selecting, entry, &selection, error));
        sum += selection.count;
    }
    *out = sum;
done:
    oct_selecting_end(&selecting);
    return status;
}

/* ---- ids ----------------------------------------------------------------------------- */

typedef struct id_list {
    oct_arena *arena;
    oct_point_id *at; /* [capacity], in the arena */
    uint32_t count;
    uint32_t capacity;
} id_list;

static oct_status id_list_reserve(id_list *list, uint32_t more, oct_error *error)
{
    oct_status status = OCT_OK;
    if (more <= list->capacity - list->count) return OCT_OK;
    uint64_t needed = (uint64_t)list->count + more;
    if (needed > UINT32_MAX || needed > SIZE_MAX / 2 / sizeof *list->at)
        TRY(oct_fail(error, OCT_LIMIT, "a filter selects %" PRIu64 " points at once", needed));
    oct_point_id *grown = oct_arena_resize(list->arena, list->at, list->capacity * sizeof *list->at,
                                           (size_t)needed * sizeof *list->at);
    if (!grown) TRY(oct_arena_fail(list->arena, "ids of points", error));
    list->at = grown;
    list->capacity = (uint32_t)needed;
done:
    return status;
}

static oct_status add_entry(id_list *list, oct_selecting *selecting, const oct_view_entry *entry,
                            oct_error *error)
{
    oct_status status = OCT_OK;
    oct_selection selection;
    TRY(oct_selecting_entry(selecting, entry, &selection, error));
    if (selection.count == 0) goto done;
    TRY(id_list_reserve(list, selection.count, error));
    for (uint32_t i = 0; i < entry->count; i++)
        if (oct_selection_has(&selection, i)) list->at[list->count++] = oct_entry_id(entry, i);
    ASSERT(list->count <= list->capacity);
done:
    return status;
}

static bool id_after(const void *arg, uint32_t a, uint32_t b)
{
    const oct_point_id *ids = arg;
    return oct_point_id_compare(ids[a], ids[b]) > 0;
}

static bool is_sorted(const id_list *list)
{
    for (uint32_t i = 1; i < list->count; i++)
        if (id_after(list->at, i - 1, i)) return false;
    return true;
}

static oct_status sort_ids(id_list *list, oct_arena *work, oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t *order;
    uint32_t *temp;
    oct_point_id *sorted;
    if (is_sorted(list)) return OCT_OK;
    TRY(oct_arena_array(work, list->count, sizeof *order, &order, error));
    TRY(oct_arena_array(work, list->count, sizeof *temp, &temp, error));
    TRY(oct_arena_array(list->arena, list->count, sizeof *sorted, &sorted, error));
    for (uint32_t i = 0; i < list->count; i++)
        order[i] = i;
    oct_sort_indices(order, temp, list->count, id_after, list->at);
    for (uint32_t i = 0; i < list->count; i++)
        sorted[i] = list->at[order[i]];
    list->at = sorted;
done:
    return status;
}

oct_status oct_read_ids(const oct_reading *reading, const oct_filter *filter,
                        const oct_point_id **ids, uint32_t *count, oct_error *error)
{
    oct_status status = OCT_OK;
    id_list list = { .arena = reading->arena };
    oct_selecting selecting;
    *ids = NULL;
    *count = 0;
    TRY(oct_selecting_begin(&selecting, reading, filter, error));
    TRY(oct_arena_array(reading->arena, 0, sizeof *list.at, &list.at, error));
    for (uint32_t i = 0; i < reading->view->count; i++)
        TRY(add_entry(&list, &selecting, &reading->view->entries[i], error));
    oct_arena_reset(&selecting.work);
    TRY(sort_ids(&list, &selecting.work, error));
    *ids = list.at;
    *count = list.count;
done:
    oct_selecting_end(&selecting);
    return status;
}
