import { describe, expect, it } from 'vitest';
import { vfioPci } from '../../src/devices/plug.ts';
import type { Recorded } from '../../src/machine/events.ts';
import { evolve } from '../../src/machine/evolve.ts';
import type { Simulation } from '../../src/machine/simulation.ts';
import { createSimulation } from '../../src/machine/simulation.ts';
import { initialState } from '../../src/machine/state.ts';
import { createJournal, openJournal } from '../../src/record/journal/journal.ts';
import { stateHash } from '../../src/record/state-hash.ts';
import { issue, machineEvents } from '../helpers/machine.ts';
import { memoryDisk } from './journal/memory-files.ts';

const BAR = 0x1000_0000;

/** A device assigned to a VM and touched, so that tables, slots and a store buffer have content. */
function run(simulation: Simulation): void {
  const devices = [vfioPci('nic', { bars: [{ size: '64K', memory: true }] })];
  const assigned = [{ device: 0, region: 0, ipa: BAR }];
  for (const event of machineEvents({ kernel: '6.12', devices, assigned })) simulation.dispatch(event);
  simulation.dispatch(issue('write', BAR, { value: 1n }));
  simulation.dispatch(issue('read', BAR + 0x2000, { id: 1 }));
}

describe('the hash of a state', () => {
  it('is the same for a snapshot, a plain state and one that a journal gives back', () => {
    const drafted = createSimulation({ state: 'immer' });
    const plain = createSimulation({ state: 'plain' });
    const { files } = memoryDisk();
    const writer = createJournal<Recorded>(
      'run',
      { source: 'x', hash: '', seed: null, preset: '6.12' },
      { files },
    );
    drafted.bus.all.subscribe((event) => {
      writer.append(event);
      writer.checkpoint(stateHash(drafted.state));
    });
    for (const simulation of [drafted, plain]) run(simulation);
    writer.close();
    expect(stateHash(drafted.state)).toMatch(/^[0-9a-f]{64}$/);
    expect(stateHash(plain.state)).toBe(stateHash(drafted.state));

    const replayed = initialState();
    let checked = 0;
    for (const record of openJournal<Recorded>('run', { files }).records()) {
      if (record.kind === 'event') evolve(replayed, record.event);
      if (record.kind !== 'checkpoint') continue;
      expect(stateHash(replayed), `after event ${record.seq}`).toBe(record.state);
      checked += 1;
    }
    expect(checked).toBe(drafted.length);
  });

  it('sees every field, and not the order in which they were set', () => {
    const state = { ...initialState(), interconnect: [] };
    const { vms, ...others } = state;
    expect(stateHash({ ...others, vms })).toBe(stateHash(state));
    const simulation = createSimulation();
    const hashes = new Set<string>([stateHash(simulation.state)]);
    simulation.bus.all.subscribe(() => hashes.add(stateHash(simulation.state)));
    run(simulation);
    expect(hashes.size).toBeGreaterThan(simulation.length / 2);
  });

  it('refuses what has no canonical form', () => {
    const odd = { ...initialState(), devices: [new Map()] } as unknown as ReturnType<typeof initialState>;
    expect(() => stateHash(odd)).toThrow('a state cannot hold a Map');
  });
});
