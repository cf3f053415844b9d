/* SPDX-License-Identifier: Apache-2.0
 *
 * wal.h - the write-ahead log of one collection: every change is here before it is acknowledged.
 *
 * One oct_wal is one log file of records numbered from first_sequence. Callers append to memory
 * (cannot fail after a reserve), apply the change, and then wait in commit, where writers that
 * arrive together share one write and one sync (group commit). The format and the crash argument
 * are at the head of wal.c. */
#ifndef OCTANT_STORE_WAL_H
#define OCTANT_STORE_WAL_H

#include "base/buf.h"
#include "base/check.h"
#include "octant/host.h"

typedef struct oct_wal oct_wal;

enum {
    OCT_WAL_RECORD_BYTES_MAX = 48 << 20, /* one record; a 32 MB request fits */
    OCT_WAL_PENDING_BYTES_MAX = 96 << 20,
    OCT_WAL_HEADROOM_BYTES = 64 << 10 /* file space only `urgent` reserves may use */
};

typedef struct oct_wal_options {
    bool sync;      /* false: commit hands the batch to the vfs without a sync */
    bool read_only; /* open only replays; the file is not changed, append is a bug */
} oct_wal_options;

/* Make a new log file (replacing one of that name, which can only be a leftover), durable before
 * return. NO_SPACE leaves no file. first_sequence is at least 1. */
OCT_MUST_CHECK oct_status oct_wal_create(const oct_alloc *alloc, const oct_vfs *vfs,
                                         const char *path, uint64_t first_sequence,
                                         const oct_wal_options *options, oct_wal **out,
                                         oct_error *error);

/* Give every whole record of an existing log to replay(arg, sequence, record), in order, then be
 * ready to append behind the last one. `record` lives during the call. A failing replay fails the
 * open with its status. A torn tail (bytes after the last valid batch with no valid batch behind
 * them) was never acknowledged and is cut off. CORRUPT, with file and offset, when a valid batch
 * stands behind a bad one, when the header is bad or first_sequence differs. With `sealed` (a
 * later log file exists) a torn tail is CORRUPT too: rotation seals a log before the next begins.
 * That a sealed log lost no whole batch is seen by comparing its last sequence with the first of
 * its successor: the caller's part. Records before the damage were replayed when it is found.
 * Uses memory of about one batch. */
typedef oct_status (*oct_wal_replay)(void *arg, uint64_t sequence, oct_str record,
                                     oct_error *error);
typedef struct oct_wal_open_request {
    const char *path;
    uint64_t first_sequence;
    bool sealed;
    oct_wal_replay replay;
    void *arg;
} oct_wal_open_request;
OCT_MUST_CHECK oct_status oct_wal_open(const oct_alloc *alloc, const oct_vfs *vfs,
                                       const oct_wal_open_request *request,
                                       const oct_wal_options *options, oct_wal **out,
                                       oct_error *error);

/* Close without syncing. NULL allowed. */
void oct_wal_close(oct_wal *wal);

/* Prepare one record of `bytes`: memory and file space for it exist afterwards, so that append
 * can't fail. File space is taken in steps by writing zeros, so that NO_SPACE is met here, before
 * anything changed, and not in commit. An `urgent` record (a delete: it is what frees space) may
 * use the last OCT_WAL_HEADROOM_BYTES. Call under the collection's writer lock, as append.
 * LIMIT for a too large record, READONLY after a failed commit. */
OCT_MUST_CHECK oct_status oct_wal_reserve(oct_wal *wal, size_t bytes, bool urgent,
                                          oct_error *error);

/* Append the one record that was reserved for (at most as large) and return its sequence. */
uint64_t oct_wal_append(oct_wal *wal, const void *record, size_t bytes);

/* Return when every record up to `sequence` is durable (or handed over, without sync). The first
 * caller writes and syncs for all that are waiting; the lock is not held meanwhile. A failed write
 * or sync is final: this and every later reserve and commit answer READONLY or the cause, and the
 * collection must be reopened from the log. What was not acknowledged is then taken out of the
 * file; only where that fails too, the next open may find it. */
OCT_MUST_CHECK oct_status oct_wal_commit(oct_wal *wal, uint64_t sequence, oct_error *error);

/* Commit everything and sync, with or without options.sync: the last thing done to a log before
 * its successor is created, so that it can be opened as `sealed`. If creating the successor fails,
 * appends may go on and it is sealed again later. */
OCT_MUST_CHECK oct_status oct_wal_seal(oct_wal *wal, oct_error *error);

uint64_t oct_wal_last_sequence(const oct_wal *wal);   /* appended; first_sequence - 1 when empty */
uint64_t oct_wal_synced_sequence(const oct_wal *wal); /* durable */
uint64_t oct_wal_bytes(const oct_wal *wal);           /* of appended batches and records */
bool oct_wal_failed(const oct_wal *wal);

#endif
