/* SPDX-License-Identifier: Apache-2.0
 *
 * vfs_js.h - storage whose methods are JavaScript: OPFS, IndexedDB, Node's fs, or a Map. */
#ifndef OCTANT_WASM_VFS_JS_H
#define OCTANT_WASM_VFS_JS_H

#include "octant/vfs.h"

/* Fill *vfs with the storage object the module was given in JavaScript. `caps` are that object's
 * (enum oct_vfs_caps); VIEW is not among them, because bytes in JavaScript have no address here.
 * There is one per module instance and nothing to destroy. */
void oct_vfs_js_init(oct_vfs *vfs, uint32_t caps);

#endif
