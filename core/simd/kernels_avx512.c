/* SPDX-License-Identifier: Apache-2.0
 * kernels_avx512.c - the kernels for x86-64, compiled with
 * -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni. */
#include "simd/vec_avx512.h"

#include "simd/kernels.inc.h"
