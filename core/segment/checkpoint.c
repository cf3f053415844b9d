/* SPDX-License-Identifier: Apache-2.0
 *
 * checkpoint.c - the bytes of a half-done build.
 *
 * A build is deterministic, and most of it but the graphs is quick. So nothing is kept of the file
 * that is being written: a build that goes on begins that file again, and only where it comes to a
 * graph does it take what was done of it (index/hnsw_checkpoint.c). The finished file has the same
 * bytes as that of a build that was never interrupted.
 *
 * The file is a container (store/container.h) of
 *
 *     subject (256, 0)  u32 version (0); u64 serial; str config (the JSON of a create request); u32
 *                       n, n payload indexes: str key, u8 type, str params; u32 n, n sources: u64
 *                       file number, u32 points, u8 1 when some of them don't go into the build
 *     saved   (257, s)  of such a source: u64 words, bit per point: goes into the build
 *     graph   (258, v)  of vector v: the graph so far
 *
 * (str = u32 length and bytes.) Valid when the container is, every byte is one of these, and
 * subject, sources and graphs are those of the build at hand: anything else is ignored, and the
 * build starts over. What a valid checkpoint leaves out is built again, too.
 *
 * Rejected: going on with the unfinished file (the writer's own state would have to be kept, and
 * all that saves is copying). Not kept: quantized codes, which stand in front of their graph and
 * are made again each time. Of 20,000 x 384 the graph takes 1.0 s (bench/hnsw.c), scalar and
 * binary codes 0.02 to 0.09 s, turbo ones 0.2 to 0.3 s (bench/quant.c); product codes take 0.9 to
 * 3.6 s, so for them a build that goes on saves the lesser part. */
#include "segment/checkpoint.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "model/config.h"
#include "segment/build_parts.h"

enum {
    CHECKPOINT_VERSION = 0,
    SUBJECT_BYTES_MAX = 32 << 20,
    SOURCE_BYTES = 13 /* of a source in the subject */
};

/* ---- the subject ---------------------------------------------------------------------- */

/* Config and schema, which a checkpoint must share with its build. */
static oct_status put_identity(const oct_checkpoint_subject *subject, oct_buf *out,
                               oct_error *error)
{
    oct_status status = OCT_OK;
    oct_buf text;
    oct_json_writer writer;
    oct_buf_init(&text, subject->host->alloc, SUBJECT_BYTES_MAX);
    oct_json_writer_init(&writer, &text);
    oct_config_store(&writer, subject->config);
    status = oct_json_writer_status(&writer);
    if (status != OCT_OK) TRY(oct_fail(error, status, "the collection's config is too large"));
    TRY(oct_buf_append_str(out, (oct_str){ (const char *)text.at, text.bytes }, error));
    TRY(oct_buf_append_u32(out, subject->schema->count, error));
    for (uint32_t f = 0; f < subject->schema->count; f++) {
        const oct_field_config *field = &subject->schema->fields[f];
        TRY(oct_buf_append_str(out, field->key, error));
        TRY(oct_buf_append_u8(out, (uint8_t)field->type, error));
        TRY(oct_buf_append_str(out, field->params, error));
    }
done:
    oct_buf_deinit(&text);
    return status;
}

/* ---- writing ------------------------------------------------------------------------- */

static oct_status write_subject(const oct_build *build, oct_container_writer *writer,
                                oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_checkpoint_subject subject = { build->request.host, build->request.config,
                                             build->request.schema };
    oct_buf body;
    oct_buf_init(&body, build->alloc, SUBJECT_BYTES_MAX);
    TRY(oct_buf_append_u32(&body, CHECKPOINT_VERSION, error));
    const oct_checkpoint *last = build->request.checkpoint;
    TRY(oct_buf_append_u64(&body, last ? last->serial + 1 : 1, error));
    TRY(put_identity(&subject, &body, error));
    TRY(oct_buf_append_u32(&body, build->request.source_count, error));
    for (uint32_t s = 0; s < build->request.source_count; s++) {
        const oct_view_entry *source = &build->sources[s];
        TRY(oct_buf_append_u64(&body, source->sealed->file, error));
        TRY(oct_buf_append_u32(&body, source->count, error));
        TRY(oct_buf_append_u8(&body, source->saved != NULL, error));
    }
    TRY(oct_container_begin(writer, OCT_SECTION_SUBJECT, 0, error));
    TRY(oct_container_append(writer, body.at, body.bytes, error));
done:
    oct_buf_deinit(&body);
    return status;
}

