// SPDX-License-Identifier: Apache-2.0
// vfs_js.lib.js - the imports of the module, for Emscripten's linker. Each only hands its numbers
// on to an object the page gave (js/src/bridge.ts), which alone knows about memory and storage.
addToLibrary({
  oct_js_open: (path, bytes, flags) => Module['bridge'].open(path, bytes, flags),
  oct_js_close: (handle) => Module['bridge'].close(handle),
  oct_js_size: (handle) => Module['bridge'].size(handle),
  oct_js_read: (handle, offset, target, bytes) =>
    Module['bridge'].read(handle, offset, target, bytes),
  oct_js_write: (handle, offset, source, bytes) =>
    Module['bridge'].write(handle, offset, source, bytes),
  oct_js_truncate: (handle, bytes) => Module['bridge'].truncate(handle, bytes),
  oct_js_sync: (handle) => Module['bridge'].sync(handle),
  oct_js_remove: (path, bytes) => Module['bridge'].remove(path, bytes),
  oct_js_rename: (from, fromBytes, to, toBytes) =>
    Module['bridge'].rename(from, fromBytes, to, toBytes),
  oct_js_list: (directory, bytes) => Module['bridge'].list(directory, bytes),
  oct_js_list_name: (index, target, capacity) =>
    Module['bridge'].listName(index, target, capacity),
  oct_js_message: (target, capacity) => Module['bridge'].message(target, capacity),

  oct_js_unix_ms: () => Module['bridge'].unixMs(),
  oct_js_monotonic_ms: () => Module['bridge'].monotonicMs(),
  oct_js_entropy: (target, bytes) => Module['bridge'].entropy(target, bytes),
  oct_js_log: (level, message) => Module['bridge'].log(level, message),
});
