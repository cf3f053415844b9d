// SPDX-License-Identifier: Apache-2.0
// json.ts - JSON with two additions: integers of 64 bits, which are bigint where a number is not
// exact, and vectors, which leave the text and travel as floats (the bulk lane of octant.h).

/** A request's text and the floats its {"$f32":[start,count]} point into. */
export interface Encoded {
  text: string;
  floats: Float32Array | null;
}

interface Floats {
  parts: Float32Array[];
  count: number;
}

/** Text of a value; of `payload` too, where a Float32Array is a list like any other. */
function write(value: unknown, floats: Floats, plain: boolean): string | undefined {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (value instanceof Float32Array && !plain) {
    const start = floats.count;
    floats.parts.push(value);
    floats.count += value.length;
    return `{"$f32":[${start},${value.length}]}`;
  }
  if (Array.isArray(value) || ArrayBuffer.isView(value)) {
    const items = Array.from(value as unknown as ArrayLike<unknown>);
    return `[${items.map((item) => write(item, floats, plain) ?? 'null').join(',')}]`;
  }
  const toJson = (value as { toJSON?: unknown }).toJSON;
  if (typeof toJson === 'function') return write(toJson.call(value), floats, plain);
  const members: string[] = [];
  for (const [name, member] of Object.entries(value)) {
    const text = write(member, floats, plain || name === 'payload');
    if (text !== undefined) members.push(`${JSON.stringify(name)}:${text}`);
  }
  return `{${members.join(',')}}`;
}

/** What to send for a value. */
export function encode(value: unknown): Encoded {
  const floats: Floats = { parts: [], count: 0 };
  const text = write(value, floats, false) ?? '';
  if (floats.count === 0) return { text, floats: null };
  const all = new Float32Array(floats.count);
  let at = 0;
  for (const part of floats.parts) {
    all.set(part, at);
    at += part.length;
  }
  return { text, floats: all };
}

const TAG = '{"$int":"';

function revive(_name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('$int' in value)) return value;
  const digits = value.$int;
  if (Object.keys(value).length !== 1 || typeof digits !== 'string') return value;
  // What a number holds exactly was not tagged by the core: it is somebody's payload.
  if (!/^-?\d{16,20}$/.test(digits) || Number.isSafeInteger(Number(digits))) return value;
  return BigInt(digits);
}

/** The value of a reply's text. */
export function decode(text: string): unknown {
  return text.includes(TAG) ? JSON.parse(text, revive) : JSON.parse(text);
}
