import { describe, expect, it } from 'vitest';
import type { Pa } from '../../src/arch/addresses.ts';
import { NORMAL_NC } from '../../src/arch/memory-type.ts';
import { bytesOfValue } from '../../src/arch/transaction.ts';
import { decideMmio, decideTransaction } from '../../src/devices/decide.ts';
import type { DeviceDescription } from '../../src/devices/description.ts';
import type { DeviceEvent } from '../../src/devices/events.ts';
import { evolveDevice } from '../../src/devices/evolve.ts';
import { piecesOf } from '../../src/devices/pieces.ts';
import { emulated, vfioPci } from '../../src/devices/plug.ts';
import type { DeviceState } from '../../src/devices/state.ts';
import { initialDevice } from '../../src/devices/state.ts';

const BY = { vm: 0, vcpu: 0, index: 0 };

/** A PCI function with a status register that a read clears, as an old interrupt cause register. */
const NIC = vfioPci('nic', {
  bars: [
    {
      size: '4K',
      registers: [
        { name: 'CTRL', offset: 0x00, reset: 0x1234 },
        { name: 'STATUS', offset: 0x08, access: 'RO', reset: 0x8000_0001 },
        { name: 'ICR', offset: 0xc0, access: 'RC', reset: 0x5 },
        { name: 'IMS', offset: 0xd0, access: 'W1C', reset: 0xff },
        { name: 'DOORBELL', offset: 0x100, access: 'WO', sizes: [4], onWrite: 'starts transmission' },
        { name: 'BASE', offset: 0x108, size: 8, sizes: [4, 8], reset: 0x1_0000_0002n },
        { name: 'BYTE', offset: 0x110, size: 1 },
      ],
    },
    { size: '16M', prefetchable: true },
  ],
});

/** A device with its slice, to be read and written. */
function running(description: DeviceDescription) {
  const state: DeviceState = initialDevice(description);
  const apply = (events: readonly DeviceEvent[]): readonly DeviceEvent[] => {
    for (const event of events) evolveDevice(state, event);
    return events;
  };
  const access = (kind: 'read' | 'write', region: number, offset: number, size: number, value = 0n) =>
    apply(
      decideTransaction(state, 0, {
        by: BY,
        region,
        offset,
        transaction: {
          kind,
          pa: offset as Pa,
          size,
          bytes: kind === 'write' ? bytesOfValue(value, size) : null,
          memoryType: NORMAL_NC,
          stores: 1,
          access: 7,
        },
      }),
    );
  const answerTo = (events: readonly DeviceEvent[]): bigint | null => {
    const answer = events.at(-1);
    return answer?.type === 'transaction-answered' ? answer.value : null;
  };
  return {
    state,
    apply,
    write: (offset: number, size: number, value: bigint, region = 0) =>
      access('write', region, offset, size, value),
    readEvents: (offset: number, size: number, region = 0) => access('read', region, offset, size),
    read: (offset: number, size: number, region = 0) => answerTo(access('read', region, offset, size)),
  };
}

describe('a status register that a read clears', () => {
  it('gives its value once, says so, and is 0 afterwards', () => {
    const nic = running(NIC);
    expect(nic.readEvents(0xc0, 4)).toEqual([
      {
        type: 'device-read',
        device: 0,
        region: 0,
        offset: 0xc0,
        size: 4,
        by: BY,
        register: 'ICR',
        effect: 'the read clears it',
        value: 5n,
      },
      { type: 'transaction-answered', vm: 0, vcpu: 0, access: 7, value: 5n },
    ]);
    expect(nic.read(0xc0, 4)).toBe(0n);
  });

  it('is declared destructive to speculate, unlike plain registers', () => {
    const speculation = Object.fromEntries(
      NIC.regions[0]?.registers.map((r) => [r.name, r.speculation]) ?? [],
    );
    expect(speculation).toMatchObject({ ICR: 'destructive', CTRL: 'harmless', DOORBELL: 'harmless' });
  });
});

