// Every memory type that an allocated MAIR byte can have, in the order of the bytes.

import { decodeMair } from '../../src/arch/mair.ts';
import type { MemoryFeatures, MemoryType } from '../../src/arch/memory-type.ts';

export function allTypes(features: MemoryFeatures = {}): readonly MemoryType[] {
  return Array.from({ length: 256 }, (_, byte) => decodeMair(byte, features)).flatMap((decoded) =>
    decoded.encoding === 'allocated' ? [decoded.type] : [],
  );
}
