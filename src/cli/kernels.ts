// `stagetwo kernels`: the presets, each with what changed against the one before it, and `kernels diff A B`.

import type { KernelFeatures } from '../host/kernel-features.ts';
import type { KernelPreset } from '../host/kernels.ts';
import { KERNELS } from '../host/kernels.ts';
import { InputError } from '../trace/input-error.ts';
import { FEATURE_WORDS } from './feature-words.ts';
import { kernelChosen } from './kernel-name.ts';
import { paragraph } from './layout.ts';
import type { Terminal } from './terminal.ts';
import { count, toJson } from './words.ts';

export interface KernelsRequest {
  readonly action: string | undefined;
  readonly from: string | undefined;
  readonly to: string | undefined;
}

export interface KernelsOptions {
  readonly json?: boolean;
}

interface Change {
  readonly feature: keyof KernelFeatures;
  readonly from: boolean | string;
  readonly to: boolean | string;
}

/**
 * @returns exit status
 * @throws InputError for an unknown preset or a word that is not `diff`
 */
export async function kernels(
  { action, from, to }: KernelsRequest,
  options: KernelsOptions,
  terminal: Terminal,
): Promise<number> {
  if (action === undefined) {
    terminal.out(options.json === true ? toJson(KERNELS) : `${list(terminal).join('\n')}\n`);
    return 0;
  }
  if (action !== 'diff') {
    throw new InputError(
      'kernels',
      `there is no '${action}' here`,
      "say 'kernels' or 'kernels diff 6.8 6.9'",
    );
  }
  if (from === undefined || to === undefined) {
    throw new InputError('kernels diff', 'two presets are needed', "say for example 'kernels diff 6.8 6.9'");
  }
  const [a, b] = [await kernelChosen(from, 'kernels diff'), await kernelChosen(to, 'kernels diff')];
  const changes = changesOf(a, b);
  if (options.json === true) terminal.out(toJson({ from: a.name, to: b.name, changes }));
  else terminal.out(`${difference(a, b, changes, terminal).join('\n')}\n`);
  return 0;
}

function changesOf(from: KernelPreset, to: KernelPreset): Change[] {
  return (Object.keys(FEATURE_WORDS) as (keyof KernelFeatures)[])
    .map((feature) => ({ feature, from: from.features[feature], to: to.features[feature] }))
    .filter((change) => change.from !== change.to);
}

const said = (value: boolean | string): string => (typeof value === 'string' ? value : value ? 'yes' : 'no');

function list({ columns: width, style }: Terminal): string[] {
  return KERNELS.flatMap((preset, index) => {
    const before = KERNELS[index - 1];
    const evidence = paragraph(`${preset.name}  `, preset.evidence, width);
    const heading = evidence.map(
      (line) => style.strong(line.slice(0, preset.name.length)) + style.dim(line.slice(preset.name.length)),
    );
    if (before === undefined) return [...heading, ...paragraph('  ', baseWords(preset), width)];
    return ['', ...heading, ...changesOf(before, preset).flatMap((change) => changeLines(change, width))];
  });
}

function changeLines({ feature, from, to }: Change, width: number): string[] {
  return [
    `  ${feature}: ${said(from)} -> ${said(to)}`,
    ...paragraph('      ', FEATURE_WORDS[feature], width),
  ];
}

/** The oldest preset has nothing before it: its features are the base of all others. */
function baseWords({ features }: KernelPreset): string {
  const on = Object.entries(features).flatMap(([feature, value]) => {
    if (value === false) return [];
    return typeof value === 'string' ? [`${feature} = ${value}`] : [feature];
  });
  return `the base: ${on.join(', ')}`;
}

function difference(
  from: KernelPreset,
  to: KernelPreset,
  changes: readonly Change[],
  { columns: width, style }: Terminal,
): string[] {
  const title = style.strong(`${from.name} -> ${to.name}`);
  if (changes.length === 0) return [`${title}: no difference for stage 2`];
  const heading = `${title}: ${count(changes.length, 'difference')} for stage 2`;
  return [heading, ...changes.flatMap((change) => changeLines(change, width))];
}
