// From /proc/PID/smaps to the VMAs of a machine file.

import { describe, expect, it } from 'vitest';
import { InputError } from '../../../src/trace/input-error.ts';
import { machineFromSmaps, parseSmaps } from '../../../src/trace/machine-file/smaps.ts';

const SMAPS = `aaaae2c00000-aaaae2d00000 r-xp 00000000 fe:01 1234                       /usr/bin/vmm
Size:               1024 kB
KernelPageSize:        4 kB
VmFlags: rd ex mr mw me
ffff80000000-ffff90000000 rw-p 00000000 00:00 0
Size:             262144 kB
KernelPageSize:        4 kB
VmFlags: rd wr mr mw me ac hg
ffff94000000-ffff95000000 rw-s 204000000000 00:0e 1055                   anon_inode:[vfio-device]
KernelPageSize:        4 kB
VmFlags: rd wr sh mr mw me ms pf io de dd ??
ffff96000000-ffff96004000 rw-s 0a000000 00:06 5                          /dev/mem
KernelPageSize:        4 kB
VmFlags: rd wr sh mr mw me ms pf io de dd
ffff97000000-ffff97200000 rw-p 00000000 00:0f 77                         /anon_hugepage (deleted)
KernelPageSize:     2048 kB
VmFlags: rd wr mr mw me de ht
`;

const slot = (number: number, hva: number, size: number) => ({
  slot: number,
  ipa: number * 2 ** 32,
  size,
  hva,
});

describe('smaps', () => {
  it('tells what backs a slot, and whether the VMA has VM_ALLOW_ANY_UNCACHED', () => {
    const slots = [
      slot(0, 0xffff_8000_0000, 2 ** 28),
      slot(1, 0xffff_9400_0000, 2 ** 24),
      slot(2, 0xffff_9600_0000, 2 ** 14),
      slot(3, 0xffff_9700_0000, 2 ** 21),
    ];
    const { vm, missing } = machineFromSmaps(SMAPS, slots, { name: 'guest', ipaBits: 40 });
    expect(vm.vmas?.map(({ backing }) => backing)).toEqual([
      { kind: 'anon', thp: 'hugepage' },
      { kind: 'vfio-pci', allowAnyUncached: true },
      { kind: 'devmem', pa: 0xa00_0000 },
      { kind: 'hugetlb', pageSize: 2 ** 21 },
    ]);
    expect(vm.slots?.[1]).toEqual({ slot: 1, ipa: '0x100000000', size: '0x1000000', hva: '0xffff94000000' });
    expect(missing).toEqual(['VMA 0xffff94000000 (anon_inode:[vfio-device]): smaps does not tell pa']);
  });

  it('does not tell vfio-pci from vfio-platform without the flag', () => {
    const without = SMAPS.replace(' ??', '');
    const { missing } = machineFromSmaps(without, [slot(1, 0xffff_9400_0000, 4096)], {
      name: 'guest',
      ipaBits: 40,
    });
    expect(missing.join()).toMatch(/vfio-pci or vfio-platform/);
  });

  it('has to have a mapping at the hva of each slot', () => {
    const given = { name: 'guest', ipaBits: 40 };
    expect(() => machineFromSmaps(SMAPS, [slot(7, 0x1000, 4096)], given, 'smaps.txt')).toThrow(
      /^smaps.txt: slot 7: no mapping/,
    );
    expect(() => parseSmaps('nothing', 'smaps.txt')).toThrow(InputError);
  });
});
