import { describe, expect, it } from 'vitest';
import type { Pa } from '../../src/arch/addresses.ts';
import type { PaRange } from '../../src/arch/transaction.ts';
import type { DeviceDescription } from '../../src/devices/description.ts';
import { placeRegions } from '../../src/devices/layout.ts';
import type { MmapHost, MmapResult } from '../../src/devices/mmap.ts';
import { mmapRegion } from '../../src/devices/mmap.ts';
import { connectx } from '../../src/devices/models/connectx.ts';
import { graceHopper } from '../../src/devices/models/grace-hopper.ts';
import { devMem, emulated, gicv2, sysfsPci, vfioPci, vfioPlatform } from '../../src/devices/plug.ts';
import { pushed } from '../../src/devices/push-buffer.ts';

const OLD = { pageSize: 4096, vfioPciAllowsAnyUncached: false };
const NEW = { pageSize: 4096, vfioPciAllowsAnyUncached: true };
const NEW_64K = { ...NEW, pageSize: 65536 };

const placed = (device: DeviceDescription): DeviceDescription => placeRegions(device, []);

const flagOf = (result: MmapResult): boolean | string =>
  result.kind === 'mapped' ? result.backing.allowAnyUncached : result.because;

describe('a PCI function behind vfio-pci', () => {
  const bars = [
    { size: '16M', prefetchable: true },
    { size: '64K', bar: 2 },
  ] as const;
  const gpu = placed(vfioPci('gpu', { bars }));

  it('is data: BARs with sizes in bytes, placed and naturally aligned', () => {
    expect(gpu).toMatchObject({
      kind: 'vfio-pci',
      name: 'gpu',
      regions: [
        { name: 'BAR0', index: 0, size: 2 ** 24, prefetchable: true, is64: true, pa: 2 ** 39 },
        { name: 'BAR2', index: 2, size: 2 ** 16, prefetchable: false, pa: 0x1000_0000 },
      ],
    });
  });

  it('gives a VMA with VM_ALLOW_ANY_UNCACHED where the kernel has it (a39d3a966a09)', () => {
    expect(flagOf(mmapRegion(gpu, 0, OLD))).toBe(false);
    expect(mmapRegion(gpu, 2, NEW, { offset: 0x2000 })).toEqual({
      kind: 'mapped',
      backing: {
        kind: 'pfnmap',
        driver: 'vfio-pci',
        device: 'gpu',
        pa: 0x1000_2000,
        allowAnyUncached: true,
        cacheable: false,
        fileOffset: 2 * 2 ** 40 + 0x2000,
      },
    });
  });

  it('takes the number behind a prefetchable BAR for its upper half, unless another BAR has it', () => {
    const widths = (...list: readonly object[]) =>
      vfioPci('d', { bars: list.map((bar) => ({ size: '1M', ...bar })) }).regions.map(({ is64 }) => is64);
    expect(widths({ prefetchable: true })).toEqual([true]);
    expect(widths({ prefetchable: true }, {})).toEqual([false, false]);
    expect(widths({ bits: 64 }, { bar: 2 })).toEqual([true, false]);
  });

  it('maps a BAR smaller than a page only where it has its page to itself (vfio_pci_probe_mmaps)', () => {
    const bars = [{ size: '16K' }, { size: 256 }, { size: 32, io: true }] as const;
    const nic = placed(vfioPci('nic', { bars }));
    const [first, second] = nic.regions.map(
      ({ pa, size }) => ({ start: pa, end: (pa ?? 0) + size }) as PaRange,
    );
    const beside = (host: MmapHost, other: PaRange | undefined): MmapHost => ({
      ...host,
      taken: other === undefined ? [] : [other],
    });
    expect(mmapRegion(nic, 0, NEW).kind).toBe('mapped');
    expect(mmapRegion(nic, 0, beside(NEW_64K, second))).toEqual({
      kind: 'refused',
      errno: 22,
      because: 'page-is-shared',
    });
    expect(mmapRegion(nic, 1, beside(NEW, first)).kind).toBe('mapped');
    expect(flagOf(mmapRegion(nic, 1, beside(NEW_64K, first)))).toBe('region-not-page-aligned');
    expect(flagOf(mmapRegion(nic, 2, NEW))).toBe('io-bar');
  });

  it('is refused MAP_PRIVATE, and what lies behind the last page of the BAR', () => {
    expect(flagOf(mmapRegion(gpu, 2, NEW, { shared: false }))).toBe('not-shared');
    expect(flagOf(mmapRegion(gpu, 2, NEW, { offset: 0xf000, size: 0x2000 }))).toBe('beyond-region');
    expect(flagOf(mmapRegion(gpu, 2, NEW, { offset: 0xf000, size: 0x1000 }))).toBe(true);
  });
});

