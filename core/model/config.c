/* SPDX-License-Identifier: Apache-2.0
 *
 * config.c - what a collection's settings mean: their tables, defaults, copies and comparison.
 *
 * Most settings are one unsigned number with a name, a range and a default, so they are rows of
 * tables which parsing, writing and defaulting walk. Each level keeps "not given" apart from a
 * value, because a vector's setting falls back to the collection's and that to ours. */
#include "model/config.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "model/config_settings.h"

/* Qdrant has no upper bound for m; beyond this one a graph costs more than comparing everything. */
enum { M_MAX = 2048 };
/* Sizes in KiB or MiB are multiplied later; this keeps every product inside 64 bits. */
#define SIZE_MAX_KIB (UINT64_C(1) << 50)

#define HNSW(member) offsetof(oct_hnsw_config, member)
const oct_config_setting oct_hnsw_settings[OCT_HNSW_SETTINGS] = {
    { "m", NULL, HNSW(m), 0, M_MAX, 16, OCT_SETTING_NUMBER, false },
    { "ef_construct", NULL, HNSW(ef_construct), 4, OCT_HNSW_EF_MAX, 100, OCT_SETTING_NUMBER,
      false },
    { "full_scan_threshold", "full_scan_threshold_kb", HNSW(full_scan_threshold), 10, SIZE_MAX_KIB,
      10000, OCT_SETTING_NUMBER, false },
    { "max_indexing_threads", NULL, HNSW(max_indexing_threads), 0, UINT32_MAX, 0,
      OCT_SETTING_NUMBER, false },
    { "on_disk", NULL, HNSW(on_disk), 0, 1, 0, OCT_SETTING_BOOLEAN, false },
    { "memory", NULL, HNSW(memory), OCT_PLACEMENT_COLD, OCT_PLACEMENT_PINNED, OCT_UNSET,
      OCT_SETTING_PLACEMENT, false },
    { "payload_m", NULL, HNSW(payload_m), 0, M_MAX, OCT_UNSET, OCT_SETTING_NUMBER, false },
    { "inline_storage", NULL, HNSW(inline_storage), 0, 1, OCT_UNSET, OCT_SETTING_BOOLEAN, false },
};

#define OPTIMIZER(member) offsetof(oct_optimizers_config, member)
const oct_config_setting oct_optimizer_settings[OCT_OPTIMIZER_SETTINGS] = {
    { "vacuum_min_vector_number", NULL, OPTIMIZER(vacuum_min_vector_number), 100, SIZE_MAX_KIB,
      1000, OCT_SETTING_NUMBER, false },
    { "default_segment_number", NULL, OPTIMIZER(default_segment_number), 0, UINT32_MAX, 0,
      OCT_SETTING_NUMBER, false },
    { "max_segment_size", "max_segment_size_kb", OPTIMIZER(max_segment_size), 1, SIZE_MAX_KIB,
      OCT_UNSET, OCT_SETTING_NUMBER, true },
    { "memmap_threshold", "memmap_threshold_kb", OPTIMIZER(memmap_threshold), 0, SIZE_MAX_KIB,
      OCT_UNSET, OCT_SETTING_NUMBER, true },
    { "indexing_threshold", "indexing_threshold_kb", OPTIMIZER(indexing_threshold), 0, SIZE_MAX_KIB,
      10000, OCT_SETTING_NUMBER, false },
    { "flush_interval_sec", NULL, OPTIMIZER(flush_interval_sec), 0, UINT32_MAX, 5,
      OCT_SETTING_NUMBER, false },
    { "max_optimization_threads", NULL, OPTIMIZER(max_optimization_threads), 0, UINT32_MAX,
      OCT_UNSET, OCT_SETTING_NUMBER, true },
};

