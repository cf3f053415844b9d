/* SPDX-License-Identifier: Apache-2.0
 *
 * kernels_codes.inc.h - the kernels of quantized rows: distances of bytes, of bits, and of packed
 * values. Included by kernels.inc.h; a vec header supplies for it
 *   vb                          a register of VI_BYTES bytes
 *   vb_load vb_table            bytes; a table of 16 (in each 16 bytes of a register)
 *   vb_load_part(p, count)      the first `count` bytes, a multiple of 16 and below VI_BYTES, zeros
 *                               behind; reads no further
 *   vb_field(v, shift, mask)    v >> shift & mask in each byte
 *   vi_l1 vi_hamming            sum plus |a - b| of bytes, plus the bits of a ^ b
 *   vi_lookup_dot(sum, a, index, first, table)   sum plus a * table[index]; first is
 *                               vb_table(table)
 *
 * Zeros behind the end add nothing: 0 against 0 differs in nothing, and a packed product has the
 * query's zero as a factor. All sums are exact, so the order of adding is free. */

static int32_t l1_u8(const uint8_t *a, const uint8_t *b, size_t n)
{
    vi sum = vi_zero();
    size_t i = 0;
    for (; i + VI_BYTES <= n; i += VI_BYTES)
        sum = vi_l1(sum, vb_load(a + i), vb_load(b + i));
    if (i < n) sum = vi_l1(sum, vb_load_part(a + i, n - i), vb_load_part(b + i, n - i));
    return vi_sum(sum);
}

/* Planes from the heaviest to the lightest: each step doubles what the ones before gave. */
static inline vi hamming_step(vi sum, vb row, const uint8_t *planes, size_t n, uint32_t count)
{
    vi bits = vi_zero();
    for (uint32_t p = count; p > 0; p--)
        bits = vi_hamming(vi_add(bits, bits), row, vb_load(planes + (p - 1) * n));
    return vi_add(sum, bits);
}

static int32_t hamming(const uint8_t *planes, const uint8_t *row, size_t n, uint32_t count)
{
    vi sum = vi_zero();
    size_t i = 0;
    for (; i + VI_BYTES <= n; i += VI_BYTES)
        sum = hamming_step(sum, vb_load(row + i), planes + i, n, count);
    if (i < n) {
        vb part = vb_load_part(row + i, n - i);
        vi bits = vi_zero();
        for (uint32_t p = count; p > 0; p--) {
            vb plane = vb_load_part(planes + (p - 1) * n + i, n - i);
            bits = vi_hamming(vi_add(bits, bits), part, plane);
        }
        sum = vi_add(sum, bits);
    }
    return vi_sum(sum);
}

static int32_t dot_packed(const uint8_t *a, const uint8_t *row, size_t n,
                          const oct_packing *packing)
{
    const int8_t *table = packing->table;
    const int bits = (int)packing->bits;
    const uint8_t mask = (uint8_t)((1 << bits) - 1);
    vb first = vb_table(table);
    vi sum = vi_zero();
    size_t i = 0;
    for (; i + VI_BYTES <= n; i += VI_BYTES) {
        vb v = vb_load(row + i);
        const uint8_t *plane = a + i;
        for (int shift = 0; shift < 8; shift += bits, plane += n)
            sum = vi_lookup_dot(sum, vb_load(plane), vb_field(v, shift, mask), first, table);
    }
    if (i < n) {
        vb v = vb_load_part(row + i, n - i);
        const uint8_t *plane = a + i;
        for (int shift = 0; shift < 8; shift += bits, plane += n)
            sum = vi_lookup_dot(sum, vb_load_part(plane, n - i), vb_field(v, shift, mask), first,
                                table);
    }
    return vi_sum(sum);
}
