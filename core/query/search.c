/* SPDX-License-Identifier: Apache-2.0
 *
 * search.c - the nearest points of a view to a vector.
 *
 * Every segment offers its best limit + offset points to one ranking (rank.h): memory segments
 * score slot after slot, sealed ones scan their rows or walk their graph, as plan.c decides. Order
 * is by similarity, then by id, at every cut, so that an exact answer does not depend on how the
 * points are spread over segments. Thresholds are applied to similarities with a strict >, which
 * oct_metric_threshold makes equal to Qdrant's comparison of scores.
 *
 * A stored point as the query is left out of the answer, not out of the selection: its segment is
 * asked for one point more, which needs no copy of a bitset. */
#include <string.h>

#include "base/str.h"
#include "index/hnsw_links.h"
#include "model/point_id.h"
#include "model/vector.h"
#include "query/found.h"
#include "query/plan.h"
#include "query/scroll.h"
#include "query/search_job.h"
#include "segment/layout.h"
#include "simd/metric.h"

static oct_metric metric_of(const oct_search_job *job)
{
    return job->reading->config->vectors[job->v].metric;
}

void oct_search_offer(oct_search_job *job, float score, oct_location at)
{
    if (job->query->has_score_threshold && !(score > job->threshold)) return;
    if (!oct_rank_may_take(&job->rank, score)) return; /* before its id is looked up */
    oct_ranked item = { .score = score,
                        .at = at,
                        .id = oct_entry_id(&job->reading->view->entries[at.entry], at.offset) };
    (void)oct_rank_push(&job->rank, item); /* a refusal says nothing about the next one */
}

/* ---- the query's vector -------------------------------------------------------------- */

/* Find the stored point that is the query and its vector. */
static oct_status find_point(oct_search_job *job, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_reading *reading = job->reading;
    oct_str name = job->query->using_vector;
    if (!oct_view_find(reading->view, job->query->point, &job->excluded)) {
        char id[OCT_POINT_ID_TEXT_BYTES];
        oct_point_id_print(job->query->point, id);
        return oct_fail(error, OCT_NOT_FOUND, "No point with id %s found", id);
    }
    job->has_excluded = true;
    TRY(oct_entry_vector(&reading->view->entries[job->excluded.entry], job->excluded.offset, job->v,
                         reading->arena, &job->vector, error));
    if (!job->vector.values)
        TRY(oct_fail(error, OCT_NOT_FOUND, "Vector with name \"%.*s\" for point not found",
                     (int)name.bytes, name.bytes ? name.at : ""));
done:
    return status;
}

static oct_status find_vector_field(oct_search_job *job, oct_error *error)
{
    oct_str name = job->query->using_vector;
    job->v = oct_layout_find(job->reading->config, name);
    if (job->v < job->reading->config->vector_count) return OCT_OK;
    return oct_fail(error, OCT_BAD_INPUT, "Not existing vector name error: %.*s",
                    oct_str_shown(name, OCT_VECTOR_NAME_BYTES_MAX), name.bytes ? name.at : "");
}

/* Which vector field, and a given vector as the stored ones are. */
static oct_status prepare_given(oct_search_job *job, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_reading *reading = job->reading;
    const oct_query *query = job->query;
    oct_named_vector vector = { .name = query->using_vector,
                                .values = query->vector,
                                .count = query->vector_count,
                                .kind = query->vector_kind,
                                .rows = query->vector_rows,
                                .indices = query->vector_indices };
    TRY(oct_vector_check(reading->config, &vector, &job->v, error));
    const oct_vector_params *params = oct_search_params(job);
    float *copy;
    TRY(oct_arena_array(reading->arena, vector.count, sizeof *copy, &copy, error));
    if (vector.count) memcpy(copy, vector.values, vector.count * sizeof *copy);
    oct_metric_prepare_given(reading->kernels, params, copy, vector.count);
    job->vector = oct_vector_as(params, &vector);
    job->vector.values = copy;
done:
    return status;
}

