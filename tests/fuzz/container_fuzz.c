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

/* Load every section, touch it in parts, and sum it. */
static oct_status use_section(oct_container *container, uint32_t i, uint64_t *sum, oct_error *error)
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
    if (input[0] & FLAG_REPAIR) fuzz_repair_container(content, file_bytes, input[0] & FLAG_SIZES);
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
