/* SPDX-License-Identifier: Apache-2.0 */
/* manifest_fuzz.c - libFuzzer target: any bytes as the two slots of a manifest.
 *
 * Input: one byte of flags, the u16 size of slot 0, slot 0, the rest slot 1. Flag 1 makes the
 * checksums of all four copies right; flags 2 and 4 leave slot 0 or 1 away.
 * Checked beyond memory safety: only CORRUPT, UNSUPPORTED or NOT_FOUND come back; what is read
 * stays current until the next generation is published, and that then is. */
#include "store/manifest.h"
#include "store_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes);

#define PREFIX "c/m"

enum { FLAG_REPAIR = 1, FLAG_NO_SLOT = 2, INPUT_HEAD_BYTES = 3 };

static void repair_copy(uint8_t *copy, size_t bytes)
{
    oct_manifest_header header;
    if (bytes < sizeof header) return;
    memcpy(&header, copy, sizeof header);
    header.magic = OCT_MANIFEST_MAGIC;
    if (header.body_bytes <= bytes - sizeof header)
        header.body_crc = oct_crc32c(0, copy + sizeof header, header.body_bytes);
    header.header_crc = oct_crc32c(0, &header, offsetof(oct_manifest_header, header_crc));
    memcpy(copy, &header, sizeof header);
}

static void make_slot(const fuzz_world *world, const char *path, const uint8_t *input, size_t bytes,
                      bool mend)
{
    uint8_t *content = oct_new(&test_alloc, bytes + 1);
    ASSERT(content);
    memcpy(content, input, bytes);
    if (mend) {
        repair_copy(content + bytes / 2, bytes - bytes / 2);
        repair_copy(content, bytes);
    }
    fuzz_file(world->vfs, path, content, bytes);
    oct_free(&test_alloc, content, bytes + 1);
}

static void use(const fuzz_world *world)
{
    oct_buf body;
    uint64_t generation, next;
    oct_error error = { .message = "" };
    oct_buf_init(&body, world->alloc, OCT_MANIFEST_BYTES_MAX);
    oct_status status = oct_manifest_read(world->vfs, PREFIX, &body, &generation, &error);
    if (status == OCT_OK && generation < UINT64_MAX) {
        const oct_str published = OCT_STR("what comes next");
        oct_manifest_edition edition = { .generation = generation + 1, .body = published };
        ASSERT(oct_manifest_write(&test_alloc, world->vfs, PREFIX, &edition, NULL) == OCT_OK);
        ASSERT(oct_manifest_read(world->vfs, PREFIX, &body, &next, NULL) == OCT_OK);
        ASSERT(next == generation + 1);
        ASSERT(body.bytes == published.bytes && memcmp(body.at, published.at, body.bytes) == 0);
    } else if (status != OCT_OK && status != OCT_NOT_FOUND) {
        fuzz_check_failure(status, &error, PREFIX);
    }
    ASSERT(status == OCT_OK || body.bytes == 0);
    oct_buf_deinit(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes)
{
    if (bytes < INPUT_HEAD_BYTES || bytes > FUZZ_FILE_BYTES_MAX) return 0;
    uint8_t flags = input[0];
    size_t first = (size_t)input[1] | (size_t)input[2] << 8;
    const uint8_t *slots = input + INPUT_HEAD_BYTES;
    size_t left = bytes - INPUT_HEAD_BYTES;
    first = MIN(first, left);
    fuzz_world world;
    fuzz_begin(&world, bytes);
    if (!(flags & FLAG_NO_SLOT)) make_slot(&world, PREFIX ".0", slots, first, flags & FLAG_REPAIR);
    if (!(flags & FLAG_NO_SLOT << 1))
        make_slot(&world, PREFIX ".1", slots + first, left - first, flags & FLAG_REPAIR);
    use(&world);
    fuzz_end(&world);
    return 0;
}
