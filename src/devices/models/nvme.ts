// An NVMe controller (NVM Express 1.4, section 3.1): 16 KiB of BAR0 with the controller registers, the doorbells at
// 0x1000 and, as in many of them, the MSI-X table and its pending bits in pages of the same BAR.

import type { VfioPciDescription } from '../description.ts';
import { vfioPci } from '../plug.ts';

/** Controller Status; bit 0 is Ready. */
const CSTS = 0x1c;
/** Submission Queue 0 Tail Doorbell; completion heads and the other queues follow 4 bytes apart. */
const DOORBELLS = 0x1000;
const MSIX_TABLE = 0x2000;

const MSIX_PBA = 0x3000;
const CAPABILITIES = 0x0000_0020_1400_03ffn;
const VERSION_1_4 = 0x0001_0400;
const READY = 1;
const MASS_STORAGE_NVME = 0x01_0802;

export interface NvmeInput {
  /** MSI-X vectors, one for each completion queue; 17 unless given. */
  readonly vectors?: number;
  /** I/O queue pairs beside the admin queue; 4 unless given. */
  readonly queues?: number;
}

/** The controller once it is ready. @throws RangeError for more vectors or queues than the BAR has room for */
export function nvme(name: string, { vectors = 17, queues = 4 }: NvmeInput = {}): VfioPciDescription {
  const doorbells = Array.from({ length: queues + 1 }, (_, queue) => [
    { name: `SQ${queue}TDBL`, offset: DOORBELLS + queue * 8, access: 'WO' as const },
    { name: `CQ${queue}HDBL`, offset: DOORBELLS + queue * 8 + 4, access: 'WO' as const },
  ]).flat();
  return vfioPci(name, {
    identity: { vendorId: 0x1b36, deviceId: 0x0010, classCode: MASS_STORAGE_NVME },
    msix: { vectors, table: { bar: 0, offset: MSIX_TABLE }, pba: { bar: 0, offset: MSIX_PBA } },
    bars: [
      {
        size: '16K',
        bits: 64,
        registers: [
          { name: 'CAP', offset: 0x00, size: 8, sizes: [4, 8], access: 'RO', reset: CAPABILITIES },
          { name: 'VS', offset: 0x08, access: 'RO', reset: VERSION_1_4 },
          { name: 'INTMS', offset: 0x0c },
          { name: 'INTMC', offset: 0x10 },
          { name: 'CC', offset: 0x14, reset: READY },
          { name: 'CSTS', offset: CSTS, access: 'RO', reset: READY },
          { name: 'AQA', offset: 0x24 },
          { name: 'ASQ', offset: 0x28, size: 8, sizes: [4, 8] },
          { name: 'ACQ', offset: 0x30, size: 8, sizes: [4, 8] },
          ...doorbells,
        ],
      },
    ],
  });
}
