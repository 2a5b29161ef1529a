// The walk of a guest's stage 1 tables in its own memory (DDI0487 D8.2, AArch64.S1Walk): each descriptor is read, and
// where hardware manages the flags written, by an access that goes through stage 2 like any other. Without a TLB for
// stage 1: every access walks, and an instruction that runs again walks from the start.

import type { Access, WalkPurpose } from '../arch/access.ts';
import { isStage1Walk, isWrite } from '../arch/access.ts';
import type { Ipa } from '../arch/addresses.ts';
import type { Level } from '../arch/geometry.ts';
import { levelSize } from '../arch/geometry.ts';
import { isStage1On } from '../arch/stage1.ts';
import type { Stage1Leaf } from '../arch/stage1-descriptor.ts';
import {
  decodeStage1,
  stage1EntryAddress,
  stage1StartLevel,
  updatedStage1,
} from '../arch/stage1-descriptor.ts';
import type { GuestEvent } from './events.ts';
import { stage1Faulted } from './stage1-fault.ts';
import type { Stage1Tables } from './stage1-regime.ts';
import type { VcpuState } from './state.ts';
import type { Walk } from './walk-state.ts';

/** Starts the walk for an access that has only a virtual address; with stage 1 off the address is the IPA. */
export function beginWalk(vcpu: VcpuState, id: number, access: Access): GuestEvent[] {
  const { tables, controls } = vcpu.stage1;
  if (tables === undefined || !isStage1On(controls)) {
    return [translated(vcpu, id, { ...plain(access), ipa: access.va as number as Ipa, stage1: null })];
  }
  const { granule, inputBits, outputBits, ttbr0 } = tables;
  // Beyond both TTBR ranges the fault is one of level 0, whatever the start level (AArch64.S1Translate).
  if (access.va >= 2 ** inputBits) {
    return stage1Faulted(vcpu, id, access, { kind: 'translation', level: 0 }, 'stage1-translation');
  }
  if (ttbr0 >= 2 ** outputBits) {
    return stage1Faulted(vcpu, id, access, { kind: 'address-size', level: 0 }, 'stage1-output-size');
  }
  const level = stage1StartLevel(granule, inputBits);
  return [step(vcpu, id, tables, { of: access, level, at: ttbr0, readOnly: false, pxn: false, leaf: null })];
}

/** What an access's walk serves: EC and ISS of its faults follow that. */
function purposeOf({ kind }: Access): WalkPurpose {
  if (kind === 'fetch') return 'fetch';
  return isWrite(kind) || kind === 'dc-ivac' ? 'write' : 'read';
}

/** The read of the entry of `walk.of` in the table at `walk.at`. */
function step(vcpu: VcpuState, id: number, tables: Stage1Tables, walk: Walk): GuestEvent {
  const at = stage1EntryAddress(tables.granule, walk.level, walk.at, walk.of.va);
  const access = walkAccess(walk, tables, 's1-walk', at);
  return { type: 'stage1-walk-stepped', vm: vcpu.vm, vcpu: id, walk: { ...walk, at }, access };
}

function walkAccess(walk: Walk, tables: Stage1Tables, kind: 's1-walk' | 's1-walk-update', at: Ipa): Access {
  const { id, va, bigEndian } = walk.of;
  const purpose = purposeOf(walk.of);
  return {
    id,
    kind,
    size: 8,
    va,
    ipa: at,
    stage1: tables.walk,
    syndrome: null,
    walk: { level: walk.level, purpose },
    ...(bigEndian === undefined ? {} : { bigEndian }),
  };
}

type DescriptorInput = Extract<
  GuestEvent,
  { readonly type: 'stage1-descriptor-read' | 'stage1-descriptor-updated' }
>;

/** What follows from an access of the walk that came through stage 2. */
export function walked(
  vcpu: VcpuState,
  id: number,
  input: DescriptorInput,
  hardwareAccessFlag: boolean,
): GuestEvent[] {
  const walk = walkUnderWay(vcpu);
  if (walk === null) return [];
  if (input.type === 'stage1-descriptor-updated') return descriptorUpdated(vcpu, id, walk);
  return descriptorRead(vcpu, id, walk, input.descriptor, hardwareAccessFlag);
}

