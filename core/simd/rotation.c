/* SPDX-License-Identifier: Apache-2.0
 *
 * rotation.c - the rotation of rotation.h, and back: a transform undoes itself, so the way back is
 * the same steps in the other order. */
#include "simd/rotation.h"

#include <math.h>

#include "base/check.h"
#include "base/hash.h"

enum { TURNS = 3 };

#define ROTATION_SEED UINT64_C(0x7075726e6f637421)

static void flip_signs(float *y, uint32_t n, uint64_t turn)
{
    for (uint32_t first = 0; first < n; first += 64) {
        uint64_t bits = oct_hash_u64(ROTATION_SEED + turn, first);
        uint32_t end = MIN(first + 64, n);
        for (uint32_t i = first; i < end; i++, bits >>= 1)
            y[i] = bits & 1 ? -y[i] : y[i];
    }
}

/* The Walsh-Hadamard transform of p components, p a power of two, keeping the length. */
static void transform(float *y, uint32_t p)
{
    const float scale = 1.0f / sqrtf((float)p);
    for (uint32_t half = 1; half < p; half *= 2)
        for (uint32_t first = 0; first < p; first += 2 * half) {
            float *low = y + first, *high = low + half;
            for (uint32_t i = 0; i < half; i++) {
                float sum = low[i] + high[i], difference = low[i] - high[i];
                low[i] = sum;
                high[i] = difference;
            }
        }
    for (uint32_t i = 0; i < p; i++)
        y[i] *= scale;
}

static uint32_t power_in(uint32_t n)
{
    uint32_t p = 1;
    while (p <= n / 2)
        p *= 2;
    return p;
}

void oct_rotate(float *y, uint32_t n)
{
    uint32_t p = power_in(n);
    for (uint64_t turn = 0; turn < TURNS; turn++) {
        flip_signs(y, n, 2 * turn);
        transform(y, p);
        if (p == n) continue;
        flip_signs(y, n, 2 * turn + 1);
        transform(y + (n - p), p);
    }
}

void oct_rotate_back(float *y, uint32_t n)
{
    uint32_t p = power_in(n);
    for (uint64_t turn = TURNS; turn-- > 0;) {
        if (p != n) {
            transform(y + (n - p), p);
            flip_signs(y, n, 2 * turn + 1);
        }
        transform(y, p);
        flip_signs(y, n, 2 * turn);
    }
}

double oct_rotation_normalize(float *y, uint32_t n)
{
    double squares = 0;
    for (uint32_t i = 0; i < n; i++)
        squares += (double)y[i] * (double)y[i];
    double length = sqrt(squares);
    for (uint32_t i = 0; i < n && length > 0; i++)
        y[i] = (float)((double)y[i] / length);
    return length;
}
