/* SPDX-License-Identifier: Apache-2.0
 *
 * quant_build.c - making quantized codes: train on a sample, code every row, in bounded steps.
 *
 * The block is built in memory and then written: its extras stand in front of its rows, and
 * binary codes look at rows again when all are there. All memory is taken at the beginning, so that
 * a long build can't fail in its last second. Rows are coded in parallel; each depends on nothing
 * but itself and what training found, so neither threads nor cuts change a byte. */
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/sync.h"
#include "index/quant_codes.h"

enum {
    SAMPLE_MAX = 1 << 16,
    ROUND_ROWS = 256, /* coded by one thread between two looks at the clock */
    WORKERS_MAX = 64,
    CLEAR_BYTES = 256 << 10
};

struct oct_quant_builder {
    const oct_host *host;
    oct_flat flat;
    oct_quant *quant; /* its block is ours to write until finished */
    uint8_t *block;
    quant_training training;
    uint32_t *sample;
    size_t sample_capacity;
    uint8_t *work, *work_owned; /* [workers][work_bytes], for training and coding, aligned */
    size_t work_bytes;
    uint32_t workers;
    bool trained, done;
    size_t cleared; /* bytes of the block */
    uint32_t next;  /* row to be coded, or step of the training */
    uint32_t round_end;
};

/* ---- create ----------------------------------------------------------------------------- */

static quant_header header_of(const oct_flat *flat, const oct_quant_params *params)
{
    return (quant_header){ .magic = QUANT_MAGIC,
                           .version = QUANT_VERSION,
                           .count = flat->count,
                           .dim = flat->dim,
                           .metric = (uint32_t)flat->metric,
                           .kind = (uint32_t)params->kind,
                           .quantile = params->quantile,
                           .compression = params->compression,
                           .encoding = (uint32_t)params->encoding,
                           .query_encoding = (uint32_t)params->query_encoding,
                           .bits = (uint32_t)params->bits };
}

static oct_status create_quant(oct_quant_builder *builder, const oct_quant_params *params,
                               oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_alloc *alloc = builder->host->alloc;
    oct_quant *quant = oct_new_zeroed(alloc, sizeof *quant);
    if (!quant) return oct_fail_nomem(error, "codes");
    builder->quant = quant;
    quant->alloc = alloc;
    quant->kernels = builder->flat.kernels;
    quant->metric = builder->flat.metric;
    quant->kind = oct_quant_kind_of((uint32_t)params->kind);
    ASSERT(quant->kind);
    quant->header = header_of(&builder->flat, params);
    quant->kind->plan(&quant->header);
    TRY(oct_quant_layout(quant, error));
    quant->owned_bytes = quant->end + QUANT_ALIGN_BYTES;
    quant->owned = oct_new(alloc, quant->owned_bytes);
    if (!quant->owned) TRY(oct_fail_nomem(error, "codes"));
    builder->block =
        quant->owned + (QUANT_ALIGN_BYTES - (uintptr_t)quant->owned % QUANT_ALIGN_BYTES);
    quant->block = builder->block;
    oct_quant_attach(quant);
done:
    return status;
}

/* Evenly spaced present rows. */
static oct_status choose_sample(oct_quant_builder *builder, oct_error *error)
{
    const oct_flat *flat = &builder->flat;
    oct_status status = OCT_OK;
    uint32_t present = flat->count;
    if (flat->present) present = (uint32_t)oct_bits_count(flat->present, oct_bits_words(present));
    uint32_t wanted = MIN(present, (uint32_t)SAMPLE_MAX);
    if (wanted == 0) return OCT_OK;
    TRY(oct_array_resize(builder->host->alloc, &builder->sample, 0, wanted, sizeof(uint32_t),
                         error));
    builder->sample_capacity = wanted;
    uint32_t seen = 0, chosen = 0;
    for (uint32_t offset = 0; offset < flat->count && chosen < wanted; offset++) {
        if (!oct_flat_has(flat, offset)) continue;
        if (seen++ == (uint64_t)chosen * present / wanted) builder->sample[chosen++] = offset;
    }
    builder->training.sample = builder->sample;
    builder->training.sample_count = chosen;
done:
    return status;
}

