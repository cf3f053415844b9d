// SPDX-License-Identifier: Apache-2.0
// wasm_browser.mjs - the contenders of wasm.mjs in headless Chromium, a page for each.
//
// A server on the loopback address gives this folder, the npm package (js/dist), the peers and the
// first bytes of the data files. It sends isolation headers, which make clocks of pages exact to
// microseconds; Octant does not need them. Octant is used as a page uses it: the database is in a
// worker, so every search is a message there and one back; the peers run in the page itself.
import { closeSync, createReadStream, mkdtempSync, openSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const STEP_MS_MAX = 20 * 60 * 1000;
const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript',
  '.wasm': 'application/wasm' };

/** The file of a request, and how many bytes of it. */
function fileOf(path, options) {
  const [, first, ...rest] = path.split('/');
  const inside = normalize(rest.join('/'));
  if (inside.startsWith('..')) return null;
  if (first === 'first') return { file: join(options.data, rest[1]), bytes: Number(rest[0]) };
  const folders = { bench: HERE, octant: join(HERE, '../../js/dist'), peers: options.peers };
  if (first === 'truth') return { file: options.truth, bytes: Infinity };
  return first in folders ? { file: join(folders[first], inside), bytes: Infinity } : null;
}

function serve(options) {
  const server = createServer((request, response) => {
    const found = fileOf(new URL(request.url, 'http://localhost').pathname, options);
    let file;
    try {
      file = openSync(found.file);
    } catch {
      return response.writeHead(404).end();
    }
    const bytes = Math.min(statSync(found.file).size, found.bytes);
    response.writeHead(200, { 'content-length': bytes,
      'content-type': TYPES[extname(found.file)] ?? 'application/octet-stream',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp' });
    if (bytes === 0) {
      closeSync(file);
      return response.end();
    }
    return createReadStream(null, { fd: file, start: 0, end: bytes - 1 }).pipe(response);
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

/** A browser: start(name) opens a contender, whose ask() is that of the workers in wasm.mjs. */
export async function startBrowser(options, say) {
  const server = await serve(options);
  const profile = mkdtempSync(join(tmpdir(), 'octant-bench-'));
  const context = await chromium.launchPersistentContext(profile, { headless: true,
    args: ARGUMENTS, executablePath: process.env.OCTANT_CHROMIUM ?? '/usr/bin/chromium' });
  context.setDefaultTimeout(STEP_MS_MAX);
  const start = async (name) => {
    const page = await context.newPage();
    page.on('pageerror', (error) => say(`${name}: ${error}`));
    await page.goto(`http://127.0.0.1:${server.address().port}/bench/wasm_page.html`);
    await page.waitForFunction('window.ready === true');
    const guarded = async (action) => {
      try {
        return await action();
      } catch (error) {
        return { failed: String(error).slice(0, 300) };
      }
    };
    const begun = await guarded(() => page.evaluate(
      ([each, given]) => window.begin(each, given), [name, options]));
    return {
      ask: async (kind, members = {}) => begun ?? guarded(() => page.evaluate(
        (request) => window.ask(request), { kind, ...members })),
      end: () => {},
    };
  };
  const close = async () => {
    await context.close();
    server.close();
    server.closeAllConnections();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
  return { start, close };
}
