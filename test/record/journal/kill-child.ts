// The process that the kill test kills: goes on with the journal it finds, says on stdout what is acknowledged, and
// never ends by itself. Arguments: the compiled journal module, the journal.

import { existsSync, writeSync } from 'node:fs';
import { argv } from 'node:process';
import type * as JournalModule from '../../../src/record/journal/journal.ts';
import type { Tick } from './example.ts';

const [, , modulePath = '', examplePath = '', file = ''] = argv;
const { appendTo, createJournal } = (await import(modulePath)) as typeof JournalModule;
const { HEADER, tick } = (await import(examplePath)) as typeof import('./example.ts');

const options = { batchBytes: 700, commitBytes: 2100 };
writeSync(1, '-1\n');
const writer = existsSync(file) ? appendTo<Tick>(file, options) : createJournal<Tick>(file, HEADER, options);
let said = -1;
for (;;) {
  writer.append(tick(writer.length));
  if (writer.acknowledged === said) continue;
  said = writer.acknowledged;
  writeSync(1, `${said}\n`);
}
