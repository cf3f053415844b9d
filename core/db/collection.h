/* SPDX-License-Identifier: Apache-2.0
 *
 * collection.h - one collection inside db/: its state, and who may touch it.
 *
 * What is on disk is the state before sequence log_start (manifest and sealed segments) plus the
 * log from there on. `view` is the same thing in memory. Three bitmaps say which points of a
 * sealed segment live: none (all, when it was written), `saved` (as of log_start: what the
 * manifest has) and `alive` (now). A merge takes the points in `saved`, never those in `alive`: a
 * point that died after log_start may be needed again, because the replay of the very operation
 * that replaced it (set payload) starts from it.
 *
 * Locks, outermost first:
 *   seal_mutex, merge_mutex   one maintenance task of each kind at a time; held over a step
 *   writer                    one change at a time: apply, rotate, publish a task's result
 *   view_mutex                the pointer `view`; held for a pin or a swap
 * A reader takes view_mutex only. A writer leaves `writer` before it waits for the shared sync. */
#ifndef OCTANT_DB_COLLECTION_H
#define OCTANT_DB_COLLECTION_H

#include "base/sync.h"
#include "db/db.h"
#include "db/record.h"
#include "query/read.h"
#include "segment/build.h"
#include "segment/view.h"
#include "simd/kernels.h"
#include "store/wal.h"

enum {
    OCT_DIRECTORY_BYTES = 18, /* "c" and 16 hexadecimal digits, NUL */
    OCT_SCRATCHES_MAX = 8,
    OCT_LOGS_MAX = 64,
    OCT_SOURCES_MAX = 32 /* of one merge */
};

/* A log file shared by the writers that wait for its sync. */
typedef struct oct_log {
    const oct_alloc *alloc;
    oct_atomic_u64 references;
    oct_wal *wal;
} oct_log;

typedef struct oct_task { /* seal or merge */
    oct_build *build;
    oct_settings *settings; /* it is built for */
    bool done;              /* a merge that waits for a seal to be published first */
    oct_fields *fields;     /* the result's payload indexes as far as they are made; NULL: none */
    oct_sealed *sources[OCT_SOURCES_MAX]; /* of a merge; pinned by the build */
    uint32_t source_count;
    uint64_t worked_ns;     /* of a merge: since it was saved */
    uint64_t save_after_ns; /* ... which takes too long to do it before so much work */
} oct_task;

struct oct_collection {
    oct_db *db;
    const oct_host *host;
    const oct_alloc *alloc;
    const oct_kernels *kernels;
    oct_atomic_u64 references;
    oct_atomic_u64 dropped; /* 1: remove its files with the last reference */
    oct_str name;           /* owned */
    uint64_t number;
    char directory[OCT_DIRECTORY_BYTES];
    /* The config it was first opened with, for what updates leave alone: which vectors there are,
     * of which form. Owned, and outlives all segments; NULL when the manifest was never readable.
     * The current config is the view's. */
    const oct_collection_config *shape;

    oct_mutex seal_mutex, merge_mutex, writer, view_mutex;
    oct_view *view; /* under view_mutex; its last entry is the active memory segment */
    bool replaying; /* under view_mutex: the view is not for readers yet */
    oct_atomic_u64 active_bytes;

    /* Under writer: */
    oct_log *log;
    uint64_t log_start;               /* first sequence the manifest does not cover */
    uint64_t log_files[OCT_LOGS_MAX]; /* first sequences of the files from log_start on */
    uint32_t log_file_count;
    uint64_t generation; /* of the manifest */
    uint64_t next_file;
    oct_status problem; /* not OK: every write answers it (and every read, without a view) */
    oct_error problem_error;
    bool reopen;            /* the problem may pass: maintenance opens the collection again */
    uint64_t reserve_bytes; /* of the file that keeps space back, 0 = none */
    bool pressed;           /* space ran out: freeing some comes before everything else */
    bool log_full;          /* not even deletes fit into the log */

    oct_view *rotation;         /* under seal_mutex: the view when the frozen segment was frozen */
    oct_task seal;              /* under seal_mutex */
    oct_task merge;             /* under merge_mutex */
    oct_atomic_u64 checkpoints; /* bit per slot with a file; changed under merge_mutex */
    bool unsaved;               /* under merge_mutex: no checkpoints until a merge has ended */
    oct_atomic_u64 merging;     /* 1: a merge is under way; changed under merge_mutex */
    /* The moment (maintain.c) at which a merge failed, 0 = none; changed under merge_mutex. */
    oct_atomic_u64 merge_tried_at;

