import { describe, expect, it } from 'vitest';
import type { Pa } from '../../src/arch/addresses.ts';
import { NORMAL_NC, NORMAL_WB } from '../../src/arch/memory-type.ts';
import type { HeldRead } from '../../src/guest/held-reads.ts';
import { heldValue, withoutBytes, withRead } from '../../src/guest/held-reads.ts';

const read = (pa: number, size: number, value: bigint) => ({
  pa: pa as Pa,
  size,
  value,
  memoryType: NORMAL_NC,
});
const range = (start: number, end: number) => ({ start: start as Pa, end: end as Pa });
const held = (...reads: ReturnType<typeof read>[]): readonly HeldRead[] =>
  reads.reduce<readonly HeldRead[]>((all, it) => withRead(all, it, range(0, 2 ** 40)), []);

describe('a read that a processor keeps', () => {
  it('answers a later load of its bytes', () => {
    expect(heldValue(held(read(0x1000, 16, 0x1122_3344n << 32n)), 0x1004, 4, NORMAL_NC)).toBe(0x1122_3344n);
  });

  it('answers none that reaches beyond it, or is of another memory type', () => {
    const line = held(read(0x1000, 16, 0n));
    expect(heldValue(line, 0x100c, 8, NORMAL_NC)).toBeNull();
    expect(heldValue(line, 0x1000, 4, NORMAL_WB)).toBeNull();
  });

  it('answers no byte that a store changed or a load used', () => {
    const rest = withoutBytes(held(read(0x1000, 16, 0n)), 0x1004, 4);
    expect(heldValue(rest, 0x1004, 4, NORMAL_NC)).toBeNull();
    expect(heldValue(rest, 0x1000, 8, NORMAL_NC)).toBeNull();
    expect(heldValue(rest, 0x1008, 8, NORMAL_NC)).toBe(0n);
    expect(withoutBytes(rest, 0x0ff0, 0x40)).toEqual([]);
  });

  it('is superseded by a newer read of the same bytes, so that a location never goes back in time', () => {
    const both = held(read(0x1000, 8, 1n), read(0x1000, 8, 2n));
    expect(both).toHaveLength(1);
    expect(heldValue(both, 0x1000, 8, NORMAL_NC)).toBe(2n);
  });

  it('keeps only what its type lets answer', () => {
    const kept = withRead([], read(0x1000, 32, 7n << 64n), range(0x1008, 0x1010));
    expect(heldValue(kept, 0x1008, 8, NORMAL_NC)).toBe(7n);
    expect(heldValue(kept, 0x1000, 8, NORMAL_NC)).toBeNull();
    expect(withRead([], read(0x1000, 8, 1n), null)).toEqual([]);
  });
});
