// SPDX-License-Identifier: Apache-2.0
// cases.mjs - run the behaviour corpus tests/cases/*.json through one or more doors.
//
//   node tests/run/cases.mjs [--door NAME]... [CASE]...
//
// A door (tests/run/doors/NAME.mjs) is a way into the database: it exports
//   open(directory, storage, options) -> { call(verb, path, body) -> { http, text }, close() }
//                            options: those of the case, by the names the npm package has for them
//   end()                    optional: lets go of what open() keeps from one directory to the next
// all of which may be async; body is text or undefined. A door with a choice of storages is named
// NAME-STORAGE. Every case, and every variant of it, gets an empty directory of its own, so cases
// can't disturb each other. The format of cases is in tests/cases/README.md. Without --door the
// corpus goes through all doors of DOORS; then an answer must also be the same bytes through each
// of them, but for the time it took, even where the case would accept others.
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { generate } from './generate.mjs';
import { differences, parse, print } from './json.mjs';

const DOORS = ['rest', 'wasi', 'node', 'browser-opfs', 'browser-idb'];
const CASES = fileURLToPath(new URL('../cases/', import.meta.url));

/** The members each object of a case file may have: a misspelt expectation must not pass. */
const MEMBERS = {
  case: ['name', 'about', 'options', 'setup', 'variants', 'steps'],
  options: ['appendablePointsMax'],
  step: ['verb', 'path', 'body', 'text', 'generate', 'keep', 'expect', 'reopen', 'settle',
    'differs'],
  generate: ['seed', 'first', 'step', 'count', 'vectors', 'payload'],
  expect: ['http', 'result', 'error', 'json', 'plain', 'recall'],
};
const EXPECTATIONS = ['result', 'error', 'json', 'plain', 'recall'];
const SETTLE_MS = 60000;

function checkMembers(kind, object, where) {
  for (const name of Object.keys(object)) {
    if (!MEMBERS[kind].includes(name)) throw new Error(`${where}: unknown member ${name}`);
  }
}

function checkStep(step, where) {
  checkMembers('step', step, where);
  if (step.reopen || step.settle) return;
  checkMembers('expect', step.expect, where);
  if (step.generate) checkMembers('generate', step.generate, where);
  const wanted = EXPECTATIONS.filter((name) => name in step.expect);
  if (wanted.length !== 1) throw new Error(`${where}: expect one of ${EXPECTATIONS.join(', ')}`);
}

/** Read a case file into its runs: one per variant, each a list of steps. */
function readRuns(file) {
  const content = parse(readFileSync(join(CASES, file), 'utf8'));
  checkMembers('case', content, file);
  checkMembers('options', content.options ?? {}, file);
  if (`${content.name}.json` !== file) throw new Error(`${file}: its name is ${content.name}`);
  const variants = content.variants ?? { '': [] };
  return Object.entries(variants).map(([variant, steps]) => {
    const all = [...(content.setup ?? []), ...steps, ...content.steps];
    all.forEach((step, i) => checkStep(step, `${file} step ${i + 1}`));
    const name = variant ? `${content.name} (${variant})` : content.name;
    return { name, options: content.options ?? {}, steps: all };
  });
}

const idsOf = (reply) => parse(reply.text).result?.points?.map(({ id }) => id) ?? [];

/** How many of the points that an earlier step found are among those of this one? */
function judgeRecall({ of, least, points }, reply, kept) {
  const wanted = kept.get(of) ?? [];
  const found = idsOf(reply);
  const share = wanted.filter((id) => found.includes(id)).length / wanted.length;
  if (found.length === points && wanted.length === points && share >= least) return [];
  return [`${found.length} points, ${share} of the ${wanted.length} kept as ${of}`];
}

/** What is wrong with a reply; an empty list when nothing is. */
function judge(expect, reply, kept) {
  const http = expect.http ?? 200;
  if (reply.http !== http) return [`HTTP ${reply.http}, expected ${http}`];
  if ('recall' in expect) return judgeRecall(expect.recall, reply, kept);
  if ('plain' in expect) return reply.text === expect.plain ? [] : [`expected ${expect.plain}`];
  let body;
  try {
    body = parse(reply.text);
  } catch (error) {
    return [`no JSON: ${error.message}`];
  }
  if ('json' in expect) return differences(expect.json, body, '');
  if (typeof body.time !== 'number') return ['no `time`'];
  if ('error' in expect) {
    const text = body.status?.error;
    if (typeof text === 'string' && text.includes(expect.error)) return [];
    return [`the error does not contain: ${expect.error}`];
  }
  return differences({ result: expect.result, status: 'ok', time: { $any: true } }, body, '');
}

