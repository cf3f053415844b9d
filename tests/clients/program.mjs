// SPDX-License-Identifier: Apache-2.0
// program.mjs - do the commands and the HTTP server of the native program do what --help says?
//
// Goal: what the behaviour corpus can't see: limits, headers and deadlines of HTTP, exit codes,
// files to import, damaged files, two owners of a directory, and stopping. Method: run the program
// on small inputs; everything expected is computed here.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, truncateSync,
  writeFileSync,
} from 'node:fs';
import { Agent, request } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
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

/** Run `check` with a server that was started with these options. */
async function withOptions(directory, options, check) {
  const port = await new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const found = server.address().port;
      server.close(() => resolve(found));
    });
  });
  const words = ['serve', '--data', directory, '--port', String(port), ...options];
  const child = spawn(PROGRAM, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => { child.once('exit', resolve); });
  try {
    await new Promise((resolve, reject) => { // it prints one line when it is ready
      child.stdout.once('data', resolve);
      child.once('exit', () => reject(new Error('octant serve did not start')));
    });
    await check(port);
  } finally {
    child.kill('SIGTERM');
  }
  equal(await ended, 0);
}

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Send `first`, then the pieces, one each `ms`: what came back until the connection was closed by
 * either side, and how many pieces were sent. `meanwhile` runs after each. */
async function trickle(port, first, pieces, ms, meanwhile = () => {}) {
  let text = '';
  let closed = false;
  const socket = connect(port, '127.0.0.1');
  const end = new Promise((resolve) => { socket.once('close', resolve); });
  end.then(() => { closed = true; });
  socket.on('error', () => {}); // a reset is one way to be closed
  socket.on('data', (chunk) => { text += chunk; });
  socket.write(first);
  let sent = 0;
  for (; sent < pieces.length && !closed; sent++) {
    await sleep(ms);
    if (!closed) socket.write(pieces[sent]);
    await meanwhile();
  }
  for (let i = 0; i < 500 && !closed && text === ''; i++) await sleep(10);
  socket.end();
  await Promise.race([end, sleep(5000)]);
  socket.destroy();
  return { text, sent, closed };
}

/** Change one byte of a copy of `file`, or shorten it to `at` bytes; the copy has the same name. */
function damaged(file, at, cut = false) {
  const folder = mkdtempSync(join(tmpdir(), 'octant-damaged-'));
  for (const name of readdirSync(dirname(file))) {
    const from = join(dirname(file), name);
    if (statSync(from).isFile()) copyFileSync(from, join(folder, name));
  }
  const copy = join(folder, basename(file));
  if (cut) {
    truncateSync(copy, at);
  } else {
    const bytes = readFileSync(copy);
    bytes[at] ^= 0x10;
    writeFileSync(copy, bytes);
  }
  const found = { ...run(['inspect', '--json', copy]), text: run(['inspect', copy]) };
  rmSync(folder, { recursive: true });
  return { ...found, report: found.out ? JSON.parse(found.out) : null };
}

/** A database with two segments' worth of points, a graph, an index, dead points and a log. */
function fillDatabase(directory) {
  const data = join(directory, 'data');
  const file = join(directory, 'p.jsonl');
  const rows = Array.from({ length: 12000 }, (_, id) => JSON.stringify(
    { id, vector: [id % 97, id % 89, id % 83, 1], payload: { w: `k${id % 7}` } }));
  writeFileSync(file, rows.join('\n'));
  call(data, 'PUT', '/collections/c?wait=true', {
    vectors: { size: 4, distance: 'Dot', hnsw_config: { m: 8 } },
    optimizers_config: { indexing_threshold: 1 },
  });
  call(data, 'PUT', '/collections/c/index?wait=true', { field_name: 'w', field_schema: 'keyword' });
  equal(run(['import', file, '--collection', 'c', '--data', data]).code, 0);
  call(data, 'POST', '/collections/c/points/delete?wait=true', { points: [11990, 11991] });
  call(data, 'POST', '/collections/c/points/payload?wait=true',
    { payload: { x: 1 }, points: [11992] });
  const folder = join(data, readdirSync(data).find((name) => /^c[0-9a-f]{16}$/.test(name)));
  const named = (start) => readdirSync(folder).filter((name) => name.startsWith(start))
    .map((name) => join(folder, name));
  return { data, folder, named };
}

