/* SPDX-License-Identifier: Apache-2.0
 *
 * container.c - reading a container; here is its layout.
 *
 * File: { oct_container_header, sections, zeros between them } up to footer_offset, then the
 * footer { oct_section_entry[section_count], block crc u32[blocks] }, then oct_container_trailer,
 * and nothing behind it.
 *
 * [0, footer_offset) is cut into blocks of OCT_CONTAINER_BLOCK_BYTES, the last one shorter; the
 * footer holds the crc32c of each, so every byte before the footer is under a block's crc, every
 * byte of the footer under footer_crc and every byte of the trailer under trailer_crc. Sections
 * stand in the order they were written, at multiples of 64, those of 64 KiB and more at
 * multiples of 4096.
 *
 * The crash argument. A container is written front to back and synced once, before a manifest
 * names it; a file that no manifest names is a leftover and is removed or replaced. One that is
 * named was synced, so whatever is wrong with it is damage. Should a torn leftover be opened all
 * the same, nothing wrong comes out of it: without a whole trailer and footer it does not open,
 * and with them each block is checked before its bytes are used.
 *
 * Opening reads only the end of the file. Where the vfs has views the whole file is viewed and a
 * bitmap remembers which blocks were verified; two threads may verify a block at once, which
 * costs time but nothing else. Elsewhere a section is read into memory of its own and its blocks
 * are verified on the way: the parts of edge blocks that belong to neighbours pass through a
 * small buffer, so no cache of blocks is needed. All sizes are checked against the size of the
 * file before memory is taken for them.
 *
 * What is to stay on disk is read piece by piece (oct_container_read), even where the file is
 * viewed: pages that were looked at through a view count as the process's memory. The first piece
 * of a block costs reading all of it, for its checksum; the same bitmap remembers that.
 *
 * Rejected: a checksum per section (a lazy reader would have to touch all of it), a table at the
 * front (the file could not be written in one go), several views (one covers them all). */
#include "store/container.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/sync.h"
#include "store/file.h"
#include "store/format.h"

enum { PIECE_BYTES = 4096 }; /* on the stack, which is small in wasm */

/* A section, and where it was loaded to. */
typedef struct loadable {
    oct_section_entry entry;
    uint8_t *memory; /* own memory, when the vfs has no views */
    size_t memory_bytes;
    uint64_t filled; /* how much of it was read */
    const void *at;  /* NULL until loaded */
} loadable;

struct oct_container {
    const oct_alloc *alloc;
    const oct_vfs *vfs;
    oct_file *file;
    oct_store_path path;
    uint64_t file_bytes;
    uint64_t blocks_end; /* footer_offset */
    const uint8_t *view; /* [blocks_end], or NULL */
    uint8_t *footer;     /* [footer_bytes]: entries, crcs */
    size_t footer_bytes;
    size_t block_count;
    loadable *sections; /* [section_count] once opened */
    size_t sections_bytes;
    uint32_t section_count;
    size_t pace;              /* bytes that loads may verify yet */
    oct_atomic_u32 *verified; /* a bit per block; any thread */
    size_t verified_words;
};

/* --- opening --------------------------------------------------------------------------------- */

