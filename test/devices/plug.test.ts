import { describe, expect, it } from 'vitest';
import type { Pa } from '../../src/arch/addresses.ts';
import type { DeviceDescription } from '../../src/devices/description.ts';
import { placeRegions } from '../../src/devices/layout.ts';
import type { MmapResult } from '../../src/devices/mmap.ts';
import { mmapRegion } from '../../src/devices/mmap.ts';
import { devMem, emulated, gicv2, sysfsPci, vfioPci, vfioPlatform } from '../../src/devices/plug.ts';

const OLD = { pageSize: 4096, vfioPciAllowsAnyUncached: false };
const NEW = { pageSize: 4096, vfioPciAllowsAnyUncached: true };
const NEW_64K = { ...NEW, pageSize: 65536 };

const placed = (device: DeviceDescription): DeviceDescription => placeRegions(device, []);

const flagOf = (result: MmapResult): boolean | string =>
  result.kind === 'mapped' ? result.backing.allowAnyUncached : result.because;

describe('a PCI function behind vfio-pci', () => {
  const gpu = placed(vfioPci('gpu', { bars: [{ size: '16M', prefetchable: true }, { size: '64K' }] }));

  it('is data: BARs with sizes in bytes, placed and naturally aligned', () => {
    expect(gpu).toMatchObject({
      kind: 'vfio-pci',
      name: 'gpu',
      regions: [
        { name: 'BAR0', index: 0, size: 2 ** 24, prefetchable: true, unlisted: 'bytes', pa: 2 ** 39 },
        { name: 'BAR1', index: 1, size: 2 ** 16, prefetchable: false, pa: 0x1000_0000 },
      ],
    });
  });

  it('gives a VMA with VM_ALLOW_ANY_UNCACHED where the kernel has it (a39d3a966a09)', () => {
    expect(flagOf(mmapRegion(gpu, 0, OLD))).toBe(false);
    expect(mmapRegion(gpu, 1, NEW, 0x2000)).toEqual({
      kind: 'mapped',
      backing: {
        kind: 'pfnmap',
        driver: 'vfio-pci',
        device: 'gpu',
        pa: 0x1000_2000,
        allowAnyUncached: true,
        cacheable: false,
        fileOffset: 2 ** 40 + 0x2000,
      },
    });
  });

  it('is refused an mmap of a BAR that shares its page, and of an I/O BAR', () => {
    const nic = placed(vfioPci('nic', { bars: [{ size: '16K' }, { size: 256 }, { size: 32, io: true }] }));
    expect(mmapRegion(nic, 0, NEW).kind).toBe('mapped');
    expect(mmapRegion(nic, 0, NEW_64K)).toEqual({
      kind: 'refused',
      errno: 22,
      because: 'region-smaller-than-page',
    });
    expect(flagOf(mmapRegion(nic, 1, NEW))).toBe('region-smaller-than-page');
    expect(flagOf(mmapRegion(nic, 2, NEW))).toBe('io-bar');
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
