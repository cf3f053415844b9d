// SPDX-License-Identifier: Apache-2.0
// reporter.mjs - a reporter for node --test: one line per test, the count in the form that
// tests/run/all.mjs sums. A skipped test counts as failed: none may be.

export default async function* report(events) {
  let passed = 0;
  let failed = 0;
  for await (const { type, data } of events) {
    if (type === 'test:stdout' || type === 'test:stderr') yield data.message;
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const good = type === 'test:pass' && data.skip === undefined && data.todo === undefined;
    if (good) passed++;
    else failed++;
    yield `${good ? 'ok ' : 'BAD'} ${data.name} (${data.details.duration_ms.toFixed(0)} ms)\n`;
    if (!good) yield `    ${data.details.error?.cause?.stack ?? data.details.error ?? 'skipped'}\n`;
  }
  yield `${passed} passed, ${failed} failed\n`;
}