static oct_status check_trailer(const oct_container *container,
                                const oct_container_trailer *trailer, oct_error *error)
{
    const char *path = container->path.text;
    uint64_t before = container->file_bytes - sizeof *trailer; /* the footer and what precedes it */
    uint64_t blocks;
    if (trailer->magic != OCT_TRAILER_MAGIC ||
        trailer->trailer_crc !=
            oct_crc32c(0, trailer, offsetof(oct_container_trailer, trailer_crc)))
        return oct_fail(error, OCT_CORRUPT, "%s: the trailer is damaged", path);
    if (trailer->version != OCT_STORE_VERSION)
        return oct_fail(error, OCT_UNSUPPORTED,
                        "%s: container version %" PRIu32 ", this program reads %d", path,
                        trailer->version, OCT_STORE_VERSION);
    if (trailer->file_bytes != container->file_bytes)
        return oct_fail(error, OCT_CORRUPT,
                        "%s: the file has %" PRIu64 " bytes where %" PRIu64 " were written", path,
                        container->file_bytes, trailer->file_bytes);
    if (trailer->footer_offset < sizeof(oct_container_header) ||
        trailer->footer_offset % OCT_SECTION_ALIGN != 0 || trailer->footer_offset > before ||
        trailer->footer_bytes != before - trailer->footer_offset)
        return oct_fail(error, OCT_CORRUPT, "%s: the footer lies outside the file", path);
    if (trailer->section_count > OCT_CONTAINER_SECTIONS_MAX)
        return oct_fail(error, OCT_CORRUPT, "%s: %" PRIu32 " sections, at most %d can be", path,
                        trailer->section_count, OCT_CONTAINER_SECTIONS_MAX);
    blocks =
        oct_round_up(trailer->footer_offset, OCT_CONTAINER_BLOCK_BYTES) / OCT_CONTAINER_BLOCK_BYTES;
    if (trailer->footer_bytes !=
        trailer->section_count * sizeof(oct_section_entry) + blocks * sizeof(uint32_t))
        return oct_fail(error, OCT_CORRUPT, "%s: the footer's size does not fit its content", path);
    return OCT_OK;
}

/* Check an entry against the one before it, which ended at `end`. */
static oct_status check_entry(const oct_container *container, const oct_section_entry *entry,
                              uint64_t end, oct_error *error)
{
    bool paged = entry->bytes >= OCT_SECTION_PAGED_BYTES;
    uint32_t step = paged ? OCT_SECTION_PAGE_ALIGN : OCT_SECTION_ALIGN;
    if (entry->offset % step != 0 || entry->offset < end || entry->offset > container->blocks_end ||
        entry->bytes > container->blocks_end - entry->offset)
        return oct_fail(error, OCT_CORRUPT,
                        "%s: section (%" PRIu32 ", %" PRIu32 ") lies at %" PRIu64 ", %" PRIu64
                        " bytes, where it can't",
                        container->path.text, entry->kind, entry->index, entry->offset,
                        entry->bytes);
    if (oct_container_has(container, entry->kind, entry->index))
        return oct_fail(error, OCT_CORRUPT, "%s: section (%" PRIu32 ", %" PRIu32 ") is there twice",
                        container->path.text, entry->kind, entry->index);
    return OCT_OK;
}

static oct_status take_sections(oct_container *container, uint32_t count, oct_error *error)
{
    oct_status status = OCT_OK;
    uint64_t end = sizeof(oct_container_header);
    if (count == 0) goto done;
    container->sections = oct_new_zeroed(container->alloc, count * sizeof *container->sections);
    if (!container->sections) TRY(oct_fail_nomem(error, "a section table"));
    container->sections_bytes = count * sizeof *container->sections;
    for (uint32_t i = 0; i < count; i++) {
        oct_section_entry entry;
        memcpy(&entry, container->footer + i * sizeof entry, sizeof entry);
        TRY(check_entry(container, &entry, end, error));
        container->sections[i].entry = entry;
        container->section_count = i + 1;
        end = entry.offset + entry.bytes;
    }
done:
    return status;
}

