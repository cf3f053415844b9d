/* SPDX-License-Identifier: Apache-2.0 */
/* container_fuzz.c - libFuzzer target: any bytes as a container.
 *
 * Input: one byte of flags, then the file. Flag 1 makes all checksums right, and with flag 4 also
 * the sizes in the trailer. It is read with views and without.
 * Checked beyond memory safety (every byte of every section is read): what a load gives is
 * aligned and inside the file, and the same with and without views. */
#include "store/container.h"
#include "store_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes);

#define SEGMENT "c/1.seg"

enum { FLAG_REPAIR = 1, FLAG_SIZES = 4 };

static void repair_sizes(oct_container_trailer *trailer, size_t before)
{
    trailer->section_count %= 8;
    size_t table_bytes = trailer->section_count * sizeof(oct_section_entry);
    trailer->footer_bytes = table_bytes + sizeof(uint32_t);
    if (trailer->footer_bytes > before) return;
    trailer->footer_offset = before - trailer->footer_bytes;
}

static void repair(uint8_t *content, size_t bytes, bool sizes)
{
    oct_container_trailer trailer;
    if (bytes < sizeof trailer) return;
    size_t before = bytes - sizeof trailer;
    memcpy(&trailer, content + before, sizeof trailer);
    trailer.magic = OCT_TRAILER_MAGIC;
    trailer.version = OCT_STORE_VERSION;
    trailer.file_bytes = bytes;
    if (sizes) repair_sizes(&trailer, before);
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

/* Load every section, touch it in parts, and sum it. */
static oct_status use_section(oct_container *container, uint32_t i, uint64_t *sum,
                              oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t kind, index;
    uint64_t listed;
    const void *at;
    size_t bytes;
    oct_container_section_at(container, i, &kind, &index, &listed);
    ASSERT(oct_container_has(container, kind, index));
    TRY(oct_container_load_lazy(container, kind, index, &at, &bytes, error));
    ASSERT(bytes == listed && bytes <= oct_container_file_bytes(container));
    ASSERT((uintptr_t)at % OCT_SECTION_ALIGN == 0);
    for (size_t part = 0; part < bytes; part += 1000)
        TRY(oct_container_touch(container, (const uint8_t *)at + part,
                                MIN(bytes - part, (size_t)1000), error));
    *sum = oct_hash_u64(*sum, oct_crc32c(0, at, bytes) + bytes);
    TRY(oct_container_load(container, kind, index, &at, &bytes, error));
done:
    return status;
}

static oct_status use(const fuzz_world *world, const oct_vfs *vfs, uint64_t *sum, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_container *container = NULL;
    *sum = 0;
    TRY(oct_container_open(world->alloc, vfs, SEGMENT, &container, error));
    for (uint32_t i = 0; i < oct_container_section_count(container); i++)
        TRY(use_section(container, i, sum, error));
    TRY(oct_container_verify(container, error));
done:
    oct_container_close(container);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes)
{
    if (bytes < 1 || bytes > FUZZ_FILE_BYTES_MAX) return 0;
    size_t file_bytes = bytes - 1;
    oct_error error = { .message = "" };
    fuzz_world world;
    /* Sections take what they hold and alignment each, entries twice their size in the file. */
    fuzz_begin(&world, file_bytes * 4);
    uint8_t *content = oct_new(&test_alloc, bytes);
    ASSERT(content);
    memcpy(content, input + 1, file_bytes);
    if (input[0] & FLAG_REPAIR) repair(content, file_bytes, input[0] & FLAG_SIZES);
    fuzz_file(world.vfs, SEGMENT, content, file_bytes);
    oct_vfs vfs = *world.vfs;
    uint64_t viewed, loaded;
    oct_status status = use(&world, &vfs, &viewed, &error);
    if (status != OCT_OK) fuzz_check_failure(status, &error, SEGMENT);
    vfs.caps &= ~(uint32_t)OCT_CAP_VIEW;
    ASSERT(use(&world, &vfs, &loaded, &error) == status);
    ASSERT(status != OCT_OK || viewed == loaded);
    oct_free(&test_alloc, content, bytes);
    fuzz_end(&world);
    return 0;
}
