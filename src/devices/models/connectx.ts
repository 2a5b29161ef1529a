// A NIC with doorbells and BlueFlame registers, after NVIDIA's ConnectX (mlx5_core): BAR0 starts with the
// initialization segment and goes on with user access region (UAR) pages of 4 KiB, each with an EQ and a CQ doorbell
// and two BlueFlame buffers (MLX5_BF_OFFSET 0x800, 256 bytes each, of which drivers write 64).

import type { VfioPciDescription } from '../description.ts';
import { vfioPci } from '../plug.ts';

/** First UAR page in BAR0. */
const UAR = 0x1000;
/** Completion queue doorbell in a UAR page. */
const UAR_CQ_DOORBELL = 0x20;
/** BlueFlame buffers in a UAR page; the first 8 bytes of each are the send doorbell. */
const UAR_BLUE_FLAME = [0x800, 0x900] as const;

const UAR_EQ_DOORBELL = 0x40;
const UAR_SIZE = 0x1000;
const FW_REVISION = 0x0018_0010;
const MELLANOX = 0x15b3;
const CONNECTX_6_DX_VF = 0x101e;
const ETHERNET = 0x02_0000;

export interface ConnectxInput {
  /** UAR pages; 2 unless given. */
  readonly uars?: number;
}

/** A virtual function of a ConnectX adapter, behind vfio-pci. @throws RangeError for pages beyond its 1 MiB */
export function connectx(name: string, { uars = 2 }: ConnectxInput = {}): VfioPciDescription {
  const pages = Array.from({ length: uars }, (_, index) => UAR + index * UAR_SIZE);
  return vfioPci(name, {
    identity: { vendorId: MELLANOX, deviceId: CONNECTX_6_DX_VF, classCode: ETHERNET },
    virtualFunction: true,
    maxPayload: 512,
    bars: [
      {
        size: '1M',
        prefetchable: true,
        memory: false,
        registers: [
          { name: 'FW_REV', offset: 0x00, access: 'RO', reset: FW_REVISION },
          { name: 'INITIALIZING', offset: 0x1fc, access: 'RO', reset: 0 },
          ...pages.flatMap((page, uar) => [
            { name: `UAR${uar}.CQ_DB`, offset: page + UAR_CQ_DOORBELL, size: 8, access: 'WO' } as const,
            { name: `UAR${uar}.EQ_DB`, offset: page + UAR_EQ_DOORBELL, size: 4, access: 'WO' } as const,
          ]),
        ],
        pushBuffers: pages.flatMap((page, uar) =>
          UAR_BLUE_FLAME.map((offset, index) => ({
            name: `UAR${uar}.BF${index}`,
            offset: page + offset,
            size: 0x100,
          })),
        ),
      },
    ],
  });
}
