// SPDX-License-Identifier: Apache-2.0
// errors.ts - the one error class, and the names of the core's statuses.

/** Names of the core's statuses in the order of their numbers (core/include/octant/status.def). */
export const STATUS_NAMES = [
  'OK', 'AGAIN', 'NOMEM', 'BAD_INPUT', 'VALIDATION', 'UNAUTHENTICATED', 'FORBIDDEN', 'NOT_FOUND',
  'NO_ROUTE', 'STANDALONE', 'TIMEOUT', 'CONFLICT', 'TOO_LARGE', 'RATE_LIMITED', 'IO', 'CORRUPT',
  'UNSUPPORTED', 'CANCELLED', 'UNAVAILABLE', 'LOCKED', 'READONLY', 'NO_SPACE', 'LIMIT',
] as const;

export type StatusName = (typeof STATUS_NAMES)[number];

/** What every rejected promise of this package carries. */
export class OctantError extends Error {
  override readonly name = 'OctantError';
  /** A name of the C library: NOT_FOUND, BAD_INPUT, LOCKED, ... */
  readonly status: StatusName;

  constructor(status: StatusName, message: string) {
    super(message);
    this.status = status;
  }
}

/** The number the core knows a status by. */
export function statusNumber(name: StatusName): number {
  return STATUS_NAMES.indexOf(name);
}

export function statusName(code: number): StatusName {
  return STATUS_NAMES[code] ?? 'IO';
}

/** The error that something thrown by the platform amounts to. */
export function toOctantError(thrown: unknown): OctantError {
  if (thrown instanceof OctantError) return thrown;
  if (!(thrown instanceof Error)) return new OctantError('IO', String(thrown));
  const text = `${thrown.name}: ${thrown.message}`;
  if (thrown.name === 'QuotaExceededError') return new OctantError('NO_SPACE', text);
  if (thrown.name === 'NoModificationAllowedError') return new OctantError('LOCKED', text);
  if (thrown.name === 'RangeError') return new OctantError('NOMEM', text);
  return new OctantError('IO', text);
}
