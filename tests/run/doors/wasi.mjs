// SPDX-License-Identifier: Apache-2.0
// wasi.mjs - the door through WASI: the command `call --lines` under wasmtime, one process per
// opened directory. The program is $OCTANT_WASI_PROGRAM, or what the wasi preset builds; the
// runtime is $OCTANT_WASMTIME (tools/env.sh).
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { environment } from './rest.mjs';

const PROGRAM = process.env.OCTANT_WASI_PROGRAM
  ?? fileURLToPath(new URL('../../../build/wasi/octant-wasi.wasm', import.meta.url));
const WASMTIME = process.env.OCTANT_WASMTIME ?? 'wasmtime';
const GUEST = '/data';

export async function open(directory, _storage, options = {}) {
  const env = Object.entries(environment(options)).flatMap(([name, value]) =>
    ['--env', `${name}=${value}`]);
  const words = ['--dir', `${directory}::${GUEST}`, ...env, PROGRAM, 'call', '--lines', '--data',
    GUEST];
  const child = spawn(WASMTIME, words, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((resolve, reject) => {
    child.once('exit', resolve);
    child.once('error', reject);
  });
  ended.catch(() => {}); // reported by the call that is waiting, or by close
  child.stdin.on('error', () => {}); // it ended: the exit code says more
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async call(verb, path, body) {
      child.stdin.write(`${JSON.stringify({ verb, path, body })}\n`);
      const { value, done } = await answers.next();
      if (done) throw new Error(`octant call --lines ended with ${await ended}`);
      const answer = JSON.parse(value);
      return { http: answer.http, text: answer.body };
    },
    async close() {
      child.stdin.end();
      const code = await ended;
      if (code !== 0) throw new Error(`octant call --lines ended with ${code}`);
    },
  };
}
