/* SPDX-License-Identifier: Apache-2.0
 * kernels_sse2.c - the kernels for x86-64. */
#include "simd/vec_sse2.h"

#include "simd/kernels.inc.h"
