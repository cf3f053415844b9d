/* SPDX-License-Identifier: Apache-2.0
 *
 * quant.c - quantized codes as a thing: their bytes, opening, and scanning them.
 *
 * What differs between the kinds of codes is behind one table of functions (quant_codes.h), one
 * file each; this file, the builder (quant_build.c) and the graph know nothing of it. A header
 * per kind was rejected: 128 bytes in all hold what each of them needs, and one layout is checked
 * once. */
#include "index/quant.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/prefetch.h"
#include "index/quant_codes.h"

enum {
    BLOCK_POINTS = 64,       /* one word of a bitset */
    CANCEL_DISTANCES = 1024, /* distances between two looks at `cancelled` */
    /* Rescored when the query doesn't say: 3 * limit / 2 + 30, of coarse codes 4 * limit + 100. */
    RESCORE_MORE = 30,
    RESCORE_MORE_COARSE = 100,
    AHEAD_BYTES = 2048
};

/* ---- parameters ------------------------------------------------------------------------- */

static uint32_t given(uint64_t value, uint32_t otherwise)
{
    return value != OCT_UNSET ? (uint32_t)value : otherwise;
}

oct_quant_params oct_quant_params_of(const oct_quantization_config *config)
{
    oct_quant_params params = { .kind = config->kind };
    switch (config->kind) {
    case OCT_QUANTIZATION_SCALAR:
        params.quantile = isnan(config->quantile) ? 1.0f : config->quantile;
        break;
    case OCT_QUANTIZATION_PRODUCT:
        params.compression = given(config->compression, 16);
        break;
    case OCT_QUANTIZATION_BINARY:
        params.encoding = (oct_binary_encoding)given(config->encoding, OCT_BINARY_ONE_BIT);
        params.query_encoding =
            (oct_query_encoding)given(config->query_encoding, OCT_QUERY_ENCODING_DEFAULT);
        break;
    case OCT_QUANTIZATION_TURBO:
        params.bits = (oct_turbo_bits)given(config->bits, OCT_TURBO_BITS4);
        break;
    case OCT_QUANTIZATION_NONE:
    case OCT_QUANTIZATION_COUNT:
        break;
    }
    return params;
}

bool oct_quant_params_equal(const oct_quant_params *a, const oct_quant_params *b)
{
    return a->kind == b->kind && a->quantile >= b->quantile && a->quantile <= b->quantile &&
           a->compression == b->compression && a->encoding == b->encoding &&
           a->query_encoding == b->query_encoding && a->bits == b->bits;
}

bool oct_quant_rescores(const oct_quant_params *params)
{
    return params->kind == OCT_QUANTIZATION_BINARY ||
           (params->kind == OCT_QUANTIZATION_TURBO && params->bits != OCT_TURBO_BITS4);
}

const quant_kind *oct_quant_kind_of(uint32_t kind)
{
    switch (kind) {
    case OCT_QUANTIZATION_SCALAR:
        return &oct_quant_scalar;
    case OCT_QUANTIZATION_PRODUCT:
        return &oct_quant_product;
    case OCT_QUANTIZATION_BINARY:
        return &oct_quant_binary;
    case OCT_QUANTIZATION_TURBO:
        return &oct_quant_turbo;
    default:
        return NULL;
    }
}

bool oct_quant_is_asked(const oct_quant *quant, const oct_quantization_config *config)
{
    if (!config) return false;
    oct_quant_params has = oct_quant_params_get(quant), asked = oct_quant_params_of(config);
    return oct_quant_params_equal(&has, &asked);
}

oct_quant_params oct_quant_params_get(const oct_quant *quant)
{
    const quant_header *header = &quant->header;
    return (oct_quant_params){ .kind = (oct_quantization_kind)header->kind,
                               .quantile = header->quantile,
                               .compression = header->compression,
                               .encoding = (oct_binary_encoding)header->encoding,
                               .query_encoding = (oct_query_encoding)header->query_encoding,
                               .bits = (oct_turbo_bits)header->bits };
}

uint32_t oct_quant_row_bytes(const oct_quant *quant)
{
    return quant->header.row_bytes;
}

/* ---- layout ----------------------------------------------------------------------------- */

static uint64_t aligned(uint64_t bytes)
{
    return (bytes + QUANT_ALIGN_BYTES - 1) & ~(uint64_t)(QUANT_ALIGN_BYTES - 1);
}