#define COLLECTION(member) offsetof(oct_collection_config, member)
const oct_config_setting oct_collection_settings[OCT_COLLECTION_SETTINGS] = {
    { "wal_capacity_mb", NULL, COLLECTION(wal_capacity_mb), 1, UINT32_MAX, 32, OCT_SETTING_NUMBER,
      false },
    { "wal_segments_ahead", NULL, COLLECTION(wal_segments_ahead), 0, UINT32_MAX, 0,
      OCT_SETTING_NUMBER, false },
    { "wal_retain_closed", NULL, COLLECTION(wal_retain_closed), 1, UINT32_MAX, 1,
      OCT_SETTING_NUMBER, false },
    { "shard_number", NULL, COLLECTION(shard_number), 1, UINT32_MAX, 1, OCT_SETTING_COUNT, false },
    { "replication_factor", NULL, COLLECTION(replication_factor), 1, UINT32_MAX, 1,
      OCT_SETTING_COUNT, false },
    { "write_consistency_factor", NULL, COLLECTION(write_consistency_factor), 1, UINT32_MAX, 1,
      OCT_SETTING_COUNT, false },
    { "read_fan_out_factor", NULL, COLLECTION(read_fan_out_factor), 0, UINT32_MAX, OCT_UNSET,
      OCT_SETTING_NUMBER, false },
    { "read_fan_out_delay_ms", NULL, COLLECTION(read_fan_out_delay_ms), 0, OCT_AUTO - 1, OCT_UNSET,
      OCT_SETTING_NUMBER, false },
    { "on_disk_payload", NULL, COLLECTION(on_disk_payload), 0, 1, 1, OCT_SETTING_BOOLEAN, false },
};

/* ---- effective values ------------------------------------------------------------------- */

uint32_t oct_config_find_vector(const oct_collection_config *config, oct_str name)
{
    for (uint32_t i = 0; i < config->vector_count; i++)
        if (oct_str_equal(config->vectors[i].name, name)) return i;
    return OCT_CONFIG_NO_VECTOR;
}

static uint64_t first_set(uint64_t a, uint64_t b, uint64_t otherwise)
{
    if (a != OCT_UNSET) return a;
    return b != OCT_UNSET ? b : otherwise;
}

/* The settings of one vector (NULL: the collection's own), defaults filled in; payload_m may stay
 * unset. */
static oct_hnsw_config hnsw_resolve(const oct_collection_config *config, const oct_hnsw_config *own)
{
    oct_hnsw_config resolved = { 0 };
    for (size_t i = 0; i < OCT_HNSW_SETTINGS; i++) {
        const oct_config_setting *setting = &oct_hnsw_settings[i];
        uint64_t own_value = own ? oct_setting_get(setting, own) : OCT_UNSET;
        oct_setting_set(
            setting, &resolved,
            first_set(own_value, oct_setting_get(setting, &config->hnsw), setting->default_value));
    }
    return resolved;
}

oct_hnsw_config oct_config_hnsw(const oct_collection_config *config, uint32_t index)
{
    ASSERT(index < config->vector_count);
    oct_hnsw_config resolved = hnsw_resolve(config, &config->vectors[index].hnsw);
    if (config->vectors[index].kind == OCT_VECTOR_SPARSE) resolved.m = 0;
    if (resolved.payload_m == OCT_UNSET) resolved.payload_m = resolved.m;
    return resolved;
}

uint64_t oct_config_given_payload_m(const oct_collection_config *config, uint32_t index)
{
    ASSERT(index < config->vector_count);
    return first_set(config->vectors[index].hnsw.payload_m, config->hnsw.payload_m, OCT_UNSET);
}

bool oct_config_has_graph(const oct_collection_config *config, uint32_t index)
{
    uint64_t payload_m = oct_config_given_payload_m(config, index);
    bool dense = config->vectors[index].kind == OCT_VECTOR_DENSE;
    return oct_config_hnsw(config, index).m > 0 ||
           (dense && payload_m != OCT_UNSET && payload_m > 0);
}

uint64_t oct_config_payload_m(const oct_collection_config *config, uint32_t index,
                              const oct_field_config *field)
{
    uint64_t given = oct_config_given_payload_m(config, index);
    if (config->vectors[index].kind != OCT_VECTOR_DENSE) return 0;
    if (!oct_field_config_flag(field, "enable_hnsw", true)) return 0;
    if (given != OCT_UNSET) return given;
    bool tenant = oct_field_config_flag(field, "is_tenant", false);
    return tenant ? oct_config_hnsw(config, index).m : 0;
}

const oct_quantization_config *oct_config_quantization(const oct_collection_config *config,
                                                       uint32_t index)
{
    ASSERT(index < config->vector_count);
    const oct_quantization_config *own = &config->vectors[index].quantization;
    if (config->vectors[index].kind == OCT_VECTOR_SPARSE) return NULL;
    if (own->kind != OCT_QUANTIZATION_NONE) return own;
    return config->quantization.kind != OCT_QUANTIZATION_NONE ? &config->quantization : NULL;
}