static oct_status write_saved(const oct_build *build, oct_container_writer *writer,
                              oct_error *error)
{
    oct_status status = OCT_OK;
    for (uint32_t s = 0; s < build->request.source_count; s++) {
        const oct_view_entry *source = &build->sources[s];
        if (!source->saved) continue;
        TRY(oct_container_begin(writer, OCT_SECTION_SAVED, s, error));
        TRY(oct_container_append(writer, source->saved->bits,
                                 oct_bits_words(source->count) * sizeof(uint64_t), error));
    }
done:
    return status;
}

/* The graph being built, and those of other vectors as the last checkpoint has them. */
static oct_status write_graphs(const oct_build *build, oct_container_writer *writer,
                               oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_hnsw_sink sink = { oct_build_append, writer };
    uint32_t current = build->stages[build->at_stage].index;
    oct_container *last = build->request.checkpoint ? build->request.checkpoint->container : NULL;
    for (uint32_t v = 0; v < build->request.config->vector_count; v++) {
        const void *at = NULL;
        size_t bytes = 0;
        bool had = last && oct_container_has(last, OCT_SECTION_PART, v);
        if (v != current && !had) continue;
        TRY(oct_container_begin(writer, OCT_SECTION_PART, v, error));
        if (v == current) {
            TRY(oct_hnsw_builder_save(build->graph_builder, &sink, error));
        } else {
            TRY(oct_container_load(last, OCT_SECTION_PART, v, &at, &bytes, error));
            TRY(oct_container_append(writer, at, bytes, error));
        }
    }
done:
    return status;
}

bool oct_build_can_save(const oct_build *build)
{
    return build->graph_builder && oct_hnsw_builder_at_rest(build->graph_builder);
}

oct_status oct_build_save(oct_build *build, const char *path, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_host *host = build->request.host;
    oct_container_writer *writer = NULL;
    oct_checkpoint *made = NULL;
    uint64_t bytes = 0;
    const oct_checkpoint_subject subject = { host, build->request.config, build->request.schema };
    ASSERT(oct_build_can_save(build));
    TRY(oct_container_create(build->alloc, host->vfs, path, &writer, error));
    TRY(write_subject(build, writer, error));
    TRY(write_saved(build, writer, error));
    TRY(write_graphs(build, writer, error));
    status = oct_container_finish(writer, &bytes, error);
    writer = NULL;
    TRY(status);
    TRY(oct_checkpoint_open(&subject, path, &made, error));
    oct_checkpoint_close(build->request.checkpoint);
    build->request.checkpoint = made;
done:
    oct_container_abandon(writer);
    return status;
}

void oct_build_forget_checkpoint(oct_build *build)
{
    if (build->graph_builder && oct_hnsw_builder_restoring(build->graph_builder)) {
        oct_hnsw_builder_destroy(build->graph_builder); /* of what is closed now; it begins anew */
        build->graph_builder = NULL;
    }
    oct_checkpoint_close(build->request.checkpoint);
    build->request.checkpoint = NULL;
}

/* ---- reading ------------------------------------------------------------------------- */

static oct_status corrupt(const char *path, const char *what, oct_error *error)
{
    return oct_fail(error, OCT_CORRUPT, "%s: %s", path, what);
}

