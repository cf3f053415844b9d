/* SPDX-License-Identifier: Apache-2.0
 *
 * choose.c - what maintenance has to do: pure functions of the view and the configuration. Time
 * decides only when it is done. */
#include "db/choose.h"

#include <string.h>

#include "model/config.h"
#include "segment/graph.h"
#include "segment/links.h"

enum {
    APPENDABLE_POINTS = 10000,
    APPENDABLE_BYTES = 32 << 20,
    LOG_BYTES_MAX = 64 << 20, /* rotate for the log's sake: deletes add no points */
    SEGMENTS_MAX = 8,         /* a browser holds a file handle for each */
    MERGE_SHARE = 8,          /* merge all when the small ones hold 1/8 of the largest */
    PRESSED_SHARE = 32        /* without space, 1/32 of dead points is worth a rewriting */
};

/* ---- rotation ------------------------------------------------------------------------ */

/* There is no other size and no age at which a segment is sealed: the points of an idle collection
 * stay in memory, are scanned there, and come back from the log. So it is in Qdrant, which keeps
 * what is below its indexing_threshold in an appendable segment without a graph. */
bool oct_active_is_full(const oct_collection *collection, const oct_view *view)
{
    const oct_open_options *options = oct_db_options(collection->db);
    uint32_t points =
        options->appendable_points_max ? options->appendable_points_max : APPENDABLE_POINTS;
    uint64_t bytes =
        options->appendable_bytes_max ? options->appendable_bytes_max : APPENDABLE_BYTES;
    return view->entries[view->count - 1].count >= points ||
           oct_atomic_load(&collection->active_bytes) >= bytes;
}

static uint32_t saved_count(const oct_view_entry *entry)
{
    if (!entry->saved) return entry->count;
    uint32_t alive = 0;
    for (uint32_t i = 0; i < entry->count; i++)
        alive += oct_bits_get(entry->saved->bits, i);
    return alive;
}

static bool are_many(uint32_t dead, uint32_t count)
{
    return dead > 0 && (uint64_t)dead * PRESSED_SHARE >= count;
}

static bool needs_vacuum(const oct_optimizers_config *config, uint32_t count, uint32_t alive)
{
    if (alive == 0) return true;
    return count >= config->vacuum_min_vector_number &&
           (double)(count - alive) > config->deleted_threshold * count;
}

/* Deaths that are only in the log yet make a vacuum worth while once they are saved. */
static bool deaths_wait(const oct_collection *collection, const oct_view *view)
{
    oct_optimizers_config config = oct_config_optimizers(view->settings->config);
    for (uint32_t i = 0; i < view->count; i++) {
        const oct_view_entry *entry = &view->entries[i];
        if (!entry->sealed || entry->alive == entry->saved) continue;
        uint32_t saved = saved_count(entry);
        if (collection->pressed && are_many(saved - entry->alive_count, entry->count)) return true;
        if (needs_vacuum(&config, entry->count, entry->alive_count) &&
            !needs_vacuum(&config, entry->count, saved))
            return true;
    }
    const oct_view_entry *active = &view->entries[view->count - 1];
    return collection->pressed && are_many(active->count - active->alive_count, active->count);
}

bool oct_should_rotate(const oct_collection *collection, const oct_view *view)
{
    return oct_active_is_full(collection, view) || deaths_wait(collection, view) ||
           collection->log_full || oct_wal_bytes(collection->log->wal) >= LOG_BYTES_MAX;
}

/* ---- merges -------------------------------------------------------------------------- */

/* Rows of vector v: a multivector has several for each living point, as many as for dead ones. */
static double rows_of(const oct_view *view, const oct_merge_choice *chosen, uint32_t v)
{
    double rows = 0, points = 0;
    for (uint32_t i = 0; i < chosen->count; i++) {
        const oct_sealed *sealed = view->entries[chosen->entries[i]].sealed;
        bool multi = sealed->vectors[v].params.kind == OCT_VECTOR_MULTI;
        rows += multi ? (double)sealed->vectors[v].ends[sealed->count - 1] : sealed->count;
        points += sealed->count;
    }
    return points > 0 ? rows / points * (double)chosen->alive : 0;
}

bool oct_wants_graphs(const oct_collection_config *config, const oct_view *view,
                      const oct_merge_choice *chosen)
{
    uint64_t threshold = oct_config_optimizers(config).indexing_threshold;
    double numbers = 0; /* of the largest vector */
    for (uint32_t v = 0; v < config->vector_count; v++)
        if (oct_config_has_graph(config, v) || oct_config_quantization(config, v))
            numbers = MAX(numbers, rows_of(view, chosen, v) * config->vectors[v].size);
    return threshold > 0 && numbers * sizeof(float) / 1024 >= (double)threshold;
}

