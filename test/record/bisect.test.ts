import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseExpression } from '../../src/record/expression.ts';
import { property } from '../helpers/twice.ts';
import { recordedRun, seqsOf } from './recorded.ts';

describe('bisect', () => {
  it('finds the event after which a property no longer holds', () => {
    const { timeline } = recordedRun('6.1');

    const { kind, event, examined } = timeline.bisect('not guest.dead');

    expect(kind).toBe('fails');
    expect(event?.type).toBe('run-failed');
    expect(examined).toBeLessThan(15);
  });

  it('takes a function as well, and looks at a part of the run', () => {
    const { timeline } = recordedRun('6.12');
    const mapped = seqsOf(timeline, 'stage2-mapped');

    const { event } = timeline.bisect((state) => (state.vms[0]?.table.leafCount ?? 0) < 1, {
      to: mapped[0] ?? 0,
    });

    expect(event?.seq).toBe(mapped[0]);
  });

  it('scans where a property comes and goes', () => {
    const { timeline } = recordedRun('6.12');
    const { event } = timeline.bisect('vcpu0.pending == null', { scan: true });
    expect(event?.type).toBe('access-issued');
  });

  it('says that a property holds throughout, or not even at the start', () => {
    const { timeline } = recordedRun('6.12');
    expect(timeline.bisect('guest.dead == null').kind).toBe('holds');
    expect(timeline.bisect('guest.dead == 14')).toMatchObject({ kind: 'fails-at-start', event: null });
    expect(() => timeline.bisect('true', { from: 9, to: 3 })).toThrow(RangeError);
  });

  it('gives by halving what a scan gives, for every threshold', () => {
    const { timeline } = recordedRun('6.12');
    fc.assert(
      property(fc.nat(timeline.length - 1), (threshold) => {
        const property = (_: unknown, seq: number) => seq < threshold;
        const halved = timeline.bisect(property);
        expect(halved.event?.seq).toBe(timeline.bisect(property, { scan: true }).event?.seq);
        expect(halved.event?.seq).toBe(threshold);
      }),
      { seed: 1, numRuns: 50 },
    );
  });
});

describe('an expression', () => {
  const { timeline } = recordedRun('6.1');
  const seq = timeline.length - 1;
  const moment = { state: timeline.at(seq), seq, deaths: () => 14 };

  it.each<[string, boolean]>([
    ['vm0.dead == 14', true],
    ['guest.dead != 14 or nic.memoryEnabled', true],
    ["host.kernel == '6.1' and host.pageSize >= 4096", true],
    ['not (vm0.table.leafCount > 0x10) and true', true],
    ['nic.BAR0.CTRL == 7', true],
    ['nic.BAR0.CTRL < 7 || nic.BAR0.CTRL > 7', false],
    ['vm0.stage2[0x7_0000_0000].memAttr == null', true],
    ['vm0.stage2[0x70000000].memAttr < 1', false],
    ["vm0.name == 'guest' && !null", true],
    ['0x10 == 16 and 0b101 == 5', true],
    ['0xffffffffffffffff > 1', true],
    ['vms[0].slots.length == 0', false],
    ["'a' < 'b'", true],
    ['null', false],
  ])('%s', (text, expected) => {
    expect(parseExpression(text).holds(moment)).toBe(expected);
  });

  it.each([
    ['', /the expression ends at character 1/],
    ['vm0.dead ==', /the expression ends/],
    ['vm0.dead = 3', /'= 3' stands at character 10/],
    ['(vm0.dead', /the expression ends/],
    ['1 2', /'2' stands at character 3/],
    ['process.exit()', /'\(\)' stands/],
    ['a[b]', /'\[b\]' stands/],
    ['and', /'and' stands/],
    ["'open", /stands/],
    [`${'('.repeat(1000)}1`, /nest deeper/],
    ['0x', /stands/],
    ['x'.repeat(20_000), /at most/],
  ])('refuses %.20s', (text, message) => {
    expect(() => parseExpression(text)).toThrow(RangeError);
    expect(() => parseExpression(text)).toThrow(message);
  });

  it('is read or refused, whatever stands there, and never does anything else', () => {
    const piece = fc.constantFrom(
      'vm0',
      '.dead',
      '[1]',
      '(',
      ')',
      'and',
      'or',
      'not',
      '==',
      '<',
      '7',
      "'x'",
      ' ',
      '-',
      '0x',
      '__proto__',
    );
    fc.assert(
      property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        try {
          expect(typeof parseExpression(pieces.join(' ')).holds(moment)).toBe('boolean');
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
      { seed: 2, numRuns: 500 },
    );
  });
});
