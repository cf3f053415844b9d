/* SPDX-License-Identifier: Apache-2.0 */
/* database_fuzz.h - what the fuzz targets of whole databases share: the files of a database that
 * was made through the API, edits to them, and requests whose answers don't matter.
 *
 * An edit is u16 place, u8 value, u8 how (set, xor, add, cut the file there; two bits more of the
 * place). Graphs have checksums of their own, which are made right with those of their container:
 * else nothing but a damaged checksum would ever be seen behind them. */
#ifndef OCT_DATABASE_FUZZ_H
#define OCT_DATABASE_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "index/hnsw_graph.h"
#include "segment/checkpoint.h"
#include "segment/sealed.h"
#include "sim/model.h"
#include "store_fuzz.h"

enum { FUZZ_EDIT_BYTES = 4, FUZZ_FILES_MAX = 32 };

#define FUZZ_COLLECTION "c0000000000000001"

typedef struct fuzz_copy {
    char path[OCT_PATH_BYTES_MAX + 1];
    uint8_t *content;
    size_t bytes;
} fuzz_copy;

typedef struct fuzz_files {
    fuzz_copy copies[FUZZ_FILES_MAX];
    size_t count;
} fuzz_files;

/* Send a request. Is `wanted` in the answer? NULL: any. */
static inline bool fuzz_ask(oct_db *db, const char *verb, const char *path, const char *body,
                            const char *wanted)
{
    oct_reply reply;
    oct_call_request request = { .verb = verb,
                                 .path = { path, strlen(path) },
                                 .body = { body, strlen(body) } };
    oct_call(db, &request, &reply);
    ASSERT(reply.body);
    bool found = !wanted || strstr(reply.body, wanted);
    oct_reply_free(db, &reply);
    return found;
}

static inline void fuzz_add_file(fuzz_files *files, const char *directory, const char *name)
{
    ASSERT(files->count < FUZZ_FILES_MAX);
    fuzz_copy *copy = &files->copies[files->count++];
    snprintf(copy->path, sizeof copy->path, "%s%s", directory, name);
}

static inline void fuzz_list_file(void *arg, const char *name)
{
    fuzz_add_file(arg, FUZZ_COLLECTION "/", name);
}

static inline void fuzz_read_file(const oct_vfs *vfs, fuzz_copy *copy)
{
    oct_file *file;
    uint64_t bytes = 0;
    ASSERT(vfs->open(vfs->self, copy->path, OCT_OPEN_READ, &file, NULL) == OCT_OK);
    ASSERT(vfs->size(vfs->self, file, &bytes, NULL) == OCT_OK);
    copy->bytes = (size_t)bytes;
    copy->content = malloc(copy->bytes + 1);
    ASSERT(copy->content);
    if (bytes) ASSERT(vfs->read(vfs->self, file, 0, copy->content, copy->bytes, NULL) == OCT_OK);
    vfs->close(vfs->self, file);
}

/* Keep the files of the one collection, and the registry. */
static inline void fuzz_keep_files(fuzz_files *files, const oct_vfs *vfs)
{
    ASSERT(vfs->list(vfs->self, FUZZ_COLLECTION, fuzz_list_file, files, NULL) == OCT_OK);
    fuzz_add_file(files, "", "registry.0");
    fuzz_add_file(files, "", "registry.1");
    for (size_t i = 0; i < files->count; i++)
        fuzz_read_file(vfs, &files->copies[i]);
}

static inline size_t fuzz_edit(uint8_t *content, size_t bytes, const uint8_t *input,
                               size_t input_bytes)
{
    for (; input_bytes >= FUZZ_EDIT_BYTES && bytes;
         input += FUZZ_EDIT_BYTES, input_bytes -= FUZZ_EDIT_BYTES) {
        size_t at = (size_t)input[0] | (size_t)input[1] << 8 | (size_t)(input[3] / 64) << 16;
        at %= bytes;
        switch (input[3] % 64) {
        case 0:
            bytes = at;
            break;
        case 1:
            content[at] = (uint8_t)(content[at] + input[2]);
            break;
        case 2:
            content[at] = input[2];
            break;
        default:
            content[at] ^= input[2];
            break;
        }
    }
    return bytes;
}

/* The checksum of a graph, or of one so far, over whatever it is now. */
static inline void fuzz_repair_graph(uint8_t *at, size_t bytes)
{
    hnsw_header header;
    hnsw_layout layout;
    if (bytes < sizeof header) return;
    memcpy(&header, at, sizeof header);
    size_t covered = bytes;
    if (!(header.flags & HNSW_FLAG_PART)) {
        if (oct_hnsw_layout(&header, &layout, NULL) != OCT_OK || layout.bias > bytes) return;
        covered = layout.bias;
    }
    header.crc = oct_hnsw_crc(&header, at, covered);
    memcpy(at, &header, sizeof header);
}

/* Make all checksums right, those of graphs first. */
static inline void fuzz_repair_segment(uint8_t *content, size_t bytes)
{
    oct_container_trailer trailer;
    if (bytes < sizeof trailer) return;
    size_t end = bytes - sizeof trailer;
    memcpy(&trailer, content + end, sizeof trailer);
    for (uint32_t i = 0; i < trailer.section_count && trailer.footer_offset <= end; i++) {
        oct_section_entry entry;
        size_t at = (size_t)trailer.footer_offset + (size_t)i * sizeof entry;
        if (at > end || end - at < sizeof entry) break;
        memcpy(&entry, content + at, sizeof entry);
        bool graph = entry.kind == OCT_SECTION_GRAPH || entry.kind == OCT_SECTION_PART;
        if (graph && entry.offset % OCT_SECTION_ALIGN == 0 && entry.offset <= end &&
            entry.bytes <= end - entry.offset)
            fuzz_repair_graph(content + entry.offset, (size_t)entry.bytes);
    }
    fuzz_repair_container(content, bytes, false);
}

/* Lay the files down; those whose path has `part` are edited, and repaired when asked for. */
static inline void fuzz_lay_files(const oct_vfs *vfs, const fuzz_files *files, const char *part,
                                  bool repair, const uint8_t *edits, size_t edits_bytes)
{
    for (size_t i = 0; i < files->count; i++) {
        const fuzz_copy *copy = &files->copies[i];
        if (!strstr(copy->path, part)) {
            fuzz_file(vfs, copy->path, copy->content, copy->bytes);
            continue;
        }
        uint8_t *content = malloc(copy->bytes + 1);
        ASSERT(content);
        memcpy(content, copy->content, copy->bytes);
        size_t left = fuzz_edit(content, copy->bytes, edits, edits_bytes);
        if (repair) fuzz_repair_segment(content, left);
        fuzz_file(vfs, copy->path, content, left);
        free(content);
    }
}

#endif
