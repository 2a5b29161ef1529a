// The end of a map call: kvm_pgtable_stage2_map() and kvm_pgtable_stage2_relax_perms() as seen by other vCPUs.
// -EAGAIN is no error: the guest runs the instruction again.

import { alignDown, type Ipa } from '../arch/addresses.ts';
import type { LeafAttributes, Stage2Leaf } from '../arch/descriptor.ts';
import type { Level } from '../arch/geometry.ts';
import { levelSize } from '../arch/geometry.ts';
import type { Because } from './because.ts';
import type { MapPlan, Tlbi } from './events.ts';
import type { Work } from './work.ts';
import { conclude, emit } from './work.ts';

export function endMap(work: Work, vcpu: number, plan: MapPlan): void {
  const reason = retryReason(work, vcpu, plan);
  if (reason !== null) retry(work, vcpu, reason);
  else if (plan.kind === 'relax') relax(work, vcpu, plan);
  else map(work, vcpu, plan);
}

/** Nothing was mapped: the guest re-enters and faults again, or finds what another vCPU mapped. */
export function retry(work: Work, vcpu: number, because: Because): void {
  const vm = work.id;
  conclude(
    work,
    { type: 'fault-retried', vm, vcpu, because },
    { type: 'guest-reentered', vm, vcpu, because },
  );
}

function map(work: Work, vcpu: number, plan: MapPlan): void {
  const { ipa, level, pa, attributes, dirty, because, sizeBecause } = plan;
  const vm = work.id;
  breakBeforeMake(work, ipa, level);
  conclude(
    work,
    { type: 'stage2-mapped', vm, vcpu, ipa, level, pa, attributes, dirty, because, sizeBecause },
    { type: 'guest-reentered', vm, vcpu, because: 'mapped' },
  );
}

/**
 * stage2_try_break_pte(): whatever is valid at the entry, above it or below it, goes before the new leaf comes, with
 * the invalidation that its kind needs.
 */
export function breakBeforeMake(work: Work, ipa: Ipa, level: Level): void {
  const found = work.vm.table.walk(ipa);
  const { granule } = work.vm.geometry;
  if (found.level > level) {
    const tlbi =
      work.host.cpu.tlbiRange === true && work.host.features.rangeInvalidation
        ? 'RIPAS2E1IS'
        : 'VMALLS12E1IS';
    broken(work, ipa, level, tlbi, 'table-replaced-by-block');
  } else if (found.leaf !== undefined) {
    const size = levelSize(granule, found.level);
    const because = found.level < level ? 'block-replaced-by-table' : 'leaf-replaced';
    broken(work, alignDown(ipa, size), found.level, 'IPAS2E1IS', because);
  }
}

function broken(work: Work, ipa: Ipa, level: Level, tlbi: Tlbi, because: Because): void {
  const size = levelSize(work.vm.geometry.granule, level);
  emit(work, { type: 'stage2-broken', vm: work.id, ipa, level, size, tlbi, because });
}

/** Relaxing only adds: S2AP bits are or-ed in, XN is cleared, MemAttr stays (measured rule 21). */
function relax(work: Work, vcpu: number, plan: MapPlan): void {
  const found = work.vm.table.walk(plan.ipa).leaf;
  if (found !== undefined) {
    const wider = relaxed(found.attributes, plan.attributes);
    emit(work, {
      type: 'stage2-relaxed',
      vm: work.id,
      vcpu,
      ipa: plan.ipa,
      attributes: wider,
      dirty: plan.dirty,
      tlbi: work.host.features.relaxInvalidatesLocally ? 'IPAS2E1' : 'IPAS2E1IS',
    });
  }
  emit(work, { type: 'guest-reentered', vm: work.id, vcpu, because: 'permission-relaxed' });
}

function relaxed(before: LeafAttributes, added: LeafAttributes): LeafAttributes {
  return {
    ...before,
    read: before.read || added.read,
    write: before.write || added.write,
    xn: added.xn === 0 ? 0 : before.xn,
  };
}

function retryReason(work: Work, vcpu: number, plan: MapPlan): Because | null {
  if (work.vm.mmuSeq !== plan.mmuSeq) return 'mmu-invalidate-seq-changed';
  const { leaf, level } = work.vm.table.walk(plan.ipa);
  if (plan.kind === 'relax') return leaf === undefined ? 'entry-gone' : null;
  const end = plan.ipa + levelSize(work.vm.geometry.granule, plan.level);
  const others = work.vm.inFlight.filter((other) => other.vcpu !== vcpu && other.locks);
  if (others.some((other) => other.ipa < end && plan.ipa < other.ipa + other.size)) return 'entry-locked';
  if (leaf !== undefined && level === plan.level && sameButPermissions(leaf, plan)) return 'already-mapped';
  return null;
}

/** stage2_pte_needs_update(): both valid and equal but for S2AP and XN, so nothing is written. */
function sameButPermissions(found: Stage2Leaf, plan: MapPlan): boolean {
  const { memAttr, sh, af } = found.attributes;
  const wanted = plan.attributes;
  return (
    found.outputAddress === plan.pa && memAttr === wanted.memAttr && sh === wanted.sh && af === wanted.af
  );
}
