// One register of a device as its datasheet declares it: name, offset, access sizes, reset value, and what a
// read or a write does. Whether a speculative read does harm is data too: it decides which memory types a
// region can bear.

/** Bytes of one access. */
export type AccessSize = 1 | 2 | 4 | 8;

/**
 * RO: writes are ignored. RW: keeps what is written. WO: reads give 0. W1C: a written 1 clears the bit. RC: a
 * read returns the value and clears it; writes are ignored.
 */
export type RegisterAccess = 'RO' | 'RW' | 'WO' | 'W1C' | 'RC';

export interface Register {
  /** In the datasheet's spelling. */
  readonly name: string;
  /** Bytes from the start of its region. */
  readonly offset: number;
  /** Bytes of the register itself. */
  readonly width: AccessSize;
  /** Access sizes that it answers; all others read as zero and write nothing (RAZ/WI). */
  readonly sizes: readonly AccessSize[];
  readonly reset: bigint;
  readonly access: RegisterAccess;
  /** What a read does besides returning the value, in words; null for nothing. */
  readonly readEffect: string | null;
  readonly writeEffect: string | null;
  /** `destructive`: a read that no program asked for loses something. */
  readonly speculation: 'harmless' | 'destructive';
}

/** A register as a scenario declares it; what is absent is a 32-bit RW register of reset value 0. */
export interface RegisterInput {
  readonly name: string;
  readonly offset: number;
  /** Bytes of the register. */
  readonly size?: AccessSize;
  /** Access sizes that it answers; its own size unless given. */
  readonly sizes?: readonly AccessSize[];
  readonly reset?: number | bigint;
  readonly access?: RegisterAccess;
  readonly onRead?: string;
  readonly onWrite?: string;
  /** By default a register whose read changes something is destructive to speculate. */
  readonly speculation?: 'harmless' | 'destructive';
}

const READ_EFFECTS: Partial<Record<RegisterAccess, string>> = { RC: 'the read clears it' };
const WRITE_EFFECTS: Partial<Record<RegisterAccess, string>> = {
  RO: 'read-only: the write is ignored',
  RC: 'read-only: the write is ignored',
  W1C: 'clears the bits written as 1',
};

const SIZES: readonly number[] = [1, 2, 4, 8];

/**
 * The registers of a region of `regionSize` bytes, sorted by offset.
 * @param where whose registers, for the messages
 * @throws RangeError for a register outside the region, one that overlaps another, a bad size or reset value
 */
export function registersOf(
  inputs: readonly RegisterInput[],
  regionSize: number,
  where: string,
): readonly Register[] {
  const registers = inputs.map((input) => registerOf(input, where)).sort((a, b) => a.offset - b.offset);
  registers.forEach((register, index) => {
    const end = register.offset + register.width;
    if (end > regionSize) {
      throw new RangeError(
        `${where}: register ${register.name} ends at ${end}, behind the ${regionSize} bytes`,
      );
    }
    const next = registers[index + 1];
    if (next !== undefined && next.offset < end) {
      throw new RangeError(`${where}: registers ${register.name} and ${next.name} overlap at ${next.offset}`);
    }
    if (registers.some((other) => other !== register && other.name === register.name)) {
      throw new RangeError(`${where}: two registers are called ${register.name}; give each its own name`);
    }
  });
  return registers;
}

function registerOf(input: RegisterInput, where: string): Register {
  const { name, offset, size = 4, access = 'RW', reset = 0 } = input;
  const what = `${where}: register ${name}`;
  const sizes = input.sizes ?? [size];
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new RangeError(`${what} at ${offset}: give a whole number of bytes from the start of the region`);
  }
  if (![size, ...sizes].every((bytes) => SIZES.includes(bytes) && bytes <= size)) {
    throw new RangeError(`${what}: sizes are 1, 2, 4 or 8 bytes, and no access is wider than the register`);
  }
  if (typeof reset === 'number' && !Number.isSafeInteger(reset)) {
    throw new RangeError(`${what}: reset value ${reset} is no whole number; write wide values as bigint`);
  }
  if (BigInt.asUintN(size * 8, BigInt(reset)) !== BigInt(reset)) {
    throw new RangeError(`${what}: reset value ${reset} does not fit into ${size} bytes`);
  }
  const readEffect = input.onRead ?? READ_EFFECTS[access] ?? null;
  return {
    name,
    offset,
    width: size,
    sizes,
    reset: BigInt(reset),
    access,
    readEffect,
    writeEffect: input.onWrite ?? WRITE_EFFECTS[access] ?? null,
    speculation: input.speculation ?? (readEffect === null ? 'harmless' : 'destructive'),
  };
}
