// user_mem_abort(): from a faulting IPA in a memslot to the leaf that will answer it. Looks up the VMA and the host
// page, decides memory type, permissions and size, and begins the map call. Steps are numbered as in the kernel's
// order: VMA, pfn, device or RAM, size, protection.

import { alignDown, type Hva, type Ipa, type Pa } from '../arch/addresses.ts';
import type { CpuFeatures } from '../arch/cpu.ts';
import type { Granule, Level } from '../arch/geometry.ts';
import { levelSize } from '../arch/geometry.ts';
import type { Because } from './because.ts';
import type { FaultInput, MapPlan } from './events.ts';
import { injectAbort, isExecFault } from './inject.ts';
import type { LeafType } from './leaf.ts';
import { leafAttributes } from './leaf.ts';
import { retry } from './map.ts';
import type { Memslot } from './memslot.ts';
import { supportsStage2Block } from './memslot.ts';
import type { MmFault } from './mm-fault.ts';
import { faultIn, PMD } from './mm-fault.ts';
import { allowsMte, hasMte } from './mte.ts';
import type { Vma } from './vma.ts';
import { vmaAt } from './vma.ts';
import type { Work } from './work.ts';
import { conclude, emit } from './work.ts';

const EINTR = 4;
const EFAULT = 14;
const PAGE: Level = 3;

interface HostPage {
  readonly fault: MmFault & { kind: 'page' };
  readonly vma: Vma;
  readonly address: number;
}

interface LeafSize {
  readonly level: Level;
  readonly because: Because | null;
}

export function userMemAbort(work: Work, input: FaultInput, slot: Memslot, isWrite: boolean): void {
  const address = slot.hva + (input.fault.ipa - slot.ipa);
  const vma = vmaAt(work.vm.vmas, address);
  if (vma === undefined) {
    runFailed(work, input, 'Failed to find VMA for hva', 'no-vma');
    return;
  }
  const { mmuSeq } = work.vm;
  const fault = faultIn(work, vma, address, isWrite);
  if (fault.kind === 'error' && fault.because === 'hwpoison') {
    hwpoison(work, input, slot, vma, address);
    return;
  }
  if (fault.kind === 'error') {
    runFailed(work, input, null, fault.because);
    return;
  }
  const { type, because } = leafType(work, vma);
  if (because === 'cacheable-pfnmap-refused' || mteRefuses(work, input, vma, type)) {
    const reason = because === 'cacheable-pfnmap-refused' ? because : 'mte-without-vm-mte-allowed';
    runFailed(work, input, null, reason);
    return;
  }
  if (type !== 'normal' && isExecFault(input)) {
    injectAbort(work, input, 'instruction', input.fault.far, 'exec-of-device');
    return;
  }
  if (work.vm.mmuSeq !== mmuSeq) {
    retry(work, input.vcpu, 'mmu-invalidate-seq-changed');
    return;
  }
  beginMap(work, input, planOf(work, input, slot, { fault, vma, address }, isWrite, mmuSeq));
}

/** kvm_send_hwpoison_signal(): the fault is no error, but KVM_RUN enters no guest with a signal pending. */
function hwpoison(work: Work, input: FaultInput, slot: Memslot, vma: Vma, address: number): void {
  const { granule } = work.vm.geometry;
  const logging = slot.dirty !== null && !slot.readonly;
  const levels = vma.backing.kind === 'hugetlb' && !logging ? blockLevelsOf(granule) : [];
  const { pageSize } = vma.backing.kind === 'hugetlb' ? vma.backing : { pageSize: granule };
  const fits = (level: Level): boolean =>
    pageSize >= levelSize(granule, level) && blockRefusal(slot, address, levelSize(granule, level)) === null;
  const lsb = Math.log2(levelSize(granule, levels.find(fits) ?? PAGE));
  const because = 'hwpoison';
  const hva = address as Hva;
  emit(work, { type: 'sigbus-sent', vm: work.id, vcpu: input.vcpu, hva, lsb, because });
  emit(work, { type: 'run-failed', vm: work.id, vcpu: input.vcpu, errno: EINTR, log: null, because });
}

