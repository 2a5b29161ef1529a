// The atomic instructions of FEAT_LSE on one location: what each stores for what it finds, and which of them have a
// request of PCI Express (DDI0487 C3.2.12; PCIe 6.15: FetchAdd, Swap, CAS of 4 and 8 bytes).

/** LD<op> and ST<op>, SWP and CAS; all give what was there before. */
export type AtomicOp = 'LDADD' | 'LDCLR' | 'LDEOR' | 'LDSET' | 'SWP' | 'CAS';

/** What of an atomic instruction goes beyond a store. */
export interface AtomicOperation {
  readonly op: AtomicOp;
  /** Of CAS: the value for which it stores. */
  readonly compare?: bigint;
}

/** What answers atomics: a PCI Express function that is an AtomicOp completer, or an endpoint that takes any. */
export type AtomicSupport = 'pcie' | 'any';

const PCIE_OPS: ReadonlySet<AtomicOp> = new Set(['LDADD', 'SWP', 'CAS']);

/** Whether there is a request for it that the endpoint completes. @param size bytes of the location */
export function reachesEndpoint(op: AtomicOp, size: number, support: AtomicSupport | undefined): boolean {
  if (support === undefined) return false;
  return support === 'any' || (PCIE_OPS.has(op) && (size === 4 || size === 8));
}

/** What is stored; null for a CAS that finds another value. @param size bytes @param old what is there */
export function atomicResult(
  { op, compare }: AtomicOperation,
  size: number,
  old: bigint,
  operand: bigint,
): bigint | null {
  const bits = size * 8;
  switch (op) {
    case 'LDADD':
      return BigInt.asUintN(bits, old + operand);
    case 'LDCLR':
      return old & BigInt.asUintN(bits, ~operand);
    case 'LDEOR':
      return BigInt.asUintN(bits, old ^ operand);
    case 'LDSET':
      return BigInt.asUintN(bits, old | operand);
    case 'SWP':
      return BigInt.asUintN(bits, operand);
    case 'CAS':
      return old === compare ? BigInt.asUintN(bits, operand) : null;
  }
}
