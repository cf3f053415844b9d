/* SPDX-License-Identifier: Apache-2.0
 *
 * container_write.c - writing a container, front to back, in blocks. Layout: container.c.
 *
 * Where a section begins depends on its size (large ones on a page), which nobody knows at its
 * begin. So its first OCT_SECTION_PAGED_BYTES are staged in memory: if it ends before they are
 * full it is small, else it is large, and from then on it streams. Behind the staging stands one
 * block that is summed and written when full. The writer therefore holds two times 64 KiB, and
 * four bytes for each 64 KiB written. */
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/hash.h"
#include "store/container.h"
#include "store/file.h"
#include "store/format.h"

struct oct_container_writer {
    const oct_alloc *alloc;
    const oct_vfs *vfs;
    oct_file *file;
    oct_store_path path;
    oct_status status; /* the first failure; the file is worth nothing after it */

    uint8_t *block; /* [OCT_CONTAINER_BLOCK_BYTES]: the block being filled */
    size_t block_bytes;
    uint64_t written; /* bytes in full blocks before it */
    uint32_t *crcs;   /* [block_count] of the blocks written */
    size_t block_count;
    size_t block_capacity;

    oct_section_entry *sections; /* [section_count]; the last one is current while `in_section` */
    size_t section_count;
    size_t section_capacity;
    bool in_section;
    bool placed;    /* its offset is decided and its bytes stream */
    uint8_t *stage; /* [OCT_SECTION_PAGED_BYTES]: its first bytes until then */
};

/* --- the stream of blocks -------------------------------------------------------------------- */

static oct_status write_block(oct_container_writer *writer, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(oct_array_reserve(writer->alloc, &writer->crcs, &writer->block_capacity,
                          writer->block_count + 1, sizeof *writer->crcs, error));
    TRY(writer->vfs->write(writer->vfs->self, writer->file, writer->written, writer->block,
                           writer->block_bytes, error));
    writer->crcs[writer->block_count++] = oct_crc32c(0, writer->block, writer->block_bytes);
    writer->written += writer->block_bytes;
    writer->block_bytes = 0;
done:
    return status;
}

/* Append to the file; NULL stands for zeros. */
static oct_status stream(oct_container_writer *writer, const uint8_t *source, size_t bytes,
                         oct_error *error)
{
    oct_status status = OCT_OK;
    while (bytes > 0) {
        size_t step = MIN(bytes, OCT_CONTAINER_BLOCK_BYTES - writer->block_bytes);
        if (source)
            memcpy(writer->block + writer->block_bytes, source, step);
        else
            memset(writer->block + writer->block_bytes, 0, step);
        writer->block_bytes += step;
        if (source) source += step;
        bytes -= step;
        if (writer->block_bytes == OCT_CONTAINER_BLOCK_BYTES) TRY(write_block(writer, error));
    }
done:
    return status;
}

static uint64_t position(const oct_container_writer *writer)
{
    return writer->written + writer->block_bytes;
}

static oct_status align(oct_container_writer *writer, uint32_t step, oct_error *error)
{
    uint64_t gap = oct_round_up(position(writer), step) - position(writer);
    return stream(writer, NULL, (size_t)gap, error);
}

/* --- sections -------------------------------------------------------------------------------- */

static oct_section_entry *current(oct_container_writer *writer)
{
    ASSERT(writer->in_section);
    return &writer->sections[writer->section_count - 1];
}

/* Decide where the current section stands, and let its staged bytes go. */
static oct_status place(oct_container_writer *writer, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_section_entry *section = current(writer);
    bool paged = section->bytes >= OCT_SECTION_PAGED_BYTES;
    ASSERT(!writer->placed);
    TRY(align(writer, paged ? OCT_SECTION_PAGE_ALIGN : OCT_SECTION_ALIGN, error));
    section->offset = position(writer);
    TRY(stream(writer, writer->stage, (size_t)section->bytes, error));
    writer->placed = true;
done:
    return status;
}

static oct_status end_section(oct_container_writer *writer, oct_error *error)
{
    oct_status status = OCT_OK;
    if (writer->in_section && !writer->placed) TRY(place(writer, error));
    writer->in_section = false;
done:
    return status;
}

static oct_status refuse_if_failed(const oct_container_writer *writer, oct_error *error)
{
    if (writer->status == OCT_OK) return OCT_OK;
    return oct_fail(error, writer->status, "%s: an earlier write failed", writer->path.text);
}

static oct_status start(oct_container_writer *writer, oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t flags = OCT_OPEN_READ | OCT_OPEN_WRITE | OCT_OPEN_CREATE | OCT_OPEN_TRUNCATE;
    oct_container_header header = { .magic = OCT_CONTAINER_MAGIC, .version = OCT_STORE_VERSION };
    writer->block = oct_new(writer->alloc, OCT_CONTAINER_BLOCK_BYTES);
    writer->stage = oct_new(writer->alloc, OCT_SECTION_PAGED_BYTES);
    if (!writer->block || !writer->stage) TRY(oct_fail_nomem(error, "a block"));
    TRY(writer->vfs->open(writer->vfs->self, writer->path.text, flags, &writer->file, error));
    TRY(stream(writer, (const uint8_t *)&header, sizeof header, error));
done:
    return status;
}

oct_status oct_container_create(const oct_alloc *alloc, const oct_vfs *vfs, const char *path,
                                oct_container_writer **out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_container_writer *writer = oct_new_zeroed(alloc, sizeof *writer);
    *out = NULL;
    if (!writer) return oct_fail_nomem(error, "a container writer");
    writer->alloc = alloc;
    writer->vfs = vfs;
    TRY(oct_store_path_set(&writer->path, path, "", error));
    TRY(start(writer, error));
    *out = writer;
    writer = NULL;
done:
    oct_container_abandon(writer);
    return status;
}

