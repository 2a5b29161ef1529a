import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Column } from '../../src/cli/layout.ts';
import { facts, paragraph, table, widthOf, wrap } from '../../src/cli/layout.ts';
import { property } from '../helpers/twice.ts';

const columns: Column[] = [
  { header: 'bundle' },
  { header: 'kernel', drop: 1 },
  { header: 'faults', align: 'right' },
  { header: 'words', wrapsTo: 10 },
];
const rows = [
  ['6.12-vfio', '6.12', '45', 'every fault is as the kernel had it'],
  ['6.1-smp2', '6.1', '2,060', 'one differs'],
];

describe('a table', () => {
  it('aligns its columns, numbers at the right', () => {
    expect(table(columns, rows, { width: 80 })).toEqual([
      'bundle     kernel  faults  words',
      '6.12-vfio  6.12        45  every fault is as the kernel had it',
      '6.1-smp2   6.1      2,060  one differs',
    ]);
  });

  it('first drops what it can do without, then wraps', () => {
    expect(table(columns, rows, { width: 40 })).toEqual([
      'bundle     faults  words',
      '6.12-vfio      45  every fault is as the',
      '                   kernel had it',
      '6.1-smp2    2,060  one differs',
    ]);
  });

  it('prints each row as a block of its own where even that is too wide', () => {
    expect(table(columns, rows, { width: 24 }).slice(0, 5)).toEqual([
      'bundle  6.12-vfio',
      'kernel  6.12',
      'faults  45',
      'words   every fault is',
      '        as the kernel',
    ]);
  });

  it('measures text as it is seen, not as it is coloured', () => {
    const red = (text: string) => `\u001b[31m${text}\u001b[39m`;
    const [first, second] = table(
      [{ header: '' }, { header: '' }],
      [
        [{ text: 'no', style: red }, 'a'],
        ['yes', 'b'],
      ],
      {
        width: 40,
      },
    );
    expect([first, second]).toEqual([`${red('no')}   a`, 'yes  b']);
  });

  it('never goes beyond its width, whatever the words, once rows stand as blocks', () => {
    const word = fc.stringMatching(/^[a-z0-9 ]{0,40}$/);
    fc.assert(
      property(
        fc.array(fc.tuple(word, word), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 40, max: 120 }),
        (body, width) => {
          const narrow: Column[] = [
            { header: 'a', wrapsTo: 10 },
            { header: 'b', wrapsTo: 10 },
          ];
          for (const line of table(narrow, body, { width })) expect(widthOf(line)).toBeLessThanOrEqual(width);
        },
      ),
      { seed: 1, numRuns: 200 },
    );
  });
});

describe('text', () => {
  it('wraps at spaces, and inside a word only where the word alone is too long', () => {
    expect(wrap('unsupported-fsc: KVM handles', 12)).toEqual(['unsupported-', 'fsc: KVM', 'handles']);
  });

  it('of a paragraph stands behind its lead', () => {
    expect(paragraph('[1] ', 'reserved encodings act as another', 24)).toEqual([
      '[1] reserved encodings',
      '    act as another',
    ]);
  });

  it('of facts stands in one column', () => {
    expect(
      facts(
        [
          ['log', 'Unsupported FSC'],
          ['because', 'no-slot'],
        ],
        { width: 40, indent: 2 },
      ),
    ).toEqual(['  log      Unsupported FSC', '  because  no-slot']);
  });
});
