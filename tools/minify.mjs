// SPDX-License-Identifier: Apache-2.0
// minify.mjs - make the JavaScript of a built package small: `node tools/minify.mjs js/dist`
//
// Every .js and .mjs file of the directory is written anew, the glue that Emscripten wrote too;
// doing it twice changes nothing. Types (.d.ts) stay readable. Files stay apart, since bundlers and
// import maps find them by name. The minifier is the bundler's, which the tests need anyway.
// Names of classes are kept for stack traces and consoles. Rejected: Closure (Emscripten's
// --closure), which needs Java and one pass over all files together.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { minifySync } from 'vite';

const OPTIONS = {
  module: true,
  compress: { target: 'es2022' },
  mangle: { toplevel: true, keepNames: { function: false, class: true } },
};

const [directory] = process.argv.slice(2);
if (!directory) throw new Error('usage: node tools/minify.mjs DIRECTORY');
for (const name of readdirSync(directory, { recursive: true })) {
  if (!/\.m?js$/.test(name)) continue;
  const path = `${directory}/${name}`;
  const { code, errors } = minifySync(name, readFileSync(path, 'utf8'), OPTIONS);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0].message}`);
  writeFileSync(path, code);
}
