// The kernel of a machine file: a preset by name, or a preset and the features that differ, for a distribution
// kernel with backports. Names are checked, so that a slip of the pen changes no prediction silently.

import type { KernelFeatures } from '../../host/kernel-features.ts';
import { KERNELS, kernelPreset } from '../../host/kernels.ts';
import { InputError } from '../input-error.ts';

export interface NamedKernel {
  readonly name: string;
  readonly features: KernelFeatures;
}

export interface KernelChoice {
  readonly base: string;
  readonly features: Readonly<Record<string, unknown>>;
}

const DEVICE_BLOCKS: readonly KernelFeatures['deviceBlocks'][] = ['page', 'vma', 'host-mapping'];

/**
 * @param choice name of a preset, or `{ base, features }`
 * @throws InputError for a name without a preset, a feature without that name, or a value that is none of it
 */
export function kernelOf(choice: string | KernelChoice, where: string): NamedKernel {
  const base = typeof choice === 'string' ? choice : choice.base;
  const preset = kernelPreset(base);
  if (preset === undefined) {
    const names = KERNELS.map(({ name }) => name).join(', ');
    throw new InputError(where, `there is no kernel preset '${base}'`, `known are ${names}`);
  }
  if (typeof choice === 'string') return preset;
  for (const [name, value] of Object.entries(choice.features))
    checkFeature(preset.features, name, value, where);
  const changed = Object.entries(choice.features).filter(
    ([name, value]) => preset.features[name as keyof KernelFeatures] !== value,
  );
  const features: KernelFeatures = { ...preset.features, ...Object.fromEntries(changed) };
  const differs = changed.map(([name, value]) => `${name}=${String(value)}`).join(', ');
  return { name: differs === '' ? base : `${base} with ${differs}`, features };
}

function checkFeature(base: KernelFeatures, name: string, value: unknown, where: string): void {
  const path = `kernel.features.${name}`;
  if (!Object.hasOwn(base, name)) {
    const names = Object.keys(base).join(', ');
    throw new InputError(where, `${path}: no kernel feature has this name`, `known are ${names}`);
  }
  const fits =
    name === 'deviceBlocks' ? DEVICE_BLOCKS.some((known) => known === value) : typeof value === 'boolean';
  if (fits) return;
  const allowed = name === 'deviceBlocks' ? DEVICE_BLOCKS.join(', ') : 'true, false';
  throw new InputError(
    where,
    `${path}: ${JSON.stringify(value)} is no value of it`,
    `take one of ${allowed}`,
  );
}