    oct_mutex scratch_mutex;
    oct_hnsw_scratch *scratches[OCT_SCRATCHES_MAX];
    uint32_t scratch_count;
};

/* ---- collection.c: life, pins, scratch ----------------------------------------------- */

/* An empty shell; load or create fills it. */
OCT_MUST_CHECK oct_status oct_collection_new(oct_db *db, oct_str name, uint64_t number,
                                             oct_collection **out, oct_error *error);
void oct_collection_pin(oct_collection *collection);
/* The current view, pinned; NULL when the collection never loaded, or is loading. */
oct_view *oct_collection_view(oct_collection *collection);
/* Publish (takes over the reference) under writer. */
void oct_collection_swap_view(oct_collection *collection, oct_view *view);
/* Forget everything in memory; the files stay. All locks but view_mutex are held or unneeded. */
void oct_collection_unload(oct_collection *collection);
/* Give up or forget what was being built. */
void oct_task_end(oct_task *task);
OCT_MUST_CHECK oct_status oct_log_create(const oct_alloc *alloc, oct_log **out, oct_error *error);
void oct_log_unpin(oct_log *log);
void oct_collection_log_path(const oct_collection *collection, uint64_t first_sequence, char *path);
/* The collection's problem as an error. */
oct_status oct_collection_problem(const oct_collection *collection, oct_error *error);
/* Stop writing until it is opened again (a failed sync). Under writer. */
void oct_collection_fail(oct_collection *collection, oct_status status, const oct_error *error);

/* A reading over the current view; end releases the view and the scratch. */
typedef struct oct_read_session {
    oct_reading reading;
    oct_view *view;
} oct_read_session;
OCT_MUST_CHECK oct_status oct_read_begin(oct_collection *collection, oct_arena *arena,
                                         oct_read_session *out, oct_error *error);
/* The same over the view that `other` reads. */
OCT_MUST_CHECK oct_status oct_read_begin_beside(oct_collection *collection, oct_arena *arena,
                                                const oct_read_session *other,
                                                oct_read_session *out, oct_error *error);
void oct_read_end(oct_collection *collection, oct_read_session *session);
/* Copy the payloads and vectors that *found borrows from a view or another arena into `arena`. */
OCT_MUST_CHECK oct_status oct_found_detach(oct_arena *arena, oct_found *found, oct_error *error);

/* ---- state.c: the manifest ----------------------------------------------------------- */

/* Write the manifest of `view`: its sealed segments with their `saved` bitmaps, and its schema
 * (which may be newer than log_start: replaying the changes to it ends in the same one). On failure
 * *in_doubt tells whether the next open may find it all the same; else nothing happened. Under
 * writer. */
OCT_MUST_CHECK oct_status oct_state_write(oct_collection *collection, const oct_view *view,
                                          uint64_t log_start, bool *in_doubt, oct_error *error);
/* Read it: fills shape, next_file, log_start, generation and a view of sealed segments without
 * an active one. NOT_FOUND when the collection was never finished. */
OCT_MUST_CHECK oct_status oct_state_read(oct_collection *collection, oct_view **out,
                                         oct_error *error);

/* ---- recover.c ----------------------------------------------------------------------- */

/* Make the files of a new collection and its first view. */
OCT_MUST_CHECK oct_status oct_collection_create_files(oct_collection *collection,
                                                      const oct_collection_config *config,
                                                      oct_error *error);
/* Open its files: manifest, segments, log. On failure nothing is loaded. */
OCT_MUST_CHECK oct_status oct_collection_load(oct_collection *collection, oct_error *error);
/* Remove all its files. */
OCT_MUST_CHECK oct_status oct_collection_remove_files(const oct_host *host, const char *directory,
                                                      oct_error *error);

/* ---- apply.c ------------------------------------------------------------------------- */

/* Do one resolved change under writer: stage it, log it, publish it; *sequence is its number. On
 * failure nothing changed. */
OCT_MUST_CHECK oct_status oct_apply(oct_collection *collection, oct_arena *arena,
                                    const oct_change *change, uint64_t *sequence, oct_error *error);
/* The same for a change that comes from the log with its number. */
OCT_MUST_CHECK oct_status oct_apply_logged(oct_collection *collection, oct_arena *arena,
                                           const oct_change *change, uint64_t sequence,
                                           oct_error *error);

/* ---- index_work.c: payload indexes built while writers go on ------------------------- */

/* The indexes of one field over the sealed segments of a view. */
typedef struct oct_index_work {
    oct_view *view;
    oct_fields **fields; /* [view->count]; NULL for memory segments */
} oct_index_work;

