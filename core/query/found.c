/* SPDX-License-Identifier: Apache-2.0
 *
 * found.c - fill answered points. It runs once the points are chosen, so only what is shown is
 * read (and verified). A payload or vector that is shown whole and as it is stored is borrowed from
 * the pinned view, never copied. */
#include "query/found.h"

#include <string.h>

#include "base/str.h"
#include "query/source.h"
#include "segment/layout.h"
#include "simd/metric.h"

static oct_status parse_vector_names(const oct_collection_config *config,
                                     const oct_selector *selector, uint64_t *mask, oct_error *error)
{
    *mask = 0;
    for (uint32_t i = 0; i < selector->key_count; i++) {
        oct_str name = selector->keys[i];
        uint32_t v = oct_layout_find(config, name);
        if (v == config->vector_count)
            return oct_fail(error, OCT_BAD_INPUT, "Not existing vector name error: %.*s",
                            oct_str_shown(name, OCT_VECTOR_NAME_BYTES_MAX),
                            name.bytes ? name.at : "");
        *mask |= UINT64_C(1) << v;
    }
    return OCT_OK;
}

oct_status oct_showing_parse(const oct_reading *reading, const oct_selector *with_payload,
                             const oct_selector *with_vector, oct_showing *out, oct_error *error)
{
    oct_status status = OCT_OK;
    *out = (oct_showing){ .vectors = with_vector->mode != OCT_SELECT_NONE };
    ASSERT(with_vector->mode != OCT_SELECT_EXCLUDE);
    TRY(oct_payload_selector_parse(reading->arena, with_payload, &out->payload, error));
    if (with_vector->mode == OCT_SELECT_ALL) out->vector_mask = UINT64_MAX;
    if (with_vector->mode == OCT_SELECT_INCLUDE)
        TRY(parse_vector_names(reading->config, with_vector, &out->vector_mask, error));
done:
    return status;
}

/* The vector that is shown for a stored one. */
static oct_status restore(const oct_reading *reading, const oct_vector_params *params,
                          oct_named_vector *vector, oct_error *error)
{
    float *shown;
    oct_status status =
        oct_arena_array(reading->arena, vector->count, sizeof *shown, &shown, error);
    if (status != OCT_OK) return status;
    memcpy(shown, vector->values, vector->count * sizeof *shown);
    oct_metric_restore(params, shown, vector->count);
    vector->values = shown;
    return OCT_OK;
}

static oct_status fill_vectors(const oct_reading *reading, uint64_t mask, oct_location at,
                               oct_found_point *point, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_collection_config *config = reading->config;
    const oct_view_entry *entry = &reading->view->entries[at.entry];
    oct_named_vector *vectors;
    TRY(oct_arena_array(reading->arena, config->vector_count, sizeof *vectors, &vectors, error));
    point->vectors = vectors;
    for (uint32_t v = 0; v < config->vector_count; v++) {
        if (!((mask >> v) & 1)) continue;
        oct_named_vector vector;
        TRY(oct_entry_vector(entry, at.offset, v, reading->arena, &vector, error));
        if (!vector.values) continue;
        if (oct_metric_shown_differs(&config->vectors[v]))
            TRY(restore(reading, &config->vectors[v], &vector, error));
        vector.name = config->vectors[v].name;
        vectors[point->vector_count++] = vector;
    }
done:
    return status;
}

static oct_status fill_payload(const oct_reading *reading, const oct_payload_selector *selector,
                               oct_location at, oct_str *out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_str payload;
    *out = (oct_str){ NULL, 0 };
    if (selector->mode == OCT_SELECT_NONE) return OCT_OK;
    TRY(oct_entry_payload(&reading->view->entries[at.entry], at.offset, reading->arena, &payload,
                          error));
    TRY(oct_payload_select(reading->arena, payload, selector, out, error));
done:
    return status;
}

oct_status oct_found_fill(const oct_reading *reading, const oct_showing *showing,
                          const oct_ranked *items, uint32_t count, oct_found_point **points,
                          oct_error *error)
{
    oct_status status = OCT_OK;
    oct_found_point *filled;
    TRY(oct_arena_array(reading->arena, count, sizeof *filled, &filled, error));
    for (uint32_t i = 0; i < count; i++) {
        oct_location at = items[i].at;
        filled[i].id = items[i].id;
        TRY(oct_entry_version(&reading->view->entries[at.entry], at.offset, &filled[i].version,
                              error));
        TRY(fill_payload(reading, &showing->payload, at, &filled[i].payload, error));
        if (showing->vectors)
            TRY(fill_vectors(reading, showing->vector_mask, at, &filled[i], error));
    }
    *points = filled;
done:
    return status;
}
