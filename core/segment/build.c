/* SPDX-License-Identifier: Apache-2.0
 *
 * build.c - one sealed segment out of several, as a list of small stages.
 *
 * Every section of the file is a stage; most emit the same thing for every point, in id order, and
 * stop between points when the budget is spent (build_points.c). A graph stage first copies the
 * vector's rows side by side into memory (the price: those rows in memory while their graph is
 * built), then builds in steps, then writes; so does a stage of quantized codes (build_graphs.c).
 *
 * Rejected: building graphs on the half-written file through a view (not every vfs has views). */
#include "segment/build.h"

#include <string.h>

#include "base/alloc.h"
#include "model/config.h"
#include "model/point_id.h"
#include "segment/build_parts.h"

enum { POINTS_PER_CHECK = 128 /* points emitted between two looks at the clock */ };

/* ---- planning ------------------------------------------------------------------------ */

static const oct_bitmap *living(const oct_view_entry *source)
{
    return source->sealed ? source->saved : source->alive;
}

static oct_point_id source_id(const oct_view_entry *source, uint32_t offset)
{
    return source->sealed ? oct_sealed_id(source->sealed, offset)
                          : oct_memory_slot(source->memory, offset)->id;
}

static void gather(oct_build *build)
{
    for (uint32_t s = 0; s < build->request.source_count; s++) {
        const oct_view_entry *source = &build->sources[s];
        const oct_bitmap *alive = living(source);
        for (uint32_t i = 0; i < source->count; i++) {
            build->mappings[s][i] = UINT32_MAX;
            if (alive && !oct_bits_get(alive->bits, i)) continue;
            ASSERT(build->count < build->capacity);
            build->items[build->count++] = (build_item){ source_id(source, i), s, i };
        }
    }
}

static void merge_runs(const build_item *from, build_item *to, size_t start, size_t middle,
                       size_t end)
{
    size_t a = start, b = middle;
    for (size_t k = start; k < end; k++) {
        bool left = a < middle && (b >= end || oct_point_id_compare(from[a].id, from[b].id) <= 0);
        to[k] = left ? from[a++] : from[b++];
    }
}

/* Merge sort by id, bottom up, with one spare array. */
static oct_status sort_items(oct_build *build, oct_error *error)
{
    size_t count = build->count, bytes = count * sizeof(build_item);
    if (count < 2) return OCT_OK;
    build_item *spare = oct_new(build->alloc, bytes);
    if (!spare) return oct_fail_nomem(error, "the order of points");
    build_item *from = build->items, *to = spare;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width)
            merge_runs(from, to, start, MIN(start + width, count), MIN(start + 2 * width, count));
        build_item *swap = from;
        from = to;
        to = swap;
    }
    if (from != build->items) memcpy(build->items, from, bytes);
    oct_free(build->alloc, spare, bytes);
    return OCT_OK;
}

/* Number the points; the same id twice means that the sources contradict each other. */
static oct_status number_points(oct_build *build, oct_error *error)
{
    for (uint32_t i = 0; i < build->count; i++) {
        const build_item *it = &build->items[i];
        if (i > 0 && oct_point_id_compare(build->items[i - 1].id, it->id) >= 0) {
            char id[OCT_POINT_ID_TEXT_BYTES];
            oct_point_id_print(it->id, id);
            return oct_fail(error, OCT_CORRUPT, "%s: point %s lives in two segments",
                            build->request.directory, id);
        }
        build->mappings[it->source][it->offset] = i;
        if (!it->id.is_uuid) build->number_count = i + 1;
    }
    return OCT_OK;
}

/* ---- stages -------------------------------------------------------------------------- */

static oct_status add_stage(oct_build *build, uint32_t kind, uint32_t index, build_emit emit,
                            oct_error *error)
{
    size_t capacity = build->stage_capacity;
    oct_status status = oct_array_reserve(build->alloc, &build->stages, &capacity,
                                          build->stage_count + 1, sizeof(build_stage), error);
    build->stage_capacity = (uint32_t)capacity;
    if (status == OCT_OK) build->stages[build->stage_count++] = (build_stage){ kind, index, emit };
    return status;
}

static bool wants_graph(const oct_build *build, uint32_t v)
{
    return build->request.graphs && oct_config_has_graph(build->request.config, v);
}

static bool wants_quant(const oct_build *build, uint32_t v)
{
    return build->request.graphs && oct_config_quantization(build->request.config, v);
}

