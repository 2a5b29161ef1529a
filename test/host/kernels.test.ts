import { describe, expect, it } from 'vitest';
import { BECAUSE } from '../../src/host/because.ts';
import type { KernelFeatures } from '../../src/host/kernel-features.ts';
import { KERNELS, kernelPreset } from '../../src/host/kernels.ts';

/** Features of a preset that differ from the one before it. */
function changes(name: string): readonly string[] {
  const at = KERNELS.findIndex((kernel) => kernel.name === name);
  const before = KERNELS[at - 1]?.features;
  const now = KERNELS[at]?.features;
  if (before === undefined || now === undefined) return [];
  return (Object.keys(now) as (keyof KernelFeatures)[]).filter((key) => now[key] !== before[key]).sort();
}

describe('kernel presets', () => {
  it('bring Normal-NC in 6.9 and nothing else', () => {
    expect(changes('6.9')).toEqual(['normalNcForAnyUncached', 'vfioPciAllowsAnyUncached']);
  });

  it.each([
    ['6.8', ['lpa2']],
    ['6.10', ['setSpteNotifier', 'vfioVmaList']],
    ['6.12', ['deviceBlocks', 'mmioSignExtends', 'mprotectNotifiesPmds', 'swapInWritable', 'vfioHugeFault']],
    ['6.13', ['deviceBlocks', 'mmioSignExtends']],
    ['6.17', ['cacheablePfnmap']],
    ['6.19', ['gicvDirTrap', 'guestMemfd', 'seaExit', 'vgicLrFirst']],
    ['7.0', ['injectsUnsupportedAtomic']],
  ])('change in %s only what is stated', (name, features) => {
    expect(changes(name)).toEqual(features);
  });

  it('stand in order of release, each with its evidence, and none carries the erratum', () => {
    const order = KERNELS.map(({ name }) => name.split('.').map(Number));
    const value = ([major = 0, minor = 0]: readonly number[]): number => major * 100 + minor;
    expect(order.map(value)).toEqual(order.map(value).sort((a, b) => a - b));
    for (const { evidence, features } of KERNELS) {
      expect(evidence).not.toBe('');
      expect(features.erratumNcToNgnre).toBe(false);
    }
  });

  it('are found by name', () => {
    expect(kernelPreset('6.12')?.name).toBe('6.12');
    expect(kernelPreset('2.6')).toBeUndefined();
  });
});

describe('a reason', () => {
  it('is a sentence of its own, told once', () => {
    const texts = Object.values(BECAUSE);
    expect(new Set(texts).size).toBe(texts.length);
    for (const text of texts) expect(text).toMatch(/[^.]$/);
  });
});
