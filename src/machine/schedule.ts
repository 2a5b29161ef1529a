// Who goes next: of all programs that can take a step, a seeded generator picks one, at every access and at every
// stage of a fault. The turns taken are the schedule; given back, they are taken again.

import type { PrngState } from './prng.ts';
import { nextBelow } from './prng.ts';

/** Something that takes turns: a vCPU's program, or one of the VMM. */
export interface Actor {
  /** Number in the schedule. */
  readonly id: number;
  /** What it is called in messages. */
  readonly name: string;
  /** `waiting` can become ready by what others do; `done` never. */
  status(): 'ready' | 'waiting' | 'done';
  /** One turn; called only when ready. */
  step(): void;
}

export interface Turns {
  /** Numbers of the actors in the order of their turns. */
  readonly schedule: readonly number[];
  /** Names of actors that waited when nobody could go on. */
  readonly stuck: readonly string[];
  readonly prng: PrngState;
}

/** Who could have gone in a turn, and who did: numbers of actors. */
export interface Turn {
  /** Without a seed, the one that goes unless told otherwise stands first. */
  readonly ready: readonly number[];
  readonly went: number;
}

/** More turns than any story needs; a program that never ends is stopped here. */
const MOST_TURNS = 50_000;

/**
 * Lets the actors take turns until none is ready.
 * @param seed of the turns behind those given; null lets whoever went last go on, else the first that is ready
 * @param given turns to take first, as an earlier run recorded them
 * @param onTurn hears of each turn before it is taken
 * @throws RangeError if a given turn is that of an actor that cannot take it, or the turns do not end
 */
export function takeTurns(
  actors: readonly Actor[],
  seed: number | null,
  given: readonly number[] = [],
  onTurn?: (turn: Turn) => void,
): Turns {
  const schedule: number[] = [];
  let prng: PrngState = (seed ?? 0) >>> 0;
  for (;;) {
    const able = actors.filter((actor) => actor.status() === 'ready');
    const ready = seed === null ? steadyOrder(able, schedule) : able;
    const [first] = ready;
    if (first === undefined) break;
    if (schedule.length === MOST_TURNS)
      throw new RangeError(`the programs go on after ${MOST_TURNS} accesses; give them an end`);
    const named = given[schedule.length];
    let next = first;
    if (named !== undefined) next = givenActor(ready, named, schedule.length);
    else if (seed !== null && ready.length > 1) {
      const drawn = nextBelow(prng, ready.length);
      prng = drawn.state;
      next = ready[drawn.value] ?? first;
    }
    onTurn?.({ ready: ready.map(({ id }) => id), went: next.id });
    schedule.push(next.id);
    next.step();
  }
  if (given.length > schedule.length) {
    throw new RangeError(
      `the schedule has ${given.length} turns, but after ${schedule.length} all had ended`,
    );
  }
  const stuck = actors.filter((actor) => actor.status() === 'waiting').map(({ name }) => name);
  return { schedule, stuck, prng };
}

/** Turns after which a steady schedule goes on to the others: a fault is retried until another vCPU's map is done. */
const PATIENCE = 100;

/** Whoever went last comes first, so that each change of turns is one decision. */
function steadyOrder(able: readonly Actor[], schedule: readonly number[]): readonly Actor[] {
  const last = schedule.at(-1);
  const same = able.filter(({ id }) => id === last);
  const others = able.filter(({ id }) => id !== last);
  const recent = schedule.slice(-PATIENCE);
  const isPatient = recent.length < PATIENCE || recent.some((id) => id !== last);
  return isPatient ? [...same, ...others] : [...others, ...same];
}

function givenActor(ready: readonly Actor[], id: number, turn: number): Actor {
  const found = ready.find((actor) => actor.id === id);
  if (found !== undefined) return found;
  const names = ready.map((actor) => `${actor.id} (${actor.name})`).join(', ');
  throw new RangeError(`turn ${turn} of the schedule names ${id}, which cannot go; ready are ${names}`);
}

/** A program's own error, under the name of who runs it. */
export function naming<T>(name: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${name}: its program failed: ${reason}`, { cause: error });
  }
}
