// SPDX-License-Identifier: Apache-2.0
// half.mjs - 16-bit floats to 32-bit ones, in Node and in the page. Every half is exactly one
// 32-bit float, so nothing is rounded and all doors search with the same numbers.

/** The value of one half: sign, 5 bits of exponent (15 = 1.0), 10 bits of fraction. */
function valueOf(half) {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The halves in `buffer`, little-endian, as rows of `size` floats. */
export function rowsOf(buffer, size) {
  const halves = new DataView(buffer);
  const rows = [];
  for (let at = 0; at < buffer.byteLength; at += 2 * size) {
    rows.push(Float32Array.from({ length: size }, (_, i) =>
      valueOf(halves.getUint16(at + 2 * i, true))));
  }
  return rows;
}