static bool wants_links(const oct_build *build, uint32_t v)
{
    const oct_schema *schema = build->request.schema;
    return wants_graph(build, v) &&
           oct_links_mark(build->request.config, v, schema->fields, schema->count) != 0;
}

static bool all_present(const oct_build *build, uint32_t v)
{
    for (uint32_t i = 0; i < build->count; i++)
        if (!oct_build_has_row(build, i, v)) return false;
    return true;
}

static oct_status plan_vector(oct_build *build, uint32_t v, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_vector_kind kind = build->request.config->vectors[v].kind;
    bool sparse = kind == OCT_VECTOR_SPARSE;
    if (kind != OCT_VECTOR_DENSE)
        TRY(add_stage(build, OCT_SECTION_ENDS, v, oct_build_emit_vector_end, error));
    TRY(add_stage(build, OCT_SECTION_VECTORS, v,
                  sparse ? oct_build_emit_sparse : oct_build_emit_row, error));
    if (sparse) TRY(add_stage(build, OCT_SECTION_SPARSE, v, oct_build_gather_sparse, error));
    if (!all_present(build, v)) TRY(add_stage(build, OCT_SECTION_PRESENT, v, NULL, error));
    if (wants_quant(build, v))
        TRY(add_stage(build, OCT_SECTION_QUANT, v, oct_build_gather_row, error));
    if (wants_graph(build, v))
        TRY(add_stage(build, OCT_SECTION_GRAPH, v, oct_build_gather_row, error));
    if (!wants_links(build, v)) return OCT_OK;
    TRY(add_stage(build, OCT_SECTION_LINKS, v, oct_build_gather_row, error));
    build->links_wanted = true;
done:
    return status;
}

static oct_status plan_stages(oct_build *build, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(add_stage(build, OCT_SECTION_META, 0, NULL, error));
    TRY(add_stage(build, OCT_SECTION_ID_LOW, 0, oct_build_emit_low, error));
    TRY(add_stage(build, OCT_SECTION_ID_HIGH, 0, oct_build_emit_high, error));
    TRY(add_stage(build, OCT_SECTION_VERSIONS, 0, oct_build_emit_version, error));
    TRY(add_stage(build, OCT_SECTION_PAYLOAD_END, 0, oct_build_emit_payload_end, error));
    TRY(add_stage(build, OCT_SECTION_PAYLOADS, 0, oct_build_emit_payload, error));
    for (uint32_t f = 0; f < build->request.schema->count; f++)
        TRY(add_stage(build, OCT_SECTION_FIELD, f, NULL, error));
    for (uint32_t v = 0; v < build->request.config->vector_count; v++)
        TRY(plan_vector(build, v, error));
done:
    return status;
}

/* Emit points until the stage or the budget ends. */
static oct_status step_points(oct_build *build, uint64_t deadline_ns, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_host *host = build->request.host;
    build_emit emit = build->stages[build->at_stage].emit;
    while (build->at_point < build->count) {
        uint32_t end = MIN(build->at_point + POINTS_PER_CHECK, build->count);
        for (; build->at_point < end; build->at_point++)
            TRY(emit(build, build->at_point, error));
        if (host->monotonic_ns(host->self) >= deadline_ns) break;
    }
done:
    return status;
}

static oct_status begin_stage(oct_build *build, const build_stage *now, oct_error *error)
{
    oct_status status = OCT_OK;
    build->at_point = 0;
    TRY(oct_container_begin(build->writer, now->kind, now->index, error));
    if (now->kind == OCT_SECTION_GRAPH || now->kind == OCT_SECTION_LINKS ||
        now->kind == OCT_SECTION_QUANT)
        TRY(oct_build_begin_rows(build, now->index, error));
    if (now->emit == oct_build_emit_sparse)
        TRY(oct_sparse_builder_create(build->alloc, &build->sparse, error));
    if (now->kind == OCT_SECTION_SPARSE)
        TRY(oct_sparse_builder_arrange(build->sparse, build->count, error));
    build->stage_open = true;
done:
    return status;
}

