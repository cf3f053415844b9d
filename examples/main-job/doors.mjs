// SPDX-License-Identifier: Apache-2.0
// doors.mjs - the ways into a database. Each function opens one and returns
//   { askAll(bodies), close() }
// where askAll gives what job.mjs's askAll does. The native program, the wasm module in Node and
// the WASI program open the directory that was imported, as it is; the page imports the same files
// into the browser's own storage, because a page can't open a directory of the machine.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { serve } from '../../tests/browser/server.mjs';
import { COLLECTION, askAll as askEach } from './job.mjs';

export const PROGRAM = 'build/release/octant';
const WASI_PROGRAM = 'build/wasi/octant-wasi.wasm';

/** A program that speaks `call --lines`: one JSON request a line in, one reply a line out. */
async function openLines(command, words) {
  const child = spawn(command, words, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((resolve, reject) => {
    child.once('exit', resolve);
    child.once('error', reject);
  });
  ended.catch(() => {}); // who asks hears of it
  child.stdin.on('error', () => {}); // it ended: its exit code says more
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const call = async (verb, path, body) => {
    child.stdin.write(`${JSON.stringify({ verb, path, body })}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error(`${command} ended with ${await ended}`);
    const { http, body: text } = JSON.parse(value);
    if (http !== 200) throw new Error(`${verb} ${path}: ${http} ${text}`);
    return JSON.parse(text).result;
  };
  const query = async (body) =>
    (await call('POST', `/collections/${COLLECTION}/points/query`, body)).points;
  await call('GET', `/collections/${COLLECTION}`); // it is open once it answers
  return {
    call,
    query,
    askAll: (bodies) => askEach(query, bodies),
    async close() {
      child.stdin.end();
      const code = await ended;
      if (code !== 0) throw new Error(`${command} ended with ${code}`);
    },
  };
}

export const openNative = (directory) =>
  openLines(PROGRAM, ['call', '--lines', '--data', directory]);

export const openWasi = (directory) =>
  openLines('bash', ['-c', '. tools/env.sh && exec "$OCTANT_WASMTIME" "$@"', 'wasmtime',
    '--dir', `${directory}::/data`, WASI_PROGRAM, 'call', '--lines', '--data', '/data']);

export async function openNode(directory) {
  const { open } = await import('../../js/dist/node.js');
  const client = await open({ storage: 'node', path: directory });
  const query = async (body) => (await client.query(COLLECTION, body)).points;
  return { askAll: (bodies) => askEach(query, bodies), close: () => client.close() };
}

/** page.mjs in Chromium, from an ordinary static server, with a new profile. */
export async function openBrowser() {
  const { chromium } = await import('playwright-core');
  const profile = mkdtempSync(join(tmpdir(), 'octant-main-job-'));
  const server = await serve({ '': process.cwd() });
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.OCTANT_CHROMIUM ?? '/usr/bin/chromium',
    headless: true, args: ['--no-sandbox', '--disable-gpu'],
  });
  const close = async () => {
    await context.close();
    server.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const page = await context.newPage();
    page.on('pageerror', (error) => console.error(`page: ${error}`));
    await page.goto(`${server.origin}/examples/main-job/page.html`);
    await page.waitForFunction(() => window.job !== undefined);
    const loaded = await page.evaluate(() => window.job.load());
    const askAll = (bodies) => page.evaluate((list) => window.job.askAll(list), bodies);
    return { loaded, askAll, close };
  } catch (error) {
    await close();
    throw error;
  }
}
