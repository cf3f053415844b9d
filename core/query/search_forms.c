/* SPDX-License-Identifier: Apache-2.0
 *
 * search_forms.c - the nearest points by multivectors and by sparse vectors.
 *
 * Multivectors are compared one by one here, by codes where there are any; graphs of them are
 * walked as those of dense vectors are (search.c). Sparse vectors are found through the inverted
 * index of a sealed segment, or one by one where a filter leaves few points, or where there is no
 * index: in memory segments. All ways to a similarity give the same bits.
 *
 * The modifier `idf` multiplies each weight of a query by ln((N - n + 0.5) / (n + 0.5) + 1), where
 * N is the number of living points of the collection that have a value in this vector, and n of
 * those with this dimension. Counted over the whole view before the search, without dead points, so
 * that scores don't depend on how points are spread over segments. */
#include <float.h>
#include <math.h>

#include "query/search_job.h"
#include "segment/memory_sparse.h"
#include "simd/fmath.h"

/* A point scored from its own vector costs about as much as this many postings: its dimensions are
 * looked up one by one, at a random place of the file. */
enum { POSTINGS_PER_POINT = 256 };

/* A block of a memory segment costs about as much as this many of its points one by one. */
enum { SLOTS_PER_BLOCK = 16 };

/* ---- statistics ---------------------------------------------------------------------- */

typedef struct statistics {
    uint64_t points;      /* with a value in this vector */
    uint64_t *dimensions; /* [probe.count] of those, with this dimension */
} statistics;

/* The block of a memory segment that begins at slot i, if there is one and it pays: for the slots
 * in `bits` (NULL: all). */
static const oct_sparse_block *find_block(const oct_search_job *job, const oct_view_entry *entry,
                                          const uint64_t *bits, uint32_t i)
{
    if (i % OCT_SPARSE_BLOCK_SLOTS || entry->count - i < OCT_SPARSE_BLOCK_SLOTS) return NULL;
    if (bits && oct_bits_count(bits + i / 64, OCT_SPARSE_BLOCK_WORDS) < SLOTS_PER_BLOCK)
        return NULL;
    const oct_sparse_block *block = oct_memory_block(entry->memory, i, job->v);
    return block && oct_sparse_block_pays(block, &job->probe) ? block : NULL;
}

static void count_memory(const oct_search_job *job, const oct_view_entry *entry, statistics *out)
{
    const uint64_t *alive = entry->alive ? entry->alive->bits : NULL;
    for (uint32_t i = 0; i < entry->count; i++) {
        const oct_sparse_block *block = find_block(job, entry, alive, i);
        if (block) {
            oct_sparse_block_tally(block, &job->probe, alive ? alive + i / 64 : NULL, &out->points,
                                   out->dimensions);
            i += OCT_SPARSE_BLOCK_SLOTS - 1;
            continue;
        }
        if (!oct_entry_alive(entry, i)) continue;
        const oct_named_vector vector = oct_memory_vector_at(entry->memory, i, job->v);
        if (!vector.values) continue;
        out->points += vector.count > 0;
        oct_sparse_probe_tally(&job->probe, &vector, out->dimensions);
    }
}

static void count_sealed(const oct_search_job *job, const oct_view_entry *entry, statistics *out)
{
    const oct_sealed_vector *vector = &entry->sealed->vectors[job->v];
    const uint64_t *alive = entry->alive ? entry->alive->bits : NULL;
    if (!alive) out->points += vector->filled;
    for (uint32_t i = 0; alive && i < entry->count; i++)
        out->points += oct_bits_get(alive, i) && vector->ends[i] > (i ? vector->ends[i - 1] : 0);
    for (uint32_t d = 0; d < job->probe.count; d++)
        out->dimensions[d] += oct_sparse_count(&vector->sparse, job->probe.indices[d], alive);
}

static float weigh(float weight, uint64_t points, uint64_t with)
{
    double n = (double)with;
    double idf = oct_log(((double)points - n + 0.5) / (n + 0.5) + 1.0);
    double product = (double)weight * idf;
    return (float)MAX(MIN(product, (double)FLT_MAX), -(double)FLT_MAX);
}

/* Weigh the query's dimensions by their rarity. */
static oct_status apply_idf(oct_search_job *job, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_view *view = job->reading->view;
    statistics found = { .points = 0 };
    float *weights;
    TRY(oct_arena_array(job->reading->arena, job->probe.count, sizeof *found.dimensions,
                        &found.dimensions, error));
    TRY(oct_arena_array(job->reading->arena, job->probe.count, sizeof *weights, &weights, error));
    for (uint32_t i = 0; i < view->count; i++) {
        const oct_view_entry *entry = &view->entries[i];
        if (entry->sealed)
            count_sealed(job, entry, &found);
        else
            count_memory(job, entry, &found);
    }
    for (uint32_t d = 0; d < job->probe.count; d++)
        weights[d] = weigh(job->probe.weights[d], found.points, found.dimensions[d]);
    job->probe.weights = weights;
done:
    return status;
}

oct_status oct_search_prepare_form(oct_search_job *job, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_vector_params *params = oct_search_params(job);
    if (params->kind != OCT_VECTOR_SPARSE) return OCT_OK;
    TRY(oct_sparse_probe_create(job->reading->arena, job->vector.indices, job->vector.values,
                                job->vector.count, &job->probe, error));
    if (params->sparse.idf) TRY(apply_idf(job, error));
done:
    return status;
}