/* The query's vector, as its metric wants it. */
static oct_status prepare_vector(oct_search_job *job, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_reading *reading = job->reading;
    float *copy;
    if (job->query->kind == OCT_QUERY_POINT) {
        TRY(find_vector_field(job, error));
        TRY(find_point(job, error));
    } else {
        TRY(prepare_given(job, error));
    }
    if (!oct_metric_query_differs(oct_search_params(job))) return OCT_OK;
    TRY(oct_arena_array(reading->arena, job->vector.count, sizeof *copy, &copy, error));
    memcpy(copy, job->vector.values, job->vector.count * sizeof *copy);
    oct_metric_prepare_query(reading->kernels, oct_search_params(job), copy, job->vector.count);
    job->vector.values = copy;
done:
    return status;
}

/* ---- segments ------------------------------------------------------------------------ */

static void search_memory(oct_search_job *job, uint32_t index, const oct_selection *selection)
{
    if (job->vector.kind != OCT_VECTOR_DENSE) {
        oct_search_memory_form(job, index, selection);
        return;
    }
    const oct_view_entry *entry = &job->reading->view->entries[index];
    const oct_flat form = oct_search_rows(job);
    for (uint32_t i = 0; i < entry->count; i++) {
        if (!oct_selection_has(selection, i) || oct_search_excludes(job, index, i)) continue;
        const oct_slot *slot = oct_memory_slot(entry->memory, i);
        const float *row = oct_memory_vector(entry->memory, slot, job->v);
        if (!row) continue;
        float score = oct_flat_similarity(&form, job->vector.values, row);
        oct_search_offer(job, score, (oct_location){ index, i });
    }
}

/* A list as bits: walks ask about single points. */
static oct_status list_to_bits(oct_search_job *job, const oct_sealed_vector *field,
                               const oct_selection *selection, const uint64_t **out,
                               oct_error *error)
{
    uint64_t *bits;
    size_t words = oct_bits_words(field->flat.count);
    oct_status status = oct_arena_array(&job->selecting.work, words, sizeof *bits, &bits, error);
    if (status != OCT_OK) return status;
    for (uint32_t i = 0; i < selection->count; i++)
        oct_bits_set(bits, selection->list[i]);
    *out = bits;
    return OCT_OK;
}

/* Do the selected points link among themselves? */
static oct_status find_links(oct_search_job *job, const oct_sealed_vector *field,
                             const oct_selection *selection, bool *linked, oct_error *error)
{
    oct_status status = OCT_OK;
    const uint64_t *bits = selection->bits;
    *linked = false;
    if (!oct_hnsw_has_block_links(field->graph)) return OCT_OK;
    if (selection->list) TRY(list_to_bits(job, field, selection, &bits, error));
    if (bits) *linked = oct_hnsw_is_linked(field->graph, bits);
done:
    return status;
}

static oct_status scan_rows(const oct_search_job *job, const oct_sealed_vector *field,
                            const oct_selection *selection, oct_topk *best, oct_error *error)
{
    const oct_flat_limits limits = { .allowed = selection->bits };
    if (!selection->list)
        return oct_flat_scan(&field->flat, job->vector.values, &limits, best, error);
    return oct_flat_scan_list(&field->flat, job->vector.values, selection->list, selection->count,
                              &limits, best, error);
}

bool oct_search_uses_codes(const oct_search_job *job, const oct_sealed_vector *field)
{
    return field->quant && !job->query->exact && !job->query->quantization.ignore;
}

/* Does its graph walk on codes for this query, quantized or its own? */
static bool searches_codes(const oct_search_job *job, const oct_sealed_vector *field)
{
    if (!field->graph) return false;
    return field->quant ? oct_search_uses_codes(job, field)
                        : oct_hnsw_graph_params(field->graph).codes;
}

bool oct_search_rescores(const oct_search_job *job, const oct_sealed_vector *field)
{
    const oct_quantization_search *asked = &job->query->quantization;
    if (!field->quant || asked->has_rescore) return asked->rescore;
    oct_quant_params params = oct_quant_params_get(field->quant);
    return oct_quant_rescores(&params);
}

float oct_search_oversampling(const oct_search_job *job, const oct_sealed_vector *field)
{
    const double most = (double)OCT_LIMIT_MAX;
    return oct_search_uses_codes(job, field)
               ? (float)MIN(job->query->quantization.oversampling, most)
               : 0.0f;
}

