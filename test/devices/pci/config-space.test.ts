import { describe, expect, it } from 'vitest';
import type { DeviceDescription } from '../../../src/devices/description.ts';
import type { DeviceEvent } from '../../../src/devices/events.ts';
import { evolveDevice } from '../../../src/devices/evolve.ts';
import { placeRegions } from '../../../src/devices/layout.ts';
import { mmapRegion } from '../../../src/devices/mmap.ts';
import { bochsDisplay } from '../../../src/devices/models/bochs-display.ts';
import { connectx } from '../../../src/devices/models/connectx.ts';
import { e1000e } from '../../../src/devices/models/e1000e.ts';
import { nvme } from '../../../src/devices/models/nvme.ts';
import { decideConfig } from '../../../src/devices/pci/decide-config.ts';
import type { ExtendedName } from '../../../src/devices/pci/extended.ts';
import { vfioPci } from '../../../src/devices/plug.ts';
import { initialDevice } from '../../../src/devices/state.ts';

/** Config space of a plugged function as the VMM's pread() and pwrite() have it. */
function configOf(description: DeviceDescription) {
  const device = initialDevice(placeRegions(description, []));
  const access = (offset: number, size: number, write: bigint | null) => {
    if (device.description.kind !== 'vfio-pci' || device.pci === null) throw new Error('not behind vfio-pci');
    const done = decideConfig(device.description, device.pci, 0, { by: null, offset, size, write });
    for (const event of done.events) evolveDevice(device, event);
    return done;
  };
  return {
    device,
    read: (offset: number, size = 4) => Number(access(offset, size, null).value),
    /** What the write asks of others. */
    write: (offset: number, value: number, size = 4): readonly DeviceEvent[] =>
      access(offset, size, BigInt(value)).events.filter(({ type }) => type !== 'pci-config-written'),
  };
}

const COMMAND = 0x04;
const BAR0 = 0x10;
const PMCSR = 0x44;
const DEVCTL = 0x50;
const MSIX = 0x84;

describe('the header of a function', () => {
  it('shows vendor, device, class and the chain of capabilities', () => {
    const { read } = configOf(e1000e('nic'));
    expect(read(0x00)).toBe(0x10d3_8086);
    expect(read(0x08) >>> 8).toBe(0x02_0000);
    expect(read(0x06, 2)).toBe(0x10);
    const chain: number[] = [];
    for (let at = read(0x34, 1); at !== 0; at = read(at + 1, 1)) chain.push(read(at, 1));
    expect(chain).toEqual([0x01, 0x10, 0x11]);
  });

  it('reads as zero where nothing is, and ignores writes to what is constant', () => {
    const { read, write } = configOf(e1000e('nic'));
    write(0x00, 0xffff_ffff);
    write(0x100, 0xffff_ffff);
    expect([read(0x00), read(0x100), read(0x28)]).toEqual([0x10d3_8086, 0, 0]);
  });
});

describe('BAR sizing: write all ones, read the mask', () => {
  it('gives size and flags of 32-bit, 64-bit, prefetchable and I/O BARs', () => {
    const sized = (description: DeviceDescription): readonly string[] => {
      const { read, write } = configOf(description);
      return Array.from({ length: 6 }, (_, bar) => {
        write(BAR0 + bar * 4, 0xffff_ffff);
        return read(BAR0 + bar * 4).toString(16);
      });
    };
    expect(sized(e1000e('nic'))).toEqual(['fffe0000', 'fffe0000', 'ffffffe1', 'ffffc000', '0', '0']);
    expect(sized(bochsDisplay('gpu'))).toEqual(['ff00000c', 'ffffffff', 'fffff000', '0', '0', '0']);
    const large = vfioPci('large', { bars: [{ size: '16G', prefetchable: true }] });
    expect(sized(large).slice(0, 2)).toEqual(['c', 'fffffffc']);
  });

  it('is of virtual BARs: the device stays where the host put it', () => {
    const { device, read, write } = configOf(nvme('disk'));
    expect(read(BAR0)).toBe(0x0000_0004);
    expect(read(BAR0 + 4)).toBe(0x80);
    write(BAR0, 0x2000_1234);
    write(BAR0 + 4, 0x1);
    expect([read(BAR0), read(BAR0 + 4)]).toEqual([0x2000_0004, 0x1]);
    expect(device.description.regions[0]?.pa).toBe(2 ** 39);
  });
});

describe('the command register', () => {
  it('asks the host to switch memory decoding, and shows it once the host did', () => {
    const { device, read, write } = configOf(nvme('disk'));
    expect(write(COMMAND, 0x0406, 2)).toEqual([
      { type: 'pci-command-written', device: 'disk', value: 0x0406 },
    ]);
    expect(read(COMMAND, 2)).toBe(0x0402);
    evolveDevice(device, {
      type: 'pci-function-changed',
      device: 0,
      change: { kind: 'command', value: 0x406 },
    });
    expect(read(COMMAND, 2)).toBe(0x0406);
    evolveDevice(device, {
      type: 'pci-function-changed',
      device: 0,
      change: { kind: 'command', value: 0x404 },
    });
    expect(device.memoryEnabled).toBe(false);
  });

  it('cannot switch off a virtual function (no_command_memory)', () => {
    const { device, read, write } = configOf(connectx('vf'));
    expect(write(COMMAND, 0x0000, 2)).toEqual([]);
    expect(read(COMMAND, 2) & 0x2).toBe(0);
    expect(device.memoryEnabled).toBe(true);
  });
});

