/* SPDX-License-Identifier: Apache-2.0
 *
 * point.c - one stored point whole, as writes that change a part of it need it. */
#include "query/read.h"
#include "query/source.h"
#include "segment/layout.h"

/* The vectors a sealed point has, one after another. A single dense one is borrowed. */
static oct_status join_vectors(const oct_reading *reading, const oct_named_vector *vectors,
                               oct_slot *out, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_collection_config *config = reading->config;
    uint32_t last = 0;
    size_t words = 0;
    float *joined;
    if (out->present == 0) return OCT_OK;
    for (uint32_t v = 0; v < config->vector_count; v++) {
        if (!vectors[v].values) continue;
        words += oct_layout_words_of(&vectors[v]);
        last = v;
    }
    if ((out->present & (out->present - 1)) == 0 && vectors[last].kind == OCT_VECTOR_DENSE) {
        out->vectors = vectors[last].values;
        return OCT_OK;
    }
    TRY(oct_arena_array(reading->arena, words, sizeof *joined, &joined, error));
    out->vectors = joined;
    for (uint32_t v = 0; v < config->vector_count; v++)
        if (vectors[v].values) joined = oct_layout_put(&vectors[v], joined);
done:
    return status;
}

oct_status oct_read_point(const oct_reading *reading, oct_location location, oct_slot *out,
                          oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_view_entry *entry = &reading->view->entries[location.entry];
    oct_named_vector vectors[OCT_NAMED_VECTORS_MAX];
    ASSERT(location.entry < reading->view->count);
    ASSERT(location.offset < entry->count);
    if (entry->memory) {
        *out = *oct_memory_slot(entry->memory, location.offset);
        out->previous = OCT_SLOT_NONE;
        return OCT_OK;
    }
    *out = (oct_slot){ .id = oct_entry_id(entry, location.offset), .previous = OCT_SLOT_NONE };
    TRY(oct_entry_version(entry, location.offset, &out->version, error));
    TRY(oct_entry_payload(entry, location.offset, reading->arena, &out->payload, error));
    for (uint32_t v = 0; v < reading->config->vector_count; v++) {
        TRY(oct_entry_vector(entry, location.offset, v, reading->arena, &vectors[v], error));
        if (vectors[v].values) out->present |= UINT64_C(1) << v;
    }
    TRY(join_vectors(reading, vectors, out, error));
done:
    return status;
}
