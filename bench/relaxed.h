/* SPDX-License-Identifier: Apache-2.0
 *
 * relaxed.h - the kernels to measure with: those of $OCT_ISA, or the best; under Node with those of
 * the module $OCT_RELAXED (octant-relaxed.wasm) in them, put into the table as js/src/relaxed.ts
 * does. */
#ifndef OCTANT_BENCH_RELAXED_H
#define OCTANT_BENCH_RELAXED_H

#include <stdlib.h>
#include <string.h>

#include "simd/kernels.h"

#if defined(__EMSCRIPTEN__)
#include <emscripten/em_js.h>
EM_JS_DEPS(relaxed_deps, "$wasmTable")
/* The place of the first of four functions, or 0. */
EM_JS(int, add_relaxed, (void), {
    if (!process.env.OCT_RELAXED) return 0;
    const module = new WebAssembly.Module(require("fs").readFileSync(process.env.OCT_RELAXED));
    const { exports } = new WebAssembly.Instance(module, { env : { memory : wasmMemory } });
    const names = [ "dot_u7i8", "dot_u7i8_x4", "dot_packed", "dot_u7u4_x4" ];
    const first = wasmTable.grow(names.length);
    for (let i = 0; i < names.length; i++)
        wasmTable.set(first + i, exports[names[i]]);
    return first;
})
#else
static int add_relaxed(void)
{
    return 0;
}
#endif

/* `own` with the kernels of $OCT_RELAXED in it; NULL when there is none, or it answers wrongly. */
static inline const oct_kernels *bench_relaxed(const oct_kernels *own)
{
    static oct_kernels adopted;
    oct_host_kernels offer = { .name = "wasm-relaxed" };
    uintptr_t first = (uintptr_t)add_relaxed();
    const uintptr_t places[] = { first, first + 1, first + 2, first + 3 };
    if (first == 0) return NULL;
    memcpy(&offer.dot_u7i8, &places[0], sizeof places[0]);
    memcpy(&offer.dot_u7i8_x4, &places[1], sizeof places[1]);
    memcpy(&offer.dot_packed, &places[2], sizeof places[2]);
    memcpy(&offer.dot_u7u4_x4, &places[3], sizeof places[3]);
    return oct_kernels_adopt(own, &offer, &adopted) ? &adopted : NULL;
}

/* NULL: this machine has none called $OCT_ISA. */
static inline const oct_kernels *bench_kernels(void)
{
    const oct_kernels *own = oct_kernels_select(getenv("OCT_ISA"));
    const oct_kernels *relaxed = own ? bench_relaxed(own) : NULL;
    return relaxed ? relaxed : own;
}

#endif
