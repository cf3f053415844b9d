/* SPDX-License-Identifier: Apache-2.0 */
/* store_fuzz.h - what the fuzz targets of core/store share: memory that is limited by the size
 * of the input, a storage in memory with one file in it, and input taken byte by byte.
 *
 * Checksums would stop a fuzzer at the door. So in one mode of each target (bit 0 of the first
 * byte) they are made right first, and only the fields behind them are the fuzzer's. */
#ifndef OCT_STORE_FUZZ_H
#define OCT_STORE_FUZZ_H

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "octant/octant.h"
#include "store/container.h"
#include "store/format.h"
#include "vfs/test_alloc.h"

enum { FUZZ_FILE_BYTES_MAX = 1 << 20 };

typedef struct fuzz_world {
    oct_counting_alloc counting; /* the store's memory */
    const oct_alloc *alloc;
    oct_vfs *vfs;
} fuzz_world;

static inline void fuzz_begin(fuzz_world *world, size_t bytes)
{
    /* Buffers double, so twice a file and some more is what any open may take. */
    oct_counting_alloc_init(&world->counting, &test_alloc, 2 * bytes + (256 << 10));
    world->alloc = &world->counting.alloc;
    ASSERT(oct_vfs_memory_create(&test_alloc, &world->vfs, NULL) == OCT_OK);
}

static inline void fuzz_end(fuzz_world *world)
{
    oct_vfs_memory_destroy(world->vfs);
    ASSERT(oct_atomic_load(&world->counting.bytes) == 0);
}

static inline void fuzz_file(const oct_vfs *vfs, const char *path, const uint8_t *content,
                             size_t bytes)
{
    oct_file *file;
    uint32_t flags = OCT_OPEN_READ | OCT_OPEN_WRITE | OCT_OPEN_CREATE | OCT_OPEN_TRUNCATE;
    ASSERT(vfs->open(vfs->self, path, flags, &file, NULL) == OCT_OK);
    if (bytes > 0) ASSERT(vfs->write(vfs->self, file, 0, content, bytes, NULL) == OCT_OK);
    vfs->close(vfs->self, file);
}

/* Make the checksums of a container right; with `sizes` also those of its trailer. */
static inline void fuzz_repair_sizes(oct_container_trailer *trailer, size_t before)
{
    trailer->section_count %= 8;
    size_t table_bytes = trailer->section_count * sizeof(oct_section_entry);
    trailer->footer_bytes = table_bytes + sizeof(uint32_t);
    if (trailer->footer_bytes > before) return;
    trailer->footer_offset = before - trailer->footer_bytes;
}

static inline void fuzz_repair_container(uint8_t *content, size_t bytes, bool sizes)
{
    oct_container_trailer trailer;
    if (bytes < sizeof trailer) return;
    size_t before = bytes - sizeof trailer;
    memcpy(&trailer, content + before, sizeof trailer);
    trailer.magic = OCT_TRAILER_MAGIC;
    trailer.version = OCT_STORE_VERSION;
    trailer.file_bytes = bytes;
    if (sizes) fuzz_repair_sizes(&trailer, before);
    size_t table_bytes = (size_t)trailer.section_count * sizeof(oct_section_entry);
    if (trailer.footer_offset <= before && table_bytes <= before - trailer.footer_offset) {
        size_t end = (size_t)trailer.footer_offset;
        size_t crcs = end + table_bytes;
        for (size_t at = 0; at < end && before - crcs >= sizeof(uint32_t);
             at += OCT_CONTAINER_BLOCK_BYTES, crcs += sizeof(uint32_t)) {
            size_t block = MIN(end - at, (size_t)OCT_CONTAINER_BLOCK_BYTES);
            uint32_t crc = oct_crc32c(0, content + at, block);
            memcpy(content + crcs, &crc, sizeof crc);
        }
        trailer.footer_crc = oct_crc32c(0, content + end, before - end);
    }
    trailer.trailer_crc = oct_crc32c(0, &trailer, offsetof(oct_container_trailer, trailer_crc));
    memcpy(content + before, &trailer, sizeof trailer);
}

/* Failures must blame the file, by name. */
static inline void fuzz_check_failure(oct_status status, const oct_error *error, const char *path)
{
    ASSERT(status == OCT_CORRUPT || status == OCT_UNSUPPORTED);
    ASSERT(error->status == status);
    ASSERT(strstr(error->message, path));
}

#endif