static oct_status scan(oct_search_job *job, const oct_sealed_vector *field,
                       const oct_selection *selection, oct_topk *best, oct_error *error)
{
    oct_status status = OCT_OK;
    const uint64_t *bits = selection->bits;
    if (!oct_search_uses_codes(job, field)) return scan_rows(job, field, selection, best, error);
    if (selection->list) TRY(list_to_bits(job, field, selection, &bits, error));
    const oct_quant_request request = { .vector = job->vector.values,
                                        .rescore = oct_search_rescores(job, field),
                                        .oversampling = oct_search_oversampling(job, field),
                                        .limits = { .allowed = bits } };
    TRY(oct_quant_scan(&field->flat, &request, &job->selecting.work, best, error));
done:
    return status;
}

static oct_status find_best(oct_search_job *job, uint32_t index, const oct_selection *selection,
                            const oct_plan *plan, oct_topk *best, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_sealed_vector *field = &job->reading->view->entries[index].sealed->vectors[job->v];
    bool multi = job->vector.kind == OCT_VECTOR_MULTI;
    if (job->vector.kind == OCT_VECTOR_SPARSE || (multi && plan->way == OCT_PLAN_SCAN))
        return oct_search_sealed_form(job, index, selection, best, error);
    oct_hnsw_query query = { .way = OCT_HNSW_SCAN,
                             .vector = job->vector.values,
                             .rows = multi ? job->vector.rows : 0,
                             .ef = plan->ef,
                             .ignore_codes = !oct_search_uses_codes(job, field),
                             .rescore = oct_search_rescores(job, field),
                             .oversampling = oct_search_oversampling(job, field),
                             .allowed = selection->bits,
                             .listed = selection->list,
                             .allowed_count = selection->count };
    if (plan->way == OCT_PLAN_SCAN) return scan(job, field, selection, best, error);
    ASSERT(job->reading->scratch);
    if (plan->way != OCT_PLAN_SCAN_CODES) {
        query.way = plan->way == OCT_PLAN_WALK_ALL ? OCT_HNSW_WALK_ALL : OCT_HNSW_WALK_ALLOWED;
        if (query.listed) TRY(list_to_bits(job, field, selection, &query.allowed, error));
        query.listed = NULL;
    }
    TRY(oct_hnsw_search(field->graph, &query, job->reading->scratch, best, error));
done:
    return status;
}

/* The points of an entry that pass: as a list where that is cheap and all that is needed. */
static oct_status select_points(oct_search_job *job, const oct_view_entry *entry,
                                oct_selection *out, oct_error *error)
{
    oct_status status = OCT_OK;
    bool listed = false;
    if (job->reading->shared) {
        oct_arena_reset(&job->selecting.work);
        *out = job->reading->shared->selections[entry - job->reading->view->entries];
        return OCT_OK;
    }
    if (entry->sealed && job->vector.kind == OCT_VECTOR_DENSE)
        TRY(oct_selecting_list(&job->selecting, entry, out, &listed, error));
    if (!listed) TRY(oct_selecting_entry(&job->selecting, entry, out, error));
done:
    return status;
}

/* About how many rows so many points have. */
static uint64_t rows_of(const oct_flat *flat, uint32_t points)
{
    double share = (double)points / (double)MAX(flat->count, 1u);
    return flat->ends ? (uint64_t)(share * (double)oct_flat_row_count(flat)) : points;
}