/** A descriptor came back: on to the next table, or the leaf decides. @param descriptor null if it is not known */
function descriptorRead(
  vcpu: VcpuState,
  id: number,
  walk: Walk,
  descriptor: bigint | null,
  hardwareAccessFlag: boolean,
): GuestEvent[] {
  const { tables } = vcpu.stage1;
  const { of: access, level } = walk;
  if (tables === undefined || descriptor === null)
    return stage1Faulted(vcpu, id, access, null, 'stage1-table-unknown');
  const entry = decodeStage1(tables.granule, level, descriptor);
  if (entry.kind === 'invalid') {
    return stage1Faulted(vcpu, id, access, { kind: 'translation', level }, 'stage1-translation');
  }
  const output = entry.kind === 'table' ? entry.next : entry.leaf.output;
  if (output >= 2 ** tables.outputBits) {
    return stage1Faulted(vcpu, id, access, { kind: 'address-size', level }, 'stage1-output-size');
  }
  if (entry.kind === 'leaf') {
    return leafFound(vcpu, id, tables, walk, entry.leaf, descriptor, hardwareAccessFlag);
  }
  const readOnly = walk.readOnly || entry.readOnly;
  const pxn = walk.pxn || entry.pxn;
  const next = { ...walk, level: (level + 1) as Level, at: entry.next, readOnly, pxn };
  return [step(vcpu, id, tables, next)];
}

function leafFound(
  vcpu: VcpuState,
  id: number,
  tables: Stage1Tables,
  walk: Walk,
  leaf: Stage1Leaf,
  descriptor: bigint,
  hardware: boolean,
): GuestEvent[] {
  const { of: access, level } = walk;
  if (!leaf.af && !(tables.ha && hardware)) {
    return stage1Faulted(vcpu, id, access, { kind: 'access-flag', level }, 'stage1-access-flag');
  }
  const writes = purposeOf(access) === 'write';
  const cleans = writes && leaf.readOnly && leaf.dbm && tables.hd && hardware;
  if (!permitted(walk, cleans ? { ...leaf, readOnly: false } : leaf)) {
    return stage1Faulted(vcpu, id, access, { kind: 'permission', level }, 'stage1-permission');
  }
  if (leaf.af && !cleans) return [translated(vcpu, id, outputOf(tables, walk, leaf))];
  const value = updatedStage1(descriptor, cleans);
  const update: Access = { ...walkAccess(walk, tables, 's1-walk-update', walk.at), value };
  return [
    { type: 'stage1-walk-stepped', vm: vcpu.vm, vcpu: id, walk: { ...walk, leaf: value }, access: update },
  ];
}

/** AP and PXN as EL1 meets them: what EL0 may write, EL1 may not execute. SCTLR_EL1.WXN and PAN are off. */
function permitted(walk: Walk, leaf: Stage1Leaf): boolean {
  const writable = !leaf.readOnly && !walk.readOnly;
  switch (purposeOf(walk.of)) {
    case 'fetch':
      return !leaf.pxn && !walk.pxn && !(leaf.el0 && writable);
    case 'write':
      return writable;
    case 'read':
      return true;
  }
}

/** The update of a leaf's flags was written: its translation holds. */
function descriptorUpdated(vcpu: VcpuState, id: number, walk: Walk): GuestEvent[] {
  const { tables } = vcpu.stage1;
  if (tables === undefined || walk.leaf === null) return [];
  const entry = decodeStage1(tables.granule, walk.level, walk.leaf);
  return entry.kind === 'leaf' ? [translated(vcpu, id, outputOf(tables, walk, entry.leaf))] : [];
}

/** The access with what stage 1 gives it: the IPA, the byte of MAIR_EL1 and SH. */
function outputOf(tables: Stage1Tables, walk: Walk, leaf: Stage1Leaf): Access {
  const { of: access, level } = walk;
  const address = (leaf.output + (access.va % levelSize(tables.granule, level))) as Ipa;
  return { ...plain(access), ipa: address, stage1: { attr: tables.mair[leaf.attrIndx] ?? 0, sh: leaf.sh } };
}

function plain(access: Access): Access {
  const { byVa: _walked, ...rest } = access;
  return rest;
}

const translated = (vcpu: VcpuState, id: number, access: Access): GuestEvent => ({
  type: 'stage1-translated',
  vm: vcpu.vm,
  vcpu: id,
  access,
});

/** The walk of which the pending access is a part; null where it is an access of the program. */
export const walkUnderWay = ({ walk, pending }: VcpuState): Walk | null =>
  walk !== null && pending !== null && isStage1Walk(pending.kind) ? walk : null;
