/* SPDX-License-Identifier: Apache-2.0
 *
 * octant.h - the whole C API: open a database, call it, let it do its housekeeping, close it.
 *
 * A database is a directory of a vfs. One process owns it at a time. Requests are those of
 * Qdrant's REST API: a verb, a path with its query string, a JSON body; so is the answer. All
 * functions but open and close may be called by several threads at once when the library was
 * built with OCT_THREADS=1.
 *
 *     oct_db *db;
 *     oct_error error;
 *     if (oct_open(&host, &(oct_open_options){ 0 }, &db, &error)) return fail(error.message);
 *     oct_reply reply;
 *     oct_call(db, &(oct_call_request){ .verb = "GET", .path = OCT_STR("/collections") }, &reply);
 *     fwrite(reply.body, 1, reply.body_bytes, stdout);
 *     oct_reply_free(db, &reply);
 *     oct_close(db); */
#ifndef OCTANT_OCTANT_H
#define OCTANT_OCTANT_H

#include "octant/host.h"
#include "octant/status.h"
#include "octant/types.h"

typedef struct oct_db oct_db;

typedef enum oct_wal_sync {
    OCT_WAL_SYNC_ALWAYS, /* a reply means: synced (default) */
    OCT_WAL_SYNC_NONE    /* a reply means: handed to the vfs; for bulk loads that can be repeated */
} oct_wal_sync;

typedef struct oct_open_options {
    bool read_only; /* no owner file, no maintenance, writes answer READONLY */
    oct_wal_sync wal_sync;
    const char *isa;           /* force a kernel set ("scalar", "avx2", ...); NULL = the best */
    uint64_t memory_bytes_max; /* 0 = no limit; beyond it operations answer NOMEM */
    uint32_t appendable_points_max; /* seal the in-memory segment at this size; 0 = 10000 */
    uint64_t appendable_bytes_max;  /* ... or this; 0 = 32 MiB */
    uint32_t maintain_slice_ms;     /* granularity of one maintenance step; 0 = 20 */
    /* Work on a segment's graphs between two checkpoints of it, from which the next open goes on;
     * 0 = 5000, UINT32_MAX = no checkpoints. */
    uint32_t checkpoint_ms;
} oct_open_options;

/* Open (create when empty) the database at the root of host->vfs. The host is copied; what it
 * points to must outlive the database. LOCKED when another process owns it. A damaged collection
 * does not fail the open: it answers its own error, the others work. */
OCT_API OCT_MUST_CHECK oct_status oct_open(const oct_host *host, const oct_open_options *options,
                                           oct_db **out, oct_error *error);

/* The name of the kernel set in use. */
OCT_API const char *oct_kernels_in_use(const oct_db *db);

/* Close: finishes what was acknowledged, releases everything. NULL is allowed. No call may be
 * under way. */
OCT_API void oct_close(oct_db *db);

typedef struct oct_call_request {
    const char *verb; /* "GET", "PUT", "POST", "PATCH", "DELETE" */
    oct_str path;     /* "/collections/c/points?wait=true", percent-encoded */
    oct_str body;     /* JSON text; outlives the call */
    /* The bulk lane: inside the body a dense vector may be written {"$f32":[start,count]}, an
     * index range of these floats. Only when floats != NULL. */
    const float *floats;
    size_t float_count;
    bool tag_big_integers; /* write integers above 2^53 as {"$int":"..."} (JavaScript) */
} oct_call_request;

typedef struct oct_reply {
    oct_status status;
    int http_status;
    const char *content_type; /* constant text */
    char *body;               /* owned by the caller; oct_reply_free */
    size_t body_bytes;
    size_t body_capacity;
} oct_reply;

/* Do one request. Always fills *reply; body is NULL only when not even an error's body could be
 * allocated. A write whose reply is a success is durable (see oct_wal_sync). */
OCT_API void oct_call(oct_db *db, const oct_call_request *request, oct_reply *reply);
OCT_API void oct_reply_free(oct_db *db, oct_reply *reply);

/* ---- typed search -------------------------------------------------------------------------- */