static oct_status search_sealed(oct_search_job *job, uint32_t index, const oct_selection *selection,
                                oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_view_entry *entry = &job->reading->view->entries[index];
    const oct_sealed_vector *field = &entry->sealed->vectors[job->v];
    bool excluding = job->has_excluded && job->excluded.entry == index;
    uint32_t wanted = MIN(job->rank.limit + (excluding ? 1 : 0), selection->count);
    const oct_hnsw *graph = field->graph;
    double by_code = MAX((double)wanted, (double)oct_search_oversampling(job, field) * wanted);
    bool linked = false;
    uint64_t rows = rows_of(&field->flat, selection->count);
    bool may_walk = graph && job->selecting.program && !job->query->exact &&
                    !oct_plan_is_small(job->reading->config, job->v, rows);
    if (may_walk) TRY(find_links(job, field, selection, &linked, error));
    const oct_plan_facts facts = { .has_graph = graph != NULL,
                                   .has_codes = searches_codes(job, field),
                                   .points = graph ? oct_hnsw_point_count(graph) : 0,
                                   .quantized = field->quant != NULL,
                                   .filtered = job->selecting.program != NULL,
                                   .multi = job->vector.kind == OCT_VECTOR_MULTI,
                                   .linked = linked,
                                   .selected = selection->count,
                                   .rows = rows,
                                   .wanted = (uint32_t)MIN(by_code, (double)selection->count) };
    oct_plan plan = oct_plan_search(job->reading->config, job->v, job->query, &facts);
    if (plan.way == OCT_PLAN_SKIP) return OCT_OK;
    if (facts.multi && graph && !oct_hnsw_takes(graph, job->vector.rows)) plan.way = OCT_PLAN_SCAN;
    oct_hit *hits;
    oct_topk best;
    TRY(oct_arena_array(&job->selecting.work, wanted, sizeof *hits, &hits, error));
    oct_topk_init(&best, hits, wanted);
    TRY(find_best(job, index, selection, &plan, &best, error));
    for (uint32_t i = 0; i < best.count; i++)
        if (!oct_search_excludes(job, index, hits[i].offset))
            oct_search_offer(job, hits[i].score, (oct_location){ index, hits[i].offset });
done:
    return status;
}

/* ---- the whole view ------------------------------------------------------------------ */

static oct_status search_view(oct_search_job *job, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_view *view = job->reading->view;
    const oct_query *query = job->query;
    uint32_t wanted;
    const oct_shared_filter *shared = job->reading->shared;
    TRY(oct_selecting_begin(&job->selecting, job->reading, shared ? NULL : query->filter, error));
    if (shared) job->selecting.program = shared->program;
    TRY(prepare_vector(job, error));
    TRY(oct_search_prepare_form(job, error));
    TRY(oct_read_wanted(view, query->limit, query->offset, &wanted, error));
    TRY(oct_rank_create(job->reading->arena, wanted, &job->rank, error));
    if (query->has_score_threshold)
        job->threshold = oct_metric_threshold(metric_of(job), query->score_threshold);
    for (uint32_t i = 0; i < view->count && wanted > 0; i++) {
        const oct_view_entry *entry = &view->entries[i];
        oct_selection selection;
        if (entry->alive_count == 0) continue;
        TRY(select_points(job, entry, &selection, error));
        if (selection.count == 0) continue;
        if (entry->memory)
            search_memory(job, i, &selection);
        else
            TRY(search_sealed(job, i, &selection, error));
    }
    (void)oct_rank_finish(&job->rank); /* the count is in the rank */
done:
    oct_selecting_end(&job->selecting);
    return status;
}

static oct_status page_view(oct_search_job *job, oct_error *error)
{
    const oct_query *query = job->query;
    bool overflow = query->limit > UINT64_MAX - query->offset;
    const oct_page_request page = { .filter = query->filter,
                                    .limit = overflow ? UINT64_MAX : query->limit + query->offset };
    return oct_read_page(job->reading, &page, &job->rank, error);
}

oct_status oct_read_query(const oct_reading *reading, const oct_query *query, oct_found *out,
                          oct_error *error)
{
    oct_status status = OCT_OK;
    oct_search_job job = { .reading = reading, .query = query };
    bool ranked = query->kind != OCT_QUERY_NONE;
    oct_showing showing;
    oct_found_point *points;
    *out = (oct_found){ .count = 0 };
    TRY(oct_showing_parse(reading, &query->with_payload, &query->with_vector, &showing, error));
    TRY(ranked ? search_view(&job, error) : page_view(&job, error));
    uint32_t skipped = (uint32_t)MIN(query->offset, job.rank.count);
    uint32_t count = (uint32_t)MIN(query->limit, job.rank.count - skipped);
    const oct_ranked *items = job.rank.items + skipped;
    TRY(oct_found_fill(reading, &showing, items, count, &points, error));
    for (uint32_t i = 0; i < count && ranked; i++)
        points[i].score = oct_metric_score(metric_of(&job), items[i].score);
    out->points = points;
    out->count = count;
done:
    return status;
}
