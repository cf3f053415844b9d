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
 *   vq, vq_load                 VI_BYTES of a query, in the form that multiplies nibbles best
 *   vn, vn_zero                 sums of 16 bits or more
 *   vn_dot(sum, low, high, row) sum plus low * (row & 15) + high * (row >> 4), in each byte; called
 *                               for OCT_PACKED_LINE bytes at most before
 *   vi_widen(sum, v)            sum plus those
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

/* A lane of 16 bits takes at most 16 products of 15 * 127 from one line: 30,480. */
static int32_t dot_u7u4(const uint8_t *a, const int8_t *b, size_t n)
{
    vi sum = vi_zero();
    for (size_t i = 0; i < n;) {
        vn line = vn_zero();
        for (const size_t end = i + OCT_PACKED_LINE; i < end; i += VI_BYTES)
            line =
                vn_dot(line, vq_load(a + i), vq_load(a + n + i), vb_load((const uint8_t *)b + i));
        sum = vi_widen(sum, line);
    }
    return vi_sum(sum);
}

static void dot_u7u4_x4(const uint8_t *a, const int8_t *const b[4], size_t n, int32_t out[4])
{
    const uint8_t *b0 = (const uint8_t *)b[0], *b1 = (const uint8_t *)b[1];
    const uint8_t *b2 = (const uint8_t *)b[2], *b3 = (const uint8_t *)b[3];
    vi s0 = vi_zero(), s1 = vi_zero(), s2 = vi_zero(), s3 = vi_zero();
    for (size_t i = 0; i < n;) {
        vn n0 = vn_zero(), n1 = vn_zero(), n2 = vn_zero(), n3 = vn_zero();
        for (const size_t end = i + OCT_PACKED_LINE; i < end; i += VI_BYTES) {
            vq low = vq_load(a + i), high = vq_load(a + n + i);
            n0 = vn_dot(n0, low, high, vb_load(b0 + i));
            n1 = vn_dot(n1, low, high, vb_load(b1 + i));
            n2 = vn_dot(n2, low, high, vb_load(b2 + i));
            n3 = vn_dot(n3, low, high, vb_load(b3 + i));
        }
        s0 = vi_widen(s0, n0);
        s1 = vi_widen(s1, n1);
        s2 = vi_widen(s2, n2);
        s3 = vi_widen(s3, n3);
    }
    out[0] = vi_sum(s0);
    out[1] = vi_sum(s1);
    out[2] = vi_sum(s2);
    out[3] = vi_sum(s3);
}
