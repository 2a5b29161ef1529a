// Aborts that KVM injects into the guest (inject_abt64): synchronous external aborts, FSC 0x10, taken at EL1.
// ESR_EL1.IL follows the trapped instruction; the simulated guests run at EL1, hence the same-EL classes.

import type { Because } from './because.ts';
import type { FaultInput } from './events.ts';
import type { Work } from './work.ts';
import { emit } from './work.ts';

const EC_IABT_CUR = 0x21;
const EC_DABT_CUR = 0x25;
const EC_SHIFT = 2 ** 26;
const IL = 2 ** 25;
const FSC_EXTABT = 0x10;

/** Address size fault, level 0 (kvm_inject_size_fault). */
export const FSC_ADDRESS_SIZE = 0;

/** kvm_inject_dabt / kvm_inject_pabt. @param far FAR_EL1 that the guest will read */
export function injectAbort(
  work: Work,
  fault: FaultInput,
  kind: 'instruction' | 'data',
  far: number,
  because: Because,
  fsc = FSC_EXTABT,
): void {
  const il = Math.floor(fault.fault.esr / IL) % 2 === 1 ? IL : 0;
  emit(work, {
    type: 'abort-injected',
    vm: work.id,
    vcpu: fault.vcpu,
    esr: (kind === 'instruction' ? EC_IABT_CUR : EC_DABT_CUR) * EC_SHIFT + il + fsc,
    signExtended: work.host.features.injectedEsrSignExtended,
    far,
    because,
  });
}

/** kvm_vcpu_trap_is_exec_fault(): an instruction abort that is no stage-1 walk. */
export const isExecFault = (fault: FaultInput): boolean => fault.access.kind === 'fetch';
