/* SPDX-License-Identifier: Apache-2.0
 *
 * cpu.c - asks the CPU and the system which registers may be used.
 *
 * On x86 two questions must both be answered yes: does the CPU have the instructions (CPUID), and
 * does the operating system save their registers on a task switch (OSXSAVE, then XGETBV). Asking
 * only the first crashes under hypervisors and kernels that mask AVX-512. NEON is part of AArch64;
 * a wasm module with SIMD does not load where SIMD is missing, so there the build is the answer.
 *
 * __builtin_cpu_supports was not taken: clang lowers it to a runtime library symbol that is not
 * present in every static build, and it keeps global state. */
#include "simd/cpu.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

enum { XCR0_SSE_AVX = 0x6, XCR0_AVX512 = 0xe6 }; /* xmm, ymm; and opmask, zmm 0-15, zmm 16-31 */

static uint32_t saved_registers(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

uint32_t oct_cpu_features(void)
{
    const uint32_t avx512_ebx = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F, DQ, BW, VL */
    uint32_t a = 0, b = 0, c = 0, d = 0;
    uint32_t features = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    if (d & 1u << 26) features |= OCT_CPU_SSE2;
    bool has_xgetbv = c & 1u << 27;
    bool has_avx = c & 1u << 28;
    if (!has_xgetbv || !has_avx) return features;
    uint32_t saved = saved_registers();
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return features;
    if ((saved & XCR0_SSE_AVX) != XCR0_SSE_AVX || !(b & 1u << 5)) return features;
    features |= OCT_CPU_AVX2;
    bool has_vnni = c & 1u << 11;
    if ((saved & XCR0_AVX512) == XCR0_AVX512 && (b & avx512_ebx) == avx512_ebx && has_vnni)
        features |= OCT_CPU_AVX512;
    return features;
}

#elif defined(__aarch64__)

uint32_t oct_cpu_features(void)
{
    return OCT_CPU_NEON;
}

#elif defined(__wasm_simd128__)

uint32_t oct_cpu_features(void)
{
    return OCT_CPU_WASM128;
}

#else

uint32_t oct_cpu_features(void)
{
    return 0;
}

#endif

bool oct_cpu_keeps_denormals(void)
{
    /* volatile: the compiler must not do this arithmetic itself. */
    volatile float smallest_normal = 0x1p-126f;
    volatile float denormal = smallest_normal * 0.5f;
    volatile float twice = denormal + denormal;
    return denormal > 0.0f && twice == smallest_normal;
}
