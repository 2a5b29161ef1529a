// `stagetwo matrix`: every stage 2 MemAttr against the seven stage 1 types that matter, computed cell by cell
// by the same rules that the simulation uses (DDI0487 D8.6.5, D8.6.6).

import { combine, combineAttributes } from '../arch/combine.ts';
import type { CombineRule } from '../arch/combine-rules.ts';
import { decodeMair, decodeParAttr } from '../arch/mair.ts';
import type { MemoryType } from '../arch/memory-type.ts';
import { describeMemoryType, isNonCacheable } from '../arch/memory-type.ts';
import type { Stage2Decode, Stage2MemAttr } from '../arch/stage2-memattr.ts';
import { decodeMemAttr } from '../arch/stage2-memattr.ts';
import type { LeafType } from '../host/leaf.ts';
import { memAttrOf } from '../host/leaf.ts';
import type { Cell, Column } from './layout.ts';
import { facts, paragraph, table, wrap } from './layout.ts';
import { COMBINE_WORDS } from './rule-words.ts';
import type { Style, Terminal } from './terminal.ts';
import { binary, hex, toJson } from './words.ts';

export interface MatrixOptions {
  readonly fwb?: boolean;
  readonly cd?: boolean;
  readonly json?: boolean;
}

/** MAIR bytes of the columns; WT and WB with read and write allocation, as Linux sets them. */
const STAGE1_BYTES = [0x00, 0x04, 0x08, 0x0c, 0x44, 0xbb, 0xff] as const;

/** Stage 1 shareability does not change a type; Linux maps all memory Inner Shareable. */
const INNER_SHAREABLE = 0b11;

interface MatrixCell {
  readonly mair: number;
  /** Every type that the architecture permits; one where it leaves no choice. */
  readonly types: readonly MemoryType[];
  readonly because: CombineRule;
}

interface MatrixRow {
  readonly memAttr: number;
  readonly decoded: Stage2Decode;
  readonly cells: readonly MatrixCell[];
}

/** @returns exit status */
export function matrix(options: MatrixOptions, terminal: Terminal): number {
  const regime = { fwb: options.fwb === true, cd: options.cd === true };
  const rows = matrixRows(regime);
  if (options.json === true) terminal.out(toJson(document(rows, regime)));
  else terminal.out(`${lines(rows, regime, terminal).join('\n')}\n`);
  return 0;
}

interface Regime {
  readonly fwb: boolean;
  readonly cd: boolean;
}

function matrixRows(regime: Regime): MatrixRow[] {
  return Array.from({ length: 16 }, (_, memAttr) => ({
    memAttr,
    decoded: decodeMemAttr(memAttr, regime.fwb),
    cells: STAGE1_BYTES.map((mair) => cellOf(mair, memAttr, regime)),
  }));
}

function cellOf(mair: number, memAttr: number, regime: Regime): MatrixCell {
  const { outcomes } = combineAttributes({
    ...regime,
    s1: { attr: mair, sh: INNER_SHAREABLE },
    s2: { memattr: memAttr, sh: INNER_SHAREABLE },
  });
  const bytes = [...new Set(outcomes.map(({ attr }) => attr))];
  const types = bytes.map(decodeParAttr).filter((type) => type !== undefined);
  const stage1 = { type: stage1Type(mair), shareability: 'ISH' } as const;
  const { because } = combine(stage1, { memAttr, sh: INNER_SHAREABLE }, regime);
  return { mair, types, because };
}

function stage1Type(mair: number): MemoryType {
  const decoded = decodeMair(mair);
  if (decoded.encoding === 'reserved') throw new RangeError(`MAIR byte ${mair} is reserved`);
  return decoded.type;
}

/** A type in a narrow cell: `nGnRE`, `NC`, `WB`, `iWB-oNC`. Hints are stage 1's and say nothing here. */
function shortType(type: MemoryType): string {
  if (type.type === 'Device') return type.device;
  const { inner, outer } = type;
  return inner.policy === outer.policy ? inner.policy : `i${inner.policy}-o${outer.policy}`;
}

function typeStyle(type: MemoryType, style: Style): (text: string) => string {
  if (type.type === 'Device') return style.device;
  return isNonCacheable(type) ? style.nonCacheable : style.cacheable;
}

/** What MemAttr says by itself. */
function describeMemAttr(outcome: Stage2MemAttr): string {
  switch (outcome.type) {
    case 'Device':
      return `Device-${outcome.device}`;
    case 'Normal':
      return outcome.inner === outcome.outer
        ? `Normal ${outcome.inner}`
        : `i${outcome.inner}-o${outcome.outer}`;
    case 'force-non-cacheable':
      return 'Normal NC';
    case 'force-write-back':
      return 'force WB';
    case 'as-stage-1':
      return 'as stage 1';
  }
}

/** What KVM maps with which MemAttr (stage2_set_prot_attr). */
const KVM_MAPS: readonly { readonly type: LeafType; readonly what: string }[] = [
  { type: 'device', what: 'a page that is not RAM' },
  { type: 'normal-nc', what: 'such a page whose VMA has VM_ALLOW_ANY_UNCACHED, from 6.9' },
  { type: 'normal', what: 'RAM' },
];

