// The captures that the tests replay: real runs of Linux 6.1 and 6.12, gzipped, by name.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const capturesFolder = join(import.meta.dirname, '..', 'fixtures', 'captures');

export const captureNames: readonly string[] = readdirSync(capturesFolder).sort();

export const captureAt = (name: string): string => join(capturesFolder, name);
