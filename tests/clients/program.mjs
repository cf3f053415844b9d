// SPDX-License-Identifier: Apache-2.0
// program.mjs - do the commands and the HTTP server of the native program do what --help says?
//
// Goal: what the behaviour corpus can't see: limits and headers of HTTP, exit codes, files to
// import, two owners of a directory, and stopping. Method: run the program on small inputs;
// everything expected is computed here.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { open } from '../run/doors/rest.mjs';

const PROGRAM = process.env.OCTANT_PROGRAM
  ?? fileURLToPath(new URL('../../build/release/octant', import.meta.url));
const BODY_BYTES_MAX = 32 * 1024 * 1024;
const equal = assert.deepStrictEqual;

/** Run the program to its end: { code, out, err }. */
function run(words, input = '') {
  const { status, stdout, stderr } = spawnSync(PROGRAM, words, { input, encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}

/** One request of the REST API through `call`; its result. */
function call(directory, verb, path, body) {
  const words = ['call', verb, path, ...(body ? [JSON.stringify(body)] : []), '--data', directory];
  const { code, out, err } = run(words);
  equal(code, 0, err + out);
  return JSON.parse(out).result;
}

/** One HTTP request: { http, headers, text }. */
function send(port, options, body) {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, ...options }, (incoming) => {
      const chunks = [];
      incoming.on('data', (chunk) => chunks.push(chunk));
      incoming.on('end', () => resolve({
        http: incoming.statusCode,
        headers: incoming.headers,
        text: Buffer.concat(chunks).toString('utf8'),
      }));
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

/** What the server answers to these bytes until it closes the connection. */
function sendRaw(port, bytes) {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.end(bytes));
    socket.on('data', (chunk) => { text += chunk; });
    socket.once('close', () => resolve(text));
    socket.once('error', reject);
  });
}

/** Run `check` with a server over an empty directory. */
async function withServer(directory, check) {
  const server = await open(directory);
  try {
    await check(server.port);
  } finally {
    await server.close();
  }
}

const halves = (values) => {
  const table = new Map([[0, 0], [1, 0x3c00], [-2, 0xc000], [0.5, 0x3800], [2 ** -24, 1]]);
  return Buffer.from(Uint16Array.from(values.map((value) => table.get(value))).buffer);
};
const error = (reply) => JSON.parse(reply.text).status.error;

