/* SPDX-License-Identifier: Apache-2.0
 *
 * scroll.c - pages in the order of ids.
 *
 * A page is the best `limit` points of a ranking in which all similarities are equal. Sealed
 * segments are in id order, so they stop at the first point the ranking refuses. There a filter is
 * asked point by point when its estimate says that the page fills soon, so that the first page
 * of a large collection doesn't read every payload; else all its points are collected with the help
 * of the payload indexes. Memory segments are small and in order of arrival: always collected. */
#include "query/scroll.h"

#include "model/point_id.h"
#include "query/estimate.h"
#include "query/found.h"
#include "query/source.h"

/* Points asked one by one at most, by the estimate, before collecting is preferred: parsing a
 * payload costs about what collecting some hundred points from an index does. */
enum { WALK_POINTS_MAX = 2000 };

/* One page on its way through the entries. */
typedef struct page_job {
    const oct_reading *reading;
    const oct_page_request *request;
    oct_selecting selecting;
    oct_rank *rank;
} page_job;

oct_status oct_read_wanted(const oct_view *view, uint64_t limit, uint64_t offset, uint32_t *out,
                           oct_error *error)
{
    uint64_t sum = limit > UINT64_MAX - offset ? UINT64_MAX : limit + offset;
    uint64_t wanted = MIN(sum, oct_view_alive_count(view));
    *out = 0;
    if (wanted > OCT_LIMIT_MAX)
        return oct_fail(error, OCT_LIMIT,
                        "limit and offset ask for %" PRIu64 " points, at most %d are possible",
                        wanted, (int)OCT_LIMIT_MAX);
    *out = (uint32_t)wanted;
    return OCT_OK;
}

static bool push(page_job *job, uint32_t entry, uint32_t offset)
{
    return oct_rank_push(
        job->rank, (oct_ranked){ .at = { entry, offset },
                                 .id = oct_entry_id(&job->reading->view->entries[entry], offset) });
}

/* The first offset of a sealed entry that the page may hold. */
static uint32_t first_offset(const page_job *job, const oct_view_entry *entry)
{
    if (!job->request->has_from) return 0;
    return oct_sealed_lower_bound(entry->sealed, job->request->from);
}

/* Is asking the filter point by point likely to be over soon? */
static bool walk_is_cheap(const page_job *job, const oct_view_entry *entry)
{
    const oct_filter_source source = oct_entry_source(entry);
    oct_cardinality passing = oct_filter_estimate(job->selecting.program, &source);
    uint64_t points = (uint64_t)job->rank->limit * entry->count / MAX(passing.expected, 1u);
    return points <= WALK_POINTS_MAX;
}

static oct_status page_sealed_walk(page_job *job, uint32_t index, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_view_entry *entry = &job->reading->view->entries[index];
    const oct_filter_source source = oct_entry_source(entry);
    for (uint32_t i = first_offset(job, entry); i < entry->count; i++) {
        bool passes;
        if (!oct_entry_alive(entry, i)) continue;
        TRY(oct_filter_matches(job->selecting.program, &source, i, &job->selecting.scratch, &passes,
                               error));
        if (passes && !push(job, index, i)) break;
    }
done:
    return status;
}

static oct_status page_sealed(page_job *job, uint32_t index, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_view_entry *entry = &job->reading->view->entries[index];
    oct_selection selection;
    if (job->selecting.program && walk_is_cheap(job, entry))
        return page_sealed_walk(job, index, error);
    TRY(oct_selecting_entry(&job->selecting, entry, &selection, error));
    if (selection.count == 0) goto done;
    for (uint32_t i = first_offset(job, entry); i < entry->count; i++)
        if (oct_selection_has(&selection, i) && !push(job, index, i)) break;
done:
    return status;
}

static oct_status page_memory(page_job *job, uint32_t index, oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_view_entry *entry = &job->reading->view->entries[index];
    const oct_page_request *request = job->request;
    oct_selection selection;
    TRY(oct_selecting_entry(&job->selecting, entry, &selection, error));
    for (uint32_t i = 0; i < entry->count && selection.count > 0; i++) {
        if (!oct_selection_has(&selection, i)) continue;
        if (request->has_from && oct_point_id_compare(oct_entry_id(entry, i), request->from) < 0)
            continue;
        (void)push(job, index, i); /* a refusal says nothing about the next slot */
    }
done:
    return status;
}

oct_status oct_read_page(const oct_reading *reading, const oct_page_request *request, oct_rank *out,
                         oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_view *view = reading->view;
    page_job job = { .reading = reading, .request = request, .rank = out };
    uint32_t wanted;
    TRY(oct_selecting_begin(&job.selecting, reading, request->filter, error));
    TRY(oct_read_wanted(view, request->limit, 0, &wanted, error));
    TRY(oct_rank_create(reading->arena, wanted + 1, out, error));
    for (uint32_t i = 0; i < view->count && wanted > 0; i++) {
        if (view->entries[i].alive_count == 0) continue;
        TRY(view->entries[i].sealed ? page_sealed(&job, i, error) : page_memory(&job, i, error));
    }
    (void)oct_rank_finish(out); /* the count is in *out */
done:
    oct_selecting_end(&job.selecting);
    return status;
}

oct_status oct_read_scroll(const oct_reading *reading, const oct_scroll *scroll, oct_found *out,
                           oct_error *error)
{
    oct_status status = OCT_OK;
    oct_showing showing;
    oct_found_point *points;
    oct_rank rank;
    *out = (oct_found){ .count = 0 };
    TRY(oct_showing_parse(reading, &scroll->with_payload, &scroll->with_vector, &showing, error));
    const oct_page_request page = { .filter = scroll->filter,
                                    .has_from = scroll->has_offset,
                                    .from = scroll->offset,
                                    .limit = scroll->limit };
    TRY(oct_read_page(reading, &page, &rank, error));
    uint32_t count = (uint32_t)MIN(scroll->limit, rank.count);
    TRY(oct_found_fill(reading, &showing, rank.items, count, &points, error));
    out->points = points;
    out->count = count;
    out->has_next = rank.count > count;
    if (out->has_next) out->next = rank.items[count].id;
done:
    return status;
}
