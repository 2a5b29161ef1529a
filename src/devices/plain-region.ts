// Registers and bytes of a region by the rules that its registers declare: what a read gives, what a read or
// a write leaves behind. Pure; the GICv2 has its own rules in gicv2/.

import { bytesOfValue, valueOfBytes } from '../arch/transaction.ts';
import type { Region } from './description.ts';
import { readMemory, writeMemory } from './memory.ts';
import type { RegionPiece } from './pieces.ts';
import { answers } from './pieces.ts';
import type { Register } from './register.ts';
import type { RegionState } from './state.ts';

const valueIn = (state: RegionState, register: Register): bigint =>
  state.registers[register.name] ?? register.reset;

/** What the device puts on the bus, ascending bytes. */
export function readPiece(region: Region, state: RegionState, piece: RegionPiece): number[] {
  const { register, offset, size } = piece;
  const zeros = (): number[] => Array.from({ length: size }, () => 0);
  if (register === null)
    return region.unlisted === 'bytes'
      ? readMemory(state.memory, offset, size).map((byte) => byte ?? 0)
      : zeros();
  if (!answers(piece) || register.access === 'WO') return zeros();
  const from = offset - register.offset;
  return bytesOfValue(valueIn(state, register), register.width).slice(from, from + size);
}

/** What a read does to the region. */
export function afterRead(state: RegionState, piece: RegionPiece): void {
  const { register } = piece;
  if (register === null || register.access !== 'RC' || !answers(piece)) return;
  const zeros = Array.from({ length: piece.size }, () => 0);
  state.registers[register.name] = patched(state, register, piece.offset, zeros);
}

/** What a write does to the region; unknown bytes change nothing. */
export function afterWrite(
  region: Region,
  state: RegionState,
  piece: RegionPiece,
  bytes: readonly number[] | null,
): void {
  const { register } = piece;
  if (bytes === null) return;
  if (register === null) {
    if (region.unlisted === 'bytes') state.memory = writeMemory(state.memory, piece.offset, bytes);
    return;
  }
  if (!answers(piece) || register.access === 'RO' || register.access === 'RC') return;
  if (register.access === 'W1C') {
    const ones = valueOfBytes(bytes) << BigInt((piece.offset - register.offset) * 8);
    state.registers[register.name] = valueIn(state, register) & ~ones;
    return;
  }
  state.registers[register.name] = patched(state, register, piece.offset, bytes);
}

function patched(state: RegionState, register: Register, offset: number, bytes: readonly number[]): bigint {
  const all = bytesOfValue(valueIn(state, register), register.width);
  return valueOfBytes(all.toSpliced(offset - register.offset, bytes.length, ...bytes));
}