oct_status oct_container_begin(oct_container_writer *writer, uint32_t kind, uint32_t index,
                               oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(refuse_if_failed(writer, error));
    if (writer->section_count == OCT_CONTAINER_SECTIONS_MAX)
        TRY(oct_fail(error, OCT_LIMIT, "%s: more than %d sections", writer->path.text,
                     OCT_CONTAINER_SECTIONS_MAX));
    for (size_t i = 0; i < writer->section_count; i++)
        ASSERT(writer->sections[i].kind != kind || writer->sections[i].index != index);
    TRY(end_section(writer, error));
    TRY(oct_array_reserve(writer->alloc, &writer->sections, &writer->section_capacity,
                          writer->section_count + 1, sizeof *writer->sections, error));
    writer->sections[writer->section_count++] = (oct_section_entry){ .kind = kind, .index = index };
    writer->in_section = true;
    writer->placed = false;
done:
    if (writer->status == OCT_OK) writer->status = status;
    return status;
}

oct_status oct_container_append(oct_container_writer *writer, const void *source, size_t bytes,
                                oct_error *error)
{
    oct_status status = OCT_OK;
    const uint8_t *from = source;
    oct_section_entry *section = current(writer);
    TRY(refuse_if_failed(writer, error));
    if (!writer->placed) {
        size_t staged = MIN(bytes, OCT_SECTION_PAGED_BYTES - (size_t)section->bytes);
        if (staged > 0) memcpy(writer->stage + section->bytes, from, staged);
        section->bytes += staged;
        if (section->bytes == OCT_SECTION_PAGED_BYTES) TRY(place(writer, error));
        if (staged == bytes) goto done;
        from += staged;
        bytes -= staged;
    }
    TRY(stream(writer, from, bytes, error));
    section->bytes += bytes;
done:
    if (writer->status == OCT_OK) writer->status = status;
    return status;
}

/* --- the end --------------------------------------------------------------------------------- */

/* Write section table, block checksums and trailer behind the blocks, as one write. */
static oct_status write_footer(oct_container_writer *writer, uint64_t *file_bytes, oct_error *error)
{
    oct_status status = OCT_OK;
    size_t table_bytes = writer->section_count * sizeof *writer->sections;
    size_t crcs_bytes = writer->block_count * sizeof *writer->crcs;
    oct_container_trailer trailer = { .magic = OCT_TRAILER_MAGIC,
                                      .version = OCT_STORE_VERSION,
                                      .section_count = (uint32_t)writer->section_count,
                                      .footer_offset = writer->written,
                                      .footer_bytes = table_bytes + crcs_bytes };
    oct_buf footer;
    oct_buf_init(&footer, writer->alloc, table_bytes + crcs_bytes + sizeof trailer);
    TRY(oct_buf_reserve(&footer, table_bytes + crcs_bytes + sizeof trailer, error));
    TRY(oct_buf_append(&footer, writer->sections, table_bytes, error));
    TRY(oct_buf_append(&footer, writer->crcs, crcs_bytes, error));
    trailer.footer_crc = oct_crc32c(0, footer.at, footer.bytes);
    trailer.file_bytes = writer->written + footer.bytes + sizeof trailer;
    trailer.trailer_crc = oct_crc32c(0, &trailer, offsetof(oct_container_trailer, trailer_crc));
    TRY(oct_buf_append(&footer, &trailer, sizeof trailer, error));
    TRY(writer->vfs->write(writer->vfs->self, writer->file, writer->written, footer.at,
                           footer.bytes, error));
    *file_bytes = trailer.file_bytes;
done:
    oct_buf_deinit(&footer);
    return status;
}

static void free_writer(oct_container_writer *writer)
{
    const oct_alloc *alloc = writer->alloc;
    oct_free(alloc, writer->block, OCT_CONTAINER_BLOCK_BYTES);
    oct_free(alloc, writer->stage, OCT_SECTION_PAGED_BYTES);
    oct_free(alloc, writer->crcs, writer->block_capacity * sizeof *writer->crcs);
    oct_free(alloc, writer->sections, writer->section_capacity * sizeof *writer->sections);
    oct_free(alloc, writer, sizeof *writer);
}

oct_status oct_container_finish(oct_container_writer *writer, uint64_t *file_bytes,
                                oct_error *error)
{
    oct_status status = OCT_OK;
    *file_bytes = 0;
    TRY(refuse_if_failed(writer, error));
    TRY(end_section(writer, error));
    TRY(align(writer, OCT_SECTION_ALIGN, error));
    if (writer->block_bytes > 0) TRY(write_block(writer, error));
    TRY(write_footer(writer, file_bytes, error));
    TRY(writer->vfs->sync(writer->vfs->self, writer->file, error));
    writer->vfs->close(writer->vfs->self, writer->file);
    free_writer(writer);
    return OCT_OK;
done:
    *file_bytes = 0;
    oct_container_abandon(writer);
    return status;
}

void oct_container_abandon(oct_container_writer *writer)
{
    if (!writer) return;
    if (writer->file) {
        writer->vfs->close(writer->vfs->self, writer->file);
        /* The cause is reported already; a file that stays is unfinished and no manifest names
         * it. */
        (void)writer->vfs->remove(writer->vfs->self, writer->path.text, NULL);
    }
    free_writer(writer);
}