/* The new setting, then what the old one meant. */
static oct_placement placement(uint64_t memory, uint64_t on_disk, oct_placement otherwise)
{
    if (memory != OCT_UNSET) return (oct_placement)memory;
    if (on_disk == OCT_UNSET) return otherwise;
    return on_disk ? OCT_PLACEMENT_COLD : OCT_PLACEMENT_CACHED;
}

oct_placement oct_config_rows_placement(const oct_collection_config *config, uint32_t index)
{
    const oct_vector_params *params = &config->vectors[index];
    if (params->kind == OCT_VECTOR_SPARSE)
        return placement(params->sparse.memory, params->sparse.on_disk, OCT_PLACEMENT_CACHED);
    return placement(params->memory, params->on_disk, OCT_PLACEMENT_CACHED);
}

oct_placement oct_config_codes_placement(const oct_collection_config *config, uint32_t index)
{
    const oct_quantization_config *codes = oct_config_quantization(config, index);
    if (codes && codes->memory != OCT_UNSET) return (oct_placement)codes->memory;
    if (codes && codes->always_ram == 1) return OCT_PLACEMENT_PINNED;
    return oct_config_rows_placement(config, index);
}

oct_placement oct_config_graph_placement(const oct_collection_config *config, uint32_t index)
{
    oct_hnsw_config hnsw = oct_config_hnsw(config, index);
    return placement(hnsw.memory, hnsw.on_disk, OCT_PLACEMENT_CACHED);
}

oct_placement oct_config_payload_placement(const oct_collection_config *config)
{
    return placement(config->payload_memory, config->on_disk_payload, OCT_PLACEMENT_COLD);
}

oct_optimizers_config oct_config_optimizers(const oct_collection_config *config)
{
    oct_optimizers_config resolved = config->optimizers;
    if (isnan(resolved.deleted_threshold))
        resolved.deleted_threshold = OCT_DELETED_THRESHOLD_DEFAULT;
    for (size_t i = 0; i < OCT_OPTIMIZER_SETTINGS; i++) {
        const oct_config_setting *setting = &oct_optimizer_settings[i];
        oct_setting_set(
            setting, &resolved,
            first_set(oct_setting_get(setting, &resolved), OCT_UNSET, setting->default_value));
    }
    return resolved;
}

const char *oct_metric_name(oct_metric metric)
{
    static const char *const names[OCT_METRIC_COUNT] = { "Cosine", "Euclid", "Dot", "Manhattan" };
    ASSERT((unsigned)metric < OCT_METRIC_COUNT);
    return names[metric];
}

const char *oct_datatype_name(oct_datatype datatype)
{
    static const char *const names[OCT_DATATYPE_COUNT] = { "float32", "float16", "uint8",
                                                           "turbo4" };
    ASSERT((unsigned)datatype < OCT_DATATYPE_COUNT);
    return names[datatype];
}

/* ---- copies ----------------------------------------------------------------------------- */

/* One block: this head, the vectors, the bytes of all strings. */
typedef struct config_block {
    oct_collection_config config; /* first: its address is the copy's */
    size_t bytes;                 /* of the whole block */
    oct_vector_params vectors[];
} config_block;

static size_t copy_bytes(const oct_collection_config *config)
{
    /* No overflow: at most OCT_NAMED_VECTORS_MAX names, and metadata that is in memory already. */
    size_t bytes = sizeof(config_block) + config->vector_count * sizeof(oct_vector_params);
    for (uint32_t i = 0; i < config->vector_count; i++)
        bytes += config->vectors[i].name.bytes;
    return bytes + config->metadata.bytes;
}

static void copy_str(oct_str *text, char **strings)
{
    if (text->bytes) memcpy(*strings, text->at, text->bytes);
    text->at = *strings;
    *strings += text->bytes;
}

/* Into a block of copy_bytes. */
static const oct_collection_config *fill_block(config_block *block, size_t bytes,
                                               const oct_collection_config *config)
{
    block->config = *config;
    block->bytes = bytes;
    char *strings = (char *)(block->vectors + config->vector_count);
    for (uint32_t i = 0; i < config->vector_count; i++) {
        block->vectors[i] = config->vectors[i];
        copy_str(&block->vectors[i].name, &strings);
    }
    block->config.vectors = block->vectors;
    copy_str(&block->config.metadata, &strings);
    ASSERT(strings <= (char *)block + bytes);
    return &block->config;
}