/* Build the index of `field` over the segments of the present view, but for what *work (zeroed at
 * first) has already. No lock is held. CORRUPT, NOMEM, LIMIT. */
OCT_MUST_CHECK oct_status oct_index_work_step(oct_collection *collection,
                                              const oct_field_config *field, oct_index_work *work,
                                              oct_error *error);
/* Has every sealed segment of the view its index? */
bool oct_index_work_covers(const oct_index_work *work, const oct_view *view);
/* The index of one segment; NULL when there is none (`work` may be NULL). */
const oct_fields *oct_index_work_of(const oct_index_work *work, const oct_sealed *sealed);
void oct_index_work_end(oct_collection *collection, oct_index_work *work);

/* ---- publish.c ----------------------------------------------------------------------- */

/* Freeze the active segment. Under seal_mutex and writer, without a frozen one. */
OCT_MUST_CHECK oct_status oct_collection_rotate(oct_collection *collection, oct_error *error);
/* Show the finished seal of the frozen segment, and drop the logs it covers. Under seal_mutex and
 * writer. */
OCT_MUST_CHECK oct_status oct_publish_seal(oct_collection *collection, oct_error *error);
/* Show the finished merge. Under merge_mutex, seal_mutex and writer, without a frozen segment. */
OCT_MUST_CHECK oct_status oct_publish_merge(oct_collection *collection, oct_error *error);
/* Write the manifest and show `view`, which is taken over, in which the segment `made` (or NULL) is
 * new. On failure all is as before, or the collection has a problem. Under writer. */
OCT_MUST_CHECK oct_status oct_collection_publish(oct_collection *collection, oct_view *view,
                                                 oct_sealed *made, uint64_t log_start,
                                                 oct_error *error);

/* ---- maintain.c ---------------------------------------------------------------------- */

/* Before a write: freeze a full memory segment, sealing the previous one first if need be. */
OCT_MUST_CHECK oct_status oct_collection_make_room(oct_collection *collection, oct_error *error);
/* One step of background work of about budget_ns. */
OCT_MUST_CHECK oct_status oct_collection_maintain(oct_collection *collection, uint64_t budget_ns,
                                                  bool *more, oct_error *error);
bool oct_collection_has_work(oct_collection *collection);

/* ---- reserve.c: space kept back for maintenance on a full disk; all under writer ------ */

#define OCT_RESERVE_NAME "reserve"
/* Have as much as sealing `active` (and a frozen segment) will take. NO_SPACE changes nothing. */
OCT_MUST_CHECK oct_status oct_reserve_hold(oct_collection *collection,
                                           const oct_memory_segment *active, oct_error *error);
/* After a seal that was short of space: hold what there is space for. */
void oct_reserve_refill(oct_collection *collection, const oct_memory_segment *active);
/* Give it up for what needs it now, a merge or a rotation and its seal; true when that freed
 * something. */
bool oct_reserve_release(oct_collection *collection, bool for_merge);
/* At open: how large is it? */
OCT_MUST_CHECK oct_status oct_reserve_find(oct_collection *collection, oct_error *error);

/* ---- checkpoints.c: a merge that goes on after a crash; under merge_mutex ------------- */

#define OCT_CHECKPOINT_PREFIX "checkpoint-"
/* At open: are there any? */
OCT_MUST_CHECK oct_status oct_checkpoints_find(oct_collection *collection, oct_error *error);
/* The newest checkpoint whose merge can go on in this view, the caller's, or NULL. All others are
 * removed. NOMEM. */
OCT_MUST_CHECK oct_status oct_checkpoints_choose(oct_collection *collection, const oct_view *view,
                                                 oct_checkpoint **out, oct_error *error);
/* After a step of the merge that took `worked_ns`: save it if it is time. `pressed` for space, its
 * checkpoint is removed, and no other made. */
void oct_checkpoints_step(oct_collection *collection, oct_task *task, uint64_t worked_ns,
                          bool pressed);
/* Remove all; true when there were any. */
bool oct_checkpoints_drop(oct_collection *collection);

/* ---- verify.c ------------------------------------------------------------------------ */

/* Read and check everything. *finding says what is wrong, or that all is well. */
OCT_MUST_CHECK oct_status oct_collection_check(oct_collection *collection, oct_error *finding);

/* ---- db.c ---------------------------------------------------------------------------- */

const oct_open_options *oct_db_options(const oct_db *db);
const oct_kernels *oct_db_kernels(const oct_db *db);
/* OK while this process owns the directory (see db.c on epochs); LOCKED when another took it. */
OCT_MUST_CHECK oct_status oct_db_check_owner(oct_db *db, oct_error *error);

#endif
