// A run that tests of records ask about: a guest stores into a BAR, aligned and then not, which kills it where stage 2
// says Device; meanwhile the VMM switches memory decoding off and on.

import type { Scenario, ScenarioRun, Timeline } from 'stagetwo';
import { emulated, record, runScenario, scenario, vfioPci, writeCombining } from 'stagetwo';
import type { TimelineOptions } from '../../src/record/timeline.ts';

export const story: Scenario = scenario('stores into a BAR', ({ host }) => {
  const bars = [
    { size: '64K' as const, registers: [{ name: 'CTRL', offset: 0x40, reset: 3 }], memory: true },
  ];
  const nic = host.plug(vfioPci('nic', { bars }));
  const uart = host.plug(
    emulated('uart', { size: '4K', registers: [{ name: 'UARTDR', offset: 0, reset: 0x41 }] }),
  );
  const vm = host.vm('guest', { ram: '16M' });
  const bar = vm.assign(nic.bar(0), { at: 0x1000_0000 });
  vm.assign(uart.region(0), { at: 0x0900_0000 });
  vm.vcpu(0).run(function* (cpu) {
    const wc = cpu.ioremap(bar, writeCombining);
    for (let page = 0; page < 8; page += 1) yield* cpu.store(wc.at(page * 0x1000), { size: 8, value: 1n });
    yield* cpu.dmb();
    yield* cpu.store(wc.at(0x40), { size: 4, value: 7n });
    yield* cpu.dmb();
    yield* cpu.store(wc.at(0x104), { size: 8, value: 2n });
  });
  host.run(function* (vmm) {
    yield* vmm.reset(nic);
  });
});

export interface RecordedRun {
  readonly timeline: Timeline;
  readonly run: ScenarioRun;
}

export function recordedRun(
  kernel = '6.12',
  state: 'immer' | 'plain' = 'immer',
  options: TimelineOptions = {},
): RecordedRun {
  let timeline: Timeline | undefined;
  const run = runScenario(story, {
    kernel,
    state,
    onSimulation: (simulation) => (timeline = record(simulation, options)),
  });
  if (timeline === undefined) throw new Error('the run made no simulation');
  return { timeline, run };
}

/** Numbers of the events of a type. */
export const seqsOf = (timeline: Timeline, type: string): number[] =>
  Array.from({ length: timeline.length }, (_, seq) => seq).filter((seq) => timeline.event(seq).type === type);
