/* SPDX-License-Identifier: Apache-2.0
 *
 * point.c - one stored point whole, as writes that change a part of it need it. */
#include <string.h>

#include "query/read.h"
#include "query/source.h"
#include "segment/layout.h"

/* The rows a sealed point has, one after another. A single one is borrowed. */
static oct_status join_rows(const oct_reading *reading, const float *const *rows, oct_slot *out,
                            oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_collection_config *config = reading->config;
    uint32_t last = 0;
    while (last < config->vector_count && !rows[last]) last++;
    if (out->present == 0) return OCT_OK;
    if ((out->present & (out->present - 1)) == 0) {
        out->vectors = rows[last];
        return OCT_OK;
    }
    float *joined;
    TRY(oct_arena_array(reading->arena,
                        oct_layout_floats(config, out->present, config->vector_count),
                        sizeof *joined, &joined, error));
    for (uint32_t v = 0; v < config->vector_count; v++)
        if (rows[v])
            memcpy(joined + oct_layout_floats(config, out->present, v), rows[v],
                   config->vectors[v].size * sizeof *joined);
    out->vectors = joined;
done:
    return status;
}

oct_status oct_read_point(const oct_reading *reading, oct_location location, oct_slot *out,
                          oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_view_entry *entry = &reading->view->entries[location.entry];
    const float *rows[OCT_NAMED_VECTORS_MAX] = { NULL };
    ASSERT(location.entry < reading->view->count);
    ASSERT(location.offset < entry->count);
    if (entry->memory) {
        *out = *oct_memory_slot(entry->memory, location.offset);
        out->previous = OCT_SLOT_NONE;
        return OCT_OK;
    }
    *out = (oct_slot){ .id = oct_entry_id(entry, location.offset),
                       .version = oct_entry_version(entry, location.offset),
                       .previous = OCT_SLOT_NONE };
    TRY(oct_entry_payload(entry, location.offset, &out->payload, error));
    for (uint32_t v = 0; v < reading->config->vector_count; v++) {
        TRY(oct_entry_vector(entry, location.offset, v, &rows[v], error));
        if (rows[v]) out->present |= UINT64_C(1) << v;
    }
    TRY(join_rows(reading, rows, out, error));
done:
    return status;
}