/* Work on the current stage; *done when it is complete. */
static oct_status step_stage(oct_build *build, uint64_t deadline_ns, bool *done, oct_error *error)
{
    oct_status status = OCT_OK;
    const build_stage *now = &build->stages[build->at_stage];
    const oct_host *host = build->request.host;
    *done = true;
    if (!build->stage_open) TRY(begin_stage(build, now, error));
    if (now->emit) {
        TRY(step_points(build, deadline_ns, error));
        *done = build->at_point == build->count;
    }
    if (now->kind == OCT_SECTION_META) TRY(oct_build_write_meta(build, error));
    if (now->kind == OCT_SECTION_PRESENT) TRY(oct_build_write_present(build, now->index, error));
    if (now->kind == OCT_SECTION_FIELD) TRY(oct_build_write_field(build, now->index, error));
    if (now->kind == OCT_SECTION_SPARSE && *done) TRY(oct_build_write_sparse(build, error));
    uint64_t time = host->monotonic_ns(host->self);
    uint64_t left = deadline_ns > time ? deadline_ns - time : 0;
    if (build->releasing) {
        *done = oct_build_release(build);
        build->releasing = !*done;
        return OCT_OK;
    }
    if (now->kind == OCT_SECTION_GRAPH && *done)
        TRY(oct_build_step_graph(build, now->index, left, done, error));
    if (now->kind == OCT_SECTION_LINKS && *done)
        TRY(oct_build_step_links(build, now->index, left, done, error));
    if (now->kind == OCT_SECTION_QUANT && *done)
        TRY(oct_build_step_quant(build, now->index, left, done, error));
    build->releasing = *done && build->rows;
    *done = *done && !build->releasing;
done:
    return status;
}

/* Complete the file, then open it, a step at a time. */
static oct_status finish(oct_build *build, bool *done, oct_error *error)
{
    oct_status status;
    const oct_build_request *request = &build->request;
    const oct_sealed_open_request open = { request->host, request->kernels, request->config,
                                           request->directory, request->number };
    uint64_t bytes = 0;
    oct_container_writer *writer = build->writer;
    build->writer = NULL; /* finish frees it in any case */
    if (writer) return oct_container_finish(writer, &bytes, error);
    if (build->sealed) return oct_sealed_open_step(build->sealed, &open, done, error);
    status = oct_sealed_open_begin(&open, &build->sealed, error);
    if (status != OCT_OK) { /* it is nobody's; if it can't be removed, the next open does */
        const oct_vfs *vfs = request->host->vfs;
        char path[OCT_PATH_BYTES_MAX + 1];
        oct_sealed_path(path, request->directory, request->number);
        (void)vfs->remove(vfs->self, path, NULL);
    }
    return status;
}

oct_status oct_build_step(oct_build *build, uint64_t budget_ns, bool *done, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_host *host = build->request.host;
    uint64_t start = host->monotonic_ns(host->self);
    uint64_t deadline = budget_ns > UINT64_MAX - start ? UINT64_MAX : start + budget_ns;
    *done = false;
    do {
        if (build->at_stage == build->stage_count) {
            *done = build->count == 0;
            if (!*done) TRY(finish(build, done, error));
            build->done = *done;
            if (*done) return OCT_OK;
            continue;
        }
        bool stage_done = false;
        TRY(step_stage(build, deadline, &stage_done, error));
        if (stage_done) {
            build->at_stage++;
            build->stage_open = false;
        }
    } while (host->monotonic_ns(host->self) < deadline);
done:
    return status;
}

/* ---- life ---------------------------------------------------------------------------- */

static oct_status pin_sources(oct_build *build, oct_error *error)
{
    uint32_t count = build->request.source_count;
    build->sources = oct_new_zeroed(build->alloc, count * sizeof(oct_view_entry));
    build->mappings = oct_new_zeroed(build->alloc, count * sizeof(uint32_t *));
    if (!build->sources || !build->mappings) return oct_fail_nomem(error, "a merge");
    for (uint32_t s = 0; s < count; s++) {
        oct_view_entry *source = &build->sources[s];
        *source = build->request.sources[s];
        if (source->memory) oct_memory_segment_pin(source->memory);
        if (source->sealed) oct_sealed_pin(source->sealed);
        source->fields = NULL;
        source->alive = oct_bitmap_pin(source->alive);
        source->saved = oct_bitmap_pin(source->saved);
        build->capacity += source->count;
    }
    for (uint32_t s = 0; s < count; s++) {
        uint32_t points = build->sources[s].count;
        if (points == 0) continue;
        build->mappings[s] = oct_new(build->alloc, points * sizeof(uint32_t));
        if (!build->mappings[s]) return oct_fail_nomem(error, "a merge");
    }
    return OCT_OK;
}

static oct_status create_fields(oct_build *build, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_schema *schema = build->request.schema;
    if (schema->count == 0) return OCT_OK;
    build->fields = oct_new_zeroed(build->alloc, schema->count * sizeof(oct_field_builder *));
    if (!build->fields) return oct_fail_nomem(error, "payload indexes");
    for (uint32_t f = 0; f < schema->count; f++)
        TRY(oct_field_builder_create(build->alloc, schema->fields[f].type, schema->fields[f].key,
                                     &build->fields[f], error));
done:
    return status;
}

