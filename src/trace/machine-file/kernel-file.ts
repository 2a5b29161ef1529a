// A kernel preset of the user's own, in a small YAML or JSON file: the preset it starts from and the features that
// differ, for a distribution kernel with backports.

import { z } from 'zod';
import type { KernelPreset } from '../../host/kernels.ts';
import { checked } from './captured.ts';
import { kernelOf } from './kernel.ts';
import { loadValue } from './load.ts';

const kernelFile = z.strictObject({
  name: z.string().min(1).optional(),
  base: z.string(),
  features: z.record(z.string(), z.unknown()),
});

/** @throws InputError if the file cannot be read, or names a base or a feature that does not exist */
export function loadKernelFile(path: string): KernelPreset {
  const { name, base, features } = checked(kernelFile, loadValue(path), path);
  const kernel = kernelOf({ base, features }, path);
  return { name: name ?? kernel.name, features: kernel.features, evidence: `${path}: ${kernel.name}` };
}
