// SPDX-License-Identifier: Apache-2.0
// rest.mjs - the door over HTTP: starts `octant serve` on a free port of this machine and sends it
// requests. The program is $OCTANT_PROGRAM, or what the release preset builds.
import { spawn } from 'node:child_process';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

export const PROGRAM = process.env.OCTANT_PROGRAM
  ?? fileURLToPath(new URL('../../../build/release/octant', import.meta.url));
const START_MS = 10000;

/** A port nobody listens on now. */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** One request. Not fetch: that would normalise paths and refuse bodies we must be able to send. */
function send(agentPort, verb, path, body) {
  return new Promise((resolve, reject) => {
    const headers = body === undefined
      ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const options = { host: '127.0.0.1', port: agentPort, method: verb, path, headers };
    const outgoing = request(options, (incoming) => {
      const chunks = [];
      incoming.on('data', (chunk) => chunks.push(chunk));
      incoming.on('end', () => {
        resolve({ http: incoming.statusCode, text: Buffer.concat(chunks).toString('utf8') });
      });
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

async function untilReady(port, child) {
  const end = Date.now() + START_MS;
  while (Date.now() < end) {
    if (child.exitCode !== null) throw new Error(`octant serve ended with ${child.exitCode}`);
    try {
      if ((await send(port, 'GET', '/readyz')).http === 200) return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 10)); // not listening yet
    }
  }
  throw new Error(`octant serve did not answer within ${START_MS} ms`);
}

/** The variable of the environment in which a case's options reach our programs, by name. */
export const environment = ({ appendablePointsMax }) =>
  appendablePointsMax === undefined ? {} : { OCT_SEGMENT_POINTS: String(appendablePointsMax) };

export async function open(directory, _storage, options = {}) {
  const port = await freePort();
  const words = ['serve', '--data', directory, '--host', '127.0.0.1', '--port', String(port)];
  const env = { ...process.env, ...environment(options) };
  const child = spawn(PROGRAM, words, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise((resolve, reject) => {
    child.once('exit', resolve);
    child.once('error', reject);
  });
  ended.catch(() => {}); // reported by untilReady's timeout or close
  await untilReady(port, child);
  return {
    port,
    call: (verb, path, body) => send(port, verb, path, body),
    async close() {
      child.kill('SIGTERM');
      const code = await ended;
      if (code !== 0) throw new Error(`octant serve ended with ${code}`);
    },
  };
}