oct_status oct_quant_layout(oct_quant *quant, oct_error *error)
{
    /* No overflow: counts are below 2^32, a row below 2^18 bytes, params below 2^32 floats. */
    const quant_header *header = &quant->header;
    uint64_t extras = aligned(sizeof *header + UINT64_C(4) * header->param_floats);
    uint64_t rows = aligned(extras + UINT64_C(4) * header->count * header->extra_words);
    uint64_t end = aligned(rows + (uint64_t)header->count * header->row_bytes);
    if (end > SIZE_MAX / 2)
        return oct_fail(error, OCT_LIMIT, "codes: %" PRIu64 " bytes of codes are too many here",
                        end);
    quant->params_at = sizeof *header;
    quant->extras_at = (size_t)extras;
    quant->rows_at = (size_t)rows;
    quant->end = (size_t)end;
    return OCT_OK;
}

void oct_quant_attach(oct_quant *quant)
{
    const uint8_t *block = quant->block;
    quant->params = (const float *)(const void *)(block + quant->params_at);
    quant->extras = (const uint32_t *)(const void *)(block + quant->extras_at);
    quant->rows = block + quant->rows_at;
}

bool oct_quant_release(oct_quant *quant)
{
    return !quant || !quant->owned ||
           oct_free_piece(quant->alloc, &quant->owned, &quant->owned_bytes);
}

oct_status oct_quant_write_piece(const oct_quant *quant, size_t *at, const oct_hnsw_sink *sink,
                                 bool *done, oct_error *error)
{
    size_t bytes = MIN(quant->end - *at, (size_t)OCT_HNSW_PIECE_BYTES);
    oct_status status = sink->append(sink->self, quant->block + *at, bytes, error);
    *at += bytes;
    *done = status == OCT_OK && *at == quant->end;
    return status;
}

oct_status oct_quant_write(const oct_quant *quant, const oct_hnsw_sink *sink, oct_error *error)
{
    return sink->append(sink->self, quant->block, quant->end, error);
}

/* ---- open ------------------------------------------------------------------------------- */

/* The sizes that training would have planned. */
static oct_status check_sizes(const quant_header *header, const quant_kind *kind, oct_error *error)
{
    quant_header planned = *header;
    kind->plan(&planned);
    if (planned.param_floats == header->param_floats &&
        planned.extra_words == header->extra_words && planned.row_bytes == header->row_bytes)
        return OCT_OK;
    return oct_fail(error, OCT_CORRUPT, "codes: rows of %" PRIu32 " bytes, expected %" PRIu32,
                    header->row_bytes, planned.row_bytes);
}

/* Settings are those of the kind, as oct_quant_params_of makes them. */
static bool good_settings(const quant_header *header)
{
    bool scalar = header->kind == OCT_QUANTIZATION_SCALAR;
    bool product = header->kind == OCT_QUANTIZATION_PRODUCT;
    bool binary = header->kind == OCT_QUANTIZATION_BINARY;
    bool turbo = header->kind == OCT_QUANTIZATION_TURBO;
    uint32_t c = header->compression;
    bool power = c >= 4 && c <= 64 && (c & (c - 1)) == 0;
    return (scalar ? header->quantile >= 0.5f && header->quantile <= 1.0f
                   : header->quantile >= 0.0f && header->quantile <= 0.0f) &&
           (product ? power : c == 0) &&
           header->encoding <= (binary ? (uint32_t)OCT_BINARY_ONE_AND_HALF_BITS : 0) &&
           header->query_encoding <= (binary ? (uint32_t)OCT_QUERY_ENCODING_SCALAR8BITS : 0) &&
           header->bits <= (turbo ? (uint32_t)OCT_TURBO_BITS4 : 0);
}

