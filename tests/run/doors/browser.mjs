// SPDX-License-Identifier: Apache-2.0
// browser.mjs - the door of the npm package in Chromium: a page, its worker, and OPFS or IndexedDB,
// a database for each directory's name. The browser is started with the first database and ends
// with end(). Needs js/dist and the modules of CMake's preset wasm, as tests/browser does. Bodies
// go in below the client, as in node.mjs.
import { basename } from 'node:path';
import { launch, openPage, prepare, run } from '../../browser/chromium.mjs';
import { untag } from './node.mjs';

const STORAGES = { opfs: 'opfs', idb: 'indexeddb' };

let started = null;

async function start() {
  const place = await prepare();
  const context = await launch(place.profile);
  return { place, context, page: await openPage(context, place.url) };
}

export async function open(directory, storage, options = {}) {
  started ??= await start();
  const { page } = started;
  await run(page, 'openDoor', STORAGES[storage], basename(directory), options);
  return {
    async call(verb, path, body) {
      const { http, text } = await run(page, 'callDoor', verb, path, body ?? '');
      return { http, text: untag(text) };
    },
    close: () => run(page, 'closeDoor'),
  };
}

export async function end() {
  await started?.context.close();
  started?.place.end();
  started = null;
}
