/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: kernels that a host brings are taken when they are right and refused when they are wrong in
 * any of the ways engines and compilers are.
 * Method: the scalar kernels offered under another name; then the same with one fault each: an
 * operand taken for signed or unsigned, sums that saturate, rests forgotten, rows swapped. What was
 * refused must have left the table as it was. */
#include "simd/kernels.h"
#include "test.h"

static const oct_kernels *scalar(void)
{
    return oct_kernels_select("scalar");
}

static oct_host_kernels right_offer(void)
{
    const oct_kernels *kernels = scalar();
    return (oct_host_kernels){ .name = "brought",
                               .dot_u7i8 = kernels->dot_u7i8,
                               .dot_u7i8_x4 = kernels->dot_u7i8_x4,
                               .dot_packed = kernels->dot_packed,
                               .dot_u7u4_x4 = kernels->dot_u7u4_x4 };
}

static bool is_refused(const oct_host_kernels *offer)
{
    const oct_kernels *own = oct_kernels_select(NULL);
    oct_kernels out;
    bool taken = oct_kernels_adopt(own, offer, &out);
    return !taken && memcmp(&out, own, sizeof out) == 0;
}

TEST(right_kernels_are_taken)
{
    const oct_kernels *own = oct_kernels_select(NULL);
    oct_host_kernels offer = right_offer();
    oct_kernels out;
    CHECK(oct_kernels_adopt(own, &offer, &out));
    CHECK_EQ_STR(out.name, "brought");
    CHECK(out.dot_u7i8 == offer.dot_u7i8 && out.dot_u7i8_x4 == offer.dot_u7i8_x4);
    CHECK(out.dot_packed == offer.dot_packed && out.dot_u7u4_x4 == offer.dot_u7u4_x4);
    CHECK(out.dot_f32 == own->dot_f32 && out.hamming == own->hamming);
}

TEST(every_table_of_this_machine_would_be_taken)
{
    const oct_kernels *tables[OCT_KERNELS_MAX];
    size_t count = oct_kernels_list(tables, OCT_KERNELS_MAX);
    for (size_t i = 0; i < count; i++) {
        oct_host_kernels offer = { .name = tables[i]->name,
                                   .dot_u7i8 = tables[i]->dot_u7i8,
                                   .dot_u7i8_x4 = tables[i]->dot_u7i8_x4,
                                   .dot_packed = tables[i]->dot_packed,
                                   .dot_u7u4_x4 = tables[i]->dot_u7u4_x4 };
        oct_kernels out;
        CHECK(oct_kernels_adopt(scalar(), &offer, &out));
    }
}

/* ---- faults ------------------------------------------------------------------------------ */

static int32_t twice(const uint8_t *a, const int8_t *b, size_t n)
{
    return 2 * scalar()->dot_u7i8(a, b, n);
}

static int32_t b_unsigned(const uint8_t *a, const int8_t *b, size_t n)
{
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * (uint8_t)b[i];
    return sum;
}

/* Sums of two products kept in 15 bits. */
static int32_t saturating(const uint8_t *a, const int8_t *b, size_t n)
{
    int32_t sum = 0;
    for (size_t i = 0; i < n; i += 2) {
        int32_t pair = a[i] * b[i] + (i + 1 < n ? a[i + 1] * b[i + 1] : 0);
        sum += pair < -16384 ? -16384 : pair;
    }
    return sum;
}

static int32_t without_rest(const uint8_t *a, const int8_t *b, size_t n)
{
    return scalar()->dot_u7i8(a, b, n - n % 16);
}

/* Right but for one length. */
static int32_t wrong_at_175(const uint8_t *a, const int8_t *b, size_t n)
{
    return scalar()->dot_u7i8(a, b, n) + (n == 175);
}

TEST(wrong_dots_are_refused)
{
    int32_t (*const wrong[])(const uint8_t *, const int8_t *,
                             size_t) = { twice,        b_unsigned,   saturating,
                                         without_rest, wrong_at_175, NULL };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        oct_host_kernels offer = right_offer();
        offer.dot_u7i8 = wrong[i];
        CHECK(is_refused(&offer));
    }
}

