/* SPDX-License-Identifier: Apache-2.0
 *
 * batch.c - several queries in one request.
 *
 * All read the same view, so their answers fit together whatever is written meanwhile. They are
 * shared out to the threads of the host one by one, in order: a query is taken only after all
 * before it were, so the first failure is the same on any number of threads. Each worker has an
 * arena and a scratch of its own; answers are copied into the caller's arena at the end, in order,
 * because an arena belongs to one thread. */
#include "base/arena.h"
#include "db/collection.h"

enum { WORKERS_MAX = 64 };

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
} batch_job;

static void run_worker(void *arg, uint32_t task)
{
    batch_job *job = arg;
    batch_worker *worker = &job->workers[task];
    while (worker->status == OCT_OK) {
        uint64_t i = oct_atomic_add(&job->next, 1) - 1;
        if (i >= job->count) return;
        worker->failed = (uint32_t)i;
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
