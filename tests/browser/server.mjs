// SPDX-License-Identifier: Apache-2.0
// server.mjs - static files on a free port of 127.0.0.1, as an ordinary web server gives them: no
// isolation headers, and a policy that forbids eval but allows WebAssembly.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';

const TYPES = {
  '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript',
  '.wasm': 'application/wasm', '.css': 'text/css',
};
const POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'";

/** Serve folders by the first part of the path: {prefix: directory}; "" gets the rest. */
export function serve(folders) {
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, 'http://localhost').pathname);
    const prefix = Object.keys(folders).find((each) => each !== '' && path.startsWith(`/${each}/`));
    const rest = prefix === undefined ? path : path.slice(prefix.length + 1);
    if (path === '/favicon.ico') return response.writeHead(204).end();
    try {
      const bytes = await readFile(join(folders[prefix ?? ''], rest));
      const type = TYPES[extname(path)] ?? 'application/octet-stream';
      response.writeHead(200, { 'content-type': type, 'content-security-policy': POLICY });
      response.end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const origin = `http://127.0.0.1:${server.address().port}`;
      resolve({ origin, close: () => { server.close(); server.closeAllConnections(); } });
    });
  });
}
