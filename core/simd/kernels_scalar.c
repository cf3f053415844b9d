/* SPDX-License-Identifier: Apache-2.0
 * kernels_scalar.c - the kernels for any target. */
#include "simd/vec_scalar.h"

#include "simd/kernels.inc.h"