static oct_status check_header(const quant_header *header, const oct_flat *flat, oct_error *error)
{
    static const uint8_t zeros[sizeof header->reserved];
    if (header->magic != QUANT_MAGIC || header->version != QUANT_VERSION)
        return oct_fail(error, OCT_CORRUPT, "codes: not codes of version %d", QUANT_VERSION);
    if (header->count != flat->count || header->dim != flat->dim ||
        header->metric != (uint32_t)flat->metric)
        return oct_fail(error, OCT_CORRUPT,
                        "codes: of %" PRIu32 " points with %" PRIu32 " dimensions, metric %" PRIu32
                        "; the vectors are %" PRIu32 ", %" PRIu32 ", %d",
                        header->count, header->dim, header->metric, flat->count, flat->dim,
                        (int)flat->metric);
    if (!oct_quant_kind_of(header->kind) || !good_settings(header) ||
        memcmp(header->reserved, zeros, sizeof zeros) != 0)
        return oct_fail(error, OCT_CORRUPT, "codes: unknown settings, kind %" PRIu32, header->kind);
    for (size_t i = 0; i < QUANT_VALUES; i++)
        if (!(fabsf(header->values[i]) <= FLT_MAX))
            return oct_fail(error, OCT_CORRUPT, "codes: the header has a number that is none");
    return OCT_OK;
}

static oct_status check_params(const oct_quant *quant, oct_error *error)
{
    for (uint32_t i = 0; i < quant->header.param_floats; i++)
        if (!(fabsf(quant->params[i]) <= FLT_MAX))
            return oct_fail(error, OCT_CORRUPT, "codes: parameter %" PRIu32 " is no number", i);
    return quant->kind->validate ? quant->kind->validate(quant, error) : OCT_OK;
}

oct_status oct_quant_open(const oct_alloc *alloc, const oct_flat *flat, const void *at,
                          size_t bytes, oct_quant **out, oct_error *error)
{
    oct_status status = OCT_OK;
    *out = NULL;
    ASSERT((uintptr_t)at % QUANT_ALIGN_BYTES == 0);
    oct_quant *quant = oct_new_zeroed(alloc, sizeof *quant);
    if (!quant) return oct_fail_nomem(error, "codes");
    quant->alloc = alloc;
    quant->kernels = flat->kernels;
    quant->metric = flat->metric;
    quant->block = at;
    if (bytes < sizeof quant->header)
        TRY(oct_fail(error, OCT_CORRUPT, "codes: %zu bytes are no codes", bytes));
    memcpy(&quant->header, at, sizeof quant->header);
    TRY(check_header(&quant->header, flat, error));
    quant->kind = oct_quant_kind_of(quant->header.kind);
    TRY(check_sizes(&quant->header, quant->kind, error));
    TRY(oct_quant_layout(quant, error));
    if (bytes != quant->end)
        TRY(oct_fail(error, OCT_CORRUPT, "codes: %zu bytes, expected %zu", bytes, quant->end));
    oct_quant_attach(quant);
    TRY(check_params(quant, error));
    *out = quant;
    quant = NULL;
done:
    oct_quant_destroy(quant);
    return status;
}

void oct_quant_destroy(oct_quant *quant)
{
    if (!quant) return;
    oct_free(quant->alloc, quant->owned, quant->owned_bytes);
    oct_free(quant->alloc, quant, sizeof *quant);
}

/* ---- scores ----------------------------------------------------------------------------- */

size_t oct_quant_query_bytes(const oct_quant *quant)
{
    return quant->kind->query_bytes(&quant->header);
}

void oct_quant_prepare(const oct_quant *quant, const float *vector, void *query)
{
    ASSERT((uintptr_t)query % QUANT_ALIGN_BYTES == 0);
    quant->kind->prepare(quant, vector, query);
}

void oct_quant_score(const oct_quant *quant, const void *query, const uint32_t *offsets,
                     uint32_t count, int32_t *scores)
{
    quant->kind->score(quant, query, offsets, count, scores);
}

float oct_quant_similarity(const oct_quant *quant, const void *query, int32_t score)
{
    return quant->kind->similarity(quant, query, score);
}

void oct_quant_prefetch(const oct_quant *quant, const uint32_t *offsets, uint32_t count)
{
    size_t ahead = MIN(quant->header.row_bytes, (uint32_t)AHEAD_BYTES);
    uint32_t words = quant->header.extra_words;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *row = oct_quant_row(quant, offsets[i]);
        oct_prefetch(row, ahead);
        oct_prefetch(row + ahead - 1, 1); /* a short row may end on the next line */
        if (words) oct_prefetch(quant->extras + (size_t)offsets[i] * words, 1);
    }
}

/* ---- scan ------------------------------------------------------------------------------- */