static oct_status read_footer(oct_container *container, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_vfs *vfs = container->vfs;
    const char *path = container->path.text;
    oct_container_trailer trailer;
    TRY(vfs->size(vfs->self, container->file, &container->file_bytes, error));
    if (container->file_bytes < sizeof(oct_container_header) + sizeof trailer)
        TRY(oct_fail(error, OCT_CORRUPT, "%s: %" PRIu64 " bytes can't be a container", path,
                     container->file_bytes));
    TRY(vfs->read(vfs->self, container->file, container->file_bytes - sizeof trailer, &trailer,
                  sizeof trailer, error));
    TRY(check_trailer(container, &trailer, error));
    if (trailer.footer_bytes > SIZE_MAX)
        TRY(oct_fail(error, OCT_LIMIT, "%s: %" PRIu64 " bytes are more than memory can address",
                     path, container->file_bytes));
    container->blocks_end = trailer.footer_offset;
    container->footer = oct_new(container->alloc, (size_t)trailer.footer_bytes);
    if (!container->footer) TRY(oct_fail_nomem(error, "a footer"));
    container->footer_bytes = (size_t)trailer.footer_bytes;
    TRY(vfs->read(vfs->self, container->file, trailer.footer_offset, container->footer,
                  container->footer_bytes, error));
    if (oct_crc32c(0, container->footer, container->footer_bytes) != trailer.footer_crc)
        TRY(oct_fail(error, OCT_CORRUPT, "%s: the footer is damaged", path));
    container->block_count =
        (container->footer_bytes - trailer.section_count * sizeof(oct_section_entry)) /
        sizeof(uint32_t);
    TRY(take_sections(container, trailer.section_count, error));
done:
    return status;
}

static oct_status start_view(oct_container *container, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_vfs *vfs = container->vfs;
    const void *view;
    size_t words = container->block_count / 32 + (container->block_count % 32 != 0);
    container->verified = oct_new_zeroed(container->alloc, words * sizeof *container->verified);
    if (!container->verified) TRY(oct_fail_nomem(error, "a block bitmap"));
    container->verified_words = words;
    if (!(vfs->caps & OCT_CAP_VIEW)) goto done;
    if (container->blocks_end > SIZE_MAX)
        TRY(oct_fail(error, OCT_LIMIT, "%s: %" PRIu64 " bytes are more than memory can address",
                     container->path.text, container->file_bytes));
    TRY(vfs->view(vfs->self, container->file, 0, (size_t)container->blocks_end, &view, error));
    container->view = view;
done:
    return status;
}

oct_status oct_container_open(const oct_alloc *alloc, const oct_vfs *vfs, const char *path,
                              oct_container **out, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_container *container = oct_new_zeroed(alloc, sizeof *container);
    *out = NULL;
    if (!container) return oct_fail_nomem(error, "a container");
    container->alloc = alloc;
    container->vfs = vfs;
    container->pace = SIZE_MAX;
    TRY(oct_store_path_set(&container->path, path, "", error));
    TRY(vfs->open(vfs->self, path, OCT_OPEN_READ, &container->file, error));
    TRY(read_footer(container, error));
    TRY(start_view(container, error));
    *out = container;
    container = NULL;
done:
    oct_container_close(container);
    return status;
}

void oct_container_close(oct_container *container)
{
    if (!container) return;
    const oct_alloc *alloc = container->alloc;
    const oct_vfs *vfs = container->vfs;
    for (uint32_t i = 0; i < container->section_count; i++)
        oct_free(alloc, container->sections[i].memory, container->sections[i].memory_bytes);
    if (container->view)
        vfs->unview(vfs->self, container->file, container->view, (size_t)container->blocks_end);
    if (container->file) vfs->close(vfs->self, container->file);
    oct_free(alloc, container->verified, container->verified_words * sizeof *container->verified);
    oct_free(alloc, container->sections, container->sections_bytes);
    oct_free(alloc, container->footer, container->footer_bytes);
    oct_free(alloc, container, sizeof *container);
}

/* --- sections -------------------------------------------------------------------------------- */

bool oct_container_is_viewed(const oct_container *container)
{
    return container->view != NULL;
}

uint64_t oct_container_file_bytes(const oct_container *container)
{
    return container->file_bytes;
}

static loadable *find(const oct_container *container, uint32_t kind, uint32_t index)
{
    for (uint32_t i = 0; i < container->section_count; i++) {
        loadable *section = &container->sections[i];
        if (section->entry.kind == kind && section->entry.index == index) return section;
    }
    return NULL;
}