describe('what VMA each kind of device gives', () => {
  const regions = [{ size: '64K' }];
  it.each([
    ['vfio-pci', vfioPci('d', { bars: regions }), true],
    ['vfio-pci with a cacheable BAR', vfioPci('d', { bars: [{ size: '64K', cacheable: true }] }), false],
    ['vfio-platform', vfioPlatform('d', { regions }), false],
    ['/dev/mem', devMem('d', { regions }), false],
    ['sysfs', sysfsPci('d', { regions }), false],
    ['GICv2', gicv2('d'), 'mapped-by-kvm'],
    ['an emulated device', emulated('d', { size: '4K' }), 'no-host-memory'],
  ])('%s', (_what, device, flag) => {
    expect(flagOf(mmapRegion(placed(device), 0, NEW))).toBe(flag);
  });

  it('indexes /dev/mem by physical address', () => {
    const device = placed(devMem('leds', { regions: [{ size: '4K', pa: 0x0900_0000 }] }));
    expect(mmapRegion(device, 0, NEW)).toMatchObject({ backing: { fileOffset: 0x0900_0000, device: null } });
  });

  it('maps through vfio-platform only whole pages', () => {
    const device = placed(
      vfioPlatform('uart', { regions: [{ size: '8K', pa: 0x0900_0800 }, { size: '1K' }] }),
    );
    expect(flagOf(mmapRegion(device, 0, NEW))).toBe('region-not-page-aligned');
    expect(flagOf(mmapRegion(device, 1, NEW))).toBe('region-smaller-than-page');
  });
});

describe('placing', () => {
  it('gives the same devices the same addresses, one behind the other', () => {
    const first = placed(vfioPci('a', { bars: [{ size: '1M' }, { size: '4K' }] }));
    const taken = first.regions.flatMap(({ pa, size }) =>
      pa === null ? [] : [{ start: pa, end: (pa + size) as Pa }],
    );
    const second = placeRegions(vfioPci('b', { bars: [{ size: '1M' }] }), taken);
    expect([...first.regions, ...second.regions].map(({ pa }) => pa)).toEqual([
      0x1000_0000, 0x1010_0000, 0x1020_0000,
    ]);
  });

  it('leaves windows without host memory alone', () => {
    expect(placed(emulated('uart', { size: '4K' })).regions[0]?.pa).toBeNull();
    expect(placed(gicv2('gic')).regions.map(({ name, pa }) => [name, pa])).toEqual([
      ['GICV', 0x0804_0000],
      ['GICD', null],
      ['GICC', null],
    ]);
  });

  it('refuses an address that is taken, and one that is RAM', () => {
    const at = (pa: number) =>
      vfioPlatform('x', {
        regions: [
          { size: '4K', pa },
          { size: '4K', pa },
        ],
      });
    expect(() => placed(at(0x0900_0000))).toThrow(/0x9000000 is taken by another region/);
    expect(() => placed(at(2 ** 40))).toThrow(/0x10000000000 is RAM of the VMs/);
  });
});

