/* SPDX-License-Identifier: Apache-2.0
 *
 * memory_report.c - what a collection holds, by part: each section of each sealed segment belongs
 * to a vector, a payload index, the payloads or the ids, and is in memory of its own, viewed, or
 * left on disk; memory segments and the log come on top.
 *
 * Qdrant asks the system which pages of its files are resident; there is no such call for every
 * vfs. What counts as cached here are the blocks of viewed sections that were looked at since
 * opening: an upper bound, as the system may have dropped some. */
#include "base/str.h"
#include "db/collection.h"
#include "model/config.h"

typedef struct gathering {
    const oct_collection_config *config;
    oct_memory_report *report;
    oct_vector_memory *vectors; /* [config->vector_count] */
    oct_field_memory *fields;   /* [report->field_count] */
} gathering;

static void add(oct_memory_usage *to, const oct_memory_usage *from)
{
    to->disk_bytes += from->disk_bytes;
    to->ram_bytes += from->ram_bytes;
    to->cached_bytes += from->cached_bytes;
    to->expected_cache_bytes += from->expected_cache_bytes;
}

static oct_memory_usage *field_usage(const gathering *now, oct_str key)
{
    for (uint32_t f = 0; f < now->report->field_count; f++)
        if (oct_str_equal(now->fields[f].key, key)) return &now->fields[f].usage;
    return &now->report->payload; /* of an index that was dropped: its bytes are still there */
}

/* The part that a section belongs to, and where that is kept. */
static oct_memory_usage *usage_of(const gathering *now, const oct_sealed *sealed, uint32_t kind,
                                  uint32_t index, oct_placement *placement)
{
    *placement = OCT_PLACEMENT_CACHED;
    switch (kind) {
    case OCT_SECTION_PAYLOAD_END:
    case OCT_SECTION_PAYLOADS:
        *placement = oct_config_payload_placement(now->config);
        return &now->report->payload;
    case OCT_SECTION_FIELD:
        return field_usage(now,
                           index < sealed->field_count ? sealed->fields[index].key : OCT_STR(""));
    case OCT_SECTION_VECTORS:
    case OCT_SECTION_ENDS:
    case OCT_SECTION_PRESENT:
    case OCT_SECTION_GRAPH:
    case OCT_SECTION_LINKS:
    case OCT_SECTION_QUANT:
    case OCT_SECTION_SPARSE:
        break;
    default:
        return &now->report->ids;
    }
    if (index >= now->config->vector_count) return &now->report->ids;
    oct_vector_memory *vector = &now->vectors[index];
    if (kind == OCT_SECTION_QUANT) {
        vector->has_quantized = true;
        *placement = oct_config_codes_placement(now->config, index);
        return &vector->quantized;
    }
    if (kind == OCT_SECTION_GRAPH || kind == OCT_SECTION_LINKS || kind == OCT_SECTION_SPARSE) {
        if (!vector->sparse) *placement = oct_config_graph_placement(now->config, index);
        return &vector->index;
    }
    if (!vector->sparse) *placement = oct_config_rows_placement(now->config, index);
    return &vector->storage;
}

static size_t bitmap_bytes(const oct_bitmap *bitmap)
{
    return bitmap ? sizeof *bitmap + bitmap->words * sizeof *bitmap->bits : 0;
}

static void add_sealed(const gathering *now, const oct_view_entry *entry)
{
    const oct_sealed *sealed = entry->sealed;
    const oct_container *container = sealed->container;
    uint64_t sections = 0;
    for (uint32_t i = 0; i < oct_container_section_count(container); i++) {
        uint32_t kind, index;
        uint64_t bytes;
        oct_placement placement;
        oct_container_section_at(container, i, &kind, &index, &bytes);
        const oct_section_held held = oct_container_section_held(container, i);
        const oct_memory_usage usage = { .disk_bytes = bytes,
                                         .ram_bytes = held.memory_bytes,
                                         .cached_bytes = held.touched_bytes };
        oct_memory_usage *part = usage_of(now, sealed, kind, index, &placement);
        add(part, &usage);
        if (held.viewed && placement != OCT_PLACEMENT_COLD) part->expected_cache_bytes += bytes;
        sections += bytes;
    }
    now->report->ids.disk_bytes += oct_container_file_bytes(container) - sections;
    now->report->ids.ram_bytes += bitmap_bytes(entry->alive);
    if (entry->saved != entry->alive) now->report->ids.ram_bytes += bitmap_bytes(entry->saved);
    for (uint32_t f = 0; entry->fields && f < entry->fields->count; f++) {
        const oct_fields_item *item = &entry->fields->items[f];
        if (item->owned) field_usage(now, item->key)->ram_bytes += item->owned->words * 8;
    }
}

static oct_status begin(gathering *now, const oct_view *view, oct_arena *arena, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_memory_report *report = now->report;
    report->vector_count = now->config->vector_count;
    report->field_count = view->schema->count;
    TRY(oct_arena_array(arena, report->vector_count, sizeof *now->vectors, &now->vectors, error));
    TRY(oct_arena_array(arena, report->field_count, sizeof *now->fields, &now->fields, error));
    report->vectors = now->vectors;
    report->fields = now->fields;
    for (uint32_t v = 0; v < report->vector_count; v++) {
        const oct_vector_params *params = &now->config->vectors[v];
        now->vectors[v].sparse = params->kind == OCT_VECTOR_SPARSE;
        TRY(oct_arena_str(arena, params->name, &now->vectors[v].name, error));
    }
    for (uint32_t f = 0; f < report->field_count; f++)
        TRY(oct_arena_str(arena, view->schema->fields[f].key, &now->fields[f].key, error));
done:
    return status;
}

static void add_up(oct_memory_report *report)
{
    for (uint32_t v = 0; v < report->vector_count; v++) {
        add(&report->total, &report->vectors[v].storage);
        add(&report->total, &report->vectors[v].index);
        add(&report->total, &report->vectors[v].quantized);
    }
    for (uint32_t f = 0; f < report->field_count; f++)
        add(&report->total, &report->fields[f].usage);
    add(&report->total, &report->payload);
    add(&report->total, &report->ids);
    add(&report->total, &report->memory_segments);
    add(&report->total, &report->log);
}

/* What writers change is looked at under their lock. */
static void add_live(oct_collection *collection, const oct_view *view, oct_memory_report *report)
{
    oct_mutex_lock(&collection->writer);
    for (uint32_t i = 0; i < view->count; i++) {
        const oct_view_entry *entry = &view->entries[i];
        if (entry->memory)
            report->memory_segments.ram_bytes += oct_memory_bytes(entry->memory) +
                                                 entry->memory->block_bytes +
                                                 bitmap_bytes(entry->alive);
    }
    if (collection->log) report->log.disk_bytes = oct_wal_bytes(collection->log->wal);
    oct_mutex_unlock(&collection->writer);
}

oct_status oct_collection_memory(oct_collection *collection, oct_arena *arena,
                                 oct_memory_report *out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_read_session session;
    gathering now = { .report = out };
    *out = (oct_memory_report){ .vector_count = 0 };
    TRY(oct_read_begin(collection, arena, &session, error));
    now.config = session.reading.config;
    status = begin(&now, session.view, arena, error);
    for (uint32_t i = 0; status == OCT_OK && i < session.view->count; i++)
        if (session.view->entries[i].sealed) add_sealed(&now, &session.view->entries[i]);
    if (status == OCT_OK) add_live(collection, session.view, out);
    oct_read_end(collection, &session);
    if (status == OCT_OK) add_up(out);
done:
    return status;
}