static size_t owned_bytes(const oct_quant_builder *builder)
{
    return builder->work_bytes * builder->workers + (size_t)QUANT_ALIGN_BYTES;
}

static oct_status take_work(oct_quant_builder *builder, oct_error *error)
{
    const oct_host *host = builder->host;
    const quant_kind *kind = builder->quant->kind;
    const quant_header *header = &builder->quant->header;
    builder->workers = 1;
    if (host->parallel && host->parallel_width > 1)
        builder->workers = MIN(host->parallel_width, (uint32_t)WORKERS_MAX);
    builder->work_bytes = oct_quant_aligned(
        MAX(kind->train_bytes(header), kind->encode_bytes(header)), QUANT_ALIGN_BYTES);
    builder->work_owned = oct_new_zeroed(host->alloc, owned_bytes(builder));
    if (!builder->work_owned) return oct_fail_nomem(error, "the training of codes");
    uintptr_t over = (uintptr_t)builder->work_owned % QUANT_ALIGN_BYTES;
    builder->work = builder->work_owned + (QUANT_ALIGN_BYTES - over);
    builder->training.work = builder->work;
    return OCT_OK;
}

oct_status oct_quant_builder_create(const oct_host *host, const oct_flat *flat,
                                    const oct_quant_params *params, oct_quant_builder **out,
                                    oct_error *error)
{
    oct_status status = OCT_OK;
    *out = NULL;
    oct_quant_builder *builder = oct_new_zeroed(host->alloc, sizeof *builder);
    if (!builder) return oct_fail_nomem(error, "codes");
    builder->host = host;
    builder->flat = *flat;
    TRY(create_quant(builder, params, error));
    TRY(choose_sample(builder, error));
    TRY(take_work(builder, error));
    if (flat->touch && flat->count > 0)
        TRY(flat->touch(flat->touch_arg, flat->rows,
                        (size_t)flat->count * flat->dim * sizeof(float), error));
    builder->training.quant = builder->quant;
    builder->training.flat = &builder->flat;
    builder->training.params = (float *)(void *)(builder->block + builder->quant->params_at);
    *out = builder;
    builder = NULL;
done:
    oct_quant_builder_destroy(builder);
    return status;
}

void oct_quant_builder_destroy(oct_quant_builder *builder)
{
    if (!builder) return;
    const oct_alloc *alloc = builder->host->alloc;
    oct_free(alloc, builder->sample, builder->sample_capacity * sizeof *builder->sample);
    oct_free(alloc, builder->work_owned, owned_bytes(builder));
    oct_quant_destroy(builder->quant);
    oct_free(alloc, builder, sizeof *builder);
}

/* ---- check ------------------------------------------------------------------------------ */

static size_t code_bytes(const quant_header *header)
{
    return oct_quant_aligned(header->row_bytes, QUANT_ALIGN_BYTES) +
           oct_quant_aligned(header->extra_words * sizeof(uint32_t), QUANT_ALIGN_BYTES);
}

size_t oct_quant_check_bytes(const oct_quant *quant)
{
    const quant_header *header = &quant->header;
    return code_bytes(header) +
           oct_quant_aligned(quant->kind->encode_bytes(header), QUANT_ALIGN_BYTES);
}

bool oct_quant_check_row(const oct_quant *quant, uint32_t row, const float *vector, void *memory)
{
    const quant_header *header = &quant->header;
    uint8_t *code = memory;
    size_t words = header->extra_words, bytes = code_bytes(header);
    uint8_t *extra = code + oct_quant_aligned(header->row_bytes, QUANT_ALIGN_BYTES);
    memset(code, 0, bytes);
    if (vector) quant->kind->encode(quant, vector, code + bytes, code, (uint32_t *)(void *)extra);
    return memcmp(code, oct_quant_row(quant, row), header->row_bytes) == 0 &&
           memcmp(extra, quant->extras + row * words, words * sizeof(uint32_t)) == 0;
}

/* ---- steps ------------------------------------------------------------------------------ */