/** What inspect says of a file that is as it should be. */
function inspect(file) {
  const { code, out, err } = run(['inspect', '--json', file]);
  equal(code, 0, err + out);
  const report = JSON.parse(out);
  equal([report.file, report.verdict, report.findings, report.bytes],
    [basename(file), 'ok', [], statSync(file).size]);
  return report;
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
    for (const name of ['serve', 'call', 'import', 'check', 'inspect']) {
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

  async slow_requests_are_cut(directory) {
    const options = ['--header-timeout-ms', '400', '--body-grace-ms', '400', '--body-rate', '1000'];
    await withOptions(directory, options, async (port) => {
      const others = async () => equal((await send(port, { path: '/readyz' })).http, 200);
      const letters = 'x'.repeat(200).split('');
      const slow = [
        ['G', `ET /${letters.join('')} HTTP/1.1\r\n`.split('')],
        ['GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ', letters],
        ['POST /collections/c/points/count HTTP/1.1\r\nHost: localhost\r\n'
          + 'Content-Length: 200\r\n\r\n', letters],
        // The second request of a connection.
        ['GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n', `GET /${letters.join('')}`.split('')],
      ];
      const ends = await Promise.all(slow.map(([first, pieces], i) =>
        trickle(port, first, pieces, 100, i === 0 ? others : undefined)));
      for (const [i, { text, sent, closed }] of ends.entries()) {
        assert.ok(closed && sent < 200, `${i}: not closed after ${sent} bytes`);
        assert.match(i === 3 ? text.replace(/^HTTP\/1.1 200 [^]*ready/, '') : text,
          /^$|^HTTP\/1.1 408 /);
      }
      await others();
    });
  },

  async patient_requests_pass(directory) {
    const options = ['--header-timeout-ms', '60000', '--body-grace-ms', '300', '--body-rate', '20'];
    await withOptions(directory, options, async (port) => {
      const header = 'GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
      const head = await trickle(port, 'G', header.slice(1).match(/[^]{1,20}/g), 50);
      assert.match(head.text, /^HTTP\/1.1 200 /);
      const body = JSON.stringify({ ids: [1], x: 'y'.repeat(2000) }); // 4000 bytes a second
      const first = 'POST /collections/none/points HTTP/1.1\r\nHost: localhost\r\n'
        + `Connection: close\r\nContent-Length: ${body.length}\r\n\r\n`;
      const slow = await trickle(port, first, body.match(/[^]{1,100}/g), 25);
      assert.match(slow.text, /^HTTP\/1.1 404 /);
    });
  },

  async a_busy_server_cuts_nobody(directory) {
    const options = ['--threads', '1', '--header-timeout-ms', '200', '--body-grace-ms', '200'];
    await withOptions(directory, options, async (port) => {
      const put = (path, body) => send(port, { method: 'PUT', path }, JSON.stringify(body));
      await put('/collections/c', { vectors: { size: 64, distance: 'Cosine' } });
      const vector = Array.from({ length: 64 }, (_, i) => i / 7);
      const points = Array.from({ length: 20000 }, (_, id) => ({ id, vector }));
      const outcome = (reply) => reply.then(({ http }) => http, (problem) => problem);
      const others = Array.from({ length: 3 },
        () => outcome(put('/collections/c/points', { points })));
      for (let i = 0; i < 40; i++) { // their bytes wait while the only thread is in the database
        others.push(outcome(i % 2 ? send(port, { path: '/readyz' })
          : send(port, { method: 'POST', path: '/collections/c/points/count' }, '{}')));
        await sleep(10);
      }
      equal(await Promise.all(others), Array(43).fill(200));
    });
  },

  async silent_connections_are_closed(directory) {
    await withOptions(directory, ['--idle-timeout-ms', '1000'], async (port) => {
      const request = 'GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n';
      const silent = connect(port, '127.0.0.1');
      const answered = connect(port, '127.0.0.1', () => answered.write(request));
      const closed = [silent, answered].map((socket) => new Promise((resolve, reject) => {
        socket.on('data', () => {});
        socket.once('close', resolve);
        setTimeout(() => reject(new Error('still open after 30 s')), 30000).unref();
      }));
      await Promise.all(closed);
    });
    equal(run(['serve', '--header-timeout-ms', '0']).code, 2);
    equal(run(['serve', '--body-rate', '-1']).code, 2);
  },

  async a_killed_index_build_goes_on(directory) {
    const data = join(directory, 'data');
    const vectors = fileURLToPath(new URL('../../examples/data/vectors.f16', import.meta.url));
    const env = { ...process.env, OCT_CHECKPOINT_MS: '20' };
    const words = ['import', vectors, '--collection', 'c', '--vector-size', '384',
      '--data', data];
    const importer = spawn(PROGRAM, words, { env, stdio: 'ignore' });
    const ended = new Promise((resolve) => { importer.once('exit', (_, by) => resolve(by)); });
    const checkpoints = () => readdirSync(directory, { recursive: true })
      .filter((name) => basename(name).startsWith('checkpoint-'));
    const deadline = Date.now() + 120000;
    while (!checkpoints().length) {
      assert.ok(importer.exitCode === null && Date.now() < deadline, 'no checkpoint was seen');
      await sleep(2);
    }
    await sleep(100); // a few more: one of them may be torn by the kill
    importer.kill('SIGKILL');
    equal(await ended, 'SIGKILL');
    const saved = checkpoints()
      .map((name) => JSON.parse(run(['inspect', '--json', join(directory, name)]).out))
      .find(({ verdict }) => verdict === 'ok');
    equal([saved.kind, saved.contents], ['segment', 'checkpoint']);
    assert.ok(saved.sources.length > 0);
    const { code, err } = run(['import', file('none.jsonl', ''), '--collection', 'c',
      '--data', data]);
    equal(code, 0, err);
    const [, from, to] = /goes on at (\d+) of (\d+) points of a graph/.exec(err) ?? [];
    assert.ok(Number(from) > 0 && Number(from) < Number(to), err);
    console.log(`  killed at ${from} of ${to} points`);
    equal(checkpoints(), []);
    equal(call(data, 'GET', '/collections/c').indexed_vectors_count, 10000);
    equal(run(['check', data]).code, 0);
    function file(name, text) {
      writeFileSync(join(directory, name), text);
      return join(directory, name);
    }
  },

  async inspect_describes_every_kind_of_file(directory) {
    const { data, folder, named } = fillDatabase(directory);
    const registry = inspect(join(data, 'registry.0'));
    equal([registry.kind, registry.contents, registry.collections],
      ['manifest', 'registry', [{ name: 'c', directory: basename(folder) }]]);
    equal(inspect(join(data, 'owner')).kind, 'owner');
    const manifest = inspect(join(folder, 'manifest.0'));
    equal(manifest.slots.map((slot) => slot.state).sort(), ['current', 'previous']);
    equal(manifest.config.vectors.size, 4);
    equal(manifest.payload_indexes, [{ key: 'w', type: 'keyword', params: '' }]);
    equal(manifest.segments.map((segment) => segment.file), named('s-').map((f) => basename(f)));
    equal(manifest.logs, named('log-').map((file) => basename(file)));
    const logs = named('log-').map(inspect);
    const last = logs.at(-1);
    equal([last.kind, last.end, last.torn_bytes, last.in_manifest], ['log', 'clean', 0, 'yes']);
    equal([last.kinds.delete, last.kinds.set_payload], [1, 1]);
    equal(last.records, last.last_sequence - last.first_sequence + 1);
    equal(Object.values(last.kinds).reduce((a, b) => a + b), last.records);
    equal(last.first_sequence, manifest.log_start);
    const segments = named('s-').map(inspect);
    assert.ok(segments.length >= 1);
    for (const [i, segment] of segments.entries()) {
      equal([segment.kind, segment.points], ['segment', manifest.segments[i].points]);
      equal(segment.uuids + segment.numeric_ids, segment.points);
      assert.ok(segment.sections.every((section) => section.checksum === 'ok'));
      const [vector] = segment.vectors;
      equal([vector.name, vector.size, vector.distance], ['', 4, 'Dot']);
      equal([vector.points, vector.graph.m], [segment.points, 8]);
      assert.ok(vector.graph.levels >= 2 && vector.graph.points === segment.points);
      equal(segment.payload_indexes.map((index) => [index.key, index.entries]), [['w', 7]]);
    }
    const text = run(['inspect', named('s-')[0]]);
    equal(text.code, 0);
    assert.match(text.out, /^kind: segment\n/m);
    assert.match(text.out, /^ {2}- name: graph, kind: 9, index: 0, offset: \d+, /m);
    assert.match(text.out, /^verdict: ok\nfindings: none\n$/m);
  },

  async inspect_finds_damage(directory) {
    const { data, folder, named } = fillDatabase(directory);
    const find = (file, at, words, cut) => {
      const { code, err, report, text } = damaged(file, at, cut);
      equal([code, report?.verdict, text.code], [1, 'damaged', 1], `${file} ${at}: ${err}`);
      assert.ok(report.findings.length > 0 && err.startsWith('octant: '));
      assert.match(report.findings.join('\n'), words);
      assert.match(text.out, /^verdict: damaged\nfindings:\n {2}- /m);
      return report;
    };
    const [segment] = named('s-');
    const bytes = statSync(segment).size;
    const whole = inspect(segment);
    const rows = whole.sections.find((section) => section.name === 'vectors');
    const hit = find(segment, rows.offset + 70000, /block \d+ \(bytes \d+ to \d+\) is damaged/);
    equal(hit.sections.filter((s) => s.checksum === 'damaged').map((s) => s.name), ['vectors']);
    equal([hit.damaged_blocks, hit.points], [1, whole.points]);
    find(segment, 3, /header is not a segment's/);
    find(segment, bytes - 1, /trailer/);
    find(segment, bytes - 100, /footer/);
    find(segment, bytes - 1, /trailer/, true);
    find(segment, 10, /can't be a container/, true);
    const log = named('log-').at(-1);
    const { valid_bytes: end } = inspect(log);
    equal(find(log, 4096 + 70, /damaged at byte 4096/).damaged_at, 4096);
    find(log, 20, /header is damaged/);
    find(log, 4000, /can't be a log/, true);
    const torn = damaged(log, end - 1); // the last batch: as a crash may leave it
    equal([torn.code, torn.report.verdict, torn.report.end], [0, 'ok', 'torn']);
    assert.ok(torn.report.valid_bytes < end && torn.report.torn_bytes > 0);
    for (const name of ['manifest.0', 'manifest.1']) {
      find(join(folder, name), 40, new RegExp(`${name}: the copy at byte 0 is damaged`));
      find(join(folder, name), 5000, /two copies of pages/, true);
    }
    find(join(data, 'registry.1'), 4096 + 10, /registry.1: the copy at byte 4096 is damaged/);
    const other = join(directory, 'other');
    writeFileSync(other, 'not a database\n'.repeat(1000));
    for (const [file, words] of [[other, /not a file of an Octant database/],
      [join(directory, 'none'), /No such file/], [directory, /octant check takes directories/]]) {
      const { code, out, err } = run(['inspect', file]);
      equal([code, out], [1, ''], file);
      assert.match(err, words);
    }
    for (const words of [[], [other, other], ['--yaml', other]])
      equal(run(['inspect', ...words]).code, 2);
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
