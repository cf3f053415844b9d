// SPDX-License-Identifier: Apache-2.0
// octant-relaxed.d.mts - the bytes of octant-relaxed.wasm in hex; the build of wasm/ writes them.
declare const hex: string;
export default hex;
