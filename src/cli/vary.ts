// `--vary kernel=6.1,6.12 --vary device=vfio-pci,gicv`: the words of the command line as a list of variants,
// every combination of the values given, in the order in which they were given.

import { STAGE1_ATTRIBUTES } from '../guest/mapping.ts';
import type { KernelPreset } from '../host/kernels.ts';
import type { Variant } from '../machine/report.ts';
import { VARY_DEVICES } from '../machine/report.ts';
import { InputError } from '../trace/input-error.ts';
import { isKernelFile, kernelChosen, kernelNamed, newestKernel } from './kernel-name.ts';
import { nearest } from './nearest.ts';

/** One column of a comparison. */
export interface VariantChoice {
  /** Only what varies: `6.1`, `gicv`. */
  readonly name: string;
  /** Name of a preset, or the kernel that a file describes. */
  readonly kernel: string | KernelPreset;
  readonly variant: Variant;
  /** Value of each dimension, in the order of the command line. */
  readonly values: readonly string[];
}

interface Dimension {
  readonly what: string;
  readonly values: readonly string[];
}

/** What can vary, and what a value sets. */
const DIMENSIONS: Readonly<
  Record<string, { readonly values: readonly string[] | null; readonly set: (value: string) => Variant }>
> = {
  kernel: { values: null, set: () => ({}) },
  device: { values: VARY_DEVICES, set: (value) => ({ device: value as NonNullable<Variant['device']> }) },
  stage1: { values: [...STAGE1_ATTRIBUTES.keys()], set: (value) => ({ stage1: value }) },
  fwb: { values: ['on', 'off'], set: (value) => ({ fwb: value === 'on' }) },
  dic: { values: ['on', 'off'], set: (value) => ({ dic: value === 'on' }) },
  gicv: { values: ['device', 'normal-nc'], set: (value) => (value === 'normal-nc' ? { gicv: value } : {}) },
  page: {
    values: ['4K', '16K', '64K'],
    set: (value) => ({ pageSize: (Number.parseInt(value, 10) * 1024) as NonNullable<Variant['pageSize']> }),
  },
  pcieErrors: {
    values: ['contained', 'to-guest', 'fatal'],
    set: (value) => ({ pcieErrors: value as NonNullable<Variant['pcieErrors']> }),
  },
  thp: {
    values: ['always', 'madvise', 'never'],
    set: (value) => ({ thp: value as NonNullable<Variant['thp']> }),
  },
};

/** More columns than anybody compares, and fewer than a slip of the hand could ask for. */
const MAX_VARIANTS = 64;

/**
 * @param words each `what=value,value`
 * @throws InputError for a word that cannot be read, an unknown kernel or device, and too many combinations
 */
export function parseVary(words: readonly string[]): { dimensions: Dimension[]; choices: VariantChoice[] } {
  const dimensions = words.map(parseWord);
  const names = dimensions.map(({ what }) => what);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) {
    throw new InputError('--vary', `${twice} is given twice`, `give its values once: ${twice}=a,b`);
  }
  const total = dimensions.reduce((product, { values }) => product * values.length, 1);
  if (total > MAX_VARIANTS) {
    throw new InputError(
      '--vary',
      `${total} combinations`,
      `at most ${MAX_VARIANTS} are run; give fewer values`,
    );
  }
  return { dimensions, choices: combinations(dimensions) };
}

/**
 * As `parseVary`, with the kernels that files describe.
 * @throws InputError as `parseVary`, and for a file that describes no kernel
 */
export async function variantsOf(words: readonly string[]): Promise<VariantChoice[]> {
  return Promise.all(parseVary(words).choices.map(withKernel));
}

/** A column is headed by the name that the file gives its kernel. */
async function withKernel(choice: VariantChoice): Promise<VariantChoice> {
  const { kernel: given } = choice;
  if (typeof given !== 'string' || !isKernelFile(given)) return choice;
  const kernel = await kernelChosen(given);
  const name = choice.name.replace(given, () => kernel.name);
  return { ...choice, kernel, name, values: choice.values.map((it) => (it === given ? kernel.name : it)) };
}

function parseWord(word: string): Dimension {
  const split = /^([a-z]+\d?)=(.+)$/i.exec(word);
  const [, what = '', list = ''] = split ?? [];
  const known = Object.keys(DIMENSIONS);
  if (split === null) {
    throw new InputError(`--vary ${word}`, 'is not what=value,value', 'write for example kernel=6.1,6.12');
  }
  const dimension = DIMENSIONS[what];
  if (dimension === undefined || !known.includes(what)) {
    throw new InputError(
      `--vary ${word}`,
      `'${what}' cannot vary${meant(what, known)}`,
      `vary ${known.join(', ')}`,
    );
  }
  const values = list.split(',').filter((value) => value !== '');
  for (const value of values) checkValue(word, what, value, dimension.values);
  if (values.length === 0) {
    throw new InputError(`--vary ${word}`, 'has no values', `write for example ${what}=a,b`);
  }
  return { what, values: [...new Set(values)] };
}

function checkValue(word: string, what: string, value: string, allowed: readonly string[] | null): void {
  if (allowed === null) {
    if (!isKernelFile(value)) kernelNamed(value, `--vary ${word}`);
  } else if (!allowed.includes(value)) {
    const said = `there is no ${what} '${value}'${meant(value, allowed)}`;
    throw new InputError(`--vary ${word}`, said, `known are ${allowed.join(', ')}`);
  }
}

function meant(word: string, candidates: readonly string[]): string {
  const near = nearest(word, candidates);
  return near === null ? '' : ` (did you mean ${near}?)`;
}

function combinations(dimensions: readonly Dimension[]): VariantChoice[] {
  const start: VariantChoice[] = [{ name: '', kernel: newestKernel(), variant: {}, values: [] }];
  return dimensions.reduce(
    (choices, { what, values }) =>
      choices.flatMap((choice) =>
        values.map((value) => {
          const prefix =
            { fwb: 'FWB ', dic: 'DIC ', thp: 'THP ', gicv: 'GICV ', stage1: 'stage 1 ', pcieErrors: 'PCIe ' }[
              what
            ] ?? '';
          const shown = `${prefix}${value}`;
          return {
            name: choice.name === '' ? shown : `${choice.name} ${shown}`,
            kernel: what === 'kernel' ? value : choice.kernel,
            variant: { ...choice.variant, ...DIMENSIONS[what]?.set(value) },
            values: [...choice.values, value],
          };
        }),
      ),
    start,
  );
}
