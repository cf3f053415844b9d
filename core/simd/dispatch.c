/* SPDX-License-Identifier: Apache-2.0
 *
 * dispatch.c - which kernel tables exist in this build, and which of them this CPU can run.
 *
 * The only place besides cpu.c that asks what the target is. The choice is made by the caller once
 * per open and passed around as a pointer: a resolver behind each function would be global mutable
 * state, and tests could not hold several tables side by side. */
#include <string.h>

#include "simd/cpu.h"
#include "simd/kernels.h"

typedef struct candidate {
    const oct_kernels *kernels;
    uint32_t needs; /* OCT_CPU_ bits, all of them */
} candidate;

extern const oct_kernels oct_kernels_scalar;
extern const oct_kernels oct_kernels_sse2, oct_kernels_avx2, oct_kernels_avx512;
extern const oct_kernels oct_kernels_neon, oct_kernels_wasm128;

/* Slowest first. Scalar needs nothing, so no list is ever empty. */
static const candidate candidates[] = {
    { &oct_kernels_scalar, 0 },
#if defined(__x86_64__)
    { &oct_kernels_sse2, OCT_CPU_SSE2 },
    { &oct_kernels_avx2, OCT_CPU_AVX2 },
    { &oct_kernels_avx512, OCT_CPU_AVX512 },
#elif defined(__aarch64__)
    { &oct_kernels_neon, OCT_CPU_NEON },
#elif defined(__wasm_simd128__)
    { &oct_kernels_wasm128, OCT_CPU_WASM128 },
#endif
};

enum { CANDIDATES = sizeof candidates / sizeof candidates[0] };
_Static_assert((int)CANDIDATES <= (int)OCT_KERNELS_MAX, "OCT_KERNELS_MAX is too small");

size_t oct_kernels_list(const oct_kernels **out, size_t max)
{
    uint32_t features = oct_cpu_features();
    size_t count = 0;
    for (size_t i = 0; i < CANDIDATES && count < max; i++) {
        if ((candidates[i].needs & ~features) == 0) out[count++] = candidates[i].kernels;
    }
    return count;
}

const oct_kernels *oct_kernels_select(const char *force)
{
    const oct_kernels *runnable[OCT_KERNELS_MAX];
    size_t count = oct_kernels_list(runnable, OCT_KERNELS_MAX);
    if (!force || force[0] == '\0') return runnable[count - 1];
    for (size_t i = 0; i < count; i++) {
        if (strcmp(runnable[i]->name, force) == 0) return runnable[i];
    }
    return NULL;
}
