// The processor as far as stage 2 shows it: architectural features, and where an emulated processor is known to
// depart from the architecture. Without a departure named, the architecture is followed.

/** Departures of emulated processors, as measured; see docs/decisions for each. */
export interface CpuDepartures {
  /** DC and IC by address take stage-2 faults (silicon does; QEMU TCG treats them as no-ops). */
  readonly cacheMaintenanceFaults: boolean;
  /** Which level the FSC of a stage-2 fault on a stage-1 walk reports; the architecture says stage 2. */
  readonly s1ptwFaultLevel: 'stage-1' | 'stage-2';
  /** WnR of a faulting hardware update of a stage-1 access flag; the architecture sets it. */
  readonly s1ptwAfUpdateWnR: boolean;
  /** Unaligned accesses and DC ZVA to Device memory take alignment faults (DDI0487 B2.10.2). */
  readonly deviceAlignmentFaults: boolean;
}

export interface CpuFeatures {
  readonly model: string;
  /** FEAT_S2FWB. */
  readonly fwb: boolean;
  /** CTR_EL0.DIC: no instruction cache maintenance needed, so KVM maps RAM executable at once. */
  readonly dic: boolean;
  /** FEAT_LPA2 for the host's granule. */
  readonly lpa2: boolean;
  /** FEAT_HAFDBS at stage 2: hardware sets the access flag. */
  readonly hardwareAccessFlag: boolean;
  /** FEAT_TLBIRANGE; KVM then invalidates ranges instead of a whole VM. */
  readonly tlbiRange?: boolean;
  /** FEAT_VHE with HCR_EL2.E2H in use; 16-bit VMIDs come with it on the processors measured. */
  readonly vhe: boolean;
  /** KVM_CAP_ARM_VM_IPA_SIZE: 32 to 52 bits. */
  readonly ipaLimitBits: number;
  readonly departures: CpuDepartures;
}

export const ARCHITECTURAL: CpuDepartures = {
  cacheMaintenanceFaults: true,
  s1ptwFaultLevel: 'stage-2',
  s1ptwAfUpdateWnR: true,
  deviceAlignmentFaults: true,
};
