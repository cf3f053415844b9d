// SPDX-License-Identifier: Apache-2.0
// vite.config.js - workers of the package are ES modules, and top-level await is wanted.
export default {
  base: './',
  build: { target: 'es2022' },
  worker: { format: 'es' },
};
