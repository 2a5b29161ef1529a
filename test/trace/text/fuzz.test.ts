// Garbled lines: nothing is thrown, each line is counted once, printing and parsing again gives the same record, and no
// line takes long. STAGETWO_FUZZ_LINES sets the number of mutated lines.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyLine, readLine } from '../../../src/trace/text/line.ts';
import { parseRecord, printRecord, recordOf } from '../../../src/trace/text/record.ts';
import { createTraceReplay } from '../../../src/trace/text/replay/replay.ts';
import { property } from '../../helpers/twice.ts';
import { PIECES } from '../fuzz/mutate.ts';
import { fixture, fixtureMachine } from './fixtures.ts';

const LINES = Number(process.env.STAGETWO_FUZZ_LINES ?? 4000);

const SEEDS: readonly string[] = [
  ...fixture('tracecmd-report').toString('latin1').split('\n').slice(16, 60),
  ...fixture('tracecmd-raw').toString('latin1').split('\n').slice(16, 60),
  ...fixture('tracecmd-latency').toString('latin1').split('\n').slice(480, 520),
  ...fixture('qemu').toString('latin1').split('\n').slice(0, 60),
  '       CPU 0/KVM-4242    (   4200) [005] dNh2.... 12345.678901: kvm_mmio: mmio unsatisfied-read ' +
    'len 4 gpa 0x9000018 val 0x0',
  '   CPU 1/KVM 4200/4243 [005] 12345.678901:  1 kvm:kvm_guest_fault: ipa 0x1c010000 hsr 0x93800006 ' +
    'hxfar 0xffff8000f80100a8 pc 0x802c21c8',
  '     0.012 (         ): CPU 0/KVM/4242 kvm:kvm_guest_fault(vcpu_pc: -281474840481340, hsr: 2474639366, ' +
    'hxfar: 4160815272, ipa: 469827584)',
  '     0.034 CPU 0/KVM/4242 kvm:kvm_userspace_exit(errno: -14)',
  'CPU:3 [LOST 12 EVENTS]',
];

/** Bytes flipped, taken out, doubled and swapped; whole fields too. */
const mutated = fc
  .tuple(
    fc.constantFrom(...SEEDS),
    fc.array(fc.tuple(fc.nat(5), fc.nat(400), fc.nat(255)), { minLength: 0, maxLength: 6 }),
  )
  .map(([seed, edits]) => {
    let bytes = Buffer.from(seed, 'latin1');
    for (const [kind, where, value] of edits) {
      const at = bytes.length === 0 ? 0 : where % bytes.length;
      const rest = bytes.subarray(at + 1);
      const head = bytes.subarray(0, at);
      if (kind === 0) bytes = Buffer.concat([head, Buffer.from([value]), rest]);
      else if (kind === 1) bytes = Buffer.concat([head, rest]);
      else if (kind === 2)
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.max(0, at - (value % 40)))]);
      else if (kind === 3) bytes = Buffer.concat([rest, head]);
      else if (kind === 4)
        bytes = Buffer.concat([head, Buffer.from(PIECES[value % PIECES.length] ?? ''), rest]);
      else bytes = Buffer.concat([rest, Buffer.from(PIECES[value % PIECES.length] ?? ''), head]);
    }
    return bytes.filter((byte) => byte !== 0x0a);
  });

describe('a garbled line', () => {
  it('is understood, skipped or rejected, with a reason for the latter two', () => {
    const line = emptyLine();
    fc.assert(
      property(mutated, (bytes) => {
        readLine(line, bytes, 0, bytes.length);
        const reasons = [line.event, line.skip, line.reject].filter((it) => it !== null);
        expect(reasons).toHaveLength(1);
      }),
      { seed: 2, numRuns: LINES },
    );
  });

  it('that is understood is the same after printing and parsing it again', () => {
    const line = emptyLine();
    fc.assert(
      property(mutated, (bytes) => {
        readLine(line, bytes, 0, bytes.length);
        const record = recordOf(line);
        if (record !== null) expect(parseRecord(printRecord(record))).toEqual(record);
      }),
      { seed: 3, numRuns: LINES },
    );
  });

  it('is read the same whatever was read before it', () => {
    const line = emptyLine();
    fc.assert(
      property(mutated, (bytes) => {
        readLine(line, bytes, 0, bytes.length);
        expect(recordOf(line)).toEqual(parseRecord(bytes));
      }),
      { seed: 4, numRuns: LINES },
    );
  });

  it('does not stop a replay: the counts add up and every fault is in one class', () => {
    fc.assert(
      property(fc.array(mutated, { minLength: 50, maxLength: 50 }), (lines) => {
        const replay = createTraceReplay(fixtureMachine('tracecmd'));
        for (const bytes of lines) replay.push(Buffer.concat([bytes, Buffer.from('\n')]));
        const { lines: counts, faults } = replay.end();
        expect(counts.read).toBe(lines.length);
        expect(counts.understood + counts.skipped + counts.rejected).toBe(counts.read);
        expect(faults.predicted + faults.surprising + faults.unknown).toBe(faults.seen);
      }),
      { seed: 5, numRuns: Math.ceil(LINES / 50) },
    );
  });

  it('of 64 KiB takes no more than a few milliseconds, however it is made', () => {
    const hostile = [
      '1: ',
      ' 1.1',
      '-1 [0] ',
      '(',
      'a-',
      '0x',
      '1: k:',
      ': ',
      '[000] .... 1.0: kvm_entry: PC ',
    ];
    const line = emptyLine();
    for (const part of hostile) {
      const bytes = Buffer.from(part.repeat(Math.floor(65_536 / part.length)));
      const started = process.hrtime.bigint();
      readLine(line, bytes, 0, bytes.length);
      expect(Number(process.hrtime.bigint() - started) / 1e6).toBeLessThan(100);
    }
  });
});