oct_status oct_config_copy(const oct_alloc *alloc, const oct_collection_config *config,
                           const oct_collection_config **out, oct_error *error)
{
    size_t bytes = copy_bytes(config);
    config_block *block = oct_new(alloc, bytes);
    *out = NULL;
    if (!block) return oct_fail_nomem(error, "a collection config");
    *out = fill_block(block, bytes, config);
    return OCT_OK;
}

oct_status oct_config_detach(oct_arena *arena, const oct_collection_config *config,
                             const oct_collection_config **out, oct_error *error)
{
    size_t bytes = copy_bytes(config);
    config_block *block = oct_arena_push(arena, bytes);
    *out = NULL;
    if (!block) return oct_arena_fail(arena, "a collection config", error);
    *out = fill_block(block, bytes, config);
    return OCT_OK;
}

void oct_config_free(const oct_alloc *alloc, const oct_collection_config *copy)
{
    if (!copy) return;
    config_block *block = (config_block *)(uintptr_t)copy;
    oct_free(alloc, block, block->bytes);
}

/* ---- comparison ------------------------------------------------------------------------- */

static bool settings_equal(const oct_config_setting *settings, size_t count, const void *a,
                           const void *b)
{
    for (size_t i = 0; i < count; i++)
        if (oct_setting_get(&settings[i], a) != oct_setting_get(&settings[i], b)) return false;
    return true;
}

static bool sparse_equal(const oct_sparse_params *a, const oct_sparse_params *b)
{
    return a->has_index == b->has_index && a->has_modifier == b->has_modifier && a->idf == b->idf &&
           a->full_scan_threshold == b->full_scan_threshold && a->on_disk == b->on_disk &&
           a->memory == b->memory && a->datatype == b->datatype;
}

static bool vectors_equal(const oct_vector_params *a, const oct_vector_params *b)
{
    return oct_str_equal(a->name, b->name) && a->size == b->size && a->metric == b->metric &&
           a->on_disk == b->on_disk && a->memory == b->memory && a->kind == b->kind &&
           a->datatype == b->datatype && a->has_datatype == b->has_datatype &&
           sparse_equal(&a->sparse, &b->sparse) &&
           settings_equal(oct_hnsw_settings, OCT_HNSW_SETTINGS, &a->hnsw, &b->hnsw) &&
           oct_quantization_equal(&a->quantization, &b->quantization);
}

bool oct_config_same_shape(const oct_collection_config *a, const oct_collection_config *b)
{
    if (a->vector_count != b->vector_count) return false;
    for (uint32_t i = 0; i < a->vector_count; i++) {
        const oct_vector_params *one = &a->vectors[i], *other = &b->vectors[i];
        if (!oct_str_equal(one->name, other->name) || one->size != other->size ||
            one->metric != other->metric || one->kind != other->kind ||
            one->datatype != other->datatype)
            return false;
    }
    return true;
}

bool oct_config_builds_alike(const oct_collection_config *a, const oct_collection_config *b)
{
    if (a->vector_count != b->vector_count) return false;
    for (uint32_t i = 0; i < a->vector_count; i++)
        if (!vectors_equal(&a->vectors[i], &b->vectors[i])) return false;
    double threshold_a = a->optimizers.deleted_threshold;
    double threshold_b = b->optimizers.deleted_threshold;
    if (isnan(threshold_a) || isnan(threshold_b)) {
        if (!isnan(threshold_a) || !isnan(threshold_b)) return false;
    } else if (threshold_a < threshold_b || threshold_a > threshold_b) {
        return false;
    }
    return settings_equal(oct_hnsw_settings, OCT_HNSW_SETTINGS, &a->hnsw, &b->hnsw) &&
           oct_quantization_equal(&a->quantization, &b->quantization) &&
           oct_config_payload_placement(a) == oct_config_payload_placement(b) &&
           settings_equal(oct_optimizer_settings, OCT_OPTIMIZER_SETTINGS, &a->optimizers,
                          &b->optimizers);
}

bool oct_config_equal(const oct_collection_config *a, const oct_collection_config *b)
{
    return oct_config_builds_alike(a, b) && a->single_vector == b->single_vector &&
           settings_equal(oct_collection_settings, OCT_COLLECTION_SETTINGS, a, b) &&
           a->payload_memory == b->payload_memory && oct_str_equal(a->metadata, b->metadata);
}