describe('power management and reset', () => {
  it('asks for D3hot and D0; D1 and D2 only where PMC offers them', () => {
    const { write } = configOf(nvme('disk'));
    expect(write(PMCSR, 3, 2)).toEqual([{ type: 'pci-power-written', device: 'disk', state: 'D3hot' }]);
    expect(write(PMCSR, 1, 2)).toEqual([]);
    expect(write(PMCSR, 0, 2)).toEqual([{ type: 'pci-power-written', device: 'disk', state: 'D0' }]);
  });

  it('goes from D0 anywhere and else only deeper (PCI PM 1.2, 5.1)', () => {
    const { device, read, write } = configOf(vfioPci('d', { d1: true, d2: true, bars: [{ size: '4K' }] }));
    const goes = (state: 'D0' | 'D1' | 'D2' | 'D3hot') => {
      const [asked] = write(PMCSR, ['D0', 'D1', 'D2', 'D3hot'].indexOf(state), 2);
      if (asked?.type === 'pci-power-written')
        evolveDevice(device, { type: 'pci-function-changed', device: 0, change: { kind: 'power', state } });
      return [read(PMCSR, 2) & 3, device.memoryEnabled];
    };
    expect(read(PMCSR - 2, 2)).toBe(0x0603);
    // Of D2 there is no way back to D1; only D0 answers memory requests.
    expect([goes('D1'), goes('D2'), goes('D1'), goes('D3hot'), goes('D2'), goes('D0')]).toEqual([
      [1, false],
      [2, false],
      [2, false],
      [3, false],
      [3, false],
      [0, true],
    ]);
  });

  it('keeps registers through D1 and D2, whatever No_Soft_Reset says (PCI PM 1.2, 5.4)', () => {
    const bars = [{ size: '4K', registers: [{ name: 'CTRL', offset: 0 }] }] as const;
    const { device } = configOf(vfioPci('d', { d1: true, noSoftReset: false, bars }));
    const region = device.regions[0];
    if (region !== undefined) region.registers = { CTRL: 7n };
    for (const state of ['D1', 'D0'] as const)
      evolveDevice(device, { type: 'pci-function-changed', device: 0, change: { kind: 'power', state } });
    expect(device.regions[0]?.registers).toEqual({ CTRL: 7n });
  });

  it('asks for a reset by Advanced Features, too (vfio_af_config_write())', () => {
    const AF = 0x90;
    const { read, write } = configOf(vfioPci('old', { af: true, flr: false, bars: [{ size: '4K' }] }));
    expect([read(AF, 1), read(AF + 2, 2)]).toEqual([0x13, 0x0306]);
    const asked = { type: 'pci-reset-asked', device: 'old', by: 'function-level-reset' };
    expect(write(AF + 4, 1, 1)).toEqual([asked]);
    expect(write(AF + 4, 0x0001, 2)).toEqual([asked]);
    expect(write(AF + 4, 0, 1)).toEqual([]);
    expect(read(AF + 4, 2)).toBe(0);
    expect(configOf(nvme('disk')).write(AF + 4, 1, 1)).toEqual([]);
  });

  it('asks for a function-level reset where Device Capabilities offer one; the bit reads as zero', () => {
    const asked = { type: 'pci-reset-asked', by: 'function-level-reset' };
    const disk = configOf(nvme('disk'));
    expect(disk.write(DEVCTL, 0xa810, 2)).toEqual([{ ...asked, device: 'disk' }]);
    expect(disk.write(DEVCTL + 1, 0x80, 1)).toEqual([{ ...asked, device: 'disk' }]);
    expect(disk.read(DEVCTL, 2) & 0x8000).toBe(0);
    expect(configOf(bochsDisplay('gpu')).write(DEVCTL, 0xa810, 2)).toEqual([]);
  });

  it('keeps Max_Payload_Size virtual, and lets nobody enable phantom functions', () => {
    const { device, read, write } = configOf(nvme('disk'));
    write(DEVCTL, 0x2a30, 2);
    expect(read(DEVCTL, 2)).toBe(0x2830);
    expect(device.pci?.hardware[DEVCTL]).toBe(0x2810);
  });

  it('loses registers in D3hot without No_Soft_Reset, and keeps them with it', () => {
    const cold = (noSoftReset: boolean): bigint | undefined => {
      const bars = [{ size: '4K', registers: [{ name: 'CTRL', offset: 0 }] }] as const;
      const { device } = configOf(vfioPci('d', { noSoftReset, bars }));
      const region = device.regions[0];
      if (region !== undefined) region.registers = { CTRL: 7n };
      for (const state of ['D3hot', 'D0'] as const)
        evolveDevice(device, { type: 'pci-function-changed', device: 0, change: { kind: 'power', state } });
      return Object.values(device.regions[0]?.registers ?? {})[0];
    };
    expect([cold(true), cold(false)]).toEqual([7n, undefined]);
  });
});