oct_status oct_build_create(const oct_build_request *request, oct_build **out, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_host *host = request->host;
    *out = NULL;
    oct_build *build = oct_new_zeroed(host->alloc, sizeof *build);
    if (!build) {
        oct_checkpoint_close(request->checkpoint);
        return oct_fail_nomem(error, "a merge");
    }
    build->request = *request;
    build->alloc = host->alloc;
    oct_arena_init(&build->scratch, host->alloc, 0);
    oct_arena_init(&build->decoded, host->alloc, 0);
    (void)oct_schema_pin(request->schema);
    TRY(pin_sources(build, error));
    if (build->capacity) {
        build->items = oct_new(build->alloc, build->capacity * sizeof(build_item));
        if (!build->items) TRY(oct_fail_nomem(error, "a merge"));
    }
    gather(build);
    TRY(sort_items(build, error));
    TRY(number_points(build, error));
    if (build->count > 0) {
        char path[OCT_PATH_BYTES_MAX + 1];
        TRY(create_fields(build, error));
        TRY(plan_stages(build, error));
        TRY(oct_segment_links_init(&build->links, host, request->schema->count, error));
        oct_sealed_path(path, request->directory, request->number);
        TRY(oct_container_create(host->alloc, host->vfs, path, &build->writer, error));
    }
    *out = build;
    build = NULL;
done:
    oct_build_destroy(build);
    return status;
}

const oct_sealed *oct_build_made(const oct_build *build)
{
    return build->done ? build->sealed : NULL;
}

oct_sealed *oct_build_take(oct_build *build)
{
    ASSERT(build->done);
    oct_sealed *sealed = build->sealed;
    build->sealed = NULL;
    return sealed;
}

const uint32_t *oct_build_mapping(const oct_build *build, uint32_t s)
{
    return build->mappings[s];
}

uint32_t oct_build_point_count(const oct_build *build)
{
    return build->count;
}

float oct_build_progress(const oct_build *build)
{
    if (build->stage_count == 0) return 1;
    float share = build->count ? (float)build->at_point / (float)build->count : 0;
    if (build->graph_builder) {
        uint32_t inserted = 0, total = 0;
        oct_hnsw_builder_progress(build->graph_builder, &inserted, &total);
        share = total ? (float)inserted / (float)total : 1;
    }
    if (build->quant_builder) share = oct_quant_builder_progress(build->quant_builder);
    return ((float)build->at_stage + share) / (float)build->stage_count;
}

static void unpin_sources(oct_build *build)
{
    uint32_t count = build->request.source_count;
    for (uint32_t s = 0; build->sources && s < count; s++) {
        oct_view_entry *source = &build->sources[s];
        if (build->mappings && build->mappings[s])
            oct_free(build->alloc, build->mappings[s], source->count * sizeof(uint32_t));
        oct_memory_segment_unpin(source->memory);
        oct_sealed_unpin(source->sealed);
        oct_bitmap_unpin(source->alive);
        oct_bitmap_unpin(source->saved);
    }
    oct_free(build->alloc, build->sources, count * sizeof(oct_view_entry));
    oct_free(build->alloc, build->mappings, count * sizeof(uint32_t *));
}

void oct_build_destroy(oct_build *build)
{
    if (!build) return;
    const oct_alloc *alloc = build->alloc;
    oct_segment_links_deinit(&build->links); /* before the rows it reads */
    oct_build_free_graph(build);
    oct_sparse_builder_destroy(build->sparse);
    oct_container_abandon(build->writer);
    if (build->sealed) { /* finished but not taken */
        oct_sealed_doom(build->sealed);
        oct_sealed_unpin(build->sealed);
    }
    for (uint32_t f = 0; build->fields && f < build->request.schema->count; f++)
        oct_field_builder_destroy(build->fields[f]);
    oct_free(alloc, build->fields, build->request.schema->count * sizeof(oct_field_builder *));
    oct_free(alloc, build->stages, build->stage_capacity * sizeof(build_stage));
    oct_free(alloc, build->items, build->capacity * sizeof(build_item));
    oct_arena_reset(&build->scratch);
    oct_arena_reset(&build->decoded);
    unpin_sources(build);
    oct_checkpoint_close(build->request.checkpoint);
    oct_schema_unpin(build->request.schema);
    oct_free(alloc, build, sizeof *build);
}