bool oct_container_has(const oct_container *container, uint32_t kind, uint32_t index)
{
    return find(container, kind, index) != NULL;
}

uint32_t oct_container_section_count(const oct_container *container)
{
    return container->section_count;
}

void oct_container_section_at(const oct_container *container, uint32_t i, uint32_t *kind,
                              uint32_t *index, uint64_t *bytes)
{
    ASSERT(i < container->section_count);
    const oct_section_entry *entry = &container->sections[i].entry;
    *kind = entry->kind;
    *index = entry->index;
    *bytes = entry->bytes;
}

/* --- blocks ---------------------------------------------------------------------------------- */

static uint64_t block_start(size_t block)
{
    return (uint64_t)block * OCT_CONTAINER_BLOCK_BYTES;
}

static uint64_t block_end(const oct_container *container, size_t block)
{
    return MIN(block_start(block) + OCT_CONTAINER_BLOCK_BYTES, container->blocks_end);
}

static oct_status check_crc(const oct_container *container, size_t block, uint32_t crc,
                            oct_error *error)
{
    uint32_t expected;
    size_t table_bytes = container->footer_bytes - container->block_count * sizeof expected;
    ASSERT(block < container->block_count);
    memcpy(&expected, container->footer + table_bytes + block * sizeof expected, sizeof expected);
    if (crc == expected) return OCT_OK;
    return oct_fail(
        error, OCT_CORRUPT, "%s: block %" PRIu64 " (bytes %" PRIu64 " to %" PRIu64 ") is damaged",
        container->path.text, (uint64_t)block, block_start(block), block_end(container, block));
}

static bool is_verified(const oct_container *container, size_t block)
{
    return (oct_atomic_load_u32(&container->verified[block / 32]) & 1u << block % 32) != 0;
}

static void set_verified(oct_container *container, size_t block)
{
    (void)oct_atomic_or_u32(&container->verified[block / 32], 1u << block % 32);
}

static oct_status verify_viewed(oct_container *container, size_t block, oct_error *error)
{
    const uint8_t *at = container->view + block_start(block);
    uint32_t crc = oct_crc32c(0, at, (size_t)(block_end(container, block) - block_start(block)));
    oct_status status = check_crc(container, block, crc, error);
    if (status == OCT_OK) set_verified(container, block);
    return status;
}

/* Extend *crc over [from, to) of the file, whose bytes nobody wants. */
static oct_status sum_through(const oct_container *container, uint64_t from, uint64_t to,
                              uint32_t *crc, oct_error *error)
{
    oct_status status = OCT_OK;
    uint8_t piece[PIECE_BYTES];
    while (from < to) {
        size_t bytes = (size_t)MIN(to - from, sizeof piece);
        TRY(container->vfs->read(container->vfs->self, container->file, from, piece, bytes, error));
        *crc = oct_crc32c(*crc, piece, bytes);
        from += bytes;
    }
done:
    return status;
}

/* Read what of [from, to) lies in `block` to `target`, verifying the whole block. */
static oct_status read_through_block(const oct_container *container, size_t block, uint64_t from,
                                     uint64_t to, uint8_t *target, oct_error *error)
{
    oct_status status = OCT_OK;
    uint64_t start = block_start(block);
    uint64_t end = block_end(container, block);
    uint64_t wanted = MAX(from, start);
    uint64_t wanted_end = MAX(MIN(to, end), wanted);
    size_t bytes = (size_t)(wanted_end - wanted);
    uint32_t crc = 0;
    TRY(sum_through(container, start, wanted, &crc, error));
    if (bytes > 0)
        TRY(container->vfs->read(container->vfs->self, container->file, wanted, target, bytes,
                                 error));
    crc = oct_crc32c(crc, target, bytes);
    TRY(sum_through(container, wanted_end, end, &crc, error));
    TRY(check_crc(container, block, crc, error));
done:
    return status;
}

