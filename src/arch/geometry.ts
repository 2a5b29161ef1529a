// The shape of a stage 2 translation: granule, input size, start level and concatenated root tables (DDI0487
// D8.2). `stage2Geometry` chooses as KVM does: kvm_get_vtcr() and stage2_pgtable_levels() take as many
// concatenated root tables as the architecture allows before they add a level.

/** Translation granule in bytes: the size of a page and, but for the root, of a translation table. */
export type Granule = 4096 | 16384 | 65536;

/** Lookup level. Level -1 exists only for the 4K granule with FEAT_LPA2; 3 is the level of pages. */
export type Level = -1 | 0 | 1 | 2 | 3;

export interface Stage2Geometry {
  readonly granule: Granule;
  /** Size of the input address: 64 - VTCR_EL2.T0SZ, in bits. */
  readonly ipaBits: number;
  /** VTCR_EL2.DS: descriptors without an SH field, 52-bit addresses with the 4K and 16K granules. */
  readonly lpa2: boolean;
  readonly startLevel: Level;
  /** Root tables that stand side by side, 1 to 16; 1 also for a root smaller than one table. */
  readonly concatenatedTables: number;
}

const MAX_CONCATENATED_BITS = 4;
const DESCRIPTOR_BITS = 3;

const SHIFT: Readonly<Record<Granule, number>> = { 4096: 12, 16384: 14, 65536: 16 };
const LOWEST_LEVEL: Readonly<Record<Granule, Level>> = { 4096: -1, 16384: 0, 65536: 1 };

/** By granule: what an entry of level -1, 0, 1, 2 and 3 spans; 0 where the granule has no such level. */
const LEVEL_SIZES_4K = levelSizes(4096);
const LEVEL_SIZES_16K = levelSizes(16384);
const LEVEL_SIZES_64K = levelSizes(65536);

function levelSizes(granule: Granule): readonly number[] {
  return [-1, 0, 1, 2, 3].map((level) =>
    level < LOWEST_LEVEL[granule] ? 0 : granule * 2 ** ((3 - level) * (SHIFT[granule] - DESCRIPTOR_BITS)),
  );
}

/** log2 of the granule: 12, 14 or 16. */
export function granuleShift(granule: Granule): number {
  return SHIFT[granule];
}

/** Descriptors in one translation table: 512, 2048 or 8192. */
export function entriesPerTable(granule: Granule): number {
  return granule / 8;
}

/**
 * Bytes of input address that one entry of that level spans: 1G, 2M, 4K at levels 1 to 3 of the 4K granule.
 * @throws RangeError for a level the granule does not have (-1 is only 4K, 0 is not 64K)
 */
export function levelSize(granule: Granule, level: Level): number {
  const sizes = granule === 4096 ? LEVEL_SIZES_4K : granule === 16384 ? LEVEL_SIZES_16K : LEVEL_SIZES_64K;
  const size = sizes[level + 1];
  if (size === undefined || size === 0) {
    throw new RangeError(`the ${granule / 1024}K granule has no lookup level ${level}`);
  }
  return size;
}

/**
 * The stage 2 that KVM sets up for a VM: levels as for an address of 4 bits less, because up to 16 root
 * tables are concatenated, and never less than two, lest the host's PMD blocks be split (kvm_get_vtcr()).
 * @throws RangeError if ipaBits is outside 32 to 48 (to 52 with LPA2 or the 64K granule), or LPA2 meets 64K
 */
export function stage2Geometry(input: {
  readonly granule: Granule;
  readonly ipaBits: number;
  readonly lpa2: boolean;
}): Stage2Geometry {
  const { granule, ipaBits, lpa2 } = input;
  if (lpa2 && granule === 65536) {
    throw new RangeError(
      'LPA2 (VTCR_EL2.DS) exists for the 4K and 16K granules only; 64K needs no DS for 52 bits',
    );
  }
  const most = lpa2 || granule === 65536 ? 52 : 48;
  if (!Number.isInteger(ipaBits) || ipaBits < 32 || ipaBits > most) {
    const granuleName = `${granule / 1024}K granule${lpa2 ? ' with LPA2' : ''}`;
    throw new RangeError(`IPA size ${ipaBits} is not 32 to ${most} bits, as the ${granuleName} allows`);
  }
  const shift = SHIFT[granule];
  const levels = Math.max(
    2,
    Math.ceil((ipaBits - MAX_CONCATENATED_BITS - shift) / (shift - DESCRIPTOR_BITS)),
  );
  const startLevel = (4 - levels) as Level;
  const rootEntries = 2 ** ipaBits / levelSize(granule, startLevel);
  const concatenatedTables = Math.max(1, rootEntries / entriesPerTable(granule));
  return { granule, ipaBits, lpa2, startLevel, concatenatedTables };
}

/**
 * The levels where the architecture lets a block or page stand, ascending (DDI0487 D8.3.1): 2 and 3, 1 also
 * with 4K; LPA2 adds the 512G block of 4K and the 64G block of 16K, FEAT_LPA the 4T block of 64K.
 */
export function blockLevels(geometry: Stage2Geometry): readonly Level[] {
  const levels: Level[] = [];
  for (const level of [0, 1, 2, 3] as const) {
    if (level >= geometry.startLevel && isLeafLevel(geometry, level)) {
      levels.push(level);
    }
  }
  return levels;
}

/**
 * Whether the architecture lets a block or page stand at that level; see `kvmMinBlockLevel` for what KVM
 * uses.
 */
export function isLeafLevel(geometry: Stage2Geometry, level: Level): boolean {
  return level >= architecturalMinBlockLevel(geometry);
}

function architecturalMinBlockLevel(geometry: Stage2Geometry): Level {
  switch (geometry.granule) {
    case 4096:
      return geometry.lpa2 ? 0 : 1;
    case 16384:
      return geometry.lpa2 ? 1 : 2;
    case 65536:
      // With 64K the wide descriptor is not chosen by a bit; an input beyond 48 bits tells that FEAT_LPA is
      // there.
      return geometry.ipaBits > 48 ? 1 : 2;
  }
}

/** The lowest level at which KVM maps a block: KVM_PGTABLE_MIN_BLOCK_LEVEL, 1 with 4K pages, else 2. */
export function kvmMinBlockLevel(granule: Granule): Level {
  return granule === 4096 ? 1 : 2;
}
