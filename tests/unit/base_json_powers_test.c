/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the powers of ten by which the module for browsers reads and prints floats are right in
 * all of their 128 bits, for every exponent.
 * Method: 5^n in full by multiplication; its first bits, or those of 1 divided by it, bit by bit.
 */
#include "base/json_powers.h"

#include "base/check.h"

#include "test.h"

enum { LIMBS = 25 }; /* of 32 bits; 5^343 has 797 bits, its double one more */

typedef struct large {
    uint32_t limbs[LIMBS];
} large;

/* value * factor + add */
static void multiply(large *value, uint32_t factor, uint32_t add)
{
    uint64_t carry = add;
    for (size_t i = 0; i < LIMBS; i++) {
        carry += (uint64_t)value->limbs[i] * factor;
        value->limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
    CHECK(carry == 0);
}

/* value -= other, if that is not less than 0; whether it was done. */
static bool take(large *value, const large *other)
{
    large left = *value;
    uint64_t borrow = 0;
    for (size_t i = 0; i < LIMBS; i++) {
        uint64_t limb = (uint64_t)left.limbs[i] - other->limbs[i] - borrow;
        left.limbs[i] = (uint32_t)limb;
        borrow = limb >> 63;
    }
    if (borrow == 0) *value = left;
    return borrow == 0;
}

typedef struct first_bits {
    uint64_t high, low;
    int count; /* of 128, from the first 1 on */
} first_bits;

static void push(first_bits *to, bool bit)
{
    if (to->count == 128 || (to->count == 0 && !bit)) return;
    to->count++;
    to->high = to->high << 1 | to->low >> 63;
    to->low = to->low << 1 | bit;
}

/* The first 128 bits of 10^exponent, which are those of 5^exponent. */
static first_bits power_of_ten(int exponent)
{
    first_bits bits = { 0, 0, 0 };
    large power = { { 1 } };
    for (int i = 0; i < (exponent < 0 ? -exponent : exponent); i++)
        multiply(&power, 5, 0);
    if (exponent >= 0) {
        for (size_t i = LIMBS * 32; i-- > 0;)
            push(&bits, power.limbs[i / 32] >> (i % 32) & 1);
    } else {
        large remainder = { { 1 } };
        while (bits.count < 128) {
            multiply(&remainder, 2, 0);
            push(&bits, take(&remainder, &power));
        }
    }
    for (; bits.count < 128; bits.count++) {
        bits.high = bits.high << 1 | bits.low >> 63;
        bits.low <<= 1;
    }
    return bits;
}

TEST(every_power_is_right)
{
    for (int exponent = OCT_POWER_MIN; exponent <= OCT_POWER_MAX; exponent++) {
        first_bits expected = power_of_ten(exponent);
        uint64_t high, low;
        oct_power_of_ten(exponent, &high, &low);
        CHECK_EQ_U64(high, expected.high);
        CHECK_EQ_U64(low, expected.low);
    }
}

TEST_MAIN(every_power_is_right)
