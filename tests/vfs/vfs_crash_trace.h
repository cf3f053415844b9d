/* SPDX-License-Identifier: Apache-2.0 */
/* vfs_crash_trace.h - what the recorder (vfs_crash.c) writes down and the disks
 * (vfs_crash_disk.c) are made from. Private to these two.
 *
 * Files are numbered in order of creation, names in order of first use; a number is never
 * given twice, so that "log" removed and created again is two files under one name. */
#ifndef OCT_TESTS_VFS_CRASH_TRACE_H
#define OCT_TESTS_VFS_CRASH_TRACE_H

#include "base/check.h"
#include "vfs_crash.h"

#define OCT_CRASH_NONE UINT32_MAX

typedef enum oct_crash_kind {
    OCT_CRASH_CREATE,   /* file at name */
    OCT_CRASH_WRITE,    /* bytes at offset of file */
    OCT_CRASH_TRUNCATE, /* file to size `offset` */
    OCT_CRASH_SYNC,     /* file, which is now called name, or NONE */
    OCT_CRASH_REMOVE,   /* name, which was file */
    OCT_CRASH_RENAME    /* file from name to name_to */
} oct_crash_kind;

typedef struct oct_crash_operation {
    oct_crash_kind kind;
    uint32_t file;
    uint32_t name;
    uint32_t name_to;
    uint64_t offset;
    size_t bytes;
    size_t content; /* WRITE: where its bytes start in trace.content */
    bool grows;     /* WRITE: ended beyond the file's end */
} oct_crash_operation;

typedef struct oct_crash_name {
    char path[OCT_PATH_BYTES_MAX + 1];
    uint32_t file; /* while recording: what it names now, or NONE */
} oct_crash_name;

typedef struct oct_crash_trace {
    const oct_alloc *alloc;
    oct_crash_operation *operations; /* [operation_count] */
    size_t operation_count, operation_capacity;
    uint8_t *content; /* [content_bytes] */
    size_t content_bytes, content_capacity;
    oct_crash_name *names; /* [name_count] */
    size_t name_count, name_capacity;
    uint32_t file_count;
} oct_crash_trace;

/* Everything a disk is made from, kept from one state to the next. */
typedef struct oct_crash_disk oct_crash_disk;

/* The trace and options outlive it. */
OCT_MUST_CHECK oct_status oct_crash_disk_create(const oct_crash_trace *trace,
                                                const oct_crash_options *options,
                                                oct_crash_disk **out, oct_error *error);
void oct_crash_disk_destroy(oct_crash_disk *disk);
/* Go to a cut: 0 to trace->operation_count. NOMEM leaves it at cut 0. */
OCT_MUST_CHECK oct_status oct_crash_disk_seek(oct_crash_disk *disk, uint64_t cut, oct_error *error);
/* At the cut: see the functions of vfs_crash.h. */
uint64_t oct_crash_disk_states(const oct_crash_disk *disk);
OCT_MUST_CHECK oct_status oct_crash_disk_make(oct_crash_disk *disk, uint64_t state, oct_vfs **out,
                                              oct_error *error);
void oct_crash_disk_describe(const oct_crash_disk *disk, uint64_t state, char *text, size_t bytes);

#endif
