// The combining rules written a second time, on the nibbles of the encodings alone: slower to read, but it
// shares no code with src/arch/combine.ts, so that the two can be held against each other over the whole
// space.

type Packed = number;

/** One outcome as attr * 4 + sh. */
export const pack = (attr: number, sh: number): Packed => attr * 4 + sh;

const NC = 4;
const isDevice = (attr: number): boolean => attr < 0x10;
const policyOf = (nibble: number): number => (nibble === NC ? 0 : nibble & 4 ? 2 : 1);

export function isReservedByte(attr: number): boolean {
  return isDevice(attr) ? (attr & 3) !== 0 : (attr & 0xf) === 0;
}

function lowered(nibble: number, policy: number): number {
  if (policy === 0 || nibble === NC) return NC;
  return policy < policyOf(nibble) ? nibble & ~4 : nibble;
}

/** FWB = 0, for one reading of MemAttr: Device if `outer` is -1, else policies 0 NC, 1 WT, 2 WB. */
function combineNibbles(attr: number, outer: number, inner: number): number {
  if (outer < 0) return isDevice(attr) ? Math.min(attr, inner * 4) : inner * 4;
  return isDevice(attr) ? attr : (lowered(attr >> 4, outer) << 4) | lowered(attr & 0xf, inner);
}

function attrsWithoutFwb(cd: boolean, attr: number, memattr: number): number[] {
  const high = memattr >> 2;
  const low = memattr & 3;
  if (high === 0) return [combineNibbles(attr, -1, low)];
  if (cd) return [combineNibbles(attr, 0, 0)];
  return (low === 0 ? [0, 1, 2] : [low - 1]).map((inner) => combineNibbles(attr, high - 1, inner));
}

function attrWithFwb(cd: boolean, attr: number, memattr: number): number {
  const field = memattr & 7;
  const written = (nibble: number): number => (nibble === NC ? 0xf : nibble | 4);
  let result = attr;
  if (field < 4) result = isDevice(attr) ? Math.min(attr, field * 4) : field * 4;
  else if (field < 6) result = isDevice(attr) ? attr : 0x44;
  else if (field === 6) result = isDevice(attr) ? 0xff : (written(attr >> 4) << 4) | written(attr & 0xf);
  return cd && !isDevice(result) ? 0x44 : result;
}

const readings = (sh: number): number[] => (sh === 1 ? [0, 2, 3] : [sh]);

/** OSH (2) wins, then ISH (3), then NSH (0). */
function wider(a: number, b: number): number {
  return a === 2 || b === 2 ? 2 : Math.max(a, b);
}

/** Every permitted outcome for an allocated MAIR byte, packed. */
export function oracle(
  fwb: boolean,
  cd: boolean,
  s1: { attr: number; sh: number },
  s2: { memattr: number; sh: number },
): Set<Packed> {
  const attrs = fwb ? [attrWithFwb(cd, s1.attr, s2.memattr)] : attrsWithoutFwb(cd, s1.attr, s2.memattr);
  const outer = isDevice(s1.attr) || s1.attr === 0x44;
  const outcomes = new Set<Packed>();
  for (const attr of attrs) {
    for (const a of outer ? [...readings(s1.sh), 2] : readings(s1.sh)) {
      for (const b of readings(s2.sh)) {
        outcomes.add(pack(attr, isDevice(attr) || attr === 0x44 ? 2 : wider(a, b)));
      }
    }
  }
  return outcomes;
}
