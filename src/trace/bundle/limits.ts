// Values that fit the schema and still cannot be meant: lengths, counts and addresses beyond what the
// architecture or a host has. They are refused by path before anything is replayed, so that no input makes a
// replay endless.

import { isCacheMaintenance, isStage1Walk, isWrite } from '../../arch/access.ts';
import { stage2Geometry } from '../../arch/geometry.ts';
import { InputError } from '../input-error.ts';
import type { BundleAccess, BundleMachine, BundleOperation } from './schema.ts';

/** User addresses of an arm64 process, without the 52-bit hint of FEAT_LVA. */
const USER_ADDRESS_BITS = 48;
/** Physical addresses, FEAT_LPA and FEAT_LPA2. */
const PHYSICAL_ADDRESS_BITS = 52;
/** KVM_MAX_VCPUS with a GICv3. */
const MAX_VCPUS = 512;
const MAX_VMS = 1024;
/** The largest block of DC ZVA (DCZID_EL0.BS), beyond which no single access goes. */
const MAX_ACCESS_BYTES = 2048;
/** Pages that the VMM touches, over the whole timeline, each of them an entry of a page table. */
const MAX_TOUCHED_PAGES = 2 ** 22;
/** Pages of a slot with dirty logging: a bit each. */
const MAX_LOGGED_PAGES = 2 ** 26;
/** madvise looks at every PMD window of its range. */
const MAX_ADVISED_BYTES = 2 ** 40;
const MAX_GICV_BYTES = 2 ** 24;

const ADVICE = 'correct the field, or capture the bundle again';

/** @throws InputError that names the field */
export function checkLimits(machine: BundleMachine, where: string): void {
  const refuse = (path: string, what: string): never => {
    throw new InputError(where, `${path}: ${what}`, ADVICE);
  };
  const inRange = (path: string, value: number | undefined, least: number, most: number): void => {
    if (value === undefined || (Number.isSafeInteger(value) && value >= least && value <= most)) return;
    refuse(path, `${value} is not a whole number from ${least} to ${most}`);
  };
  const check: Check = { refuse, inRange };
  checkHost(machine, check);
  const vms = new Map(machine.vms.map((vm) => [vm.name, vm.vcpus]));
  const ids = new Set<number>();
  let touched = 0;
  machine.timeline.forEach((entry, index) => {
    const at = `timeline.${index}`;
    const vcpus = vms.get(entry.vm);
    if (vcpus === undefined) refuse(`${at}.vm`, `there is no VM '${entry.vm}' in vms`);
    if (entry.op === 'access') {
      if (ids.has(entry.id)) refuse(`${at}.id`, `access ${entry.id} stands in the timeline twice`);
      ids.add(entry.id);
    }
    if ('vcpu' in entry) inRange(`${at}.vcpu`, entry.vcpu, 0, (vcpus ?? 1) - 1);
    if (entry.op === 'run') inRange(`${at}.vcpus`, entry.vcpus, 0, vcpus ?? 0);
    checkOperation(entry, at, machine.host.kernel.pageSize, check);
    touched += touchedPages(entry, machine.host.kernel.pageSize);
    if (touched > MAX_TOUCHED_PAGES) {
      refuse(
        `${at}.size`,
        `so far the VMM touches ${touched} pages, at most ${MAX_TOUCHED_PAGES} are replayed`,
      );
    }
  });
}

interface Check {
  readonly refuse: (path: string, what: string) => void;
  readonly inRange: (path: string, value: number | undefined, least: number, most: number) => void;
}

function checkHost({ host, vms }: BundleMachine, { refuse, inRange }: Check): void {
  inRange('host.cpu.ipaLimitBits', host.cpu.ipaLimitBits, 32, PHYSICAL_ADDRESS_BITS);
  inRange('host.gic.gicv.size', host.gic.gicv?.size, 0, MAX_GICV_BYTES);
  inRange('host.gic.gicv.pa', host.gic.gicv?.pa, 0, 2 ** PHYSICAL_ADDRESS_BITS - 1);
  inRange('vms.length', vms.length, 1, MAX_VMS);
  const names = new Set<string>();
  vms.forEach((vm, index) => {
    if (names.has(vm.name)) refuse(`vms.${index}.name`, `there are two VMs '${vm.name}'`);
    names.add(vm.name);
    inRange(`vms.${index}.vcpus`, vm.vcpus, 1, MAX_VCPUS);
    inRange(`vms.${index}.guestPaBits`, vm.guestPaBits, 32, PHYSICAL_ADDRESS_BITS);
    try {
      stage2Geometry({ granule: host.kernel.pageSize, ipaBits: vm.ipaBits, lpa2: host.cpu.lpa2 });
    } catch (error) {
      refuse(`vms.${index}.ipaBits`, error instanceof Error ? error.message : String(error));
    }
  });
}