function complain(step, body, reply, wrong) {
  console.log(`  ${step.verb} ${step.path} ${(body ?? '').slice(0, 300)}`);
  console.log(`    answered ${reply.http} ${reply.text.slice(0, 600)}`);
  for (const line of wrong.slice(0, 5)) console.log(`    ${line}`);
}

/** What the first door answered to each step of each case. */
const answers = new Map();

/** Is this the answer that the first door gave? An empty list, or what is wrong. */
function judgeBytes(key, reply) {
  const answer = `${reply.http} ${reply.text.replace(/"time":[0-9.e+-]+/, '"time":0')}`;
  const first = answers.get(key);
  if (first === undefined) answers.set(key, answer);
  if (first === undefined || first === answer) return [];
  return [`other bytes than through the first door: ${first.slice(0, 600)}`];
}

async function runStep(database, step, key, kept) {
  const value = step.generate ? generate(step.generate) : step.body;
  const body = step.text ?? (value === undefined ? undefined : print(value));
  const reply = await database.call(step.verb, step.path, body);
  const wrong = judge(step.expect, reply, kept);
  if (!step.differs) wrong.push(...judgeBytes(key, reply));
  if (step.keep) kept.set(step.keep, idsOf(reply));
  if (wrong.length > 0) complain(step, body, reply, wrong);
  return wrong.length === 0;
}

const read = async (database, path) => parse((await database.call('GET', path)).text).result;

/** Wait until maintenance has nothing left to do in any collection. */
async function settle(database) {
  const end = Date.now() + SETTLE_MS;
  for (const { name } of (await read(database, '/collections')).collections) {
    while ((await read(database, `/collections/${name}`)).status !== 'green') {
      if (Date.now() > end) throw new Error(`${name} is not green after ${SETTLE_MS} ms`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

/** Run the steps of one case on an empty directory; the number that failed. */
async function runCase(openDoor, { name, options, steps }) {
  const directory = mkdtempSync(join(tmpdir(), 'octant-case-'));
  const open = () => openDoor(directory, options);
  const kept = new Map();
  let database = null;
  let failed = 0;
  try {
    database = await open();
    for (const [i, step] of steps.entries()) {
      if (step.reopen) {
        await database.close();
        database = await open();
      } else if (step.settle) {
        await settle(database);
      } else if (!(await runStep(database, step, `${name} ${i}`, kept))) {
        failed++;
      }
    }
  } catch (error) {
    console.log(`    ${error.stack}`);
    failed++;
  } finally {
    await database?.close();
    rmSync(directory, { recursive: true, force: true });
  }
  return failed;
}

/** Run cases through the door called `name`; how many failed. */
async function runDoor(name, runs) {
  const [file, storage] = name.endsWith('.mjs') ? [name] : name.split('-');
  const door = await import(doorUrl(file));
  const started = Date.now();
  let failed = 0;
  try {
    for (const run of runs) {
      const broken = await runCase(
        (directory, options) => door.open(directory, storage, options), run);
      if (broken > 0) console.log(`FAILED through ${name}: ${run.name} (${broken} steps)`);
      if (broken > 0) failed++;
    }
  } finally {
    await door.end?.();
  }
  const steps = runs.reduce((sum, run) => sum + run.steps.length, 0);
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`${name}: ${runs.length} cases, ${steps} steps, ${seconds} s`);
  return failed;
}

function readArguments(words) {
  const doors = [];
  const cases = [];
  for (let i = 0; i < words.length; i++) {
    if (words[i] === '--door') doors.push(words[++i]);
    else cases.push(words[i]);
  }
  return { doors: doors.length > 0 ? doors : DOORS, cases };
}

/** A name of tests/run/doors, or the path of a door elsewhere. */
function doorUrl(name) {
  if (name.endsWith('.mjs')) return pathToFileURL(name).href;
  return new URL(`./doors/${name}.mjs`, import.meta.url).href;
}

const wanted = readArguments(process.argv.slice(2));
const files = readdirSync(CASES).filter((file) => file.endsWith('.json')).sort();
const runs = files.flatMap(readRuns)
  .filter((run) => wanted.cases.length === 0 || wanted.cases.includes(run.name.split(' (')[0]));
let failed = 0;
for (const name of wanted.doors) failed += await runDoor(name, runs);
const passed = runs.length * wanted.doors.length - failed;
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
