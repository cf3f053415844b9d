/* SPDX-License-Identifier: Apache-2.0
 * kernels_avx2.c - the kernels for x86-64, compiled with -mavx2. */
#include "simd/vec_avx2.h"

#include "simd/kernels.inc.h"
