/* SPDX-License-Identifier: Apache-2.0
 *
 * adopt.c - kernels that the host brings: taken only when their answers are right.
 *
 * Some instructions can't be in the same binary as the rest, and that an engine knows them does not
 * say that it does them right: one returned twice the product, behind a flag. So what is offered is
 * compared with the scalar kernels first: on the largest and smallest operands and on mixed ones,
 * over all lengths up to some blocks, which takes half a millisecond. The four rows of a call
 * differ, so that a kernel that swaps them is found out too. */
#include <string.h>

#include "base/check.h"
#include "simd/kernels.h"

enum {
    LENGTHS = 192, /* three blocks of the widest loop */
    ROUNDS = 3,
    ROW_BYTES = LENGTHS,
    PACKED_BYTES = 5 * OCT_PACKED_ALIGN,
    A_BYTES = PACKED_BYTES * 8 /* a query of values of one bit */
};

typedef struct operands {
    uint8_t a[A_BYTES];
    int8_t rows[4][ROW_BYTES];
    oct_packing packing;
    uint32_t state;
} operands;

static uint32_t next(operands *in)
{
    in->state = in->state * 1664525u + 1013904223u;
    return in->state >> 24;
}

static int8_t mixed(operands *in)
{
    static const int8_t edges[] = { INT8_MIN, INT8_MIN + 1, -1, 0, 1, INT8_MAX };
    uint32_t edge = next(in);
    int value = (int)next(in) + INT8_MIN;
    return edge % 2 ? (int8_t)value : edges[edge / 2 % ARRAY_COUNT(edges)];
}

/* Round 0 has the operands that are furthest from zero, the others a mixture. */
static void fill(operands *in, uint32_t round)
{
    in->state = round;
    for (size_t i = 0; i < A_BYTES; i++)
        in->a[i] = round == 0 ? INT8_MAX : (uint8_t)mixed(in) & INT8_MAX;
    for (size_t r = 0; r < 4; r++) {
        for (size_t i = 0; i < ROW_BYTES; i++)
            in->rows[r][i] = mixed(in);
        for (size_t i = 0; round == 0 && i < ROW_BYTES; i++)
            in->rows[r][i] = r == 3 ? -1 : r == 1 ? INT8_MAX : INT8_MIN; /* -1: of 4 bits */
    }
    for (size_t i = 0; i < ARRAY_COUNT(in->packing.table); i++)
        in->packing.table[i] = round == 0 ? INT8_MIN : mixed(in);
}

static bool dots_agree(const operands *in, const oct_host_kernels *offer, const oct_kernels *plain)
{
    const int8_t *const rows[4] = { in->rows[0], in->rows[1], in->rows[2], in->rows[3] };
    for (size_t n = 0; n < LENGTHS; n++) {
        int32_t got[4], want[4];
        offer->dot_u7i8_x4(in->a, rows, n, got);
        plain->dot_u7i8_x4(in->a, rows, n, want);
        for (size_t r = 0; r < 4; r++) {
            if (got[r] != want[r] || offer->dot_u7i8(in->a, rows[r], n) != want[r]) return false;
        }
    }
    return true;
}

static bool nibbles_agree(const operands *in, const oct_host_kernels *offer,
                          const oct_kernels *plain)
{
    const int8_t *const rows[4] = { in->rows[0], in->rows[1], in->rows[2], in->rows[3] };
    for (size_t n = 0; n <= ROW_BYTES; n += OCT_PACKED_LINE) {
        int32_t got[4], want[4];
        offer->dot_u7u4_x4(in->a, rows, n, got);
        plain->dot_u7u4_x4(in->a, rows, n, want);
        if (memcmp(got, want, sizeof got) != 0) return false;
    }
    return true;
}

static bool packed_agree(operands *in, const oct_host_kernels *offer, const oct_kernels *plain)
{
    const uint8_t *row = (const uint8_t *)in->rows[0];
    for (uint32_t bits = 1; bits <= 4; bits *= 2) {
        in->packing.bits = bits;
        for (size_t n = 0; n <= PACKED_BYTES; n += OCT_PACKED_ALIGN) {
            if (offer->dot_packed(in->a, row, n, &in->packing) !=
                plain->dot_packed(in->a, row, n, &in->packing))
                return false;
        }
    }
    return true;
}

bool oct_kernels_adopt(const oct_kernels *own, const oct_host_kernels *offer, oct_kernels *out)
{
    const oct_kernels *plain = oct_kernels_select("scalar");
    *out = *own;
    if (!offer->dot_u7i8 || !offer->dot_u7i8_x4 || !offer->dot_packed || !offer->dot_u7u4_x4)
        return false;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        operands in;
        fill(&in, round);
        if (!dots_agree(&in, offer, plain) || !nibbles_agree(&in, offer, plain) ||
            !packed_agree(&in, offer, plain))
            return false;
    }
    out->name = offer->name;
    out->dot_u7i8 = offer->dot_u7i8;
    out->dot_u7i8_x4 = offer->dot_u7i8_x4;
    out->dot_packed = offer->dot_packed;
    out->dot_u7u4_x4 = offer->dot_u7u4_x4;
    return true;
}
