/* SPDX-License-Identifier: Apache-2.0
 *
 * batch.c - several queries in one request.
 *
 * All read the same view, so their answers fit together whatever is written meanwhile. They are
 * shared out to the threads of the host one by one, in order: a query is taken only after all
 * before it were, so the first failure is the same on any number of threads. Each worker has an
 * arena and a scratch of its own; answers are copied into the caller's arena at the end, in order,
 * because an arena belongs to one thread.
 *
 * A filter that several of the queries have is compiled and selected once, before they start. Where
 * that fails they are left to fail one by one, so that the error is that of the first of them.
 * CPU time of 100 queries with one filter over 30,000 points, alone and as a batch: 6.7 and 5.9 ms
 * with a payload index, 510 and 11 ms without (bench/peers/batches.py). */
#include "base/arena.h"
#include "db/collection.h"
#include "query/source.h"

enum {
    WORKERS_MAX = 64,
    SHARED_MAX = 16, /* filters: each takes a bit per point of the view */
    SHARED_NONE = UINT8_MAX
};

/* A filter of some of the queries. */
typedef struct batch_filter {
    const oct_filter *filter;
    uint32_t users;
    bool ready;
    oct_shared_filter shared;
} batch_filter;

typedef struct batch_worker {
    oct_arena arena;
    oct_read_session session;
    oct_status status; /* of query `failed`, after which the worker stopped */
    uint32_t failed;
    oct_error error;
} batch_worker;

typedef struct batch_job {
    const oct_query *queries;
    oct_found *founds; /* [count]; each in the arena of the worker that took it */
    uint32_t count;
    oct_atomic_u64 next;
    batch_worker *workers; /* [worker_count] */
    uint32_t worker_count;
    uint8_t *filter_of; /* [count] which of filters, or SHARED_NONE */
    batch_filter filters[SHARED_MAX];
    uint32_t filter_count;
} batch_job;

/* ---- shared filters ------------------------------------------------------------------- */

/* Which of the filters it is; it is added while there is room. */
static uint8_t find_filter(batch_job *job, const oct_filter *filter)
{
    for (uint32_t f = 0; f < job->filter_count; f++)
        if (oct_filter_equal(job->filters[f].filter, filter)) return (uint8_t)f;
    if (job->filter_count == SHARED_MAX) return SHARED_NONE;
    job->filters[job->filter_count] = (batch_filter){ .filter = filter };
    return (uint8_t)job->filter_count++;
}

static oct_status share_filters(batch_job *job, oct_arena *arena, oct_error *error)
{
    oct_status status = OCT_OK;
    TRY(oct_arena_array(arena, job->count, sizeof *job->filter_of, &job->filter_of, error));
    for (uint32_t i = 0; i < job->count; i++) {
        const oct_query *query = &job->queries[i];
        bool searches = query->filter && query->kind != OCT_QUERY_NONE;
        job->filter_of[i] = searches ? find_filter(job, query->filter) : SHARED_NONE;
        if (job->filter_of[i] != SHARED_NONE) job->filters[job->filter_of[i]].users++;
    }
    for (uint32_t f = 0; f < job->filter_count; f++) {
        batch_filter *filter = &job->filters[f];
        if (filter->users < 2) continue;
        oct_error ignored; /* the queries will say it again */
        filter->ready = oct_filter_share(&job->workers[0].session.reading, filter->filter,
                                         &filter->shared, &ignored) == OCT_OK;
    }
done:
    return status;
}

/* ---- workers -------------------------------------------------------------------------- */

static void run_worker(void *arg, uint32_t task)
{
    batch_job *job = arg;
    batch_worker *worker = &job->workers[task];
    while (worker->status == OCT_OK) {
        uint64_t i = oct_atomic_add(&job->next, 1) - 1;
        if (i >= job->count) return;
        uint8_t f = job->filter_of[i];
        bool shared = f != SHARED_NONE && job->filters[f].ready;
        worker->failed = (uint32_t)i;
        worker->session.reading.shared = shared ? &job->filters[f].shared : NULL;
        worker->status = oct_read_query(&worker->session.reading, &job->queries[i], &job->founds[i],
                                        &worker->error);
    }
}

/* One worker per thread that could be of use; all of them read one view. */
static oct_status begin(batch_job *job, oct_collection *collection, oct_arena *arena,
                        oct_error *error)
{
    oct_status status = OCT_OK;
    const oct_host *host = collection->host;
    uint32_t width = host->parallel && host->parallel_width > 1 ? host->parallel_width : 1;
    uint32_t wanted = MIN(MIN(width, (uint32_t)WORKERS_MAX), MAX(job->count, 1U));
    TRY(oct_arena_array(arena, job->count, sizeof *job->founds, &job->founds, error));
    TRY(oct_arena_array(arena, wanted, sizeof *job->workers, &job->workers, error));
    while (job->worker_count < wanted) {
        batch_worker *worker = &job->workers[job->worker_count++];
        oct_arena_init(&worker->arena, collection->alloc, 0);
        if (worker == job->workers)
            TRY(oct_read_begin(collection, &worker->arena, &worker->session, error));
        else
            TRY(oct_read_begin_beside(collection, &worker->arena, &job->workers[0].session,
                                      &worker->session, error));
    }
done:
    return status;
}

static oct_status first_failure(const batch_job *job, oct_error *error)
{
    const batch_worker *first = NULL;
    for (uint32_t i = 0; i < job->worker_count; i++) {
        const batch_worker *worker = &job->workers[i];
        if (worker->status != OCT_OK && (!first || worker->failed < first->failed)) first = worker;
    }
    if (!first) return OCT_OK;
    if (error) *error = first->error;
    return first->status;
}

oct_status oct_collection_query_batch(oct_collection *collection, oct_arena *arena,
                                      const oct_query *queries, uint32_t count,
                                      const oct_found **out, oct_error *error)
{
    oct_status status = OCT_OK;
    batch_job job = { .queries = queries, .count = count };
    TRY(begin(&job, collection, arena, error));
    TRY(share_filters(&job, arena, error));
    const oct_host *host = collection->host;
    if (job.worker_count > 1)
        host->parallel(host->self, job.worker_count, run_worker, &job);
    else
        run_worker(&job, 0);
    TRY(first_failure(&job, error));
    for (uint32_t i = 0; i < count; i++)
        TRY(oct_found_detach(arena, &job.founds[i], error));
    *out = job.founds;
done:
    for (uint32_t i = 0; i < job.worker_count; i++) {
        oct_read_end(collection, &job.workers[i].session);
        oct_arena_reset(&job.workers[i].arena);
    }
    return status;
}
