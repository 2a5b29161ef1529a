// Push buffers: places in a BAR where a driver writes a whole work queue entry instead of having the device fetch it,
// such as BlueFlame registers (mlx5) and direct WQE (hns). The entry has to arrive as one write, which only combining
// makes of several stores; parts of it ring the doorbell at best.

export interface PushBuffer {
  readonly name: string;
  /** Bytes from the start of its region, a multiple of the entry. */
  readonly offset: number;
  /** Bytes of the whole buffer. */
  readonly size: number;
  /** Bytes of one entry: 64. */
  readonly entry: number;
  /** Bytes at the start of the buffer that are the doorbell. */
  readonly doorbell: number;
}

export interface PushBufferInput {
  readonly name: string;
  readonly offset: number;
  /** Bytes; one entry unless given. */
  readonly size?: number;
}

const ENTRY = 64;
const DOORBELL = 8;

/**
 * @param where whose buffers, for the messages
 * @throws RangeError for a buffer off its entries or outside the region
 */
export function pushBuffersOf(
  inputs: readonly PushBufferInput[],
  regionSize: number,
  where: string,
): readonly PushBuffer[] {
  const buffers = inputs.map(({ name, offset, size = ENTRY }) => {
    if (
      offset % ENTRY !== 0 ||
      size % ENTRY !== 0 ||
      size < ENTRY ||
      offset < 0 ||
      offset + size > regionSize
    ) {
      throw new RangeError(
        `${where}: push buffer ${name} at ${offset} has to hold entries of ${ENTRY} bytes`,
      );
    }
    return { name, offset, size, entry: ENTRY, doorbell: DOORBELL };
  });
  return buffers.sort((a, b) => a.offset - b.offset);
}

/** The buffer that an access begins in. */
export const pushBufferAt = (buffers: readonly PushBuffer[], offset: number): PushBuffer | undefined =>
  buffers.find((buffer) => offset >= buffer.offset && offset < buffer.offset + buffer.size);

/** What the device makes of one write of `size` bytes at `offset` of the region, in words. */
export function pushed(buffer: PushBuffer, offset: number, size: number): string {
  const from = offset - buffer.offset;
  if (from === 0 && size % buffer.entry === 0) return 'a whole entry in one write: it is taken from here';
  if (from === 0 && size >= buffer.doorbell) return 'rings the doorbell: the entry is fetched from memory';
  return 'a part of an entry: dropped';
}
