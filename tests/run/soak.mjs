// SPDX-License-Identifier: Apache-2.0
// soak.mjs - the simulations and fuzzers of `npm test` for as long as wanted, with new seeds:
//
//     npm run soak                # an hour
//     npm run soak -- 8           # eight hours
//     npm run soak -- 0.2 0x1234  # twelve minutes, the rounds' seeds counted from this one
//
// A round runs every program once with the round's seed and every fuzz target for FUZZ_SECONDS;
// time is up at the end of a round. The first violation ends it with exit code 1: the end of that
// program's output is shown, with the command that repeats it. Inputs that fuzzers found stay in
// build/soak/corpus, so that a later soak goes on from there.
//
// Each round is a new process per program, not a longer run of one: a failure is then repeated by
// one seed, in the time a test takes.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const FUZZ_SECONDS = 60;
const SHOWN_BYTES = 6000; // of the output of a program that failed

process.chdir(fileURLToPath(new URL('../..', import.meta.url)));

const hours = Number(process.argv[2] ?? 1);
const base = BigInt(process.argv[3] ?? Date.now());
if (!(hours > 0)) {
  console.error('usage: npm run soak [-- HOURS [SEED]]');
  process.exit(2);
}

/** Build what a soak runs; false when that fails. */
function build() {
  const steps = ['release', 'fuzz'].map(
    (name) => `cmake --preset ${name} && cmake --build --preset ${name} -j 2`);
  const command = `. tools/env.sh && ${steps.join(' && ')}`;
  const { status, stdout } = spawnSync('bash', ['-c', command], { maxBuffer: 1 << 28 });
  if (status !== 0) console.error(stdout.toString().slice(-SHOWN_BYTES));
  return status === 0;
}

const sources = (folder, end) =>
  readdirSync(folder).filter((name) => name.endsWith(end)).map((name) => basename(name, '.c'));

/** One program with a seed: what is run, and where. */
function simulation(area, name, seed) {
  const directory = resolve(`build/soak/${area}-${name}`);
  mkdirSync(directory, { recursive: true });
  return { name: `${area}/${name}`, directory,
    file: resolve(`build/release/${area}-${name}`), args: [`0x${seed.toString(16)}`] };
}

function fuzzer(name, seed) {
  const directory = resolve(`build/soak/corpus/${name}`);
  const given = resolve(`tests/fuzz/corpus/${name}`);
  mkdirSync(directory, { recursive: true });
  return { name: `fuzz/${name}`, directory, file: resolve(`build/fuzz/${name}`),
    args: [`-seed=${seed & 0x7fffffffn}`, `-max_total_time=${FUZZ_SECONDS}`, directory,
      ...(existsSync(given) ? [given] : [])] };
}

/** Run one; resolves to how it went. */
function run(task) {
  return new Promise((done) => {
    let text = '';
    const keep = (chunk) => { text = (text + chunk).slice(-SHOWN_BYTES); };
    const started = Date.now();
    const child = spawn(task.file, task.args, { cwd: task.directory });
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (error) => done({ ...task, good: false, text: String(error), seconds: 0 }));
    child.on('close', (code) =>
      done({ ...task, good: code === 0, text, seconds: (Date.now() - started) / 1000 }));
  });
}

/** Run all tasks, as many at a time as there are processors; the failures, at most one a lane. */
async function runAll(tasks) {
  const waiting = [...tasks];
  const failures = [];
  const lane = async () => {
    while (waiting.length > 0 && failures.length === 0) {
      const result = await run(waiting.shift());
      if (!result.good) failures.push(result);
      else console.log(`  ${result.name}: ok, ${result.seconds.toFixed(0)} s`);
    }
  };
  await Promise.all(Array.from({ length: cpus().length }, lane));
  return failures;
}

if (!build()) process.exit(1);
const deadline = Date.now() + hours * 3600e3;
const programs = ['sim', 'oom'].flatMap(
  (area) => sources(`tests/${area}`, '_test.c').map((name) => [area, name]));
const targets = sources('tests/fuzz', '_fuzz.c');

for (let round = 0n; Date.now() < deadline; round++) {
  const seed = base + round;
  const left = ((deadline - Date.now()) / 60000).toFixed(0);
  console.log(`round ${round + 1n}: seed 0x${seed.toString(16)}, ${left} minutes left`);
  const failures = await runAll([
    ...programs.map(([area, name]) => simulation(area, name, seed)),
    ...targets.map((name) => fuzzer(name, seed)),
  ]);
  for (const { name, directory, file, args, text } of failures) {
    console.log(`${text}\n${name} FAILED with seed 0x${seed.toString(16)}; to repeat it:`);
    console.log(`  (cd ${directory} && ${file} ${args.join(' ')})`);
  }
  if (failures.length > 0) process.exit(1);
}
console.log('no violation');