const TESTS = {
  async bodies_have_a_maximum(directory) {
    await withServer(directory, async (port) => {
      const options = { method: 'POST', path: '/collections/none/points/count' };
      const fits = await send(port, options, Buffer.alloc(BODY_BYTES_MAX, ' '));
      assert.notEqual(fits.http, 413);
      const large = Buffer.alloc(BODY_BYTES_MAX + 1, ' ');
      const refused = await send(port, options, large);
      equal(refused.http, 413);
      assert.match(error(refused), /larger than 33554432 bytes/);
      const headers = { 'transfer-encoding': 'chunked' };
      equal((await send(port, { ...options, headers }, large)).http, 413);
      const announced = { expect: '100-continue', 'content-length': 1e12 };
      const early = await sendRaw(port, 'POST / HTTP/1.1\r\nHost: localhost\r\n'
        + Object.entries(announced).map(([name, value]) => `${name}: ${value}\r\n`).join('')
        + '\r\n');
      assert.match(early, /^HTTP\/1\.1 413 /);
    });
  },

  async foreign_pages_are_refused(directory) {
    await withServer(directory, async (port) => {
      const status = async (headers) => (await send(port, { path: '/', headers })).http;
      equal(await status({ host: 'evil.example' }), 403);
      equal(await status({ host: 'localhost.evil.example' }), 403);
      equal(await status({ host: '127.0.0.1:80x' }), 403);
      equal(await status({ host: `localhost:${port}` }), 200);
      equal(await status({ host: '[::1]' }), 200);
      equal(await status({ origin: 'https://evil.example' }), 403);
      equal(await status({ origin: 'null' }), 403);
      equal(await status({ origin: 'http://localhost:5173' }), 200);
    });
  },

  async verbs_and_headers_are_sane(directory) {
    await withServer(directory, async (port) => {
      const get = await send(port, { path: '/' });
      assert.match(get.headers['content-type'], /^application\/json/);
      const head = await send(port, { path: '/healthz', method: 'HEAD' });
      equal([head.http, head.text], [200, '']);
      assert.match(head.headers['content-type'], /^text\/plain/);
      const options = await send(port, { path: '/', method: 'OPTIONS' });
      equal([options.http, options.text], [204, '']);
      assert.match(options.headers.allow, /PATCH/);
      equal(options.headers['access-control-allow-origin'], undefined);
      assert.match(await sendRaw(port, `GET /${'a'.repeat(70000)} HTTP/1.1\r\n\r\n`), / 414 /);
    });
  },

  async connections_are_kept(directory) {
    await withServer(directory, async (port) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      let opened = 0;
      const createConnection = agent.createConnection.bind(agent);
      agent.createConnection = (...words) => {
        opened++;
        return createConnection(...words);
      };
      for (let i = 0; i < 20; i++) equal((await send(port, { path: '/readyz', agent })).http, 200);
      agent.destroy();
      equal(opened, 1);
    });
  },

  async port_and_directory_have_one_owner(directory) {
    await withServer(directory, async (port) => {
      const other = mkdtempSync(join(tmpdir(), 'octant-other-'));
      const taken = run(['serve', '--data', other, '--port', String(port)]);
      equal(taken.code, 1);
      assert.match(taken.err, /Address already in use/);
      rmSync(other, { recursive: true });
      const locked = run(['call', 'GET', '/collections', '--data', directory]);
      equal(locked.code, 1);
      assert.ok(locked.err.includes(`${directory}: the database can't be opened`), locked.err);
    });
  },

  async stopping_ends_running_requests_first(directory) {
    const server = await open(directory);
    const vectors = { size: 64, distance: 'Dot' };
    const put = (path, body) => send(server.port, { method: 'PUT', path }, JSON.stringify(body));
    await put('/collections/c', { vectors });
    const vector = Array.from({ length: 64 }, (_, i) => i);
    const points = Array.from({ length: 5000 }, (_, id) => ({ id, vector }));
    const running = put('/collections/c/points?wait=true', { points });
    await new Promise((resolve) => setTimeout(resolve, 30)); // it has begun, or is on its way
    await server.close(); // fails when the exit code is not 0
    const reply = await running.catch(() => null);
    const { count } = call(directory, 'POST', '/collections/c/points/count', {});
    if (reply) equal([reply.http, count], [200, 5000]); // acknowledged: there
    else assert.ok(count === 0 || count === 5000, `${count} points of one write`);
  },

  async calls_answer_with_exit_codes(directory) {
    const data = ['--data', directory];
    const create = { vectors: { size: 2, distance: 'Dot' } };
    equal(call(directory, 'PUT', '/collections/c', create), true);
    equal(run(['call', 'GET', '/collections/none', ...data]).code, 1);
    const again = run(['call', 'PUT', '/collections/c', '-', ...data], JSON.stringify(create));
    equal(again.code, 1);
    assert.match(again.out, /already exists/);
    equal(run(['call', 'GET', ...data]).code, 2);
    equal(run(['nonsense']).code, 2);
    for (const name of ['serve', 'call', 'import', 'check']) {
      const help = run([name, '--help']);
      equal(help.code, 0);
      assert.match(help.out, new RegExp(`^usage: octant ${name}`));
    }
    const body = '{"exact":true}';
    const lines = [{ verb: 'POST', path: '/collections/c/points/count', body },
      { verb: 'POST', path: '/collections/c/points/count', body: { exact: true } },
      { verb: 'GET', path: '/healthz' }];
    const input = `${lines.map((line) => JSON.stringify(line)).join('\n')}\nnonsense\n`;
    const { code, out } = run(['call', '--lines', ...data], input);
    equal(code, 1);
    const answers = out.trim().split('\n').map((line) => JSON.parse(line));
    equal(answers.map((answer) => answer.http), [200, 200, 200, 400]);
    equal(answers.slice(0, 2).map((a) => JSON.parse(a.body).result), [{ count: 0 }, { count: 0 }]);
    equal(answers[2].body, 'healthz check passed');
  },

  async imports_take_three_formats(directory) {
    const file = (name, content) => {
      writeFileSync(join(directory, name), content);
      return join(directory, name);
    };
    const data = join(directory, 'data');
    const load = (path, name, ...more) =>
      run(['import', path, '--collection', name, '--data', data, '--distance', 'Dot', ...more]);
    const found = (name, ids) => call(data, 'POST',
      `/collections/${encodeURIComponent(name)}/points`, { ids, with_vector: true });
    const rows = Array.from({ length: 2500 }, (_, i) => [i, 0.5 * i, -i]);
    const lines = rows.map((vector, id) => JSON.stringify({ id, vector, payload: { n: id } }));
    equal(load(file('p.jsonl', lines.join('\n')), 'a b').code, 0);
    equal(call(data, 'POST', '/collections/a%20b/points/count', {}), { count: 2500 });
    equal(found('a b', [2499]), [{ id: 2499, payload: { n: 2499 }, vector: rows[2499] }]);
    const floats = file('v.f32', Buffer.from(Float32Array.from(rows.flat()).buffer));
    const payload = file('v.jsonl', rows.map((_, i) => `{"id":${i + 7},"s":"${i}"}\n`).join(''));
    equal(load(floats, 'f', '--vector-size', '3', '--payload', payload, '--batch', '999').code, 0);
    equal(call(data, 'POST', '/collections/f/points/count', {}), { count: 2500 });
    equal(found('f', [7 + 1234]),
      [{ id: 1241, payload: { id: 1241, s: '1234' }, vector: rows[1234] }]);
    const small = file('h.f16', halves([0, 1, -2, 0.5, 2 ** -24, 1]));
    equal(load(small, 'h', '--vector-size', '3', '--limit', '1').code, 0);
    equal(call(data, 'POST', '/collections/h/points/count', {}), { count: 1 });
    equal(load(small, 'h').code, 0); // the size is the collection's
    equal(found('h', [0, 1]).map((point) => point.vector.map(Math.fround)),
      [[0, 1, -2], [0.5, 2 ** -24, 1]]);
    const fails = [[floats, 'x', '--vector-size', '7'], [floats, 'y'],
      [file('b.jsonl', '{"id":1,"vector":[1]}\n{"id":2'), 'b'], [join(directory, 'none.f32'), 'n'],
      [small, 'z', '--vector-size', '3', '--payload', payload],
      [floats, 'h', '--ids-from', 'id']];
    for (const words of fails) equal(load(...words).code, 1, words.join(' '));
    equal(run(['check', data]).code, 0);
    equal(run(['check', join(directory, 'none')]).code, 1);
  },
};

let failed = 0;
for (const [name, test] of Object.entries(TESTS)) {
  const directory = mkdtempSync(join(tmpdir(), 'octant-program-'));
  try {
    await test(directory);
  } catch (problem) {
    failed++;
    console.log(`FAILED ${name}\n${problem.stack}`);
  }
  rmSync(directory, { recursive: true, force: true });
}
console.log(`${Object.keys(TESTS).length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