/* ---- one by one ---------------------------------------------------------------------- */

static oct_multi_query multi_query(const oct_search_job *job)
{
    return (oct_multi_query){ .values = job->vector.values, .rows = job->vector.rows };
}

/* The similarity of a point's vector to the query; false when that makes it no answer. */
static bool score(const oct_search_job *job, const oct_named_vector *vector, float *out)
{
    const oct_vector_params *params = oct_search_params(job);
    if (params->kind == OCT_VECTOR_SPARSE) {
        *out = oct_sparse_probe_dot(&job->probe, vector);
        return *out > 0.0f || *out < 0.0f;
    }
    const oct_flat form = oct_search_rows(job);
    const oct_multi_query query = multi_query(job);
    *out = oct_multi_similarity(&form, &query, vector->values, vector->rows);
    return true;
}

/* Offer the selected points of a block that begins at slot `first`. */
static void search_block(oct_search_job *job, const oct_sparse_block *block, oct_location first,
                         const oct_selection *selection)
{
    float sums[OCT_SPARSE_BLOCK_SLOTS];
    oct_sparse_block_sum(block, &job->probe, sums);
    for (uint32_t i = 0; i < OCT_SPARSE_BLOCK_SLOTS; i++) {
        oct_location at = { first.entry, first.offset + i };
        if ((sums[i] > 0.0f || sums[i] < 0.0f) && oct_rank_may_take(&job->rank, sums[i]) &&
            oct_selection_has(selection, at.offset) &&
            !oct_search_excludes(job, at.entry, at.offset))
            oct_search_offer(job, sums[i], at);
    }
}

void oct_search_memory_form(oct_search_job *job, uint32_t index, const oct_selection *selection)
{
    const oct_view_entry *entry = &job->reading->view->entries[index];
    for (uint32_t i = 0; i < entry->count; i++) {
        float similarity;
        const oct_sparse_block *block = find_block(job, entry, selection->bits, i);
        if (block) {
            search_block(job, block, (oct_location){ index, i }, selection);
            i += OCT_SPARSE_BLOCK_SLOTS - 1;
            continue;
        }
        if (!oct_selection_has(selection, i) || oct_search_excludes(job, index, i)) continue;
        const oct_named_vector vector = oct_memory_vector_at(entry->memory, i, job->v);
        if (!vector.values) continue;
        if (score(job, &vector, &similarity))
            oct_search_offer(job, similarity, (oct_location){ index, i });
    }
}

/* ---- sealed segments ----------------------------------------------------------------- */

typedef struct vector_reader {
    const oct_sealed *segment;
    uint32_t v;
} vector_reader;

/* Sparse vectors are never decoded, so there is no arena. */
static oct_status read_vector(void *self, uint32_t offset, oct_named_vector *out, oct_error *error)
{
    const vector_reader *reader = self;
    return oct_sealed_vector_at(reader->segment, offset, reader->v, NULL, out, error);
}

static oct_status scan_selected(const oct_search_job *job, const oct_view_entry *entry,
                                const oct_selection *selection, oct_topk *best, oct_error *error)
{
    oct_status status = OCT_OK;
    for (uint32_t i = 0; i < entry->count; i++) {
        oct_named_vector vector;
        float similarity;
        if (!oct_selection_has(selection, i)) continue;
        TRY(oct_sealed_vector_at(entry->sealed, i, job->v, NULL, &vector, error));
        if (vector.values && score(job, &vector, &similarity))
            (void)oct_topk_push(best, (oct_hit){ similarity, i }); /* it knows better */
    }
done:
    return status;
}

oct_status oct_search_sealed_form(oct_search_job *job, uint32_t index,
                                  const oct_selection *selection, oct_topk *best, oct_error *error)
{
    const oct_view_entry *entry = &job->reading->view->entries[index];
    const oct_sealed_vector *field = &entry->sealed->vectors[job->v];
    if (oct_search_params(job)->kind == OCT_VECTOR_MULTI) {
        const oct_multi_request request = { .query = multi_query(job),
                                            .rescore = oct_search_rescores(job, field),
                                            .oversampling = oct_search_oversampling(job, field),
                                            .limits = { .allowed = selection->bits } };
        if (oct_search_uses_codes(job, field))
            return oct_multi_scan_codes(&field->flat, &request, &job->selecting.work, best, error);
        return oct_multi_scan(&field->flat, &request.query, &request.limits, best, error);
    }
    uint64_t postings = oct_sparse_postings(&field->sparse, &job->probe);
    if (postings == 0) return OCT_OK;
    if (selection->count <= postings / POSTINGS_PER_POINT)
        return scan_selected(job, entry, selection, best, error);
    vector_reader reader = { .segment = entry->sealed, .v = job->v };
    const oct_sparse_query query = { .probe = &job->probe,
                                     .allowed = selection->bits,
                                     .floor = job->query->has_score_threshold ? job->threshold
                                                                              : -INFINITY,
                                     .read = read_vector,
                                     .self = &reader };
    return oct_sparse_search(&field->sparse, &query, &job->selecting.work, best, error);
}
