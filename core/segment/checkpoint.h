/* SPDX-License-Identifier: Apache-2.0
 *
 * checkpoint.h - a build of graphs, half done, as a file, to go on from after a crash.
 *
 * A build is given the checkpoint it is to go on from (build.h), saves itself into new ones, and
 * owns the last. When to save, under which name, and whether a checkpoint fits a view: db/. Bytes:
 * head of checkpoint.c. */
#ifndef OCTANT_SEGMENT_CHECKPOINT_H
#define OCTANT_SEGMENT_CHECKPOINT_H

#include "segment/view.h"
#include "store/container.h"

/* Sections of the file. */
enum oct_checkpoint_section {
    OCT_SECTION_SUBJECT = 256, /* what it is a checkpoint of */
    OCT_SECTION_SAVED,         /* bit per point of one source: goes into the build */
    OCT_SECTION_PART           /* the graph of one vector so far */
};

typedef struct oct_checkpoint_source {
    uint64_t file;     /* number of the sealed segment */
    uint32_t count;    /* its points */
    oct_bitmap *saved; /* those that go into the build; NULL: all */
} oct_checkpoint_source;

typedef struct oct_checkpoint {
    const oct_alloc *alloc;
    oct_container *container;
    uint64_t serial; /* of two checkpoints the higher is the newer */
    uint32_t source_count;
    oct_checkpoint_source *sources; /* [source_count] */
} oct_checkpoint;

/* What a checkpoint is of, but for its sources. */
typedef struct oct_checkpoint_subject {
    const oct_host *host;
    const oct_collection_config *config;
    const oct_schema *schema;
} oct_checkpoint_subject;

/* Open the file at `path` and verify all of it. CORRUPT unless it is a whole checkpoint, CONFLICT
 * when it is one of another config, schema or version. NOT_FOUND. */
OCT_MUST_CHECK oct_status oct_checkpoint_open(const oct_checkpoint_subject *subject,
                                              const char *path, oct_checkpoint **out,
                                              oct_error *error);
void oct_checkpoint_close(oct_checkpoint *checkpoint); /* NULL allowed */

/* Can its build be ended and shown in this view? It can when all its sources are still there and
 * no point of theirs lives that it leaves out. entries [source_count] says where they are. */
bool oct_checkpoint_fits(const oct_checkpoint *checkpoint, const oct_view *view, uint32_t *entries);

#endif
