/* SPDX-License-Identifier: Apache-2.0 */
/* vfs_fault.h - a storage over another one whose calls fail on purpose.
 *
 * Calls that can fail are counted; the plan says which of them fails, how, and with what side
 * effect. A sweep runs the same script once per k until nothing was left to fail:
 *
 *     for (uint64_t k = 1;; k++) {
 *         oct_vfs_fault_plan(fault, &(oct_fault_plan){ .fail_at = k, .status = OCT_IO });
 *         run_script(oct_vfs_fault_vfs(fault));
 *         if (oct_vfs_fault_failed(fault) == 0) break;
 *         check_what_is_left();
 *     }
 *
 * Independently of the plan it can be a small disk: with a quota, growth beyond it is NO_SPACE
 * until truncate or remove give bytes back.
 *
 * It needs no more threads' care than what it wraps: counters are behind one mutex. */
#ifndef OCT_TESTS_VFS_FAULT_H
#define OCT_TESTS_VFS_FAULT_H

#include <stdbool.h>

#include "octant/host.h"

typedef struct oct_vfs_fault oct_vfs_fault;

/* The methods that can fail, as a set. */
enum oct_fault_methods {
    OCT_FAULT_OPEN = 1,
    OCT_FAULT_SIZE = 2,
    OCT_FAULT_READ = 4,
    OCT_FAULT_WRITE = 8,
    OCT_FAULT_TRUNCATE = 16,
    OCT_FAULT_SYNC = 32,
    OCT_FAULT_VIEW = 64,
    OCT_FAULT_REMOVE = 128,
    OCT_FAULT_RENAME = 256,
    OCT_FAULT_LIST = 512,
    OCT_FAULT_ALL = 1023,
    /* Those that a full or read-only disk refuses. open only counts with CREATE or TRUNCATE. */
    OCT_FAULT_CHANGES = OCT_FAULT_WRITE | OCT_FAULT_TRUNCATE | OCT_FAULT_SYNC | OCT_FAULT_REMOVE |
                        OCT_FAULT_RENAME | 1024
};

/* What a failing call has done nevertheless; the contract allows each. */
typedef enum oct_fault_effect {
    OCT_FAULT_NOTHING, /* the call never reached the storage */
    OCT_FAULT_PART,    /* a write wrote a prefix, a growing truncate grew part of the way; a
                        * read filled a prefix; the rest as NOTHING */
    OCT_FAULT_ALL_DONE /* the call succeeded and then reported failure (a rename whose directory
                        * could not be synced). A file opened so is closed again. */
} oct_fault_effect;

typedef struct oct_fault_plan {
    uint64_t fail_at;  /* fail this call, counted from 1 over `methods`; 0 = none */
    uint32_t methods;  /* 0 = OCT_FAULT_ALL */
    oct_status status; /* IO, NO_SPACE, READONLY, ... */
    bool from_then_on; /* every later call of `methods` fails too */
    oct_fault_effect effect;
    uint64_t seed; /* decides the length of prefixes */
} oct_fault_plan;

/* Wrap `below`, which outlives the wrapper. */
OCT_MUST_CHECK oct_status oct_vfs_fault_create(const oct_alloc *alloc, const oct_vfs *below,
                                               oct_vfs_fault **out, oct_error *error);
/* NULL allowed. No file may be open. */
void oct_vfs_fault_destroy(oct_vfs_fault *fault);
/* The storage that fails. Valid until destroy. */
const oct_vfs *oct_vfs_fault_vfs(const oct_vfs_fault *fault);

/* Follow this plan (NULL: no faults) and count from zero again. */
void oct_vfs_fault_plan(oct_vfs_fault *fault, const oct_fault_plan *plan);
/* Calls of the plan's methods since then, and how many of them failed on purpose (by plan or by
 * quota). */
uint64_t oct_vfs_fault_calls(oct_vfs_fault *fault);
uint64_t oct_vfs_fault_failed(oct_vfs_fault *fault);
/* "sync of collection/wal.1", the first call that failed on purpose; "" before. */
const char *oct_vfs_fault_where(const oct_vfs_fault *fault);

/* A disk of `bytes` (0 = no limit), filled by the files there are. A write that does not fit writes
 * what fits and is NO_SPACE. */
void oct_vfs_fault_quota(oct_vfs_fault *fault, uint64_t bytes);
/* The sum of all files' sizes. */
OCT_MUST_CHECK oct_status oct_vfs_fault_used(oct_vfs_fault *fault, uint64_t *bytes,
                                             oct_error *error);

#endif