/* Are the links within payload blocks beside a graph those of other settings or indexes? Without a
 * graph there are none, and whether there should be one is asked elsewhere. */
static bool has_stale_links(const oct_view *view, uint32_t v, const oct_hnsw *graph)
{
    const oct_schema *schema = view->schema;
    uint32_t wanted = oct_links_mark(view->settings->config, v, schema->fields, schema->count);
    return graph && oct_hnsw_links_built_for(graph) != wanted;
}

/* Has the segment graphs, links or codes for other settings than these, lacks it some, or does it
 * hold its parts elsewhere? As Qdrant has it, segments get codes when they get graphs, and are
 * written anew to be placed anew. */
static bool is_stale(const oct_collection_config *config, const oct_view *view,
                     const oct_merge_choice *one)
{
    bool wanted = oct_wants_graphs(config, view, one);
    const oct_sealed *sealed = view->entries[one->entries[0]].sealed;
    if (!oct_sealed_is_placed(sealed, config)) return true;
    for (uint32_t v = 0; v < config->vector_count; v++) {
        const oct_sealed_vector *vector = &sealed->vectors[v];
        const oct_quantization_config *codes = oct_config_quantization(config, v);
        if (vector->graph ? oct_graph_is_stale(config, v, vector->graph)
                          : wanted && oct_config_has_graph(config, v))
            return true;
        if (has_stale_links(view, v, vector->graph)) return true;
        if (vector->quant ? !oct_quant_is_asked(vector->quant, codes) : wanted && codes)
            return true;
    }
    return false;
}

/* The sealed entries by falling size would be simplest to reason about; keep the smallest
 * OCT_SOURCES_MAX in rising order, ties by place. */
static void insert_by_size(oct_merge_choice *list, uint32_t *sizes, uint32_t entry, uint32_t size)
{
    uint32_t at = list->count;
    while (at > 0 && sizes[at - 1] > size)
        at--;
    if (at == OCT_SOURCES_MAX) return;
    uint32_t moved = MIN(list->count, OCT_SOURCES_MAX - 1) - at;
    memmove(&sizes[at + 1], &sizes[at], moved * sizeof *sizes);
    memmove(&list->entries[at + 1], &list->entries[at], moved * sizeof *list->entries);
    sizes[at] = size;
    list->entries[at] = entry;
    list->count = MIN(list->count + 1, OCT_SOURCES_MAX);
}

static oct_merge_choice only(uint32_t entry, uint32_t alive)
{
    return (oct_merge_choice){ .entries = { entry }, .count = 1, .alive = alive };
}

/* Of the segments to be written without their dead points, the one that takes the least space. */
static oct_merge_choice choose_vacuum(const oct_optimizers_config *config, const oct_view *view,
                                      bool pressed)
{
    oct_merge_choice best = { .count = 0 };
    for (uint32_t i = 0; i < view->count; i++) {
        const oct_view_entry *entry = &view->entries[i];
        if (!entry->sealed) continue;
        uint32_t alive = saved_count(entry);
        bool wanted = needs_vacuum(config, entry->count, alive) ||
                      (pressed && are_many(entry->count - alive, entry->count));
        if (wanted && (best.count == 0 || alive < best.alive)) best = only(i, alive);
    }
    return best;
}

oct_merge_choice oct_choose_merge(const oct_view *view, bool pressed)
{
    const oct_collection_config *config = view->settings->config;
    oct_optimizers_config optimizers = oct_config_optimizers(config);
    uint32_t sizes[OCT_SOURCES_MAX] = { 0 }, total = 0, segments = 0, largest = 0;
    oct_merge_choice list = choose_vacuum(&optimizers, view, pressed);
    if (list.count > 0 || pressed) return list;
    for (uint32_t i = 0; i < view->count; i++) {
        const oct_view_entry *entry = &view->entries[i];
        if (!entry->sealed) continue;
        uint32_t alive = saved_count(entry);
        insert_by_size(&list, sizes, i, alive);
        largest = MAX(largest, alive);
        total += alive;
        segments++;
    }
    bool all = (uint64_t)(total - largest) * MERGE_SHARE >= largest;
    if (segments > 1 && (all || segments > SEGMENTS_MAX)) {
        if (!all && list.count == segments) list.count--; /* leave the largest alone */
        for (uint32_t i = 0; i < list.count; i++)
            list.alive += sizes[i];
        return list;
    }
    for (uint32_t i = 0; i < list.count; i++) {
        oct_merge_choice one = only(list.entries[i], sizes[i]);
        if (is_stale(config, view, &one)) return one;
    }
    return (oct_merge_choice){ .count = 0 };
}