uint32_t oct_quant_rescored(const oct_quant *quant, uint32_t limit, float oversampling)
{
    oct_quant_params params = oct_quant_params_get(quant);
    double wanted = 1.5 * limit + (double)RESCORE_MORE;
    bool coarse = oct_quant_rescores(&params) || params.compression >= 16;
    if (coarse) wanted = 4.0 * limit + (double)RESCORE_MORE_COARSE;
    if (oversampling > 0) wanted = (double)oversampling * limit;
    return (uint32_t)MIN(MAX(wanted, (double)limit), (double)UINT32_MAX);
}

/* The points of word `word` to be scored, as bits. */
static uint64_t wanted(const oct_flat *flat, const oct_flat_limits *limits, uint32_t word)
{
    uint32_t left = flat->count - word * BLOCK_POINTS;
    uint64_t bits = left >= BLOCK_POINTS ? UINT64_MAX : (UINT64_C(1) << left) - 1;
    if (flat->present) bits &= flat->present[word];
    if (limits->allowed) bits &= limits->allowed[word];
    return bits;
}

/* Offer all wanted points by their estimates. A score that was refused once is hopeless from then
 * on, and all below it: most points are turned away without an estimate. */
static oct_status scan_codes(const oct_flat *flat, const void *query, const oct_flat_limits *limits,
                             oct_topk *best, oct_error *error)
{
    const oct_quant *quant = flat->quant;
    uint32_t words = (uint32_t)oct_bits_words(flat->count);
    uint32_t distances = 0;
    int32_t hopeless = INT32_MIN;
    for (uint32_t word = 0; word < words; word++) {
        uint32_t offsets[BLOCK_POINTS];
        int32_t scores[BLOCK_POINTS];
        uint32_t count = 0;
        for (uint64_t bits = wanted(flat, limits, word); bits; bits &= bits - 1)
            offsets[count++] = word * BLOCK_POINTS + (uint32_t)__builtin_ctzll(bits);
        oct_quant_score(quant, query, offsets, count, scores);
        for (uint32_t i = 0; i < count; i++) {
            bool full = best->count == best->limit;
            if (full && scores[i] <= hopeless) continue;
            oct_hit hit = { .score = oct_quant_similarity(quant, query, scores[i]),
                            .offset = offsets[i] };
            if (!oct_topk_push(best, hit)) hopeless = scores[i];
        }
        distances += count;
        if (distances < CANCEL_DISTANCES) continue;
        distances = 0;
        if (limits->cancelled && limits->cancelled(limits->cancelled_arg))
            return oct_fail(error, OCT_CANCELLED, "search: cancelled while scanning codes");
    }
    return OCT_OK;
}

static void sort_offsets(uint32_t *offsets, uint32_t count)
{
    for (uint32_t gap = count / 2; gap > 0; gap /= 2)
        for (uint32_t i = gap; i < count; i++) {
            uint32_t value = offsets[i], at = i;
            for (; at >= gap && offsets[at - gap] > value; at -= gap)
                offsets[at] = offsets[at - gap];
            offsets[at] = value;
        }
}

oct_status oct_quant_scan(const oct_flat *flat, const oct_quant_request *request, oct_arena *work,
                          oct_topk *best, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_quant *quant = flat->quant;
    uint8_t *memory;
    oct_hit *hits;
    uint32_t *offsets;
    oct_topk by_code;
    if (flat->count == 0) return OCT_OK;
    TRY(oct_arena_array(work, oct_quant_query_bytes(quant) + QUANT_ALIGN_BYTES, 1, &memory, error));
    memory += QUANT_ALIGN_BYTES - (uintptr_t)memory % QUANT_ALIGN_BYTES;
    oct_quant_prepare(quant, request->vector, memory);
    if (!request->rescore) {
        TRY(scan_codes(flat, memory, &request->limits, best, error));
        goto done;
    }
    uint32_t limit = oct_quant_rescored(quant, best->limit, request->oversampling);
    limit = MIN(limit, flat->count);
    TRY(oct_arena_array(work, limit, sizeof *hits, &hits, error));
    TRY(oct_arena_array(work, limit, sizeof *offsets, &offsets, error));
    oct_topk_init(&by_code, hits, limit);
    TRY(scan_codes(flat, memory, &request->limits, &by_code, error));
    for (uint32_t i = 0; i < by_code.count; i++)
        offsets[i] = hits[i].offset;
    sort_offsets(offsets, by_code.count); /* ascending reads; the order of offers doesn't matter */
    TRY(oct_flat_scan_list(flat, request->vector, offsets, by_code.count, &request->limits, best,
                           error));
done:
    return status;
}