function lines(rows: readonly MatrixRow[], regime: Regime, terminal: Terminal): string[] {
  const { style, columns: width } = terminal;
  const title = `stage 1 x stage 2, HCR_EL2.FWB = ${regime.fwb ? 1 : 0}, HCR_EL2.CD = ${regime.cd ? 1 : 0}`;
  const legend = 'rows: MemAttr[3:0] of the stage 2 descriptor; columns: stage 1 and its MAIR byte';
  // With FWB = 1, bit 3 of MemAttr is RES0: the second half of the table would repeat the first.
  const shown = regime.fwb ? rows.slice(0, 8) : rows;
  const groups = groupsThatFit(width);
  const tables = groups.map((group) => tableOf(shown, group, regime, terminal));
  return [
    ...wrap(title, width).map(style.strong),
    ...wrap(legend, width),
    ...tables.flatMap((block) => ['', ...block]),
    '',
    ...footnotes(rows, regime, width),
    '',
    ...rulesIn(rows, terminal),
  ];
}

/** All seven stage 1 types side by side, or Device above Normal where the terminal is narrow. */
function groupsThatFit(width: number): readonly (readonly number[])[] {
  const all = STAGE1_BYTES.map((_, at) => at);
  return width >= 80 ? [all] : [all.slice(0, 4), all.slice(4)];
}

function tableOf(
  rows: readonly MatrixRow[],
  group: readonly number[],
  regime: Regime,
  { columns: width, style }: Terminal,
): string[] {
  const heads = group.map((at) => STAGE1_BYTES[at] ?? 0);
  const columns: Column[] = [
    { header: 'MemAttr' },
    { header: 'stage 2', drop: 1 },
    ...heads.map((mair) => ({ header: shortType(stage1Type(mair)) })),
  ];
  const bytesRow: Cell[] = ['', '', ...heads.map((mair) => ({ text: hex2(mair), style: style.dim }))];
  const body = rows.map((row): Cell[] => [
    `${binary(row.memAttr, 4)}${mapsWith(row.memAttr, regime) === undefined ? '' : '*'}`,
    { text: meaningOf(row), style: row.decoded.encoding === 'allocated' ? (text) => text : style.dim },
    ...group.map((at) => matrixCell(row.cells[at], style)),
  ]);
  return table(columns, [bytesRow, ...body], { width, headerStyle: style.strong });
}

const hex2 = (byte: number): string => `0x${byte.toString(16).padStart(2, '0')}`;

const mapsWith = (memAttr: number, { fwb }: Regime) =>
  KVM_MAPS.find(({ type }) => memAttrOf(type, fwb) === memAttr);

function meaningOf({ decoded }: MatrixRow): string {
  if (decoded.encoding !== 'allocated') return 'reserved [1]';
  return describeMemAttr(decoded.outcomes[0]);
}

function matrixCell(cell: MatrixCell | undefined, style: Style): Cell {
  const [type, ...others] = cell?.types ?? [];
  if (type === undefined) return '';
  if (others.length > 0) return { text: '[1]', style: style.dim };
  return { text: shortType(type), style: typeStyle(type, style) };
}

function footnotes(rows: readonly MatrixRow[], regime: Regime, width: number): string[] {
  const maps = KVM_MAPS.map(({ type, what }) => `${binary(memAttrOf(type, regime.fwb), 4)} for ${what}`);
  const reserved = rows
    .filter(({ decoded }) => decoded.encoding === 'reserved')
    .map(({ memAttr }) => memAttr);
  const names = reserved.filter((memAttr) => !regime.fwb || memAttr < 8).map((memAttr) => binary(memAttr, 4));
  const reservedWords = regime.fwb
    ? [
        `${names.join(', ')} is reserved; the pseudocode (S2ApplyFWBMemAttrs) takes it as 0b0101.`,
        'Bit 3 is RES0 without FEAT_MTE_PERM: 0b1000 to 0b1111 act as 0b0000 to 0b0111.',
      ]
    : [
        `${names.join(', ')} are reserved, CONSTRAINED UNPREDICTABLE: the inner half acts as NC, WT or WB.`,
        'Below a stage 1 Device, or where NC wins, that makes no difference.',
      ];
  return [
    ...paragraph('*   ', `KVM writes ${maps.join('; ')}.`, width),
    ...paragraph('[1] ', reservedWords.join(' '), width),
  ];
}

/** Only the rules that decided a cell of this table, in the order of the table. */
function rulesIn(rows: readonly MatrixRow[], { columns: width, style }: Terminal): string[] {
  const rules = [...new Set(rows.flatMap(({ cells }) => cells.map(({ because }) => because)))];
  return facts(
    rules.map((rule) => [rule, COMBINE_WORDS[rule]]),
    { width, headerStyle: style.strong },
  );
}

function document(rows: readonly MatrixRow[], regime: Regime) {
  return {
    ...regime,
    rows: rows.map(({ memAttr, decoded, cells }) => ({
      memAttr,
      encoding: decoded.encoding,
      meaning: describeMemAttr(decoded.outcomes[0]),
      kvmMaps: mapsWith(memAttr, regime)?.what ?? null,
      cells: cells.map(({ mair, types, because }) => ({
        mair: hex(mair),
        stage1: describeMemoryType(stage1Type(mair)),
        combined: types.map(describeMemoryType),
        because,
      })),
    })),
  };
}
