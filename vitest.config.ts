// How the tests run: 'stagetwo' means the sources here, so that types, coverage and stack traces show them.
// Whoever starts the command itself as a child process gets the bundle, as a user does.

import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: {
    alias: { stagetwo: fileURLToPath(new URL('src/index.ts', import.meta.url)) },
  },
  test: {
    include: ['test/**/*.test.ts'],
    // Tests share no state, so files may share a worker: loading the libraries afresh for each costs ten times more.
    pool: 'threads',
    isolate: false,
    maxWorkers: 2,
    testTimeout: 20_000,
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      reporter: ['text-summary', 'html'],
      // What the manual and the kernel decide; the other folders are held by captures, golden files and stories.
      thresholds: { 'src/arch/**': { branches: 97 }, 'src/host/**': { branches: 97 } },
    },
  },
});
