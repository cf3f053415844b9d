/* SPDX-License-Identifier: Apache-2.0
 *
 * container.h - one file of checksummed sections: what a sealed segment is, on disk.
 *
 * Written once, front to back, then immutable. Sections are found by (kind, index) in a footer;
 * a crc32c per 64 KiB block of the file stands there too. Opening reads only the footer. Layout
 * and validity rules: head of container.c. */
#ifndef OCTANT_STORE_CONTAINER_H
#define OCTANT_STORE_CONTAINER_H

#include "base/check.h"
#include "octant/host.h"

typedef struct oct_container_writer oct_container_writer;
typedef struct oct_container oct_container;

enum { OCT_CONTAINER_BLOCK_BYTES = 64 << 10, OCT_CONTAINER_SECTIONS_MAX = 4096 };

/* Start a file (replacing a leftover of that name). */
OCT_MUST_CHECK oct_status oct_container_create(const oct_alloc *alloc, const oct_vfs *vfs,
                                               const char *path, oct_container_writer **out,
                                               oct_error *error);
/* Begin section (kind, index): each pair once. 64-byte aligned. Ends the one before. */
OCT_MUST_CHECK oct_status oct_container_begin(oct_container_writer *writer, uint32_t kind,
                                              uint32_t index, oct_error *error);
/* Append to the current section. Buffered in blocks. */
OCT_MUST_CHECK oct_status oct_container_append(oct_container_writer *writer, const void *source,
                                               size_t bytes, oct_error *error);
/* Write the footer, sync, close and free the writer. On failure the file is removed; the writer
 * is freed in any case. */
OCT_MUST_CHECK oct_status oct_container_finish(oct_container_writer *writer, uint64_t *file_bytes,
                                               oct_error *error);
/* Give up: close, remove the file, free. NULL allowed. */
void oct_container_abandon(oct_container_writer *writer);

/* Open for reading: reads and validates the footer (CORRUPT names file and what is wrong). */
OCT_MUST_CHECK oct_status oct_container_open(const oct_alloc *alloc, const oct_vfs *vfs,
                                             const char *path, oct_container **out,
                                             oct_error *error);
/* Every pointer it gave is dead. NULL allowed. */
void oct_container_close(oct_container *container);

/* Are sections viewed, or read into memory? */
bool oct_container_is_viewed(const oct_container *container);
uint64_t oct_container_file_bytes(const oct_container *container);
bool oct_container_has(const oct_container *container, uint32_t kind, uint32_t index);
/* List sections: i in [0, count). */
uint32_t oct_container_section_count(const oct_container *container);
void oct_container_section_at(const oct_container *container, uint32_t i, uint32_t *kind,
                              uint32_t *index, uint64_t *bytes);

/* The bytes of a section, 64-byte aligned, verified against their checksums, until close: viewed
 * where the vfs can, else read into memory once (and kept; a second call gives the same pointer).
 * NOT_FOUND when there is no such section. *out of an empty section is a valid pointer. Calls on
 * one container are made by one thread (while opening a segment). */
OCT_MUST_CHECK oct_status oct_container_load(oct_container *container, uint32_t kind,
                                             uint32_t index, const void **out, size_t *bytes,
                                             oct_error *error);

/* Like load, but read into memory even where the vfs can view: for what is read at random all the
 * time. The allocator may know better pages for it than a file's. */
OCT_MUST_CHECK oct_status oct_container_load_memory(oct_container *container, uint32_t kind,
                                                    uint32_t index, const void **out, size_t *bytes,
                                                    oct_error *error);

/* Like load, but where the vfs can view, blocks are verified only when touched: before using
 * [offset, offset + bytes) of the section call touch with it. Where it can't, the same as load. */
OCT_MUST_CHECK oct_status oct_container_load_lazy(oct_container *container, uint32_t kind,
                                                  uint32_t index, const void **out, size_t *bytes,
                                                  oct_error *error);
/* Verify the blocks under a range of a lazily loaded section (given its pointer). Cheap when they
 * are verified already: an atomic load per block. Any thread. CORRUPT names file and block. */
OCT_MUST_CHECK oct_status oct_container_touch(oct_container *container, const void *at,
                                              size_t bytes, oct_error *error);

/* From now on loads verify about so many bytes in all (SIZE_MAX, as at first: any number), and then
 * answer AGAIN: repeated after another call of this one, they go on where they were. */
void oct_container_pace(oct_container *container, size_t bytes);

/* A section that stays on disk. The container outlives it. */
typedef struct oct_section_place {
    oct_container *container;
    uint64_t offset; /* in the file */
    uint64_t bytes;
} oct_section_place;

/* NOT_FOUND when there is no such section. */
OCT_MUST_CHECK oct_status oct_container_place(oct_container *container, uint32_t kind,
                                              uint32_t index, oct_section_place *out,
                                              oct_error *error);
/* Copy bytes [at, at + bytes) of a section (asserted to lie inside), verified, without keeping
 * anything in memory. The first bytes of a block of 64 KiB cost reading all of it. Any thread. */
OCT_MUST_CHECK oct_status oct_container_read(const oct_section_place *place, uint64_t at,
                                             void *target, size_t bytes, oct_error *error);

/* How a section is held. */
typedef struct oct_section_held {
    uint64_t memory_bytes;  /* of memory it was read into */
    bool viewed;            /* it is used where the vfs shows it */
    uint64_t touched_bytes; /* then: bytes looked at, by whole blocks */
} oct_section_held;

/* Of section i. Any thread, once nothing is loaded any more. */
oct_section_held oct_container_section_held(const oct_container *container, uint32_t i);

/* Verify every block. */
OCT_MUST_CHECK oct_status oct_container_verify(oct_container *container, oct_error *error);

#endif
