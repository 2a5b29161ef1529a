// Compares a replay with a capture's answers: faults, outcomes, results of calls, and every descriptor of every dump.
// Only this file looks at expected.json.

import type { CpuFeatures } from '../../arch/cpu.ts';
import { encodeLeaf } from '../../arch/descriptor.ts';
import type { PaBits } from '../../arch/vtcr.ts';
import { encodeVtcr, kvmVtcr } from '../../arch/vtcr.ts';
import { slotAt } from '../../host/memslot.ts';
import type { VmState } from '../../host/state.ts';
import { vmaAt } from '../../host/vma.ts';
import type { PredictedAccess, PredictedCall } from './observe.ts';
import type { BundleMachine, ExpectedAccess, ExpectedDump, ExpectedOperation } from './schema.ts';

export interface Tally {
  expected: number;
  matched: number;
}

export interface Divergence {
  /** Number of the access, or null for a call or a dump. */
  readonly access: number | null;
  /** Where: `access 21`, `operation 350 (pci-command)`, `dump mapped of vm0`. */
  readonly where: string;
  readonly expected: string;
  readonly predicted: string;
  /** The rule behind the prediction. */
  readonly because: string | null;
}

export interface DumpResult {
  readonly name: string;
  readonly vm: string;
  /** Leaves that the kernel had. */
  readonly leaves: number;
  readonly matched: number;
  /** Predicted leaves that the kernel did not have. */
  readonly extra: number;
}

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

export interface FaultCheck {
  readonly matched: number;
  readonly unexpected: number;
  readonly divergence: Divergence | null;
}

export function checkFaults(
  id: number,
  expected: ExpectedAccess,
  predicted: PredictedAccess | undefined,
): FaultCheck {
  const traced = (predicted?.faults ?? []).filter((fault) => fault.traced);
  const same = expected.faults.map((fault, index) => {
    const other = traced[index];
    return (
      other !== undefined &&
      other.ipa === fault.ipa &&
      other.esr === fault.esr &&
      BigInt(other.far) === BigInt(fault.far)
    );
  });
  const unexpected = Math.max(0, traced.length - expected.faults.length);
  const matched = same.filter(Boolean).length;
  if (matched === expected.faults.length && unexpected === 0)
    return { matched, unexpected, divergence: null };
  const list = (faults: readonly { ipa: number; esr: number; far: number | string }[]): string =>
    faults.length === 0
      ? 'no fault'
      : faults
          .map(
            (f) =>
              `ipa ${hex(f.ipa)} esr ${hex(f.esr)} far ${typeof f.far === 'string' ? f.far : hex(f.far)}`,
          )
          .join(', ');
  const divergence = {
    access: id,
    where: `access ${id}`,
    expected: list(expected.faults),
    predicted: list(traced),
    because: predicted?.because ?? null,
  };
  return { matched, unexpected, divergence };
}

export function checkOutcome(
  id: number,
  expected: ExpectedAccess,
  predicted: PredictedAccess | undefined,
): Divergence | null {
  const want = describeOutcome(expected.outcome, expected.errno, expected.guestEsr, expected.guestFar);
  const esr =
    expected.guestEsr == null || predicted?.guestEsr == null ? expected.guestEsr : hex(predicted.guestEsr);
  const far =
    expected.guestFar == null || predicted?.guestFar == null ? expected.guestFar : hex(predicted.guestFar);
  const errno = expected.errno == null ? expected.errno : predicted?.errno;
  const got = describeOutcome(predicted?.outcome ?? 'nothing', errno, esr, far);
  if (want === got) return null;
  return {
    access: id,
    where: `access ${id}`,
    expected: want,
    predicted: got,
    because: predicted?.because ?? null,
  };
}

function describeOutcome(
  outcome: string,
  errno: number | null | undefined,
  esr: string | null | undefined,
  far: string | null | undefined,
): string {
  const parts = [outcome];
  if (errno != null && errno !== 0) parts.push(`errno ${errno}`);
  if (esr != null) parts.push(`ESR_EL1 ${hex(BigInt(esr))}`);
  if (far != null) parts.push(`FAR_EL1 ${hex(BigInt(far))}`);
  return parts.join(', ');
}

/** Failure and errno, dirty pages, and the notifiers that hit a memslot, in order. */
export function checkCall(
  machine: BundleMachine,
  index: number,
  expected: ExpectedOperation,
  predicted: PredictedCall | undefined,
): Divergence | null {
  const op = machine.timeline[index]?.op ?? 'nothing';
  const want = describeCall(
    expected.ret,
    expected.errno,
    expected.dirtyCount,
    expected.dirtyPagesFirst39,
    hits(op, expected),
  );
  const errno = predicted?.errno ?? 0;
  const dirty = expected.dirtyCount === undefined ? undefined : (predicted?.dirtyPages ?? []);
  const got = describeCall(
    expected.ret === undefined ? undefined : errno === 0 ? 0 : -1,
    expected.errno ? errno : expected.errno,
    dirty?.length,
    expected.dirtyPagesFirst39 === undefined ? undefined : dirty?.slice(0, 39),
    op === 'mmap' || op === 'run' ? [] : (predicted?.notifiers ?? []),
  );
  if (want === got) return null;
  const because = predicted?.because ?? null;
  return { access: null, where: `operation ${index} (${op})`, expected: want, predicted: got, because };
}

