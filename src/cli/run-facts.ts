// What a run came to, in the words of a report: leaves, fates, accesses and what devices received. Both the
// story of one run and the comparison of several are put together from these.

import { describeEsr } from '../arch/esr-words.ts';
import type {
  AccessReport,
  InterruptReport,
  LeafReport,
  RegionReport,
  ScenarioRun,
  VmReport,
} from '../machine/report.ts';
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

/** A memory type where space is short: `Normal-NC` as Linux has it, instead of `Normal Non-cacheable`. */
export const shortWords = (type: string): string => type.replace(/^Normal Non-cacheable/, 'Normal-NC');

/** `Device-nGnRE, MemAttr 0b0001`. */
export const leafType = ({ type, memAttr }: LeafReport): string =>
  `${shortWords(type)}, MemAttr ${binary(memAttr, 4)}`;

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
  if (vm.dead !== null) return { text: `died: KVM_RUN gave ${vm.dead.errnoName}`, tone: 'bad' };
  const open = vm.vcpus.filter(({ finished }) => !finished).length;
  if (open > 0) return { text: `lives, ${open} of ${vm.vcpus.length} vCPUs did not finish`, tone: 'bad' };
  if (vm.skipped.length > 0) {
    return {
      text: `lives, the VMM stepped over ${grouped(vm.skipped.length)} errors of KVM_RUN`,
      tone: 'plain',
    };
  }
  return { text: 'lives, ran to its end', tone: 'good' };
}

/** Accesses of one kind at even steps, as a loop makes them. */
export interface AccessGroup {
  readonly vcpu: number;
  readonly kind: string;
  /** Bytes of one access. */
  readonly size: number;
  readonly region: string | null;
  /** Offset of the first in its region, else its IPA, else its VA. */
  readonly start: number;
  /** Bytes from one access to the next; 0 for the same place again and again. */
  readonly step: number;
  readonly accesses: readonly AccessReport[];
}

const startOf = (access: AccessReport): number => access.offset ?? access.ipa ?? access.va;

/** Further apart than a page, accesses are stories of their own. */
const MAX_STEP = 4096;

export function groupAccesses(vcpu: number, accesses: readonly AccessReport[]): AccessGroup[] {
  const groups: AccessReport[][] = [];
  for (const access of accesses) {
    const last = groups.at(-1);
    if (last !== undefined && continues(last, access)) last.push(access);
    else groups.push([access]);
  }
  return groups.flatMap((members) => {
    const [first, second] = members;
    if (first === undefined) return [];
    const { kind, size, region } = first;
    const step = second === undefined ? size : startOf(second) - startOf(first);
    return [{ vcpu, kind, size, region, start: startOf(first), step, accesses: members }];
  });
}

/** A step is a multiple of the size: an unaligned access among aligned ones stands by itself. */
function continues(group: readonly AccessReport[], access: AccessReport): boolean {
  const [first, second] = group;
  const last = group.at(-1);
  if (first === undefined || last === undefined) return false;
  if (last.kind !== access.kind || last.size !== access.size || last.region !== access.region) return false;
  const step = startOf(access) - startOf(last);
  if (second !== undefined) return step === startOf(second) - startOf(first);
  return step >= 0 && step <= MAX_STEP && step % access.size === 0;
}

/** `write 8 B at gpu.bar0+0x40`. */
export function groupName({ kind, size, region, start }: AccessGroup, withRegion = true): string {
  const where = region === null ? hex(start) : `${withRegion ? region : ''}+${hex(start)}`;
  return `${kind} ${size} B at ${where}`;
}

/** `ESR_EL1 0x86000010: Synchronous External abort`. */
function esrText(esr: bigint): string {
  const status = describeEsr(Number(esr & 0xffff_ffffn)).find((line) => /^[DI]FSC /.test(line));
  const words = status?.replace(/^[DI]FSC 0x[0-9a-f]+ /, '').replace(/ \(.*\)$/, '');
  return `ESR_EL1 ${hex(esr)}${words === undefined ? '' : `: ${words}`}`;
}

/** What became of an access, and how it looked to the guest. */
function outcomeOf(access: AccessReport): { readonly text: string; readonly tone: Tone } {
  const { aborted, combined } = access;
  const esr = aborted?.esr == null ? '' : `, ${esrText(aborted.esr)}`;
  switch (access.outcome) {
    case 'completed':
      return { text: 'completed', tone: combined === null ? 'plain' : toneOf(combined) };
    case 'mmio-exited':
      return { text: 'emulated by the VMM', tone: 'plain' };
    case 'mmio-handled':
      return { text: 'emulated by the kernel', tone: 'plain' };
    case 'gicv-trapped':
      return { text: 'made by the hypervisor, no exit to the kernel', tone: 'plain' };
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
    case 'sea-exited':
      return { text: 'KVM_EXIT_ARM_SEA', tone: 'bad' };
    case 'serror-injected':
      return { text: `SError from the host${esr}`, tone: 'bad' };
    case 'livelocked':
      return { text: `${access.faults.length} times the same fault, no end`, tone: 'bad' };
    case null:
      return { text: 'never completed', tone: 'bad' };
  }
}

/** `3: INTID 40 twice, SGI 5 from vCPU 1`, in the order of the first of each; null for none. */
export function interruptsText(interrupts: readonly InterruptReport[], lost: boolean): string | null {
  const kinds = new Map<string, number>();
  const wanted = interrupts.filter((it) => it.lost === lost);
  for (const { intid, from } of wanted) {
    const name = from === null ? `INTID ${intid}` : `SGI ${intid} from vCPU ${from}`;
    kinds.set(name, (kinds.get(name) ?? 0) + 1);
  }
  if (wanted.length === 0) return null;
  const parts = [...kinds].map(([name, times]) => (times === 1 ? name : `${grouped(times)} x ${name}`));
  return `${grouped(wanted.length)} (${parts.join(', ')})`;
}

/** `8 completed`, and where not all went the same way the parts: `3 completed, KVM_RUN failed`. */
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
