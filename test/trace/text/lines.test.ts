// Chunks of bytes to lines: wherever the chunks are cut, the lines are the same.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLineSplitter, MAX_LINE } from '../../../src/trace/text/lines.ts';
import { property } from '../../helpers/twice.ts';

function split(chunks: readonly Uint8Array[]): string[] {
  const lines: string[] = [];
  const splitter = createLineSplitter({
    line: (bytes, start, end, ended) =>
      lines.push(Buffer.from(bytes.subarray(start, end)).toString('latin1') + (ended ? '' : ' (cut short)')),
    tooLong: () => lines.push('(too long)'),
  });
  for (const chunk of chunks) splitter.push(chunk);
  splitter.end();
  return lines;
}

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');

describe('the line splitter', () => {
  it('joins a line that two chunks share', () => {
    expect(split([bytes('one\ntw'), bytes('o\n'), bytes('three')])).toEqual([
      'one',
      'two',
      'three (cut short)',
    ]);
  });

  it('gives the same lines wherever the input is cut', () => {
    const text = fc
      .array(fc.string({ unit: fc.constantFrom('a', 'b', '\r', '\0', ' '), maxLength: 9 }))
      .map((lines) => lines.join('\n'));
    fc.assert(
      property(text, fc.array(fc.nat(40), { maxLength: 6 }), (whole, cuts) => {
        const marks = [
          0,
          ...cuts.map((cut) => Math.min(cut, whole.length)).sort((a, b) => a - b),
          whole.length,
        ];
        const chunks = marks.slice(1).map((end, at) => bytes(whole.slice(marks[at], end)));
        expect(split(chunks)).toEqual(split([bytes(whole)]));
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  it('gives up a line longer than 64 KiB once, and reads on behind it', () => {
    const long = bytes('x'.repeat(MAX_LINE + 1));
    expect(split([bytes('a\n'), long, long, long, bytes('\nb\n')])).toEqual(['a', '(too long)', 'b']);
    expect(split([bytes(`a\n${'x'.repeat(MAX_LINE + 1)}\nb\n`)])).toEqual(['a', '(too long)', 'b']);
    expect(split([bytes('x'.repeat(MAX_LINE)), bytes('\nb\n')])).toHaveLength(2);
  });
});
