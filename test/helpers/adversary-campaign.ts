// What each memory type may show under the worst legal processor, each class of behaviour under its rule, and random
// programs that look for anything else. STAGETWO_ADVERSARY=100000 runs so many programs in all.

import { describe, expect, it } from 'vitest';
import { PERMIT_RULES } from '../../src/arch/permits.ts';
import { chooserFor } from '../../src/machine/adversary.ts';
import type { Step, TypeName } from './device-memory.ts';
import { MEM_ATTR, traffic } from './device-memory.ts';
import { randomProgram } from './random-program.ts';
import type { Class } from './traffic-court.ts';
import { judge } from './traffic-law.ts';
import { twice } from './twice.ts';

const TYPES = Object.keys(MEM_ATTR) as TypeName[];
const NORMAL: readonly TypeName[] = ['Normal-WB', 'Normal-WT', 'Normal-NC'];
const GATHERING: readonly TypeName[] = [...NORMAL, 'Device-GRE'];

interface Row {
  readonly shows: Class;
  readonly types: readonly TypeName[];
  readonly because: string;
}

/** The whole table: a class stands where a type permits it, and nowhere else. */
export const ROWS: readonly Row[] = [
  { shows: 'speculated', types: NORMAL, because: PERMIT_RULES['device-no-speculation'] },
  { shows: 'widened', types: NORMAL, because: PERMIT_RULES['device-no-speculation'] },
  { shows: 'read-again', types: NORMAL, because: PERMIT_RULES['normal-is-memory'] },
  { shows: 'answered-early', types: GATHERING, because: PERMIT_RULES.gathering },
  { shows: 'loads-gathered', types: GATHERING, because: PERMIT_RULES.gathering },
  { shows: 'merged', types: GATHERING, because: PERMIT_RULES.gathering },
  { shows: 'replaced', types: GATHERING, because: PERMIT_RULES.gathering },
  { shows: 'forwarded', types: GATHERING, because: PERMIT_RULES['gathering-forwards'] },
  { shows: 'reordered', types: [...GATHERING, 'Device-nGRE'], because: PERMIT_RULES.reordering },
  {
    shows: 'acknowledged-early',
    types: TYPES.filter((type) => type !== 'Device-nGnRnE'),
    because: PERMIT_RULES['early-write-acknowledgement'],
  },
  {
    shows: 'exclusive-refused',
    types: TYPES.filter((type) => type !== 'Normal-WB'),
    because: PERMIT_RULES['exclusives-elsewhere'],
  },
  { shows: 'simd-window', types: TYPES, because: PERMIT_RULES['simd-window'] },
  { shows: 'split', types: TYPES, because: PERMIT_RULES['multiple-accesses'] },
  { shows: 'joined', types: TYPES, because: PERMIT_RULES['multiple-accesses'] },
  { shows: 'pieces-reordered', types: TYPES, because: PERMIT_RULES['multiple-accesses'] },
  { shows: 'pieces-repeated', types: TYPES, because: PERMIT_RULES['multiple-accesses'] },
];

const ASKED = process.env.STAGETWO_ADVERSARY;
const PROGRAMS = ASKED === undefined ? 150 : Math.ceil(Number(ASKED) / TYPES.length);
/** A random program of 24 steps shows the rarest class about once in 20. */
const TIMEOUT_MS = 1_800_000;

/** The tests of some types; each type has programs of its own. */
export function campaign(types: readonly TypeName[]): void {
  describe.each(types)('the worst legal processor on %s memory', (type) => {
    const played = twice((steps: readonly Step[], seed: number) => {
      const { choose } = chooserFor({ script: [], taken: 0, prng: seed });
      return traffic(type, steps, choose).seen;
    });
    const may = ROWS.filter((row) => row.types.includes(type)).map(({ shows }) => shows);

    it(
      `shows ${may.join(', ')}, and nothing else`,
      () => {
        const shown = new Set<Class>();
        for (let program = 0; program < PROGRAMS; program += 1) {
          const seed = 1 + TYPES.indexOf(type) + program * TYPES.length;
          const steps = randomProgram(seed, NORMAL.includes(type));
          const verdict = judge({ type, steps, seen: played(steps, seed) });
          if (verdict.broken.length > 0) expect(verdict.broken, `seed ${seed}`).toEqual([]);
          for (const it of verdict.shown) shown.add(it);
        }
        expect([...shown].sort()).toEqual([...may].sort());
      },
      TIMEOUT_MS,
    );
  });
}