function runFailed(work: Work, input: FaultInput, log: string | null, because: Because): void {
  emit(work, { type: 'run-failed', vm: work.id, vcpu: input.vcpu, errno: EFAULT, log, because });
}

function planOf(
  work: Work,
  input: FaultInput,
  slot: Memslot,
  page: HostPage,
  isWrite: boolean,
  mmuSeq: number,
): MapPlan {
  const { granule } = work.vm.geometry;
  const { status } = input.fault;
  const logging = slot.dirty !== null && !slot.readonly;
  const size = leafSize(work, input, slot, page, logging);
  const bytes = levelSize(granule, size.level);
  const { type, because } = leafType(work, page.vma);
  // Logging keeps pages of RAM read-only until they are written; device pages it leaves alone.
  const deferred = logging && !isWrite && !isDevicePfn(page.vma);
  const writable = page.fault.writable && !slot.readonly && !deferred;
  const exec = type === 'normal' && (isExecFault(input) || work.host.cpu.dic);
  const start = alignDown(input.fault.ipa, bytes);
  const relax = status.kind === 'permission' && status.level === size.level;
  return {
    kind: relax ? 'relax' : 'map',
    ipa: (relax ? alignDown(input.fault.ipa, granule) : start) as Ipa,
    level: size.level,
    pa: alignDown(page.fault.pa, bytes) as Pa,
    attributes: leafAttributes(work.host.cpu.fwb, { write: writable, exec, type }),
    mmuSeq,
    dirty: logging && writable ? { slot: slot.slot, page: (start - slot.ipa) / granule } : null,
    because,
    sizeBecause: size.because,
  };
}

/** A VM with MTE takes RAM only from VMAs whose pages may carry tags. */
function mteRefuses(work: Work, input: FaultInput, vma: Vma, type: LeafType): boolean {
  const permission = input.fault.status.kind === 'permission';
  return !permission && type === 'normal' && hasMte(work) && !allowsMte(vma);
}

/** KVM_CAP_ARM_CACHEABLE_PFNMAP_SUPPORTED: no maintenance by address is possible where there is no struct page. */
export const cacheablePfnmapSupported = (cpu: CpuFeatures): boolean => cpu.fwb && cpu.dic;

/** A page that no struct page stands behind: KVM takes it as the VMA has it, permissions included. */
const isDevicePfn = ({ backing }: Vma): boolean => backing.kind === 'pfnmap' && backing.ram !== true;

/** The memory type of the leaf: by the page, the VMA's flag and the kernel; never by the guest. */
function leafType(work: Pick<Work, 'host'>, vma: Vma): { type: LeafType; because: Because } {
  const { backing } = vma;
  const { features, cpu } = work.host;
  if (backing.kind !== 'pfnmap') return { type: 'normal', because: 'ram' };
  // Whatever vm_page_prot says: a write-combining mapping of RAM is cacheable at stage 2.
  if (backing.ram === true) return { type: 'normal', because: 'pfn-is-map-memory' };
  if (backing.cacheable && features.cacheablePfnmap) {
    if (cacheablePfnmapSupported(cpu)) return { type: 'normal', because: 'cacheable-pfnmap' };
    return { type: 'device', because: 'cacheable-pfnmap-refused' };
  }
  if (features.erratumNcToNgnre) return { type: 'device', because: 'erratum-nc-to-ngnre' };
  if (!features.normalNcForAnyUncached) return { type: 'device', because: 'kernel-before-normal-nc' };
  if (backing.allowAnyUncached) return { type: 'normal-nc', because: 'vma-allows-any-uncached' };
  return { type: 'device', because: 'device-pfn-without-flag' };
}

/**
 * Size of the leaf: hugetlb asks for the size of its page, dirty logging forces pages, a permission fault keeps the
 * size that faulted, and a huge page of the host is taken where IPA and hva are congruent.
 */