/** Notifiers of `mmap` and `run` hit no memslot; a failed mmap's are booked on the next operation. */
function hits(op: string, { notifiers = [] }: ExpectedOperation) {
  if (op === 'mmap' || op === 'run') return [];
  return notifiers.filter((n) => n.kind === 'age' || (n.kind === 'unmap-range' && (n.gfns ?? []).length > 0));
}

function describeCall(
  ret: number | undefined,
  errno: number | null | undefined,
  dirtyCount: number | undefined,
  dirtyPages: readonly number[] | undefined,
  notifiers: readonly { kind: string; start?: number | undefined; end?: number | undefined }[],
): string {
  const parts: string[] = [];
  if (ret !== undefined) parts.push(ret === 0 ? 'success' : 'failure');
  if (errno) parts.push(`errno ${errno}`);
  if (dirtyCount !== undefined) parts.push(`${dirtyCount} dirty pages`);
  if (dirtyPages !== undefined && dirtyPages.length > 0) parts.push(`first ${dirtyPages.join(' ')}`);
  for (const { kind, start = 0, end = 0 } of notifiers) parts.push(`${kind} ${hex(start)}-${hex(end)}`);
  return parts.join(', ') || 'nothing';
}

const ADDRESS_BITS = 0x0000_ffff_ffff_f000n;
const LPA2_ADDRESS_BITS = 0x300n;

export interface DumpCheck {
  readonly result: DumpResult;
  readonly divergence: Divergence | null;
}

/** Every leaf of the dump bit for bit; of RAM the output address is the host allocator's choice and masked. */
export function checkDump(name: string, vm: VmState, cpu: CpuFeatures, expected: ExpectedDump): DumpCheck {
  const wanted = new Map(expected.leaves.map((leaf) => [`${leaf.ipa} ${leaf.level}`, BigInt(leaf.desc)]));
  const differences: string[][] = [];
  let matched = 0;
  let extra = 0;
  for (const { address, level, leaf } of vm.table.leaves()) {
    const key = `${address} ${level}`;
    const want = wanted.get(key);
    wanted.delete(key);
    const mask = isRam(vm, address) ? ADDRESS_BITS | (vm.geometry.lpa2 ? LPA2_ADDRESS_BITS : 0n) : 0n;
    const got = encodeLeaf(vm.geometry, level, leaf) & ~mask;
    const at = `leaf ${hex(address)} level ${level}`;
    if (want === undefined) {
      extra += 1;
      differences.push([`no ${at}`, `${at} ${hex(got)}`]);
    } else if ((want & ~mask) === got) {
      matched += 1;
    } else {
      differences.push([`${at} ${hex(want & ~mask)}`, `${at} ${hex(got)}`]);
    }
  }
  for (const [key, desc] of wanted) {
    const [address = '', level = ''] = key.split(' ');
    const at = `leaf ${hex(Number(address))} level ${level}`;
    differences.push([`${at} ${hex(desc)}`, `no ${at}`]);
  }
  differences.push(...checkTables(vm, expected), ...checkVtcr(vm, cpu, expected));
  const where = `dump ${name} of ${vm.name}`;
  const [first] = differences;
  const divergence =
    first === undefined
      ? null
      : { access: null, where, expected: first[0] ?? '', predicted: first[1] ?? '', because: null };
  return { result: { name, vm: vm.name, leaves: expected.leaves.length, matched, extra }, divergence };
}

/** 16-bit VMIDs come with VHE on the processors measured: VTCR_EL2.VS is 0 on a72. */
function checkVtcr(vm: VmState, cpu: CpuFeatures, expected: ExpectedDump): string[][] {
  const vmidBits = cpu.vhe ? 16 : 8;
  const got = encodeVtcr(kvmVtcr(vm.geometry, { paRangeBits: cpu.ipaLimitBits as PaBits, vmidBits }));
  return BigInt(expected.vtcr) === BigInt(got) ? [] : [[`VTCR_EL2 ${expected.vtcr}`, `VTCR_EL2 ${hex(got)}`]];
}

/** Which tables exist decides the level of the next translation fault. */
function checkTables(vm: VmState, expected: ExpectedDump): string[][] {
  const key = (table: { ipa: number; level: number }): string =>
    `table ${hex(table.ipa)} level ${table.level}`;
  const want = new Set(expected.tables.map(key));
  const got = new Set([...vm.table.tables()].map(({ address, level }) => key({ ipa: address, level })));
  const missing = [...want].filter((table) => !got.has(table)).map((table) => [table, `no ${table}`]);
  const extra = [...got].filter((table) => !want.has(table)).map((table) => [`no ${table}`, table]);
  return [...missing, ...extra];
}

function isRam(vm: VmState, address: number): boolean {
  const slot = slotAt(vm.slots, address);
  if (slot === undefined) return false;
  return vmaAt(vm.vmas, slot.hva + address - slot.ipa)?.backing.kind !== 'pfnmap';
}
