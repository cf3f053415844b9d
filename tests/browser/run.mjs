// SPDX-License-Identifier: Apache-2.0
// run.mjs - the package in a real Chromium: `node tests/browser/run.mjs`.
//
// Goal: the main job works on OPFS and on IndexedDB, nothing acknowledged is lost by a reload, a
// restart of the browser, a killed renderer or a full medium, another tab is refused, both storages
// keep the contract of octant/vfs.h, and what vite builds works. Method: a profile on disk in a
// temporary directory, an ordinary static server, tests/browser/page.mjs in the page. Needs js/dist
// and the modules of CMake's preset wasm; $OCTANT_CHROMIUM may name another browser.
import { join } from 'node:path';
import { launch, openPage, prepare, run } from './chromium.mjs';
import { buildExample } from './vite.mjs';
import { serve } from './server.mjs';

const STORAGES = ['opfs', 'indexeddb'];
const POINTS = 4000;
const ROOM_BYTES = 20 << 20; // until the medium is full
const KILL_AFTER = 400; // acknowledged points

let passed = 0;
let failed = 0;

/** Run one check, which throws when it fails and may return a remark. */
async function check(name, action) {
  try {
    const remark = await action();
    passed++;
    console.log(`ok  ${name}${remark ? ` (${remark})` : ''}`);
  } catch (error) {
    failed++;
    console.log(`BAD ${name}: ${error.stack}`);
  }
}

function expect(actual, expected, what) {
  if (actual !== expected) throw new Error(`${what}: ${actual}, expected ${expected}`);
}

/** Write until KILL_AFTER points are acknowledged, kill the renderer, and see what is left. */
async function kill(context, url, storage) {
  const page = await openPage(context, url);
  let acknowledged = -1;
  const crashed = new Promise((resolve) => page.once('crash', resolve));
  const session = await context.newCDPSession(page);
  page.on('console', (message) => {
    const match = /^acknowledged (\d+)$/.exec(message.text());
    if (match === null) return;
    acknowledged = Number(match[1]);
    if (acknowledged === KILL_AFTER) session.send('Page.crash').catch(() => {}); // never answers
  });
  const writing = run(page, 'writeForEver', storage).catch((error) => error);
  const first = await Promise.race([crashed.then(() => null), writing]);
  if (first !== null) throw first;
  await page.close();
  const next = await openPage(context, url);
  const { count, difference, grown } = await run(next, 'afterKill', storage);
  await next.close();
  if (count <= acknowledged) {
    throw new Error(`${count} points after ${acknowledged + 1} acknowledged`);
  }
  expect(difference, '', 'the points');
  expect(grown, count + 1, 'points after one more');
  return `${acknowledged + 1} acknowledged, ${count} found`;
}

/** Give the page little room, fill it, and see that what was acknowledged is there. */
async function fillUp(context, url, storage) {
  const page = await openPage(context, url);
  const session = await context.newCDPSession(page);
  const { origin } = new URL(url);
  const { usage } = await session.send('Storage.getUsageAndQuota', { origin });
  await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: usage + ROOM_BYTES });
  try {
    const { acknowledged, failure, count, found } = await run(page, 'fillUp', storage);
    expect(failure, 'NO_SPACE', 'the failure');
    if (acknowledged === 0 || count < acknowledged) throw new Error(`${count} of ${acknowledged}`);
    expect(found, 2, 'the first and the last acknowledged point');
    return `${acknowledged} acknowledged, ${count} found`;
  } finally {
    await session.send('Storage.overrideQuotaForOrigin', { origin });
    await page.close();
  }
}

