// Who takes the choices that memory types leave (src/guest/choices.ts). Without an adversary every processor is
// typical; with one, choices come from a script first, then from a seeded generator, and each is recorded as an event,
// so that a run replays from its events and repeats from its list of choices.

import type { ChoiceName, Choose } from '../guest/choices.ts';
import type { PrngState } from './prng.ts';
import { nextBelow } from './prng.ts';

export interface Adversary {
  /** Choices to take first, in order; a number beyond the options counts as 0. */
  readonly script: readonly number[];
  /** How many choices were taken. */
  readonly taken: number;
  /** Generator of the choices behind the script; null: all further ones are those of a typical processor. */
  readonly prng: PrngState | null;
}

/** One choice as it was taken. */
export interface ChoiceTaken {
  readonly what: ChoiceName;
  /** At least 2. */
  readonly options: number;
  /** 0, what a typical processor does, to `options` - 1. */
  readonly chosen: number;
}

export type AdversaryEvent =
  | {
      readonly type: 'adversary-began';
      readonly script: readonly number[];
      readonly prng: PrngState | null;
    }
  /** What a vCPU made of the latitude it had in one step. */
  | {
      readonly type: 'choices-taken';
      readonly vm: number;
      readonly vcpu: number;
      readonly choices: readonly ChoiceTaken[];
      /** The generator after them. */
      readonly prng: PrngState | null;
    };

export interface Chooser {
  readonly choose: Choose;
  /** What was chosen so far, and the generator after it. */
  readonly taken: () => Pick<Extract<AdversaryEvent, { type: 'choices-taken' }>, 'choices' | 'prng'>;
}

/** Choices of one step. Half of those that are drawn are what a typical processor does, the rest anything else. */
export function chooserFor({ script, taken, prng }: Adversary): Chooser {
  const choices: ChoiceTaken[] = [];
  let state = prng;
  const draw = (options: number): number => {
    if (state === null) return 0;
    const coin = nextBelow(state, 2);
    state = coin.state;
    if (coin.value === 0) return 0;
    const drawn = nextBelow(state, options - 1);
    state = drawn.state;
    return 1 + drawn.value;
  };
  return {
    choose(what, options) {
      const given = script[taken + choices.length];
      const wanted = given ?? draw(options);
      const chosen = wanted < options ? wanted : 0;
      choices.push({ what, options, chosen });
      return chosen;
    },
    taken: () => ({ choices, prng: state }),
  };
}
