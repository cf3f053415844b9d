// SPDX-License-Identifier: Apache-2.0
// chromium.mjs - start Chromium on the files of this checkout and open pages of it; for run.mjs
// and for the door of the behaviour corpus (tests/run/doors/browser.mjs).
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { CONFORMANCE } from '../js/support.mjs';
import { serve } from './server.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ACTION_MS_MAX = 120000;
const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** A browser with a profile on disk; launched again on the same profile, it finds its data. */
export async function launch(profile) {
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.OCTANT_CHROMIUM ?? '/usr/bin/chromium',
    headless: true, args: ARGUMENTS,
  });
  context.setDefaultTimeout(ACTION_MS_MAX);
  return context;
}

/** Open page.html; what it complains about is printed. */
export async function openPage(context, url) {
  const page = await context.newPage();
  page.on('pageerror', (error) => console.log(`    page: ${error}`));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') {
      console.log(`    page: ${message.text()}`);
    }
  });
  await page.goto(url);
  await page.waitForFunction(() => window.tests !== undefined);
  return page;
}

/** Call a function of page.mjs. */
export const run = (page, name, ...words) =>
  page.evaluate(([test, args]) => window.tests[test](...args), [name, words]);

/**
 * An empty profile and a server of the checkout: their `profile` directory and the `url` of
 * page.html; end() removes and stops them.
 */
export async function prepare() {
  const profile = mkdtempSync(join(tmpdir(), 'octant-browser-'));
  const server = await serve({ '': ROOT, conformance: CONFORMANCE });
  return {
    profile,
    url: `${server.origin}/tests/browser/page.html`,
    end() {
      server.close();
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
