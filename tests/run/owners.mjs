// SPDX-License-Identifier: Apache-2.0
// owners.mjs - one directory has one owner, whichever of the native program and the npm package in
// Node comes first: `node tests/run/owners.mjs`. Needs the release program and js/dist.
//
// Not among the tests of either, because it needs both. Node borrows its lock from flock(1), so the
// last check is a Node that finds no such command: it must still refuse what the program holds.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open as openNode } from './doors/node.mjs';
import { open as openRest, PROGRAM } from './doors/rest.mjs';

let passed = 0;
let failed = 0;

/** Run one check in an empty directory; it throws when it fails. */
async function check(name, action) {
  const directory = mkdtempSync(join(tmpdir(), 'octant-owners-'));
  try {
    await action(directory);
    passed++;
    console.log(`ok  ${name}`);
  } catch (error) {
    failed++;
    console.log(`BAD ${name}: ${error.stack}`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What the native program says when it opens the directory once: "open", or why it can't. */
function tryProgram(directory) {
  const words = ['call', 'GET', '/collections', '--data', directory];
  const { status, stderr } = spawnSync(PROGRAM, words, { encoding: 'utf8' });
  if (status === 0) return 'open';
  return stderr.includes('open in another process') ? 'LOCKED' : `${status}: ${stderr}`;
}

async function tryNode(directory) {
  try {
    await (await openNode(directory)).close();
    return 'open';
  } catch (error) {
    return error.status ?? String(error);
  }
}

function expect(actual, expected, when) {
  if (actual !== expected) throw new Error(`${when}: ${actual}, expected ${expected}`);
}

const DOOR = new URL('./doors/node.mjs', import.meta.url).href;
const HOLDER = `
  import { open } from ${JSON.stringify(DOOR)};
  try {
    await open(process.argv[1]);
    console.log('open');
    setInterval(() => {}, 1000);
  } catch (error) {
    console.log(error.status);
  }`;

/** Another Node that opens the directory and keeps it; the first line it said, and the process. */
async function holdInNode(directory, environment = process.env) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', HOLDER, directory],
    { stdio: ['ignore', 'pipe', 'inherit'], env: environment });
  const [said] = await once(child.stdout, 'data');
  return { child, said: String(said).trim() };
}

/** Run `action` while another Node has the directory, which is killed after it. */
async function whileHeld(holding, action) {
  const { child, said } = await holding;
  try {
    await action(said);
  } finally {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
}

/** Run `action` while `database` is open, which is closed after it. */
async function whileOpen(database, action) {
  try {
    await action();
  } finally {
    await database.close();
  }
}

await check('what Node has open the program refuses, until Node closes it', async (directory) => {
  await whileOpen(await openNode(directory), () =>
    expect(tryProgram(directory), 'LOCKED', 'while Node has it'));
  expect(tryProgram(directory), 'open', 'after Node closed it');
});
await check('a killed Node keeps nobody out', async (directory) => {
  await whileHeld(holdInNode(directory), (said) => {
    expect(said, 'open', 'the other Node');
    expect(tryProgram(directory), 'LOCKED', 'while the other Node lives');
  });
  expect(tryProgram(directory), 'open', 'the program, after the other Node was killed');
  expect(await tryNode(directory), 'open', 'Node, after the other Node was killed');
});
await check('what the program has open Node refuses', async (directory) => {
  await whileOpen(await openRest(directory), async () =>
    expect(await tryNode(directory), 'LOCKED', 'while the program has it'));
  expect(await tryNode(directory), 'open', 'after the program ended');
});
await check('so does a Node without flock(1)', async (directory) => {
  await whileOpen(await openRest(directory), () =>
    whileHeld(holdInNode(directory, { PATH: directory }), (said) =>
      expect(said, 'LOCKED', 'while the program has it')));
});
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
