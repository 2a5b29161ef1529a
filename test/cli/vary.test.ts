import { describe, expect, it } from 'vitest';
import { parseVary } from '../../src/cli/vary.ts';

describe('--vary', () => {
  it('gives every combination, the last dimension fastest', () => {
    const { choices } = parseVary(['device=vfio-pci,gicv', 'kernel=6.1,6.12']);

    expect(choices.map(({ name, kernel, variant }) => ({ name, kernel, variant }))).toEqual([
      { name: 'vfio-pci 6.1', kernel: '6.1', variant: { device: 'vfio-pci' } },
      { name: 'vfio-pci 6.12', kernel: '6.12', variant: { device: 'vfio-pci' } },
      { name: 'gicv 6.1', kernel: '6.1', variant: { device: 'gicv' } },
      { name: 'gicv 6.12', kernel: '6.12', variant: { device: 'gicv' } },
    ]);
  });

  it('without a kernel takes the newest', () => {
    const kernels = parseVary(['device=vfio-pci,gicv']).choices.map(({ kernel }) => kernel);

    expect(new Set(kernels).size).toBe(1);
  });

  it('takes FWB, page sizes and THP too', () => {
    const { choices } = parseVary(['fwb=on,off', 'page=16K', 'thp=never']);

    expect(choices.map(({ variant }) => variant)).toEqual([
      { fwb: true, pageSize: 16384, thp: 'never' },
      { fwb: false, pageSize: 16384, thp: 'never' },
    ]);
  });

  it.each([
    ['kernel', /'?--vary kernel.*what=value/],
    ['kernel=', /what=value/],
    ['=6.1', /what=value/],
    ['kernel=,', /has no values/],
    ['kernle=6.1', /did you mean kernel\?/],
    ['colour=red', /cannot vary.*vary kernel, device/],
    ['kernel=6.1,6.99', /no preset for kernel '6.99'/],
    ['device=vfio-pc', /did you mean vfio-pci\?/],
    ['toString=1', /cannot vary/],
  ])('refuses %s in words', (word, words) => expect(() => parseVary([word])).toThrow(words));

  it('refuses a dimension given twice', () => {
    expect(() => parseVary(['kernel=6.1', 'kernel=6.12'])).toThrow(/kernel is given twice/);
  });

  it('refuses more combinations than anybody reads', () => {
    const everything = [
      'kernel=6.1,6.6,6.8,6.9,6.10,6.12',
      'device=vfio-pci,vfio-platform,devmem,sysfs,gicv',
      'fwb=on,off',
      'page=4K,16K,64K',
    ];
    expect(() => parseVary(everything)).toThrow(/180 combinations/);
  });
});
