/* SPDX-License-Identifier: Apache-2.0
 *
 * pool.c - worker threads that share out the tasks of one job.
 *
 * All state is behind one mutex; a task is handed out under it. The core's tasks are large (whole
 * ranges of points), so an atomic counter would buy nothing. Rejected: a queue of several jobs. Two
 * jobs at once happen when maintenance and a query overlap, and then the query is better served by
 * its own thread at once than by waiting for a place. */
#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

struct oct_pool {
    pthread_mutex_t lock;
    pthread_cond_t work; /* a job came, or the end */
    pthread_cond_t done; /* the last task of the job ended */
    void (*run)(void *arg, uint32_t task);
    void *arg;
    uint32_t tasks;   /* of the job */
    uint32_t next;    /* first task nobody has taken */
    uint32_t pending; /* tasks not ended */
    bool busy;
    bool stop;
    uint32_t thread_count;
    pthread_t threads[];
};

uint32_t oct_pool_processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > 1024 ? 1024 : (uint32_t)count;
}

/* Take tasks of the current job until none is left. Called and left with the lock held. */
static void work_off(oct_pool *pool)
{
    while (pool->next < pool->tasks) {
        uint32_t task = pool->next++;
        void (*run)(void *, uint32_t) = pool->run;
        void *arg = pool->arg;
        (void)pthread_mutex_unlock(&pool->lock);
        run(arg, task);
        (void)pthread_mutex_lock(&pool->lock);
        if (--pool->pending == 0) (void)pthread_cond_signal(&pool->done);
    }
}

static void *worker(void *self)
{
    oct_pool *pool = self;
    (void)pthread_mutex_lock(&pool->lock);
    while (!pool->stop) {
        work_off(pool);
        if (!pool->stop) (void)pthread_cond_wait(&pool->work, &pool->lock);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return NULL;
}

oct_pool *oct_pool_create(uint32_t width)
{
    uint32_t wanted = width > 0 ? width - 1 : 0;
    oct_pool *pool = calloc(1, sizeof *pool + wanted * sizeof pool->threads[0]);
    if (!pool) return NULL;
    (void)pthread_mutex_init(&pool->lock, NULL); /* default objects: these can't fail on Linux */
    (void)pthread_cond_init(&pool->work, NULL);
    (void)pthread_cond_init(&pool->done, NULL);
    /* Signals are for the thread that waits for them: workers are born with all blocked. */
    sigset_t all, before;
    int code = 0;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    while (code == 0 && pool->thread_count < wanted) {
        code = pthread_create(&pool->threads[pool->thread_count], NULL, worker, pool);
        if (code == 0) pool->thread_count++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code == 0) return pool;
    oct_pool_destroy(pool);
    errno = code;
    return NULL;
}

void oct_pool_destroy(oct_pool *pool)
{
    if (!pool) return;
    (void)pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    (void)pthread_cond_broadcast(&pool->work);
    (void)pthread_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < pool->thread_count; i++)
        (void)pthread_join(pool->threads[i], NULL);
    (void)pthread_cond_destroy(&pool->work);
    (void)pthread_cond_destroy(&pool->done);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
}

static bool claim(oct_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    bool free_now = !pool->busy;
    pool->busy = true;
    if (!free_now) (void)pthread_mutex_unlock(&pool->lock);
    return free_now;
}

void oct_pool_run(void *self, uint32_t tasks, void (*run)(void *arg, uint32_t task), void *arg)
{
    oct_pool *pool = self;
    if (tasks < 2 || pool->thread_count == 0 || !claim(pool)) {
        for (uint32_t task = 0; task < tasks; task++)
            run(arg, task);
        return;
    }
    pool->run = run;
    pool->arg = arg;
    pool->tasks = pool->pending = tasks;
    pool->next = 0;
    (void)pthread_cond_broadcast(&pool->work);
    work_off(pool);
    while (pool->pending > 0)
        (void)pthread_cond_wait(&pool->done, &pool->lock);
    pool->tasks = pool->next = 0;
    pool->busy = false;
    (void)pthread_mutex_unlock(&pool->lock);
}
