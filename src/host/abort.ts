// kvm_handle_guest_abort(): what becomes of a stage-2 fault, in the kernel's order of questions: IPA size, fault
// status, memslot, access flag, then user_mem_abort(). One of re-entry, exit to the VMM, abort in the guest, or errno.

import { isCacheMaintenance, isInstructionAbort, isStage1Walk } from '../arch/access.ts';
import type { Ipa } from '../arch/addresses.ts';
import type { FaultInput } from './events.ts';
import { gmemAbort } from './gmem-abort.ts';
import { FSC_ADDRESS_SIZE, injectAbort, isExecFault } from './inject.ts';
import { ioMemAbort } from './io-mem-abort.ts';
import { slotAt } from './memslot.ts';
import { userMemAbort } from './user-mem-abort.ts';
import { performCpuifAccess } from './vgic.ts';
import type { Work } from './work.ts';
import { emit } from './work.ts';

const EFAULT = 14;
const WNR = 2 ** 6;
const EC_SHIFT = 2 ** 26;
const FSC_MASK = 2 ** 6;
const FSC_UNSUPPORTED_ATOMIC = 0x35;
const UNSUPPORTED_ATOMIC = 'unsupported-exclusive-or-atomic';

/** kvm_vcpu_abt_issea(): synchronous external and parity errors, also on walks. */
const EXTERNAL: ReadonlySet<string> = new Set([
  'sync-external',
  'sync-external-on-walk',
  'parity',
  'parity-on-walk',
]);

/** HPFAR_EL2.FIPA counts units of 4 KiB; the rest of the address is FAR_EL2's. */
const FIPA_UNIT = 4096;

export function handleGuestAbort(work: Work, input: FaultInput): void {
  if (performCpuifAccess(work, input)) return;
  const { status, ipa } = input.fault;
  if (EXTERNAL.has(status.kind)) {
    const type = work.host.features.seaExit ? 'sea-exited' : 'serror-injected';
    emit(work, { type, vm: work.id, vcpu: input.vcpu, because: 'external-abort' });
    return;
  }
  if (
    work.host.features.ipaSizeInjection &&
    status.kind === 'translation' &&
    ipa >= 2 ** work.vm.geometry.ipaBits
  ) {
    ipaTooLarge(work, input);
    return;
  }
  if (status.kind !== 'translation' && status.kind !== 'permission' && status.kind !== 'access-flag') {
    if (status.kind === UNSUPPORTED_ATOMIC && work.host.features.injectsUnsupportedAtomic) {
      injectAbort(work, input, 'data', input.fault.far, 'unsupported-atomic', FSC_UNSUPPORTED_ATOMIC);
    } else {
      unsupportedFsc(work, input);
    }
    return;
  }
  const slot = slotAt(work.vm.slots, ipa);
  const isWrite = isWriteFault(input, work.host.features.s1ptwAlwaysWrites);
  if (slot === undefined || (isWrite && slot.readonly)) {
    withoutMemory(work, input, slot !== undefined);
    return;
  }
  if (status.kind === 'access-flag') {
    emit(work, { type: 'stage2-made-young', vm: work.id, vcpu: input.vcpu, ipa: ipa as Ipa });
    emit(work, { type: 'guest-reentered', vm: work.id, vcpu: input.vcpu, because: 'access-flag' });
    return;
  }
  if (slot.guestMemfd === true) gmemAbort(work, input, slot);
  else userMemAbort(work, input, slot, isWrite);
}

/** Beyond the host's IPA limit an address size fault, beyond the VM's IPA size an external abort; FAR is the IPA. */
function ipaTooLarge(work: Work, input: FaultInput): void {
  const { ipa, far } = input.fault;
  const kind = abortKind(input);
  const at = ipa + (far % FIPA_UNIT);
  if (ipa >= 2 ** work.host.cpu.ipaLimitBits) {
    injectAbort(work, input, kind, at, 'ipa-beyond-host', FSC_ADDRESS_SIZE);
  } else {
    injectAbort(work, input, kind, at, 'ipa-beyond-vm');
  }
}

/**
 * kvm_is_write_fault(): a fault on a stage-1 walk counts as a write only if it is a permission fault (always, in older
 * kernels), an instruction abort never does, anything else by WnR.
 */
function isWriteFault(input: FaultInput, walksAlwaysWrite: boolean): boolean {
  if (isStage1Walk(input.access.kind)) return walksAlwaysWrite || input.fault.status.kind === 'permission';
  return input.access.kind !== 'fetch' && Math.floor(input.fault.esr / WNR) % 2 === 1;
}

/** No memslot, or a store into a read-only one. */
function withoutMemory(work: Work, input: FaultInput, slotIsThere: boolean): void {
  const { access, fault } = input;
  if (isStage1Walk(access.kind)) {
    injectAbort(work, input, abortKind(input), fault.far, 'stage1-walk-needs-memory');
  } else if (isExecFault(input)) {
    injectAbort(work, input, 'instruction', fault.far, 'fetch-without-slot');
  } else if (!slotIsThere && isCacheMaintenance(access.kind)) {
    emit(work, {
      type: 'instruction-skipped',
      vm: work.id,
      vcpu: input.vcpu,
      because: 'cache-maintenance-without-slot',
    });
  } else {
    ioMemAbort(work, input, slotIsThere ? 'readonly-slot' : 'no-slot');
  }
}

/** kvm_vcpu_trap_is_iabt() looks at the exception class alone: a walk for a fetch gives an instruction abort. */
const abortKind = (input: FaultInput): 'instruction' | 'data' =>
  isInstructionAbort(input.access) ? 'instruction' : 'data';

/** The log line of kvm_handle_guest_abort(); KVM_RUN returns -EFAULT and the VM is usually dead. */
function unsupportedFsc(work: Work, input: FaultInput): void {
  const { esr } = input.fault;
  const hex = (value: number): string => `0x${value.toString(16)}`;
  const ec = Math.floor(esr / EC_SHIFT) % 64;
  const log = `kvm [${work.vm.name}]: Unsupported FSC: EC=${hex(ec)} xFSC=${hex(esr % FSC_MASK)} ESR_EL2=${hex(esr)}`;
  emit(work, {
    type: 'run-failed',
    vm: work.id,
    vcpu: input.vcpu,
    errno: EFAULT,
    log,
    because: 'unsupported-fsc',
  });
}
