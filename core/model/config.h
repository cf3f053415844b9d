/* SPDX-License-Identifier: Apache-2.0
 *
 * config.h - collection and field configuration: from JSON, to JSON, copied, with defaults. */
#ifndef OCTANT_MODEL_CONFIG_H
#define OCTANT_MODEL_CONFIG_H

#include "base/arena.h"
#include "base/check.h"
#include "base/json.h"
#include "octant/types.h"

/* ---- collections ------------------------------------------------------------------------ */

/* Parse the body of a create-collection request. Strings point into the arena. hnsw and optimizer
 * settings that were not given stay OCT_UNSET / NaN; everything else gets its default here. Vectors
 * of a map are sorted by name. Unknown members are ignored.
 * BAD_INPUT: wrong JSON types, unknown words, and what Octant does not support yet; VALIDATION:
 * values out of range, in Qdrant's words. Messages are whole ("Format error in JSON body: ..."). */
OCT_MUST_CHECK oct_status oct_config_parse(oct_arena *arena, const oct_json *body,
                                           oct_collection_config *out, oct_error *error);

/* Parse the body of an update-collection request: what is given of hnsw_config, vectors,
 * sparse_vectors, quantization_config (or "Disabled"), optimizers_config, params and metadata, all
 * else unset. The statuses are those of oct_config_parse. */
OCT_MUST_CHECK oct_status oct_config_parse_update(oct_arena *arena, const oct_json *body,
                                                  oct_collection_config *out, oct_error *error);

/* `config` with what `update` gives: settings one by one, quantization_config as a whole, members
 * of metadata, of which a null removes one. Strings are borrowed from both or in the arena.
 * BAD_INPUT for vectors that `config` does not have, NOMEM, LIMIT. */
OCT_MUST_CHECK oct_status oct_config_update(oct_arena *arena, const oct_collection_config *config,
                                            const oct_collection_config *update,
                                            oct_collection_config *out, oct_error *error);

/* Write the `config` object of GET /collections/{c}, effective values filled in. */
void oct_config_write(oct_json_writer *writer, const oct_collection_config *config);

/* Write the form for storage: a create-collection body which oct_config_parse turns into an equal
 * config. */
void oct_config_store(oct_json_writer *writer, const oct_collection_config *config);

/* A deep copy in one allocation, freed with oct_config_free and the same alloc. */
OCT_MUST_CHECK oct_status oct_config_copy(const oct_alloc *alloc,
                                          const oct_collection_config *config,
                                          const oct_collection_config **out, oct_error *error);
/* A deep copy in the arena. */
OCT_MUST_CHECK oct_status oct_config_detach(oct_arena *arena, const oct_collection_config *config,
                                            const oct_collection_config **out, oct_error *error);
void oct_config_free(const oct_alloc *alloc, const oct_collection_config *copy); /* NULL allowed */

bool oct_config_equal(const oct_collection_config *a, const oct_collection_config *b);
/* Have they the same vectors, as far as points depend on them? Updates don't change that. */
bool oct_config_same_shape(const oct_collection_config *a, const oct_collection_config *b);
/* Would segments be built and opened alike? */
bool oct_config_builds_alike(const oct_collection_config *a, const oct_collection_config *b);

/* ---- effective values ------------------------------------------------------------------- */

#define OCT_CONFIG_NO_VECTOR UINT32_MAX

/* Index of the vector of that name, or OCT_CONFIG_NO_VECTOR. */
uint32_t oct_config_find_vector(const oct_collection_config *config, oct_str name);

/* The graph settings of vector `index`: its own, then the collection's, then the defaults. Every
 * member is set but memory and inline_storage (payload_m is m when it was not given). m is 0, no
 * graph, for sparse vectors, which have an index of their own. */
oct_hnsw_config oct_config_hnsw(const oct_collection_config *config, uint32_t index);

/* Are graphs built of vector `index`: of all its points, or within payload blocks? */
bool oct_config_has_graph(const oct_collection_config *config, uint32_t index);

/* payload_m of vector `index` or of the collection, as it was given; else OCT_UNSET. */
uint64_t oct_config_given_payload_m(const oct_collection_config *config, uint32_t index);

/* The m of the links within blocks of a payload index, for vector `index`; 0 = it has none. That is
 * payload_m where it was given, for all indexes but those with enable_hnsw false; else m, for
 * tenant fields only. 0 for multivectors. */
uint64_t oct_config_payload_m(const oct_collection_config *config, uint32_t index,
                              const oct_field_config *field);

/* How vector `index` is quantized: its own setting, else the collection's; NULL when it is not, as
 * sparse vectors and multivectors are not. */
const oct_quantization_config *oct_config_quantization(const oct_collection_config *config,
                                                       uint32_t index);

/* Where the rows of vector `index` (of a sparse one: its index), its quantized codes, its graph,
 * and the payloads are kept. `memory` counts before `on_disk` and `always_ram`; codes lie where the
 * rows do unless something else is asked for; payloads are cold by default, the others cached. */
oct_placement oct_config_rows_placement(const oct_collection_config *config, uint32_t index);
oct_placement oct_config_codes_placement(const oct_collection_config *config, uint32_t index);
oct_placement oct_config_graph_placement(const oct_collection_config *config, uint32_t index);
oct_placement oct_config_payload_placement(const oct_collection_config *config);

/* The optimizer settings, every member set but max_segment_size, memmap_threshold and
 * max_optimization_threads, which stay OCT_UNSET when not given. */
oct_optimizers_config oct_config_optimizers(const oct_collection_config *config);

/* "scalar", "product", "binary", "turbo"; "" for NONE. */
const char *oct_quantization_name(oct_quantization_kind kind);

/* "Cosine", ... */
const char *oct_metric_name(oct_metric metric);
/* "float32", ... */
const char *oct_datatype_name(oct_datatype datatype);

/* ---- payload indexes -------------------------------------------------------------------- */

/* A boolean parameter of an index; `otherwise` when it was not given. */
bool oct_field_config_flag(const oct_field_config *config, const char *name, bool otherwise);

/* "keyword", "integer", "float", "bool". */
const char *oct_field_type_name(oct_field_type type);

/* Parse a field_schema: a type's name, or an object with `type` and parameters, of which those the
 * type knows are kept as minified text. The key is checked to be a path and copied in its canonical
 * spelling. schema may be NULL (missing). BAD_INPUT. */
OCT_MUST_CHECK oct_status oct_field_config_parse(oct_arena *arena, oct_str key,
                                                 const oct_json *schema, oct_field_config *out,
                                                 oct_error *error);

/* Write one value of `payload_schema`: {"data_type":..,"params":..,"points":n}. */
void oct_field_config_write(oct_json_writer *writer, const oct_field_config *config,
                            uint64_t points);

/* Write the schema back (string or object), as oct_field_config_parse takes it. */
void oct_field_config_store(oct_json_writer *writer, const oct_field_config *config);

#endif
