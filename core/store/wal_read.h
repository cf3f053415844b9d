/* SPDX-License-Identifier: Apache-2.0
 *
 * wal_read.h - the reading half of the log, for wal.c: replay, and judge what stands behind the
 * last batch. */
#ifndef OCTANT_STORE_WAL_READ_H
#define OCTANT_STORE_WAL_READ_H

#include "store/format.h"
#include "store/wal.h"

/* Where a log ends, and how. */
typedef struct oct_wal_tail {
    uint64_t file_bytes;
    uint64_t end;      /* behind the last valid batch: where the next one goes */
    uint64_t torn_end; /* behind the last byte after `end` that is not zero; `end` when all are */
    uint64_t last_sequence;
    uint32_t last_crc; /* what the next batch names as previous_crc */
} oct_wal_tail;

/* Replay every whole record of `file`, in order, and fill *tail. Statuses: see oct_wal_open. */
OCT_MUST_CHECK oct_status oct_wal_read(const oct_alloc *alloc, const oct_vfs *vfs, oct_file *file,
                                       const oct_wal_open_request *request, oct_wal_tail *tail,
                                       oct_error *error);

/* Checksums, one place for writer and reader. `page` is the whole OCT_WAL_HEADER_BYTES. */
uint32_t oct_wal_header_crc(const uint8_t *page);
uint32_t oct_batch_header_crc(const oct_batch_header *header);

#endif
