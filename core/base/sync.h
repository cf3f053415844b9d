/* SPDX-License-Identifier: Apache-2.0
 *
 * sync.h - mutex, condition, reader-writer lock, atomics and reference counts. With OCT_THREADS=1
 * they are pthread and C11 atomics; with 0 (wasm, WASI) they compile to nothing, and waiting on
 * a condition is a bug (asserted), because nobody else could signal it.
 *
 * Lock order, outermost first: database -> collection writer -> log -> segment. */
#ifndef OCTANT_BASE_SYNC_H
#define OCTANT_BASE_SYNC_H

#include "base/check.h"

#ifndef OCT_THREADS
#define OCT_THREADS 1
#endif

#if OCT_THREADS
#include <pthread.h>
#include <stdatomic.h>

typedef pthread_mutex_t oct_mutex;
typedef pthread_cond_t oct_condition_variable;
typedef pthread_rwlock_t oct_rwlock;
typedef _Atomic uint64_t oct_atomic_u64;
typedef _Atomic uint32_t oct_atomic_u32;

/* Initialisers fail only for lack of resources: NOMEM. */
static inline oct_status oct_mutex_init(oct_mutex *mutex)
{
    return pthread_mutex_init(mutex, NULL) == 0 ? OCT_OK : OCT_NOMEM;
}
static inline void oct_mutex_deinit(oct_mutex *mutex)
{
    ASSERT(pthread_mutex_destroy(mutex) == 0);
}
static inline void oct_mutex_lock(oct_mutex *mutex)
{
    ASSERT(pthread_mutex_lock(mutex) == 0);
}
static inline void oct_mutex_unlock(oct_mutex *mutex)
{
    ASSERT(pthread_mutex_unlock(mutex) == 0);
}

static inline oct_status oct_condition_variable_init(oct_condition_variable *variable)
{
    return pthread_cond_init(variable, NULL) == 0 ? OCT_OK : OCT_NOMEM;
}
static inline void oct_condition_variable_deinit(oct_condition_variable *variable)
{
    ASSERT(pthread_cond_destroy(variable) == 0);
}
static inline void oct_condition_variable_wait(oct_condition_variable *variable, oct_mutex *mutex)
{
    ASSERT(pthread_cond_wait(variable, mutex) == 0);
}
static inline void oct_condition_variable_broadcast(oct_condition_variable *variable)
{
    ASSERT(pthread_cond_broadcast(variable) == 0);
}

static inline oct_status oct_rwlock_init(oct_rwlock *lock)
{
    return pthread_rwlock_init(lock, NULL) == 0 ? OCT_OK : OCT_NOMEM;
}
static inline void oct_rwlock_deinit(oct_rwlock *lock)
{
    ASSERT(pthread_rwlock_destroy(lock) == 0);
}
static inline void oct_rwlock_read(oct_rwlock *lock)
{
    ASSERT(pthread_rwlock_rdlock(lock) == 0);
}
static inline void oct_rwlock_write(oct_rwlock *lock)
{
    ASSERT(pthread_rwlock_wrlock(lock) == 0);
}
static inline void oct_rwlock_unlock(oct_rwlock *lock)
{
    ASSERT(pthread_rwlock_unlock(lock) == 0);
}

/* add and subtract return the new value. */
static inline uint64_t oct_atomic_add(oct_atomic_u64 *value, uint64_t more)
{
    return atomic_fetch_add(value, more) + more;
}
static inline uint64_t oct_atomic_subtract(oct_atomic_u64 *value, uint64_t less)
{
    return atomic_fetch_sub(value, less) - less;
}
static inline uint64_t oct_atomic_load(const oct_atomic_u64 *value)
{
    return atomic_load(value);
}
static inline void oct_atomic_store(oct_atomic_u64 *value, uint64_t to)
{
    atomic_store(value, to);
}
/* Make it at least `floor`. */
static inline void oct_atomic_raise(oct_atomic_u64 *value, uint64_t floor)
{
    uint64_t seen = atomic_load(value);
    while (seen < floor && !atomic_compare_exchange_weak(value, &seen, floor))
        continue;
}
/* load acquires what the thread that set the bits released. */
static inline uint32_t oct_atomic_load_u32(const oct_atomic_u32 *value)
{
    return atomic_load_explicit(value, memory_order_acquire);
}
static inline void oct_atomic_or_u32(oct_atomic_u32 *value, uint32_t bits)
{
    (void)atomic_fetch_or_explicit(value, bits, memory_order_release);
}

#else

typedef struct oct_mutex {
    char unused;
} oct_mutex;
typedef struct oct_condition_variable {
    char unused;
} oct_condition_variable;
typedef struct oct_rwlock {
    char unused;
} oct_rwlock;
typedef uint64_t oct_atomic_u64;
typedef uint32_t oct_atomic_u32;

static inline oct_status oct_mutex_init(oct_mutex *mutex)
{
    mutex->unused = 0;
    return OCT_OK;
}
static inline void oct_mutex_deinit(oct_mutex *mutex)
{
    UNUSED(mutex);
}
static inline void oct_mutex_lock(oct_mutex *mutex)
{
    UNUSED(mutex);
}
static inline void oct_mutex_unlock(oct_mutex *mutex)
{
    UNUSED(mutex);
}

static inline oct_status oct_condition_variable_init(oct_condition_variable *variable)
{
    variable->unused = 0;
    return OCT_OK;
}
static inline void oct_condition_variable_deinit(oct_condition_variable *variable)
{
    UNUSED(variable);
}
static inline void oct_condition_variable_wait(oct_condition_variable *variable, oct_mutex *mutex)
{
    UNUSED(variable);
    UNUSED(mutex);
    ASSERT(false); /* the only thread would wait for itself */
}
static inline void oct_condition_variable_broadcast(oct_condition_variable *variable)
{
    UNUSED(variable);
}

static inline oct_status oct_rwlock_init(oct_rwlock *lock)
{
    lock->unused = 0;
    return OCT_OK;
}
static inline void oct_rwlock_deinit(oct_rwlock *lock)
{
    UNUSED(lock);
}
static inline void oct_rwlock_read(oct_rwlock *lock)
{
    UNUSED(lock);
}
static inline void oct_rwlock_write(oct_rwlock *lock)
{
    UNUSED(lock);
}
static inline void oct_rwlock_unlock(oct_rwlock *lock)
{
    UNUSED(lock);
}

static inline uint64_t oct_atomic_add(oct_atomic_u64 *value, uint64_t more)
{
    return *value += more;
}
static inline uint64_t oct_atomic_subtract(oct_atomic_u64 *value, uint64_t less)
{
    return *value -= less;
}
static inline uint64_t oct_atomic_load(const oct_atomic_u64 *value)
{
    return *value;
}
static inline void oct_atomic_store(oct_atomic_u64 *value, uint64_t to)
{
    *value = to;
}
static inline void oct_atomic_raise(oct_atomic_u64 *value, uint64_t floor)
{
    *value = MAX(*value, floor);
}
static inline uint32_t oct_atomic_load_u32(const oct_atomic_u32 *value)
{
    return *value;
}
static inline void oct_atomic_or_u32(oct_atomic_u32 *value, uint32_t bits)
{
    *value |= bits;
}

#endif
#endif