/* --- loading --------------------------------------------------------------------------------- */

void oct_container_pace(oct_container *container, size_t bytes)
{
    container->pace = bytes;
}

/* May one more block be verified? */
static bool may_verify(oct_container *container)
{
    if (container->pace == SIZE_MAX) return true;
    bool may = container->pace > 0;
    container->pace -= MIN(container->pace, (size_t)OCT_CONTAINER_BLOCK_BYTES);
    return may;
}

/* Memory for a section. The allocator aligns to 8 only. */
static oct_status take_memory(oct_container *container, loadable *section, oct_error *error)
{
    if (section->entry.bytes > SIZE_MAX - OCT_SECTION_ALIGN)
        return oct_fail_nomem(error, "a section");
    size_t bytes = (size_t)section->entry.bytes + OCT_SECTION_ALIGN;
    section->memory = oct_new(container->alloc, bytes);
    if (!section->memory) return oct_fail_nomem(error, "a section");
    section->memory_bytes = bytes;
    section->filled = 0;
    return OCT_OK;
}

/* Read a section into memory of its own, or go on with that. */
static oct_status read_section(oct_container *container, loadable *section, oct_error *error)
{
    oct_status status = OCT_OK;
    uint64_t from = section->entry.offset;
    uint64_t to = from + section->entry.bytes;
    if (!section->memory) TRY(take_memory(container, section, error));
    uint8_t *target =
        section->memory + (OCT_SECTION_ALIGN - (uintptr_t)section->memory % OCT_SECTION_ALIGN);
    while (section->filled < section->entry.bytes) {
        uint64_t at = from + section->filled;
        size_t block = (size_t)(at / OCT_CONTAINER_BLOCK_BYTES);
        if (!may_verify(container)) return OCT_AGAIN;
        TRY(read_through_block(container, block, at, to, target + section->filled, error));
        section->filled = MIN(block_end(container, block), to) - from;
    }
    section->at = target;
done:
    if (status != OCT_OK) {
        oct_free(container->alloc, section->memory, section->memory_bytes);
        section->memory = NULL;
        section->memory_bytes = 0;
    }
    return status;
}

/* Is it read into memory, as a whole? */
static bool is_read(const loadable *section)
{
    return section->memory && section->filled == section->entry.bytes;
}

static oct_status find_section(oct_container *container, uint32_t kind, uint32_t index,
                               loadable **out, oct_error *error)
{
    *out = find(container, kind, index);
    if (*out) return OCT_OK;
    return oct_fail(error, OCT_NOT_FOUND, "%s: no section (%" PRIu32 ", %" PRIu32 ")",
                    container->path.text, kind, index);
}

oct_status oct_container_load_memory(oct_container *container, uint32_t kind, uint32_t index,
                                     const void **out, size_t *bytes, oct_error *error)
{
    oct_status status = OCT_OK;
    loadable *section;
    *out = NULL;
    *bytes = 0;
    TRY(find_section(container, kind, index, &section, error));
    if (!is_read(section)) TRY(read_section(container, section, error));
    *out = section->at;
    *bytes = (size_t)section->entry.bytes;
done:
    return status;
}

oct_status oct_container_load_lazy(oct_container *container, uint32_t kind, uint32_t index,
                                   const void **out, size_t *bytes, oct_error *error)
{
    oct_status status = OCT_OK;
    loadable *section;
    *out = NULL;
    *bytes = 0;
    TRY(find_section(container, kind, index, &section, error));
    if (container->view && !section->memory)
        section->at = container->view + section->entry.offset;
    else if (!section->at)
        TRY(read_section(container, section, error));
    *out = section->at;
    *bytes = (size_t)section->entry.bytes;
done:
    return status;
}

