// SPDX-License-Identifier: Apache-2.0
// vite.mjs - build examples/browser-vite as its users would.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const EXAMPLE = fileURLToPath(new URL('../../examples/browser-vite/', import.meta.url));

/** Build into `directory`; the names of the assets. */
export async function buildExample(directory) {
  await build({
    root: EXAMPLE, logLevel: 'error', build: { outDir: directory, emptyOutDir: true },
  });
  return readdirSync(join(directory, 'assets'));
}