/* The next bytes are those of this config and schema. */
static oct_status check_identity(const oct_checkpoint_subject *subject, const char *path,
                                 oct_reader *in, oct_error *error)
{
    oct_status status = OCT_OK;
    oct_buf own;
    oct_buf_init(&own, subject->host->alloc, SUBJECT_BYTES_MAX);
    TRY(put_identity(subject, &own, error));
    if (in->bytes < own.bytes || memcmp(in->at, own.at, own.bytes) != 0)
        TRY(oct_fail(error, OCT_CONFLICT, "%s: a checkpoint of another config", path));
    in->at += own.bytes;
    in->bytes -= own.bytes;
done:
    oct_buf_deinit(&own);
    return status;
}

static oct_status read_saved(oct_checkpoint *checkpoint, uint32_t s, const char *path,
                             oct_error *error)
{
    oct_status status = OCT_OK;
    oct_checkpoint_source *source = &checkpoint->sources[s];
    const void *at = NULL;
    size_t bytes = 0;
    TRY(oct_container_load(checkpoint->container, OCT_SECTION_SAVED, s, &at, &bytes, error));
    if (bytes != oct_bits_words(source->count) * sizeof(uint64_t))
        return corrupt(path, "not as many points as it says", error);
    TRY(oct_bitmap_create(checkpoint->alloc, NULL, source->count, &source->saved, error));
    memcpy(source->saved->bits, at, bytes);
done:
    return status == OCT_NOT_FOUND ? corrupt(path, "a set of points is missing", error) : status;
}

static oct_status read_sources(oct_checkpoint *checkpoint, const char *path, oct_reader *in,
                               oct_error *error)
{
    oct_status status = OCT_OK;
    uint32_t count = 0;
    TRY(oct_read_u32(in, &count, "the sources", error));
    if (count == 0 || count != in->bytes / SOURCE_BYTES || in->bytes % SOURCE_BYTES != 0)
        return corrupt(path, "impossible number of sources", error);
    checkpoint->sources = oct_new_zeroed(checkpoint->alloc, count * sizeof *checkpoint->sources);
    if (!checkpoint->sources) return oct_fail_nomem(error, "a checkpoint");
    checkpoint->source_count = count;
    for (uint32_t s = 0; s < count; s++) {
        oct_checkpoint_source *source = &checkpoint->sources[s];
        uint8_t some = 0;
        TRY(oct_read_u64(in, &source->file, "a source", error));
        TRY(oct_read_u32(in, &source->count, "a source", error));
        TRY(oct_read_u8(in, &some, "a source", error));
        if (some) TRY(read_saved(checkpoint, s, path, error));
    }
done:
    return status;
}

oct_status oct_checkpoint_open(const oct_checkpoint_subject *subject, const char *path,
                               oct_checkpoint **out, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_alloc *alloc = subject->host->alloc;
    const void *at = NULL;
    size_t bytes = 0;
    uint32_t version = 0;
    *out = NULL;
    oct_checkpoint *checkpoint = oct_new_zeroed(alloc, sizeof *checkpoint);
    if (!checkpoint) return oct_fail_nomem(error, "a checkpoint");
    checkpoint->alloc = alloc;
    TRY(oct_container_open(alloc, subject->host->vfs, path, &checkpoint->container, error));
    TRY(oct_container_verify(checkpoint->container, error));
    if (!oct_container_has(checkpoint->container, OCT_SECTION_SUBJECT, 0))
        TRY(corrupt(path, "no checkpoint", error));
    TRY(oct_container_load(checkpoint->container, OCT_SECTION_SUBJECT, 0, &at, &bytes, error));
    oct_reader in = { at, bytes };
    TRY(oct_read_u32(&in, &version, "the version", error));
    if (version != CHECKPOINT_VERSION)
        TRY(oct_fail(error, OCT_CONFLICT, "%s: a checkpoint of another version", path));
    TRY(oct_read_u64(&in, &checkpoint->serial, "the serial", error));
    TRY(check_identity(subject, path, &in, error));
    TRY(read_sources(checkpoint, path, &in, error));
    *out = checkpoint;
    checkpoint = NULL;
done:
    oct_checkpoint_close(checkpoint);
    return status;
}