static void encode_row(oct_quant_builder *builder, uint32_t offset, void *work)
{
    const oct_quant *quant = builder->quant;
    const quant_header *header = &quant->header;
    uint8_t *row = builder->block + quant->rows_at + (size_t)offset * header->row_bytes;
    uint8_t *extra =
        builder->block + quant->extras_at + (size_t)offset * header->extra_words * sizeof(uint32_t);
    if (!oct_flat_has(&builder->flat, offset)) return;
    quant->kind->encode(quant, oct_flat_row(&builder->flat, offset), work, row,
                        (uint32_t *)(void *)extra);
}

static void train_step(oct_quant_builder *builder, uint32_t step, void *work)
{
    quant_training training = builder->training;
    training.step = step;
    training.work = work;
    (void)builder->quant->kind->train(&training); /* such steps are counted */
}

/* Each task has an even part of the round. */
static void run_worker(void *arg, uint32_t task)
{
    oct_quant_builder *builder = arg;
    uint64_t items = builder->round_end - builder->next;
    uint32_t first = builder->next + (uint32_t)(items * task / builder->workers);
    uint32_t end = builder->next + (uint32_t)(items * (task + UINT64_C(1)) / builder->workers);
    void *work = builder->work + task * builder->work_bytes;
    for (uint32_t item = first; item < end; item++) {
        if (builder->trained)
            encode_row(builder, item, work);
        else
            train_step(builder, item, work);
    }
}

/* Do at most `most` items per thread, up to `count`; true when all are done. */
static bool run_round(oct_quant_builder *builder, uint32_t count, uint32_t most)
{
    uint32_t left = count - builder->next;
    builder->round_end = builder->next + MIN(left, most * builder->workers);
    if (builder->workers > 1)
        builder->host->parallel(builder->host->self, builder->workers, run_worker, builder);
    else
        run_worker(builder, 0);
    builder->next = builder->round_end;
    return builder->next == count;
}

static void train(oct_quant_builder *builder)
{
    const quant_kind *kind = builder->quant->kind;
    if (kind->train_steps) {
        if (!run_round(builder, kind->train_steps(&builder->quant->header), 1)) return;
        builder->next = 0;
        builder->trained = ++builder->training.pass == kind->train_passes;
    } else {
        builder->trained = kind->train(&builder->training);
        builder->training.step++;
    }
    if (builder->trained) builder->next = 0;
}

/* The block is all zeros to begin with. */
static void clear_piece(oct_quant_builder *builder)
{
    size_t bytes = MIN(builder->quant->end - builder->cleared, (size_t)CLEAR_BYTES);
    memset(builder->block + builder->cleared, 0, bytes);
    builder->cleared += bytes;
}

static void finish(oct_quant_builder *builder)
{
    if (builder->quant->kind->finish) builder->quant->kind->finish(&builder->training);
    memcpy(builder->block, &builder->quant->header, sizeof builder->quant->header);
    builder->done = true;
}

bool oct_quant_build_step(oct_quant_builder *builder, uint64_t budget_ns)
{
    const oct_host *host = builder->host;
    bool hurry = budget_ns != UINT64_MAX;
    uint64_t begin = hurry ? host->monotonic_ns(host->self) : 0;
    while (!builder->done) {
        if (builder->cleared < builder->quant->end)
            clear_piece(builder);
        else if (!builder->trained)
            train(builder);
        else if (run_round(builder, builder->flat.count, ROUND_ROWS))
            finish(builder);
        if (hurry && host->monotonic_ns(host->self) - begin >= budget_ns) break;
    }
    return builder->done;
}

float oct_quant_builder_progress(const oct_quant_builder *builder)
{
    if (builder->flat.count == 0) return builder->done ? 1.0f : 0.0f;
    return builder->trained ? (float)builder->next / (float)builder->flat.count : 0.0f;
}

oct_quant *oct_quant_builder_finish(oct_quant_builder *builder)
{
    ASSERT(builder->done);
    oct_quant *quant = builder->quant;
    builder->quant = NULL;
    return quant;
}
