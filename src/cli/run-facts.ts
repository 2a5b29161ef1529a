// What a run came to, in the words of a report: leaves, fates, accesses and what devices received. Both the story of
// one run and the comparison of several are put together from these.

import { BECAUSE } from '../host/because.ts';
import type { AccessReport, LeafReport, RegionReport, ScenarioRun, VmReport } from '../machine/report.ts';
import type { Style } from './terminal.ts';
import { binary, bytes, grouped, hex } from './words.ts';

/** How a piece of a report is coloured: what it says, not which colour. */
export type Tone = 'plain' | 'good' | 'bad' | 'device' | 'nonCacheable' | 'cacheable' | 'dim';

export const styled =
  (style: Style, tone: Tone): ((text: string) => string) =>
  (text) =>
    tone === 'plain' ? text : style[tone](text);

/** Tone of a memory type in words, as leaves and accesses carry it. */
export function toneOf(type: string): Tone {
  if (type.startsWith('Device')) return 'device';
  return /Non-cacheable|\bNC\b/.test(type) ? 'nonCacheable' : 'cacheable';
}

/** `unsupported-fsc: KVM handles ... faults only`, or the bare name of a rule that has no words. */
export function ruleText(rule: string): string {
  const words = (BECAUSE as Readonly<Record<string, string>>)[rule];
  return words === undefined ? rule : `${rule}: ${words}`;
}

/** `Device-nGnRE, MemAttr 0b0001`. */
export const leafType = ({ type, memAttr }: LeafReport): string => `${type}, MemAttr ${binary(memAttr, 4)}`;

/** `2 leaves of 4 KiB, read-write`. */
export function leafShape(leaf: LeafReport): string {
  const may = [leaf.read ? 'read' : '', leaf.write ? 'write' : '', leaf.exec ? 'execute' : '']
    .filter((word) => word !== '')
    .join('-');
  const leaves = leaf.count === 1 ? 'one leaf' : `${grouped(leaf.count)} leaves`;
  return `${leaves} of ${bytes(leaf.size)}, ${may}`;
}

/** Regions in which stage 2 got a leaf, or that an access went to, in order of assignment. */
export function regionsTouched(run: ScenarioRun): RegionReport[] {
  const named = new Set(
    run.vms.flatMap(({ name, vcpus }) =>
      vcpus.flatMap(({ accesses }) => accesses.map(({ region }) => `${name} ${region}`)),
    ),
  );
  return run.regions.filter((it) => it.leaves.length > 0 || named.has(`${it.vm} ${it.region}`));
}

export function fateOf(vm: VmReport): { readonly text: string; readonly tone: Tone } {
  if (vm.dead !== null) return { text: `died: KVM_RUN failed with ${vm.dead.errnoName}`, tone: 'bad' };
  const open = vm.vcpus.filter(({ finished }) => !finished).length;
  if (open > 0) return { text: `lives, ${open} of ${vm.vcpus.length} vCPUs never finished`, tone: 'bad' };
  if (vm.skipped.length > 0) {
    return {
      text: `lives, the VMM stepped over ${grouped(vm.skipped.length)} errors of KVM_RUN`,
      tone: 'plain',
    };
  }
  return { text: 'lives, its programs ran to their end', tone: 'good' };
}

/** Accesses of one kind that follow each other without a gap, as a loop makes them. */
export interface AccessGroup {
  readonly vcpu: number;
  readonly kind: string;
  /** Bytes of one access. */
  readonly size: number;
  readonly region: string | null;
  /** Offset of the first in its region, else its IPA, else its VA. */
  readonly start: number;
  readonly accesses: readonly AccessReport[];
}

const startOf = (access: AccessReport): number => access.offset ?? access.ipa ?? access.va;

export function groupAccesses(vcpu: number, accesses: readonly AccessReport[]): AccessGroup[] {
  const groups: (AccessGroup & { accesses: AccessReport[] })[] = [];
  for (const access of accesses) {
    const last = groups.at(-1);
    const next = last === undefined ? 0 : last.start + last.size * last.accesses.length;
    const continues =
      last !== undefined &&
      last.kind === access.kind &&
      last.size === access.size &&
      last.region === access.region &&
      next === startOf(access);
    if (continues) last.accesses.push(access);
    else {
      const { kind, size, region } = access;
      groups.push({ vcpu, kind, size, region, start: startOf(access), accesses: [access] });
    }
  }
  return groups;
}

/** `write 8 B at gpu.bar0+0x40`. */
export function groupName({ kind, size, region, start }: AccessGroup, withRegion = true): string {
  const where = region === null ? hex(start) : `${withRegion ? region : ''}+${hex(start)}`;
  return `${kind} ${size} B at ${where}`;
}

/** What became of an access, and how it looked to the guest. */
export function outcomeOf(access: AccessReport): { readonly text: string; readonly tone: Tone } {
  const { aborted, combined } = access;
  const esr = aborted?.esr == null ? '' : `, ESR_EL1 ${hex(aborted.esr)}`;
  switch (access.outcome) {
    case 'completed':
      return { text: 'completed', tone: combined === null ? 'plain' : toneOf(combined) };
    case 'mmio-exited':
      return { text: 'emulated by the VMM', tone: 'plain' };
    case 'mmio-handled':
      return { text: 'emulated by the kernel', tone: 'plain' };
    case 'nisv-exited':
      return { text: 'KVM_EXIT_ARM_NISV', tone: 'bad' };
    case 'run-failed':
      return { text: 'KVM_RUN failed', tone: 'bad' };
    case 'abort-injected':
      return { text: `abort from the host${esr}`, tone: 'bad' };
    case 'stage1-faulted':
      return { text: `abort from stage 1${esr}`, tone: 'bad' };
    case 'instruction-skipped':
      return { text: 'skipped', tone: 'plain' };
    case null:
      return { text: 'never completed', tone: 'bad' };
  }
}

/** `8 completed`, or the parts where not all went the same way: `3 completed, KVM_RUN failed`. */
export function groupOutcome({ accesses }: AccessGroup): { readonly text: string; readonly tone: Tone } {
  const parts: { text: string; tone: Tone; count: number }[] = [];
  for (const access of accesses) {
    const { text, tone } = outcomeOf(access);
    const last = parts.at(-1);
    if (last?.text === text) last.count += 1;
    else parts.push({ text, tone, count: 1 });
  }
  const text = parts.map((part) => (part.count === 1 ? part.text : `${grouped(part.count)} ${part.text}`));
  const worst = parts.find(({ tone }) => tone === 'bad') ?? parts.at(-1);
  return { text: text.join(', '), tone: worst?.tone ?? 'plain' };
}
