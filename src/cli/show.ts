// `stagetwo show`: one event of a run, what it changed, and the state after it; or one fact at that moment.

import type { MachineState } from '../machine/state.ts';
import { checkPath, deathsIn, readFact } from '../record/fact.ts';
import { parsePath } from '../record/fact-path.ts';
import { rulesOf } from '../record/why.ts';
import { differenceLines, plainDifference } from './difference-words.ts';
import { eventLine } from './event-words.ts';
import type { Cell } from './layout.ts';
import { facts, wrap } from './layout.ts';
import type { RecordedRun } from './recorded-run.ts';
import { asked, eventNumber, openRun } from './recorded-run.ts';
import { ruleText } from './rule-words.ts';
import type { SourceOptions } from './run-source.ts';
import { plainOf, valueText } from './state-words.ts';
import type { Terminal } from './terminal.ts';
import { count, grouped, toJson } from './words.ts';

export interface ShowOptions extends SourceOptions {
  readonly at?: number;
  readonly json?: boolean;
}

/**
 * @param path a fact; the whole state unless given
 * @throws InputError for a run that cannot be read, an event that is not there, a path that is none
 */
export async function show(
  argument: string,
  path: string | undefined,
  { at, json, ...options }: ShowOptions,
  terminal: Terminal,
): Promise<number> {
  const run = await openRun(argument, options, terminal);
  const seq = eventNumber('--at', at, run);
  if (path !== undefined) terminal.out(showFact(run, path, seq, json === true));
  else if (json === true) terminal.out(toJson(stateDocument(run, seq)));
  else terminal.out(`${showLines(run, seq, terminal).join('\n')}\n`);
  return 0;
}

function showFact({ timeline }: RecordedRun, path: string, seq: number, json: boolean): string {
  const todo = 'write for example vm0.stage2[0x10000000]';
  const value = asked(path, todo, () => {
    const moment = { state: timeline.at(seq), seq, deaths: deathsIn(timeline) };
    const steps = parsePath(path);
    checkPath(moment, steps);
    return readFact(moment, steps);
  });
  return json ? toJson({ at: seq, path, value: plainOf(value) }) : `${valueText(path, value)}\n`;
}

function stateDocument({ timeline }: RecordedRun, seq: number) {
  return {
    at: seq,
    of: timeline.length,
    event: timeline.event(seq),
    changed: timeline.diff(seq - 1, seq).map(plainDifference),
    state: plainOf(timeline.at(seq)),
  };
}

function showLines({ name, timeline, header }: RecordedRun, seq: number, terminal: Terminal): string[] {
  const { columns: width, style } = terminal;
  const event = timeline.event(seq);
  const causes: [string, Cell][] = [
    ['event', `${event.type} ${eventLine(event)}`.trimEnd()],
    [
      'cause',
      event.cause === null ? 'from outside' : `event ${event.cause}, ${timeline.event(event.cause).type}`,
    ],
    ...rulesOf(event).map((rule): [string, Cell] => ['because', ruleText(rule)]),
  ];
  const where = `event ${grouped(seq)} of ${grouped(timeline.length)}, kernel ${header.preset}, at ${event.at} ns`;
  return [
    ...wrap(name, width).map(style.strong),
    ...wrap(where, width),
    ...facts(causes, { width, indent: 2, headerStyle: style.dim }),
    '',
    style.strong('it changed'),
    ...differenceLines(timeline.diff(seq - 1, seq), ['before', 'after'], terminal).lines,
    '',
    style.strong('the state after it'),
    ...facts(stateFacts(timeline.at(seq)), { width, indent: 2, headerStyle: style.dim }),
  ];
}

/** A line for each slice. */
function stateFacts(state: MachineState): [string, Cell][] {
  const { host, vms, vcpus, devices } = state;
  return [
    ['host', host === null ? 'not booted' : `kernel ${host.kernel}, ${host.pageSize / 1024} KiB pages`],
    ...vms.map((vm, id): [string, Cell] => {
      const stage2 = count(vm.table.leafCount, 'leaf', 'leaves');
      const memory = `${count(vm.slots.length, 'memslot')}, ${count(vm.vmas.length, 'VMA')}`;
      return [`vm${id}`, `${vm.name}: stage 2 ${stage2}, ${memory}, mmu_invalidate_seq ${vm.mmuSeq}`];
    }),
    ...vcpus.map((vcpu, id): [string, Cell] => [`vcpu${id}`, vcpuText(vcpu)]),
    ...devices.map(({ description, memoryEnabled }): [string, Cell] => {
      return [description.name, `${description.kind}${memoryEnabled ? '' : ', memory decoding off'}`];
    }),
  ];
}

function vcpuText({ vm, index, pending, attempts, storeBuffer }: MachineState['vcpus'][number]): string {
  const access =
    pending === null ? 'no access' : `${pending.kind} ${pending.id}, ${count(attempts, 'fault')}`;
  const lines = storeBuffer.lines.length;
  return `vCPU ${index} of vm${vm}: ${access}${lines === 0 ? '' : `, ${count(lines, 'line')} buffered`}`;
}