function checkOperation(
  entry: BundleOperation,
  at: string,
  pageSize: number,
  { refuse, inRange }: Check,
): void {
  const length = 'size' in entry ? entry.size : 0;
  if ('hva' in entry) inRange(`${at}.hva`, entry.hva ?? 0, 0, 2 ** USER_ADDRESS_BITS - 1);
  if ('hva' in entry && entry.hva !== null && entry.hva + length > 2 ** USER_ADDRESS_BITS) {
    refuse(`${at}.size`, `the range ends beyond the ${USER_ADDRESS_BITS}-bit addresses of a process`);
  }
  switch (entry.op) {
    case 'access':
      inRange(`${at}.id`, entry.id, 0, Number.MAX_SAFE_INTEGER);
      inRange(`${at}.size`, entry.size, 1, MAX_ACCESS_BYTES);
      inRange(`${at}.ipa`, entry.ipa ?? 0, 0, Number.MAX_SAFE_INTEGER);
      inRange(`${at}.level`, entry.level, -1, 3);
      inRange(`${at}.instruction.srt`, entry.instruction?.srt, 0, 31);
      checkInstruction(entry, at, refuse);
      return;
    case 'memslot':
      inRange(`${at}.ipa`, entry.ipa, 0, Number.MAX_SAFE_INTEGER);
      inRange(`${at}.backing.pa`, entry.backing.pa, 0, 2 ** PHYSICAL_ADDRESS_BITS - 1);
      if (entry.flags.logDirty && length / pageSize > MAX_LOGGED_PAGES) {
        refuse(`${at}.size`, `a dirty log of ${length / pageSize} pages, at most ${MAX_LOGGED_PAGES}`);
      }
      return;
    case 'mmap':
      inRange(`${at}.size`, length, 0, 2 ** USER_ADDRESS_BITS);
      return;
    case 'madvise':
      inRange(`${at}.size`, length, 0, MAX_ADVISED_BYTES);
      entry.reclaim?.forEach(({ start, end }, index) => {
        inRange(`${at}.reclaim.${index}.end`, end, 0, 2 ** USER_ADDRESS_BITS);
        inRange(`${at}.reclaim.${index}.start`, start, Math.max(0, end - MAX_ADVISED_BYTES), end);
      });
      return;
    case 'host-write':
      inRange(`${at}.stride`, entry.stride, 1, 2 ** USER_ADDRESS_BITS);
      inRange(`${at}.offset`, entry.offset, 0, 2 ** USER_ADDRESS_BITS);
      return;
    case 'host-read':
      inRange(`${at}.offset`, entry.offset, 0, 2 ** USER_ADDRESS_BITS);
      return;
    case 'dirty-log':
      inRange(`${at}.firstPage`, entry.firstPage, 0, MAX_LOGGED_PAGES);
      inRange(`${at}.numPages`, entry.numPages, 0, MAX_LOGGED_PAGES);
      return;
    default:
  }
}

/**
 * A syndrome that says read of an instruction that writes: no processor has one, and KVM would map the page
 * read-only for ever (kvm_is_write_fault).
 */
function checkInstruction(entry: BundleAccess, at: string, refuse: Check['refuse']): void {
  const { kind, instruction } = entry;
  const carriesSyndrome = kind !== 'fetch' && !isStage1Walk(kind);
  if (!carriesSyndrome) return;
  if (instruction === null)
    refuse(`${at}.instruction`, `is null: only fetches and walks have none, not a ${kind}`);
  else if (instruction.wnr !== (isWrite(kind) || isCacheMaintenance(kind))) {
    refuse(`${at}.instruction.wnr`, `is ${instruction.wnr} of a ${kind}`);
  }
}

function touchedPages(entry: BundleOperation, pageSize: number): number {
  if (entry.op !== 'host-write' && entry.op !== 'host-read' && entry.op !== 'dma-map') return 0;
  const stride = entry.op === 'host-write' ? (entry.stride ?? pageSize) : pageSize;
  return Math.ceil(entry.size / Math.max(stride, pageSize));
}
