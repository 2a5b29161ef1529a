// A transaction as PCI Express carries it (Base Specification 2.2.5, 2.2.7, 2.2.9): memory writes are posted, reads are
// not; length counts doublewords, byte enables say which bytes of the first and last are meant; no request crosses a
// 4 KiB boundary or exceeds Max_Payload_Size or Max_Read_Request_Size.

export interface Tlp {
  /** MWr is posted: nobody answers. MRd is non-posted: completions carry the data. */
  readonly type: 'MWr' | 'MRd';
  readonly posted: boolean;
  /** Of the first doubleword: a multiple of 4. */
  readonly address: number;
  /** Doublewords, 1 to 1024. */
  readonly length: number;
  /** First DW BE[3:0], bit 0 for the lowest byte. */
  readonly firstBe: number;
  /** Last DW BE[3:0]; 0 where there is one doubleword. */
  readonly lastBe: number;
  /** Doublewords of the header: 4 above 4 GiB. */
  readonly header: 3 | 4;
  /** Bytes that are meant. */
  readonly bytes: number;
}

export interface LinkLimits {
  /** Max_Payload_Size in bytes, 128 to 4096, a power of two; 128 unless given, as after reset. */
  readonly maxPayload?: number;
  /** Max_Read_Request_Size in bytes, 128 to 4096, a power of two; 512 unless given, as after reset. */
  readonly maxReadRequest?: number;
}

/** What of a transaction a link needs to know. */
export interface BusRequest {
  readonly kind: 'read' | 'write';
  readonly address: number;
  /** Bytes, at least 1. */
  readonly size: number;
}

const DW = 4;
const ALL_BYTES = 0b1111;
const LIMITS: ReadonlySet<number> = new Set([128, 256, 512, 1024, 2048, 4096]);
/** Up to here addresses go by a header of three doublewords. */
const FOUR_GIB = 2 ** 32;

/**
 * The packets of a transaction, ascending. Longer ones are cut at multiples of the limit, as root complexes do; since
 * every limit divides 4096, no packet crosses a 4 KiB boundary.
 * @throws RangeError for a limit that PCI Express does not have, and for a size below 1
 */
export function tlpsOf({ kind, address, size }: BusRequest, limits: LinkLimits = {}): Tlp[] {
  const { maxPayload = 128, maxReadRequest = 512 } = limits;
  const limit = kind === 'write' ? maxPayload : maxReadRequest;
  if (!LIMITS.has(limit)) {
    throw new RangeError(`a limit of ${limit} bytes: PCI Express has 128, 256, 512, 1024, 2048 and 4096`);
  }
  if (!Number.isSafeInteger(size) || size < 1)
    throw new RangeError(`a transaction of ${size} bytes: at least 1`);
  const packets: Tlp[] = [];
  const end = address + size;
  for (let at = address; at < end; ) {
    const next = Math.min(end, at - (at % limit) + limit);
    packets.push(packet(kind, at, next));
    at = next;
  }
  return packets;
}

/** One packet for the bytes [from, to). */
function packet(kind: 'read' | 'write', from: number, to: number): Tlp {
  const address = from - (from % DW);
  const length = Math.ceil((to - address) / DW);
  const skipped = from - address;
  const past = address + length * DW - to;
  const first = (ALL_BYTES << skipped) & ALL_BYTES;
  const last = ALL_BYTES >> past;
  return {
    type: kind === 'write' ? 'MWr' : 'MRd',
    posted: kind === 'write',
    address,
    length,
    firstBe: length === 1 ? first & last : first,
    lastBe: length === 1 ? 0 : last,
    header: to > FOUR_GIB ? 4 : 3,
    bytes: to - from,
  };
}
