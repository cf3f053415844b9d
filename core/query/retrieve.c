/* SPDX-License-Identifier: Apache-2.0
 *
 * retrieve.c - points by their ids: in the order asked, each once, missing ones left out. */
#include "query/found.h"
#include "query/read.h"
#include "query/source.h"

/* Which points were met already: a bitset per entry, made when its first point is. */
typedef struct seen_points {
    oct_arena *work;
    uint64_t **bits; /* [entries] */
} seen_points;

static oct_status see(seen_points *seen, const oct_view *view, oct_location at, bool *again,
                      oct_error *error)
{
    oct_status status = OCT_OK;
    uint64_t **bits = &seen->bits[at.entry];
    if (!*bits)
        TRY(oct_arena_array(seen->work, oct_bits_words(view->entries[at.entry].count),
                            sizeof **bits, bits, error));
    *again = oct_bits_get(*bits, at.offset);
    oct_bits_set(*bits, at.offset);
done:
    return status;
}

/* The distinct living points among the ids, in their order. */
static oct_status locate(const oct_reading *reading, const oct_retrieve *retrieve, oct_arena *work,
                         oct_rank *out, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_view *view = reading->view;
    seen_points seen = { .work = work };
    uint64_t most = MIN(retrieve->id_count, oct_view_alive_count(view));
    *out = (oct_rank){ .limit = (uint32_t)most };
    TRY(oct_arena_array(work, out->limit, sizeof *out->items, &out->items, error));
    TRY(oct_arena_array(work, view->count, sizeof *seen.bits, &seen.bits, error));
    for (uint32_t i = 0; i < retrieve->id_count; i++) {
        oct_location at;
        bool again;
        if (!oct_view_find(view, retrieve->ids[i], &at)) continue;
        TRY(see(&seen, view, at, &again, error));
        if (again) continue;
        ASSERT(out->count < out->limit);
        out->items[out->count++] = (oct_ranked){ .at = at, .id = retrieve->ids[i] };
    }
done:
    return status;
}

oct_status oct_read_retrieve(const oct_reading *reading, const oct_retrieve *retrieve,
                             oct_found *out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_showing showing;
    oct_found_point *points;
    oct_rank places;
    oct_arena work;
    oct_arena_init(&work, reading->host->alloc, 0);
    *out = (oct_found){ .count = 0 };
    TRY(oct_showing_parse(reading, &retrieve->with_payload, &retrieve->with_vector, &showing,
                          error));
    TRY(locate(reading, retrieve, &work, &places, error));
    TRY(oct_found_fill(reading, &showing, places.items, places.count, &points, error));
    out->points = points;
    out->count = places.count;
done:
    oct_arena_reset(&work);
    return status;
}
