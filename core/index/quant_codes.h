/* SPDX-License-Identifier: Apache-2.0
 *
 * quant_codes.h - the flat form of quantized codes and what each kind of them supplies, shared by
 * the quant_*.c files and by nobody else.
 *
 * One block of bytes holds the codes, in memory and in a file alike:
 *
 *     header  quant_header, 128 bytes
 *     params  f32 [param_floats]        what training found; its meaning is the kind's
 *     extras  u32 [count][extra_words]  what a row has beside its code; i32 or f32
 *     rows    u8  [count][row_bytes]
 *
 * each part at a multiple of 64 bytes, gaps zero, all little-endian. Sizes follow from the kind,
 * its settings and the dimensions, so a header can be checked against them. Rows of absent points
 * are zeros. Any codes are valid: a wrong score harms nothing. Floats are checked at opening. */
#ifndef OCTANT_INDEX_QUANT_CODES_H
#define OCTANT_INDEX_QUANT_CODES_H

#include "index/quant.h"

#define QUANT_MAGIC UINT32_C(0x544e5551) /* "QUNT" */

enum { QUANT_VERSION = 1, QUANT_ALIGN_BYTES = 64, QUANT_VALUES = 4 };

typedef struct quant_header {
    uint32_t magic, version;
    uint32_t count, dim;
    uint32_t metric, kind;
    float quantile;
    uint32_t compression, encoding, query_encoding, bits;
    uint32_t param_floats, extra_words, row_bytes;
    float values[QUANT_VALUES]; /* what training found, too */
    uint32_t reserved[14];
} quant_header;
STATIC_ASSERT(sizeof(quant_header) == 128, "the header is 128 bytes");

typedef struct quant_kind quant_kind;

struct oct_quant {
    const oct_alloc *alloc;
    const oct_kernels *kernels;
    const quant_kind *kind;
    quant_header header;
    oct_metric metric;
    size_t params_at, extras_at, rows_at, end;
    uint8_t *owned; /* the allocation around the block; NULL when the block is borrowed */
    size_t owned_bytes;
    const uint8_t *block;
    /* Into the block. */
    const float *params;
    const uint32_t *extras;
    const uint8_t *rows;
};

/* Training: a kind sees rows one after another and writes params and values. */
typedef struct quant_training {
    oct_quant *quant;
    float *params; /* quant->params, to be written */
    const oct_flat *flat;
    const uint32_t *sample; /* [sample_count] offsets of present rows, evenly spaced, ascending */
    uint32_t sample_count;
    void *work;    /* [kind->train_bytes], zeroed at the start, aligned to 64 */
    uint32_t step; /* counts the calls */
    uint32_t pass; /* ... or those through all steps before */
} quant_training;

struct quant_kind {
    /* Set the three sizes of a header whose other members are set. */
    void (*plan)(quant_header *header);
    /* Check params, values and extras of opened codes. NULL: nothing can be wrong. */
    oct_status (*validate)(const oct_quant *quant, oct_error *error);
    /* Memory for training and for coding one row. */
    size_t (*train_bytes)(const quant_header *header);
    size_t (*encode_bytes)(const quant_header *header);
    /* How many steps a pass of the training has when they don't depend on each other (and then run
     * in parallel, each with its `step` and a `work` of its thread), and how many passes there are,
     * each of which needs the one before. NULL: one step after another until done. */
    uint32_t (*train_steps)(const quant_header *header);
    uint32_t train_passes;
    /* A step of at most a millisecond or so; true when done. */
    bool (*train)(quant_training *training);
    void (*encode)(const oct_quant *quant, const float *vector, void *work, uint8_t *row,
                   uint32_t *extra);
    /* After all rows are coded; NULL: nothing to do. */
    void (*finish)(quant_training *training);
    size_t (*query_bytes)(const quant_header *header);
    void (*prepare)(const oct_quant *quant, const float *vector, void *query);
    void (*score)(const oct_quant *quant, const void *query, const uint32_t *offsets,
                  uint32_t count, int32_t *scores);
    float (*similarity)(const oct_quant *quant, const void *query, int32_t score);
};

extern const quant_kind oct_quant_scalar, oct_quant_binary, oct_quant_product, oct_quant_turbo;

/* The kind's functions; NULL when there is no such kind. */
const quant_kind *oct_quant_kind_of(uint32_t kind);
/* Set where the parts begin. LIMIT when the block doesn't fit this machine's memory. */
OCT_MUST_CHECK oct_status oct_quant_layout(oct_quant *quant, oct_error *error);
/* Set the pointers of a quant whose layout and block are set. */
void oct_quant_attach(oct_quant *quant);

static inline const uint8_t *oct_quant_row(const oct_quant *quant, uint32_t offset)
{
    return quant->rows + (size_t)offset * quant->header.row_bytes;
}

static inline size_t oct_quant_aligned(size_t bytes, size_t align)
{
    return (bytes + align - 1) / align * align;
}

/* From a damaged file an extra may be anything; a wrong score is harmless, an overflow is not. */
static inline int32_t oct_quant_add(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

/* A finite double as a float without an overflow the compiler may not like. */
static inline float oct_quant_float(double value)
{
    const double most = (double)3.402823466e38f;
    if (value > most) return 3.402823466e38f;
    return value < -most ? -3.402823466e38f : (float)value;
}

#endif
