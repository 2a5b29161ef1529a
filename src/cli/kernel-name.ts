// From a kernel's name on the command line to its preset, with the nearest one suggested for a slip.

import type { KernelPreset } from '../host/kernels.ts';
import { KERNELS, kernelPreset } from '../host/kernels.ts';
import { InputError } from '../trace/input-error.ts';
import { nearest } from './nearest.ts';

const kernelNames = (): string[] => KERNELS.map(({ name }) => name);

/** The preset in whose name the newest release stands. */
export const newestKernel = (): string => KERNELS.at(-1)?.name ?? '';

const KERNEL_FILE = /\.(ya?ml|json)$/;

/** Whether the words name a file that describes a kernel, not a preset. */
export const isKernelFile = (choice: string): boolean => KERNEL_FILE.test(choice);

/**
 * A preset by its name, or a file that describes one (docs/machine-file.md).
 * @throws InputError as `kernelNamed`, and for a file that describes none
 */
export async function kernelChosen(choice: string, where?: string): Promise<KernelPreset> {
  if (!isKernelFile(choice)) return kernelNamed(choice, where);
  const { loadKernelFile } = await import('../trace/machine-file/kernel-file.ts');
  return loadKernelFile(choice);
}

/** @throws InputError that lists the presets and suggests the nearest */
export function kernelNamed(name: string, where = '--kernel'): KernelPreset {
  const preset = kernelPreset(name);
  if (preset !== undefined) return preset;
  const near = nearest(name, kernelNames());
  const suggestion = near === null ? '' : ` (did you mean ${near}?)`;
  throw new InputError(
    where,
    `there is no preset for kernel '${name}'${suggestion}`,
    `known are ${kernelNames().join(', ')}`,
  );
}
