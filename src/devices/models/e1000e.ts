// A NIC with a read-to-clear interrupt cause: Intel 82574L (8086:10d3, datasheet section 10.2). Registers in BAR0, the
// flash in BAR1, I/O in BAR2, and the MSI-X table and its pending bits in BAR3, a BAR of their own.

import type { VfioPciDescription } from '../description.ts';
import { vfioPci } from '../plug.ts';

/** Interrupt Cause Read: a read returns the causes and clears them. */
const ICR = 0x00c0;
/** Interrupt Mask Set. */
const IMS = 0x00d0;
/** Transmit Descriptor Tail: a write starts transmission. */
const TDT = 0x3818;

const LINK_STATUS_CHANGE = 0x4;
const INTEL = 0x8086;
const ETHERNET = 0x02_0000;
const VECTORS = 5;

/** The adapter with its link just up, so that ICR has a cause. */
export function e1000e(name: string): VfioPciDescription {
  return vfioPci(name, {
    identity: { vendorId: INTEL, deviceId: 0x10d3, classCode: ETHERNET },
    msix: { vectors: VECTORS, table: { bar: 3, offset: 0 }, pba: { bar: 3, offset: 0x2000 } },
    bars: [
      {
        size: '128K',
        registers: [
          { name: 'CTRL', offset: 0x0000, reset: 0x0014_0240 },
          { name: 'STATUS', offset: 0x0008, access: 'RO', reset: 0x0008_0083 },
          { name: 'ICR', offset: ICR, access: 'RC', reset: LINK_STATUS_CHANGE, onRead: 'clears the causes' },
          { name: 'ICS', offset: 0x00c8, access: 'WO', onWrite: 'sets causes' },
          { name: 'IMS', offset: IMS },
          { name: 'IMC', offset: 0x00d8, access: 'WO', onWrite: 'clears mask bits' },
          { name: 'TDH', offset: 0x3810 },
          { name: 'TDT', offset: TDT, onWrite: 'starts transmission up to here' },
        ],
      },
      { size: '128K', memory: true },
      { size: 32, io: true },
      { size: '16K' },
    ],
  });
}
