/* SPDX-License-Identifier: Apache-2.0
 *
 * db.h - what api/exec.c calls: the registry of collections, and the operations on one of them.
 *
 * Everything here is thread-safe. Results are built in the caller's arena. A collection that was
 * found damaged at open answers its own error (CORRUPT) to every operation but drop. */
#ifndef OCTANT_DB_DB_H
#define OCTANT_DB_DB_H

#include "base/arena.h"
#include "octant/host.h"
#include "octant/octant.h"
#include "octant/request.h"

/* ---- registry ------------------------------------------------------------------------ */

/* CONFLICT when the name exists. The config is copied. Durable on return. */
OCT_MUST_CHECK oct_status oct_db_create_collection(oct_db *db, oct_str name,
                                                   const oct_collection_config *config,
                                                   oct_error *error);
/* *dropped false when there is no such collection (not an error: Qdrant's behaviour). */
OCT_MUST_CHECK oct_status oct_db_drop_collection(oct_db *db, oct_str name, bool *dropped,
                                                 oct_error *error);
/* Names in bytewise order. */
OCT_MUST_CHECK oct_status oct_db_list_collections(oct_db *db, oct_arena *arena,
                                                  const oct_str **names, uint32_t *count,
                                                  oct_error *error);

/* ---- one collection ------------------------------------------------------------------ */

typedef struct oct_collection oct_collection;

/* Pin a collection so that it lives until unpin even when it is dropped meanwhile.
 * NOT_FOUND "Collection `x` doesn't exist!". */
OCT_MUST_CHECK oct_status oct_db_pin(oct_db *db, oct_str name, oct_collection **out,
                                     oct_error *error);
void oct_db_unpin(oct_collection *collection);

OCT_MUST_CHECK oct_status oct_collection_describe(oct_collection *collection, oct_arena *arena,
                                                  oct_collection_info *out, oct_error *error);

/* Give it the settings that `update` gives (see oct_collection_config), durable on return; reads
 * under way keep those they began with, and maintenance builds anew what does not fit the new ones.
 * BAD_INPUT for vectors it does not have. */
OCT_MUST_CHECK oct_status oct_collection_update(oct_collection *collection, oct_arena *arena,
                                                const oct_collection_config *update,
                                                oct_error *error);

/* What its parts take. */
OCT_MUST_CHECK oct_status oct_collection_memory(oct_collection *collection, oct_arena *arena,
                                                oct_memory_report *out, oct_error *error);

/* Do one write; durable on return (see oct_wal_sync). */
OCT_MUST_CHECK oct_status oct_collection_write(oct_collection *collection, oct_arena *arena,
                                               const oct_write *write, oct_write_result *out,
                                               oct_error *error);

OCT_MUST_CHECK oct_status oct_collection_query(oct_collection *collection, oct_arena *arena,
                                               const oct_query *query, oct_found *out,
                                               oct_error *error);
/* Several queries over one and the same state, on as many threads as the host has. *out is [count],
 * in the order of the queries. When some fail, the first of them is the error. */
OCT_MUST_CHECK oct_status oct_collection_query_batch(oct_collection *collection, oct_arena *arena,
                                                     const oct_query *queries, uint32_t count,
                                                     const oct_found **out, oct_error *error);
OCT_MUST_CHECK oct_status oct_collection_scroll(oct_collection *collection, oct_arena *arena,
                                                const oct_scroll *scroll, oct_found *out,
                                                oct_error *error);
OCT_MUST_CHECK oct_status oct_collection_count(oct_collection *collection, oct_arena *arena,
                                               const oct_count *count, uint64_t *out,
                                               oct_error *error);
/* Missing ids are left out. */
OCT_MUST_CHECK oct_status oct_collection_retrieve(oct_collection *collection, oct_arena *arena,
                                                  const oct_retrieve *retrieve, oct_found *out,
                                                  oct_error *error);

/* The host the database was opened with, and its allocator (counted and limited). */
const oct_host *oct_db_host(const oct_db *db);
const oct_alloc *oct_db_alloc(const oct_db *db);

#endif