describe('bad input gives one plain RangeError', () => {
  const registers = (...list: object[]) => ({ size: '4K', registers: list as never });
  it.each([
    [() => vfioPci('gpu', { bars: [] }), "device 'gpu' has no region; give at least one"],
    [
      () => vfioPci('gpu', { bars: [{ size: '3M' }] }),
      "device 'gpu': BAR0 has 3145728 bytes; a BAR is a power of two from 16",
    ],
    [
      () => vfioPci('gpu', { bars: [{ size: '16MB' }] }),
      "device 'gpu', BAR0: size 16MB is no number of bytes; write 4096, '4K', '16M' or '1G'",
    ],
    [
      () => vfioPci('gpu', { bars: [{ size: '4K', bar: 6 }] }),
      "device 'gpu': BAR 6 does not exist; a PCI function has BAR 0 to 5",
    ],
    [
      () => vfioPci('gpu', { bars: [{ size: '4K', pa: 0x800 }] }),
      "device 'gpu': BAR0 has to start at a multiple of its 4096 bytes",
    ],
    [
      () =>
        vfioPci('gpu', {
          bars: [
            { size: '4K', bar: 2 },
            { size: '4K', bar: 2 },
          ],
        }),
      "device 'gpu' has two regions of one number",
    ],
    [
      () => vfioPci('gpu', { bars: [{ size: '4K' }], command: -1 }),
      "device 'gpu': command register -1 is not a number of 16 bits",
    ],
    [() => vfioPci(' ', { bars: [{ size: '4K' }] }), 'a device needs a name; give a short one such as gpu'],
    [
      () => devMem('m', { regions: [{ size: '4K', pa: 2 ** 52 }] }),
      "device 'm', reg0: 4503599627370496 is no physical address of at most 52 bits",
    ],
    [() => gicv2('gic', { pa: 2 }), "device 'gic': GICV at 2 has to start at a multiple of 4"],
    [
      () => emulated('u', registers({ name: 'DR', offset: 4096 })),
      "device 'u', window: register DR ends at 4100, behind the 4096 bytes",
    ],
    [
      () => emulated('u', registers({ name: 'DR', offset: -4 })),
      "device 'u', window: register DR at -4: give a whole number of bytes from the start of the region",
    ],
    [
      () => emulated('u', registers({ name: 'DR', offset: 0 }, { name: 'FR', offset: 2 })),
      "device 'u', window: registers DR and FR overlap at 2",
    ],
    [
      () => emulated('u', registers({ name: 'DR', offset: 0 }, { name: 'DR', offset: 4 })),
      "device 'u', window: two registers are called DR; give each its own name",
    ],
    [
      () => emulated('u', registers({ name: 'DR', offset: 0, sizes: [8] })),
      "device 'u', window: register DR: sizes are 1, 2, 4 or 8 bytes, and no access is wider than the register",
    ],
    [
      () => emulated('u', registers({ name: 'DR', offset: 0, size: 1, reset: 256 })),
      "device 'u', window: register DR: reset value 256 does not fit into 1 bytes",
    ],
    [
      () => emulated('u', registers({ name: 'DR', offset: 0, reset: 0.5 })),
      "device 'u', window: register DR: reset value 0.5 is no whole number; write wide values as bigint",
    ],
  ])('%#', (build, message) => {
    expect(build).toThrow(new RangeError(message));
  });
});

describe('push buffers and variant drivers', () => {
  it('lie whole in their region', () => {
    const build = (offset: number) => () =>
      vfioPci('nic', { bars: [{ size: '4K', pushBuffers: [{ name: 'BF0', offset }] }] });
    expect(build(0x20)).toThrow(/push buffer BF0 at 32 has to hold entries of 64 bytes/);
    expect(build(0x1000)).toThrow(RangeError);
    expect(build(0xfc0)).not.toThrow();
  });

  it('take an entry in one write only', () => {
    const [buffer] = connectx('nic').regions[0]?.pushBuffers ?? [];
    if (buffer === undefined) throw new Error('the model has push buffers');
    expect([64, 128, 32, 8, 4].map((size) => pushed(buffer, buffer.offset, size).slice(0, 9))).toEqual([
      'a whole e',
      'a whole e',
      'rings the',
      'rings the',
      'a part of',
    ]);
    expect(pushed(buffer, buffer.offset + 64, 64)).toBe('a part of an entry: dropped');
  });

  it('map what the driver itself maps without VM_ALLOW_ANY_UNCACHED (nvgrace-gpu)', () => {
    const gpu = placed(graceHopper('gpu', { usemem: '16M' }));
    expect([0, 2, 4].map((bar) => flagOf(mmapRegion(gpu, bar, NEW)))).toEqual([true, false, false]);
    expect(mmapRegion(gpu, 4, NEW)).toMatchObject({ backing: { cacheable: true } });
  });
});
