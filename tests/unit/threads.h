/* SPDX-License-Identifier: Apache-2.0
 *
 * threads.h - oct_host.parallel as tests need it: a new thread for every task, so that
 * ThreadSanitizer sees every pair of tasks at once. */
#ifndef OCTANT_TESTS_UNIT_THREADS_H
#define OCTANT_TESTS_UNIT_THREADS_H

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

enum { TEST_THREADS_MAX = 4 };

typedef struct test_task {
    void (*run)(void *arg, uint32_t task);
    void *arg;
    uint32_t number;
} test_task;

static void *test_task_run(void *self)
{
    test_task *task = self;
    task->run(task->arg, task->number);
    return NULL;
}

static void test_parallel(void *self, uint32_t tasks, void (*run)(void *arg, uint32_t task),
                          void *arg)
{
    test_task list[TEST_THREADS_MAX];
    pthread_t threads[TEST_THREADS_MAX];
    (void)self;
    if (tasks > TEST_THREADS_MAX) abort();
    for (uint32_t i = 0; i < tasks; i++) {
        list[i] = (test_task){ .run = run, .arg = arg, .number = i };
        if (pthread_create(&threads[i], NULL, test_task_run, &list[i]) != 0) abort();
    }
    for (uint32_t i = 0; i < tasks; i++)
        pthread_join(threads[i], NULL);
}

#endif