static void swapped(const uint8_t *a, const int8_t *const b[4], size_t n, int32_t out[4])
{
    const int8_t *const rows[4] = { b[0], b[3], b[2], b[1] };
    scalar()->dot_u7i8_x4(a, rows, n, out);
}

static void last_forgotten(const uint8_t *a, const int8_t *const b[4], size_t n, int32_t out[4])
{
    scalar()->dot_u7i8_x4(a, b, n, out);
    out[3] = out[2];
}

TEST(wrong_dots_of_four_are_refused)
{
    void (*const wrong[])(const uint8_t *, const int8_t *const[4], size_t,
                          int32_t[4]) = { swapped, last_forgotten, NULL };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        oct_host_kernels offer = right_offer();
        offer.dot_u7i8_x4 = wrong[i];
        CHECK(is_refused(&offer));
    }
}

/* As if values were packed from the highest bits on. */
static int32_t turned(const uint8_t *a, const uint8_t *row, size_t n, const oct_packing *packing)
{
    uint8_t other[256];
    for (size_t i = 0; i < n; i++)
        other[i] = packing->bits == 4 ? (uint8_t)(row[i] << 4 | row[i] >> 4) : row[i];
    return scalar()->dot_packed(a, other, n, packing);
}

static int32_t packed_without_last(const uint8_t *a, const uint8_t *row, size_t n,
                                   const oct_packing *packing)
{
    uint8_t other[256] = { 0 };
    memcpy(other, row, n);
    if (n > 0) other[n - 1] = 0;
    return scalar()->dot_packed(a, other, n, packing);
}

TEST(wrong_packed_dots_are_refused)
{
    int32_t (*const wrong[])(const uint8_t *, const uint8_t *, size_t,
                             const oct_packing *) = { turned, packed_without_last, NULL };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        oct_host_kernels offer = right_offer();
        offer.dot_packed = wrong[i];
        CHECK(is_refused(&offer));
    }
}

static void nibbles_turned(const uint8_t *a, const int8_t *const b[4], size_t n, int32_t out[4])
{
    int8_t others[4][256];
    const int8_t *const rows[4] = { others[0], others[1], others[2], others[3] };
    for (size_t r = 0; r < 4; r++) {
        for (size_t i = 0; i < n; i++)
            others[r][i] = (int8_t)((uint8_t)b[r][i] << 4 | (uint8_t)b[r][i] >> 4);
    }
    scalar()->dot_u7u4_x4(a, rows, n, out);
}

/* Nearly the largest sum is taken for a smaller one. */
static void nibbles_saturating(const uint8_t *a, const int8_t *const b[4], size_t n, int32_t out[4])
{
    scalar()->dot_u7u4_x4(a, b, n, out);
    for (size_t r = 0; r < 4; r++)
        out[r] = out[r] > 3 * 64 * 2 * 15 * 126 ? 16383 : out[r];
}

static void nibbles_of_one_line(const uint8_t *a, const int8_t *const b[4], size_t n,
                                int32_t out[4])
{
    scalar()->dot_u7u4_x4(a, b, n > 64 ? 64 : n, out);
}

TEST(wrong_dots_of_nibbles_are_refused)
{
    void (*const wrong[])(const uint8_t *, const int8_t *const[4], size_t,
                          int32_t[4]) = { nibbles_turned, nibbles_saturating, nibbles_of_one_line,
                                          NULL };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        oct_host_kernels offer = right_offer();
        offer.dot_u7u4_x4 = wrong[i];
        CHECK(is_refused(&offer));
    }
}

TEST_MAIN(right_kernels_are_taken, every_table_of_this_machine_would_be_taken,
          wrong_dots_are_refused, wrong_dots_of_four_are_refused, wrong_packed_dots_are_refused,
          wrong_dots_of_nibbles_are_refused)
