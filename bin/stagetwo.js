#!/usr/bin/env node
// The `stagetwo` command: starts the command line from dist/, which is first brought up to date with src/ when
// this is a checkout. Exit status 2 when the sources do not compile, otherwise what the command line returns.

import { pathToFileURL } from 'node:url';
import { currentEntry } from '../tools/build.js';

const entry = await currentEntry().catch((/** @type {Error} */ error) => {
  process.stderr.write(`stagetwo: cannot start: ${error.message}\n`);
  process.exit(2);
});
if (!entry.compiled) (await import('tsx/esm/api')).register({ tsconfig: false });
const { main } = await import(pathToFileURL(entry.path).href);
process.exitCode = await main(process.argv.slice(2));
