// Stage 1 tables as a guest lays them out in its memory before it switches its MMU on: the descriptors to store, and
// TTBR0_EL1, TCR_EL1 and MAIR_EL1 for them. Blocks where address and size allow, as Linux maps its linear map.

import type { Ipa } from '../arch/addresses.ts';
import { ipa } from '../arch/addresses.ts';
import type { Granule, Level } from '../arch/geometry.ts';
import { levelSize } from '../arch/geometry.ts';
import type { Stage1Leaf } from '../arch/stage1-descriptor.ts';
import {
  encodeStage1Leaf,
  encodeStage1Table,
  isStage1LeafLevel,
  stage1EntryAddress,
  stage1StartLevel,
} from '../arch/stage1-descriptor.ts';
import type { Mappable, Stage1Attribute } from './mapping.ts';
import { normalWriteBack } from './mapping.ts';
import type { Stage1Tables } from './stage1-regime.ts';

/** A range that stage 1 maps. Addresses and size in bytes, multiples of the granule. */
export interface TableMapping {
  readonly va: number;
  readonly ipa: number;
  readonly size: number;
  /** Its type becomes a byte of MAIR_EL1; at most eight differ. */
  readonly attribute: Stage1Attribute;
  /** AP[2]: stores take a Permission fault. */
  readonly readonly?: boolean;
  /** DBM: with TCR_EL1.HD hardware makes a read-only leaf writable at the first store. */
  readonly dbm?: boolean;
  /** The access flag is set unless this is false. */
  readonly accessFlag?: boolean;
}

export interface TablesInput {
  /** Where the tables lie, one behind the other; by level where they lie apart. */
  readonly in: Mappable | ((level: Level) => Mappable);
  readonly map: readonly TableMapping[];
  /** TCR_EL1.TG0 in bytes; 4096 unless given. */
  readonly granule?: Granule;
  /** 64 - TCR_EL1.T0SZ, 25 to 48; 48 unless given. */
  readonly vaBits?: number;
  /** TCR_EL1.IPS in bits; 48 unless given. */
  readonly outputBits?: number;
  /** TCR_EL1.HA and HD: what hardware updates in the descriptors. Neither unless given. */
  readonly hardware?: 'access-flag' | 'access-flag-and-dirty-state';
  /** Memory type of the walks, TCR_EL1.IRGN0 and ORGN0; Normal Write-Back unless given. */
  readonly walks?: Stage1Attribute;
}

/** Tables ready to be stored and switched to. */
export interface TablePlan {
  readonly tables: Stage1Tables;
  /** One 64-bit store each, tables before what points to them. */
  readonly stores: readonly { readonly ipa: Ipa; readonly value: bigint }[];
}

/** @throws RangeError where the tables do not fit, two mappings overlap, or more than eight types are asked for */
export function stage1Tables(input: TablesInput): TablePlan {
  const { granule = 4096, vaBits = 48, outputBits = 48, hardware, walks = normalWriteBack } = input;
  if (!Number.isInteger(vaBits) || vaBits < 25 || vaBits > 48)
    throw new RangeError(`stage 1 tables: vaBits ${vaBits} is not one of 25 to 48`);
  const mair = [...new Set(input.map.map(({ attribute }) => attribute.attr))];
  if (mair.length > 8)
    throw new RangeError('stage 1 tables: MAIR_EL1 has eight bytes, more types are mapped');
  const place = tableSpace(input.in, granule);
  const start = stage1StartLevel(granule, vaBits);
  const entries = new Map<Ipa, bigint>();
  const tables = new Map<Ipa, Ipa>();
  const ttbr0 = place(start);
  for (const mapping of input.map) {
    checkMapping(mapping, granule, vaBits);
    for (let done = 0; done < mapping.size; ) {
      const level = leafLevel(mapping, done, granule, start);
      let table = ttbr0;
      for (let above = start; above < level; above = (above + 1) as Level) {
        const at = stage1EntryAddress(granule, above, table, mapping.va + done);
        const next = tables.get(at) ?? place((above + 1) as Level);
        tables.set(at, next);
        put(entries, at, encodeStage1Table(granule, next));
        table = next;
      }
      const leaf = leafOf(mapping, done, mair);
      const at = stage1EntryAddress(granule, level, table, mapping.va + done);
      put(entries, at, encodeStage1Leaf(granule, level, leaf));
      done += levelSize(granule, level);
    }
  }
  const stores = [...entries].map(([at, value]) => ({ ipa: at, value })).reverse();
  const walk = { attr: walks.attr, sh: walks.sh };
  const ha = hardware !== undefined;
  const hd = hardware === 'access-flag-and-dirty-state';
  return { tables: { ttbr0, granule, inputBits: vaBits, outputBits, mair, walk, ha, hd }, stores };
}

function put(entries: Map<Ipa, bigint>, at: Ipa, value: bigint): void {
  const there = entries.get(at);
  if (there !== undefined && there !== value)
    throw new RangeError('stage 1 tables: two mappings overlap; each address is mapped once');
  entries.set(at, value);
}

/** Hands out one table after the other; pages that nobody stored to hold zeros, which are invalid descriptors. */
function tableSpace(where: TablesInput['in'], granule: Granule): (level: Level) => Ipa {
  const taken = new Map<string, number>();
  return (level) => {
    const home = typeof where === 'function' ? where(level) : where;
    const first = Math.ceil(home.ipa / granule) * granule;
    const next = taken.get(home.name) ?? first;
    if (next + granule > home.ipa + home.size) {
      throw new RangeError(`stage 1 tables: ${home.name} has no room for another table of ${granule} bytes`);
    }
    taken.set(home.name, next + granule);
    return ipa(next);
  };
}

function checkMapping({ va, ipa: to, size }: TableMapping, granule: Granule, vaBits: number): void {
  const aligned = [va, to, size].every((value) => Number.isSafeInteger(value) && value % granule === 0);
  if (aligned && size > 0 && va >= 0 && va + size <= 2 ** vaBits) return;
  const what = `${size} bytes at VA 0x${va.toString(16)}`;
  throw new RangeError(`stage 1 tables: ${what} are no whole pages of ${granule} below 2^${vaBits}`);
}

/** The largest block that addresses and the rest of the range allow. */
function leafLevel({ va, ipa: to, size }: TableMapping, done: number, granule: Granule, start: Level): Level {
  for (let level = start; level < 3; level = (level + 1) as Level) {
    const block = levelSize(granule, level);
    if (!isStage1LeafLevel(granule, level) || size - done < block) continue;
    if ((va + done) % block === 0 && (to + done) % block === 0) return level;
  }
  return 3;
}

function leafOf(mapping: TableMapping, done: number, mair: readonly number[]): Stage1Leaf {
  const { attribute, readonly = false, dbm = false, accessFlag = true } = mapping;
  return {
    output: ipa(mapping.ipa + done),
    attrIndx: mair.indexOf(attribute.attr),
    el0: false,
    readOnly: readonly,
    sh: attribute.sh,
    af: accessFlag,
    dbm,
    pxn: !attribute.executable,
    uxn: true,
  };
}