describe('registers follow their access kind', () => {
  it.each([
    ['RW keeps what is written', 0x00, 0xdead_beefn, 0x1234n, 0xdead_beefn],
    ['RO ignores writes', 0x08, 0n, 0x8000_0001n, 0x8000_0001n],
    ['W1C clears the bits written as 1', 0xd0, 0x0fn, 0xffn, 0xf0n],
    ['WO reads as zero', 0x100, 0x77n, 0n, 0n],
  ])('%s', (_what, offset, written, before, after) => {
    const nic = running(NIC);
    expect(nic.read(offset, 4)).toBe(before);
    nic.write(offset, 4, written);
    expect(nic.read(offset, 4)).toBe(after);
  });

  it('reads and writes half of a 64-bit register where it answers 4 bytes', () => {
    const nic = running(NIC);
    expect(nic.read(0x10c, 4)).toBe(1n);
    nic.write(0x10c, 4, 9n);
    expect(nic.read(0x108, 8)).toBe(0x9_0000_0002n);
  });

  it('is RAZ/WI for a size that a register does not answer, and says so', () => {
    const nic = running(NIC);
    const [write] = nic.write(0x00, 2, 0xffffn);
    expect(write).toMatchObject({ register: 'CTRL', effect: 'RAZ/WI: CTRL does not answer 2 bytes here' });
    expect(nic.read(0x00, 2)).toBe(0n);
    expect(nic.read(0x00, 4)).toBe(0x1234n);
  });

  it('is RAZ/WI at offsets that no register has', () => {
    const nic = running(NIC);
    nic.write(0x800, 8, 1n);
    expect(nic.read(0x800, 8)).toBe(0n);
  });

  it('changes nothing where the program gave no value, and tells that it was written', () => {
    const nic = running(NIC);
    const event: DeviceEvent = {
      type: 'device-written',
      device: 0,
      region: 0,
      offset: 0,
      size: 4,
      by: BY,
      register: 'CTRL',
      effect: null,
      bytes: null,
    };
    nic.apply([event]);
    expect(nic.read(0, 4)).toBe(0x1234n);
  });
});

describe('a gathered write', () => {
  it('reaches each register that it covers at that register own width', () => {
    const nic = running(NIC);
    const events = nic.write(0xc0, 64, 2n ** 512n - 1n);
    expect(
      events.map((event) => ('bytes' in event ? [event.register, event.offset, event.size] : [])),
    ).toEqual([['ICR', 0xc0, 4], [null, 0xc4, 12], ['IMS', 0xd0, 4], [null, 0xd4, 44], []]);
    expect(nic.read(0xd0, 4)).toBe(0n);
  });

  it('is cut without a gap or an overlap, wherever it starts', () => {
    const [region] = NIC.regions;
    if (region === undefined) throw new Error('the NIC has a BAR');
    for (let offset = 0; offset < 0x120; offset++) {
      const pieces = piecesOf(region, offset, 24);
      expect(pieces.reduce((at, piece) => (piece.offset === at ? at + piece.size : Number.NaN), offset)).toBe(
        offset + 24,
      );
    }
  });
});

describe('a frame buffer', () => {
  it('keeps bytes anywhere in 16 MiB, and 0 where nobody wrote', () => {
    const gpu = running(NIC);
    gpu.write(0xff_fff8, 8, 0x0102_0304_0506_0708n, 1);
    gpu.write(0x3e, 4, 0xaabb_ccddn, 1);
    expect(gpu.read(0xff_fff8, 8, 1)).toBe(0x0102_0304_0506_0708n);
    expect(gpu.read(0x3c, 8, 1)).toBe(0x0000_aabb_ccdd_0000n);
    expect(gpu.read(0x80_0000, 8, 1)).toBe(0n);
  });
});

describe('a PCI function with memory space disabled', () => {
  it('claims nothing: reads are all ones, writes are lost', () => {
    const nic = running(NIC);
    nic.apply([{ type: 'pci-function-changed', device: 0, change: { kind: 'command', value: 0 } }]);
    expect(nic.readEvents(0, 4).map(({ type }) => type)).toEqual([
      'transaction-unclaimed',
      'transaction-answered',
    ]);
    expect(nic.read(0, 4)).toBe(0xffff_ffffn);
    nic.write(0, 4, 1n);
    nic.apply([{ type: 'pci-function-changed', device: 0, change: { kind: 'command', value: 2 } }]);
    expect(nic.read(0, 4)).toBe(0x1234n);
  });

  it('starts so if its command register says so', () => {
    expect(initialDevice(vfioPci('off', { bars: [{ size: '4K' }], command: 0 })).memoryEnabled).toBe(false);
  });
});

describe('an emulated device', () => {
  const UART = emulated('uart', {
    size: '4K',
    registers: [
      { name: 'UARTDR', offset: 0x00, access: 'RC', reset: 0x41, onRead: 'takes a character from the FIFO' },
      { name: 'UARTFR', offset: 0x18, access: 'RO', reset: 0x90 },
    ],
  });

  it('answers an MMIO exit with the register value', () => {
    const state = initialDevice(UART);
    const input = { by: BY, region: 0, offset: 0, size: 4, write: false, value: null };
    expect(decideMmio(state, 3, input)).toMatchObject([
      {
        type: 'device-read',
        device: 3,
        register: 'UARTDR',
        effect: 'takes a character from the FIFO',
        value: 0x41n,
      },
      { type: 'mmio-answered', vm: 0, vcpu: 0, value: 0x41n },
    ]);
  });

  it('answers a write with null, after the bytes reached the register', () => {
    const state = initialDevice(UART);
    const input = { by: BY, region: 0, offset: 0x18, size: 4, write: true, value: 0x1_0000_0002n };
    expect(decideMmio(state, 0, input)).toMatchObject([
      {
        type: 'device-written',
        register: 'UARTFR',
        effect: 'read-only: the write is ignored',
        bytes: [2, 0, 0, 0],
      },
      { type: 'mmio-answered', value: null },
    ]);
  });
});
