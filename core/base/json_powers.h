/* SPDX-License-Identifier: Apache-2.0
 *
 * json_powers.h - powers of ten for reading and printing floats, made when they are needed.
 *
 * yyjson keeps the first 128 bits of 10^-343..10^324, 10.7 KB which no compression makes smaller;
 * of a module that browsers load that is a twentieth. In that build (wasm/yyjson.cmake) this
 * header takes the table's place: every 27th power with 192 bits, so that the product with one of
 * 5^0..5^26, 64 bits each, is right in all of its first 128 bits. Anchors of 128 bits, with a
 * product that is off by one for 295 of the 668, were rejected. Elsewhere the table stays: it is
 * a little faster. tests/unit/base_json_powers_test.c checks each power. */
#ifndef OCTANT_BASE_JSON_POWERS_H
#define OCTANT_BASE_JSON_POWERS_H

#include <stdint.h>

enum { OCT_POWER_MIN = -343, OCT_POWER_MAX = 324 }; /* the exponents there are */

/* 10^(27 (i - 13)), times the power of two that makes its first bit 1; cut off, not rounded. */
static const uint64_t oct_power_anchors[26][3] = {
    { 0x8049A4AC0C5811AE, 0x205B896D777D6278, 0xAC261E9F5141430B },
    { 0xCF42894A5DCE35EA, 0x52064CAC828675B9, 0x475F2B7D7DF1AD7A },
    { 0xA76C582338ED2621, 0xAF2AF2B80AF6F24E, 0x657C8F4D43323A36 },
    { 0x873E4F75E2224E68, 0x5A7744A6E804A291, 0xCC35EDDFCF0996D7 },
    { 0xDA7F5BF590966848, 0xAF39A475506A899E, 0xA30294CC2934E662 },
    { 0xB080392CC4349DEC, 0xBD8D794D96AACFB3, 0xFE13A5C86AF64418 },
    { 0x8E938662882AF53E, 0x547EB47B7282EE9C, 0x41B0230E1421487D },
    { 0xE65829B3046B0AFA, 0x0CB4A5A3112A5112, 0xA3B561B1CB208396 },
    { 0xBA121A4650E4DDEB, 0x92F34D62616CE413, 0x21A0183E10583CD3 },
    { 0x964E858C91BA2655, 0x3A6A07F8D510F86F, 0xE9082F25E9C5E9EC },
    { 0xF2D56790AB41C2A2, 0xFAE27299423FB9C3, 0x3695DAD7E8858901 },
    { 0xC428D05AA4751E4C, 0xAA97E14C3C26B886, 0x96842DC95323F5A8 },
    { 0x9E74D1B791E07E48, 0x775EA264CF55347D, 0xCA49F1C05120C9C7 },
    { 0x8000000000000000, 0x0000000000000000, 0x0000000000000000 },
    { 0xCECB8F27F4200F3A, 0x0000000000000000, 0x0000000000000000 },
    { 0xA70C3C40A64E6C51, 0x999090B65F67D924, 0x0000000000000000 },
    { 0x86F0AC99B4E8DAFD, 0x69A028BB3DED71A3, 0xDF9F915627C04E28 },
    { 0xDA01EE641A708DE9, 0xE80E6F4820CC9495, 0xD74BAAD03BC1D8D3 },
    { 0xB01AE745B101E9E4, 0x5EC05DCFF72E7F8F, 0xC04C79FFE324301F },
    { 0x8E41ADE9FBEBC27D, 0x14588F13BE847307, 0x23BD6A2059C002F5 },
    { 0xE5D3EF282A242E81, 0x8F1668C8A86DA5FA, 0xF0B5CCF5176ECC7C },
    { 0xB9A74A0637CE2EE1, 0x6D953E2BD7173692, 0x88EFB0037AC08BDE },
    { 0x95F83D0A1FB69CD9, 0x4ABDAF101564F98E, 0x0D5A4AF7B3A98E47 },
    { 0xF24A01A73CF2DCCF, 0xBC633B39673C8CEC, 0x3D9C44CD2F36917C },
    { 0xC3B8358109E84F07, 0x0A862F80EC4700C8, 0x02606EA01029DC37 },
    { 0x9E19DB92B4E31BA9, 0x6C07A2C26A8346D1, 0x4944D9F52CD0DEC2 },
};

/* 5^i, times the power of two that makes its first bit 1: exact. */
static const uint64_t oct_power_fives[27] = {
    0x8000000000000000, 0xA000000000000000, 0xC800000000000000, 0xFA00000000000000,
    0x9C40000000000000, 0xC350000000000000, 0xF424000000000000, 0x9896800000000000,
    0xBEBC200000000000, 0xEE6B280000000000, 0x9502F90000000000, 0xBA43B74000000000,
    0xE8D4A51000000000, 0x9184E72A00000000, 0xB5E620F480000000, 0xE35FA931A0000000,
    0x8E1BC9BF04000000, 0xB1A2BC2EC5000000, 0xDE0B6B3A76400000, 0x8AC7230489E80000,
    0xAD78EBC5AC620000, 0xD8D726B7177A8000, 0x878678326EAC9000, 0xA968163F0A57B400,
    0xD3C21BCECCEDA100, 0x84595161401484A0, 0xA56FA5B99019A5C8,
};

/* a * b + carry, which is less than 2^128: the upper half; the lower one into *low. */
static inline uint64_t oct_power_multiply(uint64_t a, uint64_t b, uint64_t carry, uint64_t *low)
{
    uint64_t a_low = (uint32_t)a, a_high = a >> 32, b_low = (uint32_t)b, b_high = b >> 32;
    uint64_t first = a_low * b_low, middle = a_high * b_low + (first >> 32);
    uint64_t other = a_low * b_high + (uint32_t)middle;
    uint64_t lower = other << 32 | (uint32_t)first;
    *low = lower + carry;
    return a_high * b_high + (middle >> 32) + (other >> 32) + (*low < carry);
}

/* The first 128 bits of 10^exponent, of which the first is 1; cut off, not rounded. */
static inline void oct_power_of_ten(int exponent, uint64_t *high, uint64_t *low)
{
    unsigned index = (unsigned)(exponent + 13 * 27);
    const uint64_t *anchor = oct_power_anchors[index / 27];
    uint64_t five = oct_power_fives[index % 27], dropped, third, second;
    uint64_t first = oct_power_multiply(anchor[2], five, 0, &dropped);
    first = oct_power_multiply(anchor[1], five, first, &third);
    first = oct_power_multiply(anchor[0], five, first, &second);
    unsigned shift = (unsigned)(first >> 63) ^ 1; /* the product's first bit may be 0 */
    *high = first << shift | (second >> 63 & shift);
    *low = second << shift | (third >> 63 & shift);
}

#endif
