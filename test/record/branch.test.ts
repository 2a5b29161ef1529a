import { runScenario } from 'stagetwo';
import { describe, expect, it } from 'vitest';
import type { Simulation } from '../../src/machine/simulation.ts';
import { branch } from '../../src/record/branch.ts';
import { recordedRun, seqsOf, story } from './recorded.ts';

const again =
  (kernel: string) =>
  (onSimulation: (simulation: Simulation) => void): void => {
    runScenario(story, { kernel, onSimulation });
  };

describe('a branch', () => {
  it('is the same run up to an event, then goes another way', () => {
    const { timeline } = recordedRun('6.12');
    const at = seqsOf(timeline, 'access-issued')[2] ?? 0;

    const other = branch(timeline, {
      run: again('6.12'),
      at,
      change: () => [{ type: 'pci-command-written', device: 'nic', value: 0 }],
    });

    for (let seq = 0; seq <= at; seq += 1) expect(other.event(seq)).toEqual(timeline.event(seq));
    expect(timeline.diff(at, at)).toEqual([]);
    const changed = seqsOf(other, 'pci-command-written').find((seq) => seq > at);
    expect(other.event(changed ?? -1).cause).toBeNull();
  });

  it('without a change is the run itself', () => {
    const { timeline } = recordedRun('6.12');
    const other = branch(timeline, { run: again('6.12'), at: 10, change: () => [] });
    expect(other.length).toBe(timeline.length);
    expect(other.event(other.length - 1)).toEqual(timeline.event(timeline.length - 1));
  });

  it('refuses a source that has changed since', () => {
    const { timeline } = recordedRun('6.12');
    const off = { run: again('6.1'), at: 30, change: () => [] };
    expect(() => branch(timeline, off)).toThrow(/parts from the record at event 0 \(kernel\)/);
    const never = { run: again('6.12'), at: 10_000, change: () => [] };
    expect(() => branch(timeline, never)).toThrow(/ends before event 10000/);
  });
});
