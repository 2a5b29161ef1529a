// Eventfds of a VM's process as KVM knows them: ioeventfds, which a guest's store signals without an exit to user space
// (virt/kvm/eventfd.c, ioeventfd_in_range()), and the counters that their readers wait for.

import type { Ipa } from '../arch/addresses.ts';
import type { Ioeventfd } from './calls.ts';
import type { Work } from './work.ts';
import { emit } from './work.ts';

const EINVAL = 22;
const EEXIST = 17;

const SIZES: readonly number[] = [0, 1, 2, 4, 8];

/** @returns 0; EINVAL for a size that no store has or a value without a size, EEXIST for an overlap with another */
export function assignIoeventfd(work: Work, ioeventfd: Ioeventfd): number {
  const { gpa, size, datamatch } = ioeventfd;
  if (!SIZES.includes(size) || (size === 0 && datamatch !== null) || gpa + size > Number.MAX_SAFE_INTEGER) {
    return EINVAL;
  }
  if (work.vm.ioeventfds.some((other) => collides(other, ioeventfd))) return EEXIST;
  emit(work, { type: 'ioeventfd-assigned', vm: work.id, ioeventfd });
  return 0;
}

/** ioeventfd_check_collision() */
function collides(a: Ioeventfd, b: Ioeventfd): boolean {
  if (a.gpa !== b.gpa) return false;
  if (a.size === 0 || b.size === 0) return true;
  const sameValue = a.datamatch === null || b.datamatch === null || a.datamatch === b.datamatch;
  return a.size === b.size && sameValue;
}

/**
 * The ioeventfd that a store signals.
 * @param value null where it is not known: then only those match that take any value
 */
export function ioeventfdAt(
  ioeventfds: readonly Ioeventfd[],
  gpa: Ipa,
  size: number,
  value: bigint | null,
): Ioeventfd | undefined {
  return ioeventfds.find((one) => {
    if (one.gpa !== gpa) return false;
    if (one.size === 0) return true;
    return one.size === size && (one.datamatch === null || one.datamatch === value);
  });
}
