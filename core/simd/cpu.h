/* SPDX-License-Identifier: Apache-2.0
 *
 * cpu.h - what the running CPU can do, as far as core/simd cares. */
#ifndef OCTANT_SIMD_CPU_H
#define OCTANT_SIMD_CPU_H

#include <stdbool.h>
#include <stdint.h>

enum {
    OCT_CPU_SSE2 = 1u << 0,
    OCT_CPU_AVX2 = 1u << 1,   /* with 256-bit registers saved by the system */
    OCT_CPU_AVX512 = 1u << 2, /* F, BW, DQ, VL and VNNI, likewise with 512-bit registers */
    OCT_CPU_NEON = 1u << 3,
    OCT_CPU_WASM128 = 1u << 4
};

/* The OCT_CPU_ bits of the running CPU. Costs a few hundred cycles (in a virtual machine more). */
uint32_t oct_cpu_features(void);

/* False when something in this process made the calling thread flush denormals to zero (a library
 * built with -ffast-math does at load). Scores would then differ from other machines, so whoever
 * opens a database must refuse. */
bool oct_cpu_keeps_denormals(void);

#endif
