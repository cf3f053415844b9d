/* SPDX-License-Identifier: Apache-2.0
 *
 * source.c - the two kinds of segments behind one face.
 *
 * The face is a handful of functions with an `if`, not a table of function pointers: there are two
 * kinds, a reader sees both branches side by side, and the hot loops (scans, graph walks) do not
 * come through here. Temporary bitsets live in arenas of a read's own, emptied at every entry, so
 * that a view of many segments needs no more memory than its largest. */
#include "query/source.h"

#include <string.h>

/* A list is worth it for less than one point in so many: going over bits costs as much then. */
enum { POINTS_PER_LISTED = 32 };

/* ---- parts of a point ---------------------------------------------------------------- */

oct_point_id oct_entry_id(const oct_view_entry *entry, uint32_t offset)
{
    if (entry->memory) return oct_memory_slot(entry->memory, offset)->id;
    return oct_sealed_id(entry->sealed, offset);
}

oct_status oct_entry_version(const oct_view_entry *entry, uint32_t offset, uint64_t *out,
                             oct_error *error)
{
    if (entry->sealed) return oct_sealed_version(entry->sealed, offset, out, error);
    *out = oct_memory_slot(entry->memory, offset)->version;
    return OCT_OK;
}

oct_status oct_entry_payload(const oct_view_entry *entry, uint32_t offset, oct_arena *arena,
                             oct_str *out, oct_error *error)
{
    if (entry->sealed) return oct_sealed_payload(entry->sealed, offset, arena, out, error);
    *out = oct_memory_slot(entry->memory, offset)->payload;
    return OCT_OK;
}

oct_status oct_entry_vector(const oct_view_entry *entry, uint32_t offset, uint32_t v,
                            oct_arena *arena, oct_named_vector *out, oct_error *error)
{
    if (entry->sealed) return oct_sealed_vector_at(entry->sealed, offset, v, arena, out, error);
    *out = oct_memory_vector_at(entry->memory, offset, v);
    return OCT_OK;
}

/* ---- as filters see it --------------------------------------------------------------- */

static oct_status source_payload(void *self, uint32_t offset, oct_arena *arena, oct_str *out,
                                 oct_error *error)
{
    return oct_entry_payload(self, offset, arena, out, error);
}

static oct_point_id source_id(void *self, uint32_t offset)
{
    return oct_entry_id(self, offset);
}

static bool source_find(void *self, oct_point_id id, uint32_t *offset)
{
    const oct_view_entry *entry = self;
    uint32_t found = entry->memory ? oct_memory_find(entry->memory, id, entry->count)
                                   : oct_sealed_find(entry->sealed, id);
    if (found == OCT_SLOT_NONE) return false;
    *offset = found;
    return true;
}

static const oct_field *source_field(void *self, oct_str key)
{
    const oct_view_entry *entry = self;
    return oct_fields_find(entry->fields, key);
}

oct_filter_source oct_entry_source(const oct_view_entry *entry)
{
    ASSERT(!entry->memory != !entry->sealed);
    return (oct_filter_source){ .self = (void *)(uintptr_t)entry, /* only ever read through */
                                .point_count = entry->count,
                                .alive = entry->alive ? entry->alive->bits : NULL,
                                .payload = source_payload,
                                .id = source_id,
                                .find = source_find,
                                .field = entry->fields ? source_field : NULL };
}

/* ---- selections ---------------------------------------------------------------------- */

oct_status oct_selecting_begin(oct_selecting *selecting, const oct_reading *reading,
                               const oct_filter *filter, oct_error *error)
{
    oct_status status = OCT_OK;
    selecting->program = NULL;
    oct_arena_init(&selecting->work, reading->host->alloc, 0);
    oct_arena_init(&selecting->scratch, reading->host->alloc, 0);
    if (!filter) return OCT_OK;
    TRY(oct_filter_compile(reading->arena, filter, &selecting->program, error));
    if (oct_filter_is_empty(selecting->program)) selecting->program = NULL;
done:
    return status;
}

void oct_selecting_end(oct_selecting *selecting)
{
    oct_arena_reset(&selecting->work);
    oct_arena_reset(&selecting->scratch);
}

oct_status oct_selecting_entry(oct_selecting *selecting, const oct_view_entry *entry,
                               oct_selection *out, oct_error *error)
{
    oct_status status = OCT_OK;
    uint64_t *bits = NULL;
    oct_arena_reset(&selecting->work);
    *out = (oct_selection){ .bits = entry->alive ? entry->alive->bits : NULL,
                            .count = entry->alive_count };
    if (!selecting->program || entry->alive_count == 0) return OCT_OK;
    size_t words = oct_bits_words(entry->count);
    const oct_filter_source source = oct_entry_source(entry);
    TRY(oct_arena_array(&selecting->work, words, sizeof *bits, &bits, error));
    TRY(oct_filter_collect(selecting->program, &source, &selecting->work, &selecting->scratch, bits,
                           error));
    *out = (oct_selection){ .bits = bits, .count = (uint32_t)oct_bits_count(bits, words) };
    ASSERT(out->count <= entry->alive_count);
done:
    return status;
}

oct_status oct_selecting_list(oct_selecting *selecting, const oct_view_entry *entry,
                              oct_selection *out, bool *listed, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_offsets list;
    *listed = false;
    if (!selecting->program || entry->alive_count == 0) return OCT_OK;
    oct_arena_reset(&selecting->work);
    const oct_filter_source source = oct_entry_source(entry);
    TRY(oct_filter_list(selecting->program, &source, entry->count / POINTS_PER_LISTED,
                        &selecting->work, &list, listed, error));
    if (*listed) *out = (oct_selection){ .count = list.count, .list = list.at };
done:
    return status;
}

/* ---- shared filters ------------------------------------------------------------------- */

/* The selection of one entry in memory that lives on. */
static oct_status keep_selection(oct_arena *arena, const oct_view_entry *entry, oct_selection *kept,
                                 oct_error *error)
{
    uint64_t *bits;
    size_t words = oct_bits_words(entry->count);
    if (!kept->bits) return OCT_OK;
    oct_status status = oct_arena_array(arena, words, sizeof *bits, &bits, error);
    if (status != OCT_OK) return status;
    memcpy(bits, kept->bits, words * sizeof *bits);
    kept->bits = bits;
    return OCT_OK;
}

oct_status oct_filter_share(const oct_reading *reading, const oct_filter *filter,
                            oct_shared_filter *out, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_view *view = reading->view;
    oct_selection *kept;
    oct_selecting selecting;
    TRY(oct_selecting_begin(&selecting, reading, filter, error));
    TRY(oct_arena_array(reading->arena, view->count, sizeof *kept, &kept, error));
    for (uint32_t i = 0; i < view->count; i++) {
        TRY(oct_selecting_entry(&selecting, &view->entries[i], &kept[i], error));
        TRY(keep_selection(reading->arena, &view->entries[i], &kept[i], error));
    }
    *out = (oct_shared_filter){ .program = selecting.program, .selections = kept };
done:
    oct_selecting_end(&selecting);
    return status;
}
