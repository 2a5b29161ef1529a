import { describe, expect, it } from 'vitest';
import type { AtomicOp } from '../../src/arch/atomic.ts';
import { atomicResult, reachesEndpoint } from '../../src/arch/atomic.ts';

describe('what an LSE atomic stores', () => {
  it.each<[AtomicOp, bigint, bigint, bigint]>([
    ['LDADD', 0xffn, 0x02n, 0x01n],
    ['LDCLR', 0b1111n, 0b0101n, 0b1010n],
    ['LDEOR', 0b1100n, 0b1010n, 0b0110n],
    ['LDSET', 0b1100n, 0b1010n, 0b1110n],
    ['SWP', 0x12n, 0x134n, 0x34n],
  ])('%s finds %i and leaves, with %i, %i: cut to its size', (op, old, operand, result) => {
    expect(atomicResult({ op }, 1, old, operand)).toBe(result);
  });

  it('CAS stores only for the value that it compares with', () => {
    expect(atomicResult({ op: 'CAS', compare: 7n }, 4, 7n, 9n)).toBe(9n);
    expect(atomicResult({ op: 'CAS', compare: 7n }, 4, 8n, 9n)).toBeNull();
  });
});

describe('the requests of PCI Express (PCIe 6.15)', () => {
  it.each<[AtomicOp, number, boolean]>([
    ['LDADD', 4, true],
    ['LDADD', 8, true],
    ['SWP', 8, true],
    ['CAS', 4, true],
    ['LDADD', 2, false],
    ['SWP', 1, false],
    ['LDSET', 8, false],
    ['LDCLR', 4, false],
    ['LDEOR', 8, false],
  ])('%s of %d bytes: %s', (op, size, there) => {
    expect(reachesEndpoint(op, size, 'pcie')).toBe(there);
    expect(reachesEndpoint(op, size, 'any')).toBe(true);
    expect(reachesEndpoint(op, size, undefined)).toBe(false);
  });
});