describe('the MSI-X capability', () => {
  it('names table size, table and pending bits', () => {
    const { read } = configOf(e1000e('nic'));
    expect([read(MSIX + 2, 2), read(MSIX + 4), read(MSIX + 8)]).toEqual([4, 3, 0x2003]);
  });

  it('keeps enable and function mask, which the VMM emulates', () => {
    const { read, write } = configOf(e1000e('nic'));
    expect(write(MSIX + 2, 0xffff, 2)).toEqual([{ type: 'msix-mask-written', device: 0 }]);
    expect(read(MSIX + 2, 2)).toBe(0xc004);
  });

  it.each([
    [{ vectors: 0, table: { bar: 0, offset: 0 } }, /0 MSI-X vectors; there are 1 to 2048/],
    [{ vectors: 4, table: { bar: 1, offset: 0 } }, /MSI-X table in BAR1, which is no memory BAR/],
    [{ vectors: 400, table: { bar: 0, offset: 0 } }, /MSI-X table at 0 of BAR0 has to be a multiple of 8/],
  ])('is refused with the device name %#', (msix, message) => {
    expect(() => vfioPci('d', { msix, bars: [{ size: '4K' }] })).toThrow(message);
  });
});

describe('the expansion ROM', () => {
  const ROM = 0x30;
  const withRom = () => vfioPci('d', { bars: [{ size: '4K' }], rom: { size: '64K' } });

  it('is sized like a BAR, and its enable bit is the user’s alone (vfio_bar_fixup())', () => {
    const { device, read, write } = configOf(withRom());
    write(ROM, 0xffff_ffff);
    expect(read(ROM)).toBe(0xffff_0001);
    write(ROM, 0x2000_0000);
    expect(read(ROM)).toBe(0x2000_0000);
    expect(device.pci?.hardware[ROM]).toBeUndefined();
  });

  it('reads as zero where there is none', () => {
    const { read, write } = configOf(nvme('disk'));
    write(ROM, 0xffff_ffff);
    expect(read(ROM)).toBe(0);
  });

  it('is never mapped', () => {
    const { device } = configOf(withRom());
    const host = { pageSize: 4096, vfioPciAllowsAnyUncached: true };
    const refused = { kind: 'refused', errno: 22, because: 'expansion-rom' };
    expect(mmapRegion(device.description, 6, host)).toEqual(refused);
  });

  it.each([[1024], [3000]])('of %d bytes is refused', (size) => {
    expect(() => vfioPci('d', { bars: [{ size: '4K' }], rom: { size } })).toThrow(/a power of two from 2K/);
  });
});

describe('extended capabilities', () => {
  const START = 0x100;
  const chainOf = (names: readonly ExtendedName[]) => {
    const { read } = configOf(vfioPci('d', { extended: names, bars: [{ size: '4K' }] }));
    const ids: number[] = [];
    for (let at = START; at !== 0; at = read(at) >>> 20) ids.push(read(at) & 0xffff);
    return { ids, read };
  };

  it('show Advanced Error Reporting, and what stands behind it', () => {
    expect(chainOf(['aer', 'serial-number', 'ats']).ids).toEqual([0x01, 0x03, 0x0f]);
  });

  it('lose from their chain what vfio-pci does not know, which stays readable at its place', () => {
    const { ids, read } = chainOf(['aer', 'pasid', 'ats']);
    expect(ids).toEqual([0x01, 0x0f]);
    expect(read(0x148)).toBe(0x1501_001b);
  });

  it('hide the ID of one that anchors the list', () => {
    expect(chainOf(['secondary-pcie', 'aer']).ids).toEqual([0, 0x01]);
    expect(chainOf(['pasid']).read(START)).toBe(0);
  });

  it('let a user write masks and severities of AER, and no header', () => {
    const { read, write } = configOf(vfioPci('d', { extended: ['aer'], bars: [{ size: '4K' }] }));
    for (const offset of [0x00, 0x04, 0x08, 0x0c, 0x14, 0x18]) write(START + offset, 0xffff_ffff);
    const registers = [0x00, 0x04, 0x08, 0x0c, 0x14, 0x18].map((offset) => read(START + offset).toString(16));
    expect(registers).toEqual(['10001', '0', '3fff031', '3fff031', 'f1c1', '140']);
  });

  it('are listed once', () => {
    expect(() => vfioPci('d', { extended: ['aer', 'aer'], bars: [{ size: '4K' }] })).toThrow(
      /list each once/,
    );
  });
});