void oct_checkpoint_close(oct_checkpoint *checkpoint)
{
    if (!checkpoint) return;
    const oct_alloc *alloc = checkpoint->alloc;
    for (uint32_t s = 0; s < checkpoint->source_count; s++)
        oct_bitmap_unpin(checkpoint->sources[s].saved);
    oct_free(alloc, checkpoint->sources, checkpoint->source_count * sizeof *checkpoint->sources);
    oct_container_close(checkpoint->container);
    oct_free(alloc, checkpoint, sizeof *checkpoint);
}

/* ---- use ----------------------------------------------------------------------------- */

/* Does the source have every point that the entry has saved? */
static bool has_all(const oct_checkpoint_source *source, const oct_view_entry *entry)
{
    for (uint32_t i = 0; source->saved && i < entry->count; i++)
        if (!oct_bits_get(source->saved->bits, i) &&
            (!entry->saved || oct_bits_get(entry->saved->bits, i)))
            return false;
    return true;
}

bool oct_checkpoint_fits(const oct_checkpoint *checkpoint, const oct_view *view, uint32_t *entries)
{
    for (uint32_t s = 0; s < checkpoint->source_count; s++) {
        const oct_checkpoint_source *source = &checkpoint->sources[s];
        uint32_t at = 0;
        while (at < view->count &&
               (!view->entries[at].sealed || view->entries[at].sealed->file != source->file))
            at++;
        if (at == view->count || view->entries[at].count != source->count) return false;
        if (!has_all(source, &view->entries[at])) return false;
        for (uint32_t before = 0; before < s; before++)
            if (entries[before] == at) return false;
        entries[s] = at;
    }
    return true;
}

static oct_status restore(oct_build *build, uint32_t v, const oct_flat *flat,
                          const oct_hnsw_params *params, oct_error *error)
{
    oct_status status = OCT_OK;
    const void *at = NULL;
    size_t bytes = 0;
    oct_container *container = build->request.checkpoint->container;
    TRY(oct_container_load(container, OCT_SECTION_PART, v, &at, &bytes, error));
    TRY(oct_hnsw_builder_restore(&build->host, flat, params, at, bytes, &build->graph_builder,
                                 error));
done:
    return status;
}

oct_status oct_build_restore_graph(oct_build *build, uint32_t v, const oct_flat *flat,
                                   const oct_hnsw_params *params, oct_error *error)
{
    const oct_checkpoint *checkpoint = build->request.checkpoint;
    oct_error note;
    if (build->part_failed || !checkpoint ||
        !oct_container_has(checkpoint->container, OCT_SECTION_PART, v))
        return OCT_OK;
    oct_status status = restore(build, v, flat, params, &note);
    if (status == OCT_NOMEM && error) *error = note;
    if (status == OCT_OK || status == OCT_NOMEM) return status;
    oct_build_drop_part(build, &note);
    return OCT_OK;
}

void oct_build_drop_part(oct_build *build, const oct_error *cause)
{
    const oct_host *host = build->request.host;
    if (host->log) host->log(host->self, OCT_LOG_WARN, cause->message);
    oct_hnsw_builder_destroy(build->graph_builder);
    build->graph_builder = NULL;
    build->part_failed = true;
}

void oct_build_note_part(const oct_build *build)
{
    const oct_host *host = build->request.host;
    uint32_t inserted = 0, total = 0;
    oct_error note;
    oct_hnsw_builder_progress(build->graph_builder, &inserted, &total);
    oct_note(&note,
             "%s: goes on at %" PRIu32 " of %" PRIu32 " points of a graph, from a checkpoint",
             build->request.directory, inserted, total);
    if (host->log) host->log(host->self, OCT_LOG_INFO, note.message);
}
