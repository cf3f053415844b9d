// SPDX-License-Identifier: Apache-2.0
// Goal: every storage of js/ keeps the contract of octant/vfs.h, and a directory has one owner.
// Method: the contract of tests/vfs compiled to wasm, on memory and on files; locks against living,
// dead and recycled processes (as Linux has them: /proc, flock(1)). OPFS and IndexedDB run the same
// contract in tests/browser.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { createBridge } from '../../js/dist/bridge.js';
import { STATUS_NAMES } from '../../js/dist/errors.js';
import { openMemory } from '../../js/dist/storage/memory.js';
import { openNode } from '../../js/dist/storage/node_fs.js';
import { runConformance } from './conformance.mjs';
import { conformanceModule, temporaryDirectory } from './support.mjs';

const RW = 2;
const OWN = 2 | 4 | 16; // write, create, exclusive

async function conforms(storage) {
  const { createModule, wasm } = await conformanceModule();
  const { failed, lines } = await runConformance(createModule, wasm, createBridge, storage);
  assert.equal(failed, 0, lines.filter((line) => line.startsWith('BAD')).join('\n'));
  assert.ok(lines.filter((line) => line.startsWith('ok')).length >= 30, lines.join('\n'));
}

test('memory keeps the contract', () => conforms(openMemory()));

test('a directory keeps the contract', async (t) => {
  const directory = temporaryDirectory(t);
  await conforms(openNode(directory));
  assert.deepEqual(readdirSync(directory), []);
});

test('the statuses have the numbers of status.def', () => {
  const url = new URL('../../core/include/octant/status.def', import.meta.url);
  const text = readFileSync(url, 'utf8');
  const names = [...text.matchAll(/^OCT_STATUS\((\w+),/gm)].map((match) => match[1]);
  assert.deepEqual([...STATUS_NAMES], names);
});

test('a second owner in this process is refused until the first closes', async (t) => {
  const directory = temporaryDirectory(t);
  const [one, two] = [openNode(directory), openNode(directory)];
  const owner = one.open('owner', OWN);
  assert.throws(() => two.open('owner', OWN), { status: 'LOCKED' });
  assert.doesNotThrow(() => two.close(two.open('owner', RW)));
  one.close(owner);
  two.open('owner', OWN);
  await two.shutdown();
  assert.deepEqual(readdirSync(directory), ['owner']);
});

const NODE_FS = new URL('../../js/dist/storage/node_fs.js', import.meta.url).href;
const OWNER = `
  import { openNode } from ${JSON.stringify(NODE_FS)};
  openNode(process.argv[1]).open('owner', ${OWN});
  console.log('owned');
  setInterval(() => {}, 1000);`;

test('a living process keeps others out, a killed one does not', async (t) => {
  const directory = temporaryDirectory(t);
  const child = spawn(process.execPath, ['--input-type=module', '-e', OWNER, directory],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const storage = openNode(directory);
  assert.throws(() => storage.open('owner', OWN), { status: 'LOCKED', message: /process \d+/ });
  child.kill('SIGKILL');
  await once(child, 'exit');
  storage.open('owner', OWN);
  await storage.shutdown();
});

test('a process that only has the number of a dead owner does not keep others out', async (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, '.node-owner.pid'), `${process.pid} 1`);
  const storage = openNode(directory);
  storage.open('owner', OWN);
  await storage.shutdown();
});

test('a lock of the native program is respected', async (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'owner'), '');
  const child = spawn('flock', [join(directory, 'owner'), 'sh', '-c', 'echo owned; exec cat'],
    { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const storage = openNode(directory);
  assert.throws(() => storage.open('owner', OWN), { status: 'LOCKED', message: /another program/ });
  child.stdin.end();
  await once(child, 'exit');
  storage.open('owner', OWN);
  await storage.shutdown();
});