async function storageChecks(context, url, page, storage) {
  await check(`${storage} keeps the storage contract`, async () => {
    const { failed: bad, lines, thrown } = await run(page, 'conformance', storage);
    if (thrown) throw new Error(thrown);
    expect(lines.filter((line) => line.startsWith('BAD')).join('\n'), '', 'broken');
    expect(bad, 0, 'broken checks');
    return lines.at(-1);
  });
  await check(`${storage} does the main job, also after a reopen`, async () => {
    const result = await run(page, 'mainJob', storage, POINTS);
    expect(result.before, '', 'after loading');
    expect(result.maintained, '', 'after maintenance');
    expect(result.after, '', 'after reopening');
    return `${POINTS} points in ${result.loadMs.toFixed(0)} ms`;
  });
  await check(`${storage} survives a reload with the database open`, async () => {
    await run(page, 'hold', storage);
    await page.reload();
    await page.waitForFunction(() => window.tests !== undefined);
    expect(await run(page, 'check', storage, POINTS), '', 'after the reload');
  });
  await check(`${storage} holds many collections`, async () =>
    expect(await run(page, 'manyFiles', storage), 12, 'collections'));
  await check(`${storage} has one owner`, async () => {
    const other = await openPage(context, url);
    await run(other, 'hold', storage);
    expect(await run(page, 'tryOpen', storage), 'LOCKED', 'a second tab');
    await other.close();
    expect(await run(page, 'tryOpen', storage), 'OK', 'after the owner closed');
  });
  await check(`${storage} loses nothing when its renderer is killed`, () =>
    kill(context, url, storage));
}

/** Chromium does not hold IndexedDB to a quota set as in fillUp; so the page makes it fail. */
async function refusalChecks(page, kind) {
  await check(`a commit of indexeddb whose put is ${kind} changes nothing`, async () => {
    const puts = await run(page, 'tornCommits', kind);
    if (puts < 4) throw new Error(`only ${puts} puts to fail at`);
    return `at each of ${puts} puts`;
  });
  await check(`indexeddb loses nothing when it is full: ${kind}`, async () => {
    const { acknowledged, refused } = await run(page, 'refusedWrites', kind);
    if (refused < 4) throw new Error(`only ${refused} writes were refused`);
    return `${acknowledged} acknowledged, ${refused} writes refused`;
  });
}

async function viteChecks(context, directory) {
  await check('a vite build contains the hashed module and works', async () => {
    const assets = await buildExample(directory);
    const wasm = assets.filter((name) => /^octant-[\w-]{8,}\.wasm$/.test(name));
    expect(wasm.length, 1, 'hashed modules');
    const built = await serve({ '': directory });
    try {
      const page = await context.newPage();
      await page.goto(`${built.origin}/index.html`);
      await page.waitForFunction(() => document.querySelector('output').textContent !== '');
      expect(await page.textContent('output'), 'nearest: 2, 1', 'the example');
      await page.close();
    } finally {
      built.close();
    }
    return wasm[0];
  });
}

const { profile, url, end } = await prepare();
let context = await launch(profile);
try {
  const page = await openPage(context, url);
  await check('the page has no eval and is not isolated', async () => {
    const { evaluates, isolated } = await run(page, 'surroundings');
    expect(evaluates, false, 'eval');
    expect(isolated, false, 'crossOriginIsolated');
  });
  await check('relaxed SIMD changes no answer', async () => {
    const { best, without } = await run(page, 'relaxedPair');
    expect(best.kernels, 'wasm-relaxed', 'kernels');
    expect(without.kernels, 'wasm128', 'kernels without');
    expect(best.answers, without.answers, 'answers');
  });
  for (const storage of STORAGES) await storageChecks(context, url, page, storage);
  await check('opfs loses nothing when it is full', () => fillUp(context, url, 'opfs'));
  for (const kind of ['thrown', 'aborted']) await refusalChecks(page, kind);
  await context.close();
  context = await launch(profile);
  const again = await openPage(context, url);
  for (const storage of STORAGES) {
    await check(`${storage} survives a restart of the browser`, async () =>
      expect(await run(again, 'check', storage, POINTS), '', 'after the restart'));
  }
  await viteChecks(context, join(profile, 'vite'));
} finally {
  await context.close();
  end();
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