function leafSize(work: Work, input: FaultInput, slot: Memslot, page: HostPage, logging: boolean): LeafSize {
  const { granule } = work.vm.geometry;
  const { status } = input.fault;
  const { backing } = page.vma;
  if (logging) return { level: PAGE, because: 'logging-forces-pages' };
  const refusal = blockRefusal(slot, page.address, levelSize(granule, PMD));
  if (backing.kind === 'hugetlb') return hugetlbLeafSize(work, slot, page, backing.pageSize);
  if (backing.kind === 'pfnmap' && takesVmaSize(work, page.vma)) {
    return deviceLeafSize(work, slot, page);
  }
  if (status.kind === 'permission' && status.level < PAGE) {
    return { level: status.level as Level, because: 'permission-fault-granule' };
  }
  if (page.fault.level > PMD)
    return { level: PAGE, because: backing.kind === 'pfnmap' ? 'host-maps-pages' : null };
  return refusal === null ? { level: PMD, because: 'host-maps-block' } : { level: PAGE, because: refusal };
}

/** The VM_PFNMAP branch of get_vma_page_shift() does not ask about the page; without it device pages stay small. */
function takesVmaSize({ host }: Work, vma: Vma): boolean {
  const { deviceBlocks } = host.features;
  return deviceBlocks === 'vma' || (deviceBlocks === 'page' && isDevicePfn(vma));
}

/** get_vma_page_shift() of a hugetlb VMA: 1G with 4K pages, then the PMD size, then a page. */
function hugetlbLeafSize(work: Work, slot: Memslot, page: HostPage, pageSize: number): LeafSize {
  const { granule } = work.vm.geometry;
  let because: Because = 'host-maps-pages';
  for (const level of blockLevelsOf(granule)) {
    const size = levelSize(granule, level);
    if (pageSize < size) continue;
    const refusal = blockRefusal(slot, page.address, size);
    if (refusal === null) return { level, because: 'host-maps-block' };
    because = refusal;
  }
  return { level: PAGE, because };
}

/** Levels of blocks that user_mem_abort() tries, the largest first: PUD_SIZE with 4K pages only. */
const blockLevelsOf = (granule: Granule): readonly Level[] => (granule === 4096 ? [1, PMD] : [PMD]);

function blockRefusal(slot: Memslot, address: number, size: number): Because | null {
  if (supportsStage2Block(slot, address as typeof slot.hva, size)) return null;
  return slot.ipa % size === slot.hva % size ? 'block-leaves-slot' : 'not-congruent';
}

/** get_vma_page_shift() of a VM_PFNMAP VMA: 1G with 4K pages, then the PMD size, then a page. */
function deviceLeafSize(work: Work, slot: Memslot, page: HostPage): LeafSize {
  const { granule } = work.vm.geometry;
  const { backing } = page.vma;
  if (work.host.features.deviceBlocks === 'page' || backing.kind !== 'pfnmap') {
    return { level: PAGE, because: 'device-pages-only' };
  }
  let because: Because = 'vma-pfn-not-congruent';
  for (const level of blockLevelsOf(granule)) {
    const size = levelSize(granule, level);
    const window = page.address - (page.address % size);
    const congruent = page.vma.start % size === backing.pa % size;
    if (!congruent || window < page.vma.start || window + size > page.vma.end) continue;
    const refusal = blockRefusal(slot, page.address, size);
    if (refusal === null) return { level, because: 'host-maps-block' };
    because = refusal;
  }
  return { level: PAGE, because };
}

/** kvm_pgtable_stage2_map() or _relax_perms() entered: with parallel faults an absent entry is locked. */
export function beginMap(work: Work, input: FaultInput, plan: MapPlan): void {
  const { leaf, level } = work.vm.table.walk(plan.ipa);
  const absent = leaf === undefined && level <= plan.level;
  const locked = work.vm.inFlight.some(
    (map) =>
      map.locks &&
      map.ipa < plan.ipa + levelSize(work.vm.geometry.granule, plan.level) &&
      plan.ipa < map.ipa + map.size,
  );
  const locks = plan.kind === 'map' && work.host.features.parallelFaults && absent && !locked;
  conclude(work, { type: 'stage2-map-begun', vm: work.id, vcpu: input.vcpu, plan, locks });
}
