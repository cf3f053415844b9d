/* SPDX-License-Identifier: Apache-2.0
 * kernels_neon.c - the kernels for AArch64. */
#include "simd/vec_neon.h"

#include "simd/kernels.inc.h"
