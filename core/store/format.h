/* SPDX-License-Identifier: Apache-2.0
 *
 * format.h - every structure the store writes, with its exact size and offsets.
 *
 * Files are little-endian and so is every target, hence the structs below are the bytes on disk:
 * they are moved with memcpy, never by casting a pointer into a file. All fields are naturally
 * aligned, so there is no padding; the assertions prove it. Reserved fields are written as zero
 * and are covered by a checksum. FORMAT.md describes the files around these structs.
 *
 * Version 0 means "before the first release": it may change without notice. The magic, version
 * and crc fields keep their place in later versions, so that an old program can always tell
 * "damaged" (crc wrong: CORRUPT) from "newer than me" (crc right: UNSUPPORTED). */
#ifndef OCTANT_STORE_FORMAT_H
#define OCTANT_STORE_FORMAT_H

#include "base/check.h"

STATIC_ASSERT(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are memory images");

enum { OCT_STORE_VERSION = 0 };

/* First eight bytes of each structure, as text in a hex dump. */
#define OCT_WAL_MAGIC       UINT64_C(0x474f4c415754434f) /* "OCTWALOG" */
#define OCT_BATCH_MAGIC     UINT64_C(0x4843544254434fb5) /* "\xb5OCTBTCH", in no UTF-8 */
#define OCT_MANIFEST_MAGIC  UINT64_C(0x5453464e4d54434f) /* "OCTMNFST" */
#define OCT_CONTAINER_MAGIC UINT64_C(0x544d47455354434f) /* "OCTSEGMT" */
#define OCT_TRAILER_MAGIC   UINT64_C(0x444e45475354434f) /* "OCTSGEND" */

/* --- log ------------------------------------------------------------------------------------- */

enum {
    OCT_WAL_HEADER_BYTES = 4096, /* the header's page is never written again */
    OCT_WAL_UNIT_BYTES = 64      /* batches begin at multiples of it and fill whole units */
};

typedef struct oct_wal_header {
    uint64_t magic;
    uint32_t version;
    uint32_t reserved;
    uint64_t first_sequence;
    uint32_t reserved_too;
    uint32_t crc; /* of all OCT_WAL_HEADER_BYTES except these four */
} oct_wal_header;
STATIC_ASSERT(sizeof(oct_wal_header) == 32, "on disk");
STATIC_ASSERT(offsetof(oct_wal_header, version) == 8, "on disk");
STATIC_ASSERT(offsetof(oct_wal_header, first_sequence) == 16, "on disk");
STATIC_ASSERT(offsetof(oct_wal_header, crc) == 28, "on disk");

enum oct_batch_flags {
    OCT_BATCH_AFTER_SYNC = 1 /* all before this batch was durable when it was written */
};

typedef struct oct_batch_header {
    uint64_t magic;
    uint64_t offset; /* of this header in its file */
    uint64_t first_sequence;
    uint32_t payload_bytes; /* records; behind them zeros fill the last unit */
    uint32_t record_count;
    uint32_t flags;        /* enum oct_batch_flags */
    uint32_t previous_crc; /* header_crc of the batch before; of the first one: the file's crc */
    uint32_t payload_crc;  /* of the records and the zeros behind them */
    uint32_t reserved[4];
    uint32_t header_crc; /* of the 60 bytes before */
} oct_batch_header;
STATIC_ASSERT(sizeof(oct_batch_header) == OCT_WAL_UNIT_BYTES, "on disk");
STATIC_ASSERT(offsetof(oct_batch_header, offset) == 8, "on disk");
STATIC_ASSERT(offsetof(oct_batch_header, first_sequence) == 16, "on disk");
STATIC_ASSERT(offsetof(oct_batch_header, payload_bytes) == 24, "on disk");
STATIC_ASSERT(offsetof(oct_batch_header, record_count) == 28, "on disk");
STATIC_ASSERT(offsetof(oct_batch_header, flags) == 32, "on disk");
STATIC_ASSERT(offsetof(oct_batch_header, previous_crc) == 36, "on disk");
STATIC_ASSERT(offsetof(oct_batch_header, payload_crc) == 40, "on disk");
STATIC_ASSERT(offsetof(oct_batch_header, header_crc) == 60, "on disk");

enum { OCT_RECORD_HEADER_BYTES = 4 }; /* u32 bytes before each record */

/* --- manifest -------------------------------------------------------------------------------- */

enum { OCT_MANIFEST_STEP_BYTES = 4096 };

typedef struct oct_manifest_header {
    uint64_t magic;
    uint32_t version;
    uint32_t body_bytes; /* the body follows the header */
    uint64_t generation;
    uint32_t body_crc;
    uint32_t header_crc; /* of the 28 bytes before */
} oct_manifest_header;
STATIC_ASSERT(sizeof(oct_manifest_header) == 32, "on disk");
STATIC_ASSERT(offsetof(oct_manifest_header, version) == 8, "on disk");
STATIC_ASSERT(offsetof(oct_manifest_header, body_bytes) == 12, "on disk");
STATIC_ASSERT(offsetof(oct_manifest_header, generation) == 16, "on disk");
STATIC_ASSERT(offsetof(oct_manifest_header, body_crc) == 24, "on disk");
STATIC_ASSERT(offsetof(oct_manifest_header, header_crc) == 28, "on disk");

/* --- container ------------------------------------------------------------------------------- */

enum {
    OCT_SECTION_ALIGN = 64,
    OCT_SECTION_PAGE_ALIGN = 4096,     /* of sections of at least ... */
    OCT_SECTION_PAGED_BYTES = 64 << 10 /* ... this size, so that paging them wastes nothing */
};

typedef struct oct_container_header {
    uint64_t magic;
    uint32_t version;
    uint32_t reserved[13];
} oct_container_header;
STATIC_ASSERT(sizeof(oct_container_header) == OCT_SECTION_ALIGN, "on disk");
STATIC_ASSERT(offsetof(oct_container_header, version) == 8, "on disk");

typedef struct oct_section_entry {
    uint32_t kind;
    uint32_t index;
    uint64_t offset;
    uint64_t bytes;
} oct_section_entry;
STATIC_ASSERT(sizeof(oct_section_entry) == 24, "on disk");
STATIC_ASSERT(offsetof(oct_section_entry, offset) == 8, "on disk");
STATIC_ASSERT(offsetof(oct_section_entry, bytes) == 16, "on disk");

typedef struct oct_container_trailer {
    uint64_t magic;
    uint32_t version;
    uint32_t section_count;
    uint64_t footer_offset; /* end of the blocks, start of the section table */
    uint64_t footer_bytes;  /* section table and block checksums */
    uint64_t file_bytes;
    uint32_t footer_crc;
    uint32_t reserved[4];
    uint32_t trailer_crc; /* of the 60 bytes before */
} oct_container_trailer;
STATIC_ASSERT(sizeof(oct_container_trailer) == 64, "on disk");
STATIC_ASSERT(offsetof(oct_container_trailer, version) == 8, "on disk");
STATIC_ASSERT(offsetof(oct_container_trailer, section_count) == 12, "on disk");
STATIC_ASSERT(offsetof(oct_container_trailer, footer_offset) == 16, "on disk");
STATIC_ASSERT(offsetof(oct_container_trailer, footer_bytes) == 24, "on disk");
STATIC_ASSERT(offsetof(oct_container_trailer, file_bytes) == 32, "on disk");
STATIC_ASSERT(offsetof(oct_container_trailer, footer_crc) == 40, "on disk");
STATIC_ASSERT(offsetof(oct_container_trailer, trailer_crc) == 60, "on disk");

/* `bytes` rounded up to a multiple of `step`, a power of two. The caller has excluded overflow. */
static inline uint64_t oct_round_up(uint64_t bytes, uint64_t step)
{
    return (bytes + step - 1) & ~(step - 1);
}

#endif
