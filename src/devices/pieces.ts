// One access cut at register boundaries: a gathered write of 64 bytes reaches every register it covers at
// that register's own width, as an endpoint decodes a burst by its byte enables.

import type { Region } from './description.ts';
import type { Register } from './register.ts';

export interface RegionPiece {
  /** Bytes from the start of the region. */
  readonly offset: number;
  readonly size: number;
  readonly register: Register | null;
}

/** Ascending pieces of [offset, offset + size), each in one register or in none. */
export function piecesOf(region: Region, offset: number, size: number): RegionPiece[] {
  const end = offset + size;
  const pieces: RegionPiece[] = [];
  let at = offset;
  for (const register of region.registers) {
    if (at >= end || register.offset >= end) break;
    if (register.offset + register.width <= at) continue;
    if (register.offset > at) {
      pieces.push({ offset: at, size: register.offset - at, register: null });
      at = register.offset;
    }
    const pieceEnd = Math.min(register.offset + register.width, end);
    pieces.push({ offset: at, size: pieceEnd - at, register });
    at = pieceEnd;
  }
  if (at < end) pieces.push({ offset: at, size: end - at, register: null });
  return pieces;
}

/** The register answers accesses of this size at this place; all others are RAZ/WI. */
export function answers({ offset, size, register }: RegionPiece): boolean {
  if (register === null) return true;
  return register.sizes.some((allowed) => allowed === size) && (offset - register.offset) % size === 0;
}

/** The bytes that `piece` takes from those of the whole access. */
export function bytesFor(
  piece: RegionPiece,
  offset: number,
  bytes: readonly number[] | null,
): readonly number[] | null {
  return bytes === null ? null : bytes.slice(piece.offset - offset, piece.offset - offset + piece.size);
}
