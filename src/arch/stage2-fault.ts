// A stage-2 fault as EL2 sees it: ESR_EL2, FAR_EL2 and HPFAR_EL2 at once. HPFAR_EL2.FIPA has 4 KiB
// granularity whatever the translation granule (DDI0487 D24.2.76).

import type { Ipa } from './addresses.ts';
import type { FaultStatus } from './fault-status.ts';

export interface Stage2Fault {
  /** Faulting IPA with its low 12 bits clear. */
  readonly ipa: Ipa;
  /** FAR_EL2: the virtual address of the access, or of the access a walk serves. */
  readonly far: number;
  readonly esr: number;
  readonly status: FaultStatus;
}