/* Nearest points of one or several vectors, with nothing of the vectors or the answer as text. */
typedef struct oct_search_request {
    oct_str collection;
    oct_str using_vector;  /* vector name; "" = unnamed */
    const float *vectors;  /* [vector_count][dim] */
    uint32_t vector_count; /* searches to do; their answers do not depend on each other */
    uint32_t dim;
    uint32_t limit;   /* hits per vector, >= 1 */
    uint32_t hnsw_ef; /* 0 = the collection's */
    bool exact;
    /* "", or the other members of a points/query body as JSON: {"filter":..,"params":..,
     * "score_threshold":..,"offset":..}. The members above win over what it says. */
    oct_str options;
    /* Of sparse vectors, whose values are `vectors`: [vector_count][dim] dimensions, each vector's
     * strictly ascending. NULL: dense vectors. */
    const uint32_t *indices;
} oct_search_request;

typedef struct oct_search_hit {
    oct_point_id id;
    float score; /* as Qdrant shows it */
} oct_search_hit;

/* Search; the same results as POST points/query. Hits of vector i are hits[i * limit ..], best
 * first, counts[i] of them: hits is [vector_count * limit], counts [vector_count], both the
 * caller's. On failure their contents mean nothing; the error's message is that of the REST reply.
 * BAD_INPUT, VALIDATION, NOT_FOUND as from oct_call. Several vectors are searched as a batch: each
 * 256 of them see one state of the collection, share the selection of the filter and are shared out
 * to the host's threads. */
OCT_API OCT_MUST_CHECK oct_status oct_search(oct_db *db, const oct_search_request *request,
                                             oct_search_hit *hits, uint32_t *counts,
                                             oct_error *error);

/* ---- housekeeping -------------------------------------------------------------------------- */

/* Do background work (seal, index, merge, vacuum) for about `budget_ms`. *more says whether
 * there is more to do now. Reads and writes go on meanwhile. 0 does one smallest step. */
OCT_API OCT_MUST_CHECK oct_status oct_maintain(oct_db *db, uint32_t budget_ms, bool *more,
                                               oct_error *error);

/* Verify every file of the database: checksums, structure, ids, and that graphs, codes and indexes
 * are those of the points. Calls report(arg, line) once per finding and once per collection;
 * returns CORRUPT when any finding is damage. */
OCT_API OCT_MUST_CHECK oct_status oct_check(oct_db *db, void (*report)(void *arg, const char *line),
                                            void *arg, oct_error *error);

/* Describe one file of a database directory, damaged or not: a slot of the registry or of a
 * collection's manifest (both slots are looked at), a log, a segment. `path` is one of host->vfs;
 * of the host only alloc and vfs are used, and nothing is written. Calls report(arg, json) once
 * with a JSON object that lives during the call: file, kind, bytes, what the kind has, "verdict"
 * ("ok", "damaged" or "newer version") and "findings" (sentences). Then returns OK, or CORRUPT or
 * UNSUPPORTED for those verdicts, with the worst finding in *error. Without a report: BAD_INPUT
 * (not a file of a database), NOT_FOUND, IO, NOMEM, LIMIT (larger than this machine can
 * address). */
OCT_API OCT_MUST_CHECK oct_status oct_inspect(const oct_host *host, const char *path,
                                              void (*report)(void *arg, oct_str json), void *arg,
                                              oct_error *error);

/* "0.1.0", and the Qdrant version whose API this speaks. */
OCT_API const char *oct_version(void);
OCT_API const char *oct_qdrant_version(void);

/* Storage and memory that need only C or POSIX. destroy() frees them; no file may be open. */
OCT_API OCT_MUST_CHECK oct_status oct_vfs_memory_create(const oct_alloc *alloc, oct_vfs **out,
                                                        oct_error *error);
OCT_API void oct_vfs_memory_destroy(oct_vfs *vfs);
/* Files under the existing or new directory `root` (copied). */
OCT_API OCT_MUST_CHECK oct_status oct_vfs_posix_create(const oct_alloc *alloc, const char *root,
                                                       oct_vfs **out, oct_error *error);
OCT_API void oct_vfs_posix_destroy(oct_vfs *vfs);

#endif