/* Verify the blocks under a range of a viewed section; `paced`: as loads do. */
static oct_status touch(oct_container *container, const void *at, size_t bytes, bool paced,
                        oct_error *error)
{
    oct_status status = OCT_OK;
    size_t offset, first, last;
    if (!container->view || bytes == 0) goto done; /* verified when it was read */
    offset = (size_t)((const uint8_t *)at - container->view);
    ASSERT(offset < container->blocks_end);
    ASSERT(bytes <= container->blocks_end - offset);
    first = offset / OCT_CONTAINER_BLOCK_BYTES;
    last = (offset + bytes - 1) / OCT_CONTAINER_BLOCK_BYTES;
    for (size_t block = first; block <= last; block++) {
        if (is_verified(container, block)) continue;
        if (paced && !may_verify(container)) return OCT_AGAIN;
        TRY(verify_viewed(container, block, error));
    }
done:
    return status;
}

oct_status oct_container_load(oct_container *container, uint32_t kind, uint32_t index,
                              const void **out, size_t *bytes, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(oct_container_load_lazy(container, kind, index, out, bytes, error));
    if (find(container, kind, index)->memory) goto done; /* verified when it was read */
    TRY(touch(container, *out, *bytes, true, error));
done:
    if (status != OCT_OK) {
        *out = NULL;
        *bytes = 0;
    }
    return status;
}

oct_status oct_container_touch(oct_container *container, const void *at, size_t bytes,
                               oct_error *error)
{
    return touch(container, at, bytes, false, error);
}

/* --- reading in place ------------------------------------------------------------------------ */

oct_status oct_container_place(oct_container *container, uint32_t kind, uint32_t index,
                               oct_section_place *out, oct_error *error)
{
    loadable *section;
    oct_status status = find_section(container, kind, index, &section, error);
    *out = (oct_section_place){ .container = container };
    if (status != OCT_OK) return status;
    out->offset = section->entry.offset;
    out->bytes = section->entry.bytes;
    return OCT_OK;
}

oct_status oct_container_read(const oct_section_place *place, uint64_t at, void *target,
                              size_t bytes, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_container *container = place->container;
    uint8_t *to = target;
    ASSERT(at <= place->bytes && bytes <= place->bytes - at);
    at += place->offset;
    for (uint64_t end = at + bytes, until = at; at < end; to += until - at, at = until) {
        size_t block = (size_t)(at / OCT_CONTAINER_BLOCK_BYTES);
        while (until < end && is_verified(container, (size_t)(until / OCT_CONTAINER_BLOCK_BYTES)))
            until = MIN(end, block_end(container, (size_t)(until / OCT_CONTAINER_BLOCK_BYTES)));
        if (until > at) {
            TRY(container->vfs->read(container->vfs->self, container->file, at, to,
                                     (size_t)(until - at), error));
            continue;
        }
        until = MIN(end, block_end(container, block));
        TRY(read_through_block(container, block, at, end, to, error));
        set_verified(container, block);
    }
done:
    return status;
}

oct_section_held oct_container_section_held(const oct_container *container, uint32_t i)
{
    const loadable *section = &container->sections[i];
    oct_section_held held = { .memory_bytes = section->memory_bytes };
    uint64_t from = section->entry.offset, end = from + section->entry.bytes;
    held.viewed = section->at && !section->memory;
    for (uint64_t at = from; held.viewed && at < end;) {
        size_t block = (size_t)(at / OCT_CONTAINER_BLOCK_BYTES);
        uint64_t until = MIN(end, block_end(container, block));
        if (is_verified(container, block)) held.touched_bytes += until - at;
        at = until;
    }
    return held;
}

oct_status oct_container_verify(oct_container *container, oct_error *error)
{
    oct_status status = OCT_OK;
    for (size_t block = 0; block < container->block_count; block++) {
        uint64_t start = block_start(block);
        if (container->view)
            TRY(verify_viewed(container, block, error));
        else
            TRY(read_through_block(container, block, start, start, NULL, error));
    }
done:
    return status;
}
