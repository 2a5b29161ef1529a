// A bare event bus of the same libraries, the least that anything like this can cost on this machine: a queue, an RxJS
// Subject for each type, one Immer produce or one JSON.stringify an event, five events a fault, and nobody who decides
// anything. What the real thing does is compared with it, so that a figure means the same on every machine.

import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Immer } from 'immer';
import { Subject } from 'rxjs';

interface SketchEvent {
  readonly type: string;
  readonly vm: number;
  readonly vcpu: number;
  readonly ipa: number;
  readonly detail: number;
}

interface Enclosed {
  readonly seq: number;
  readonly cause: number | null;
  readonly event: SketchEvent;
}

const STEPS = ['access', 'fault', 'map', 'retry', 'complete'] as const;
const BATCH = 2 ** 18;

/** What is done with each event beside delivering it. */
export type SketchMode = 'bulk' | 'recorded' | 'journaled';

/** @returns the run of that many faults */
export function sketch(mode: SketchMode, faults: number): () => void {
  const immer = new Immer({ autoFreeze: false });
  const topics = new Map<string, Subject<Enclosed>>(STEPS.map((type) => [type, new Subject()]));
  const all = new Subject<Enclosed>();
  const file = join(tmpdir(), `stagetwo-sketch-${process.pid}`);
  const fd = mode === 'journaled' ? openSync(file, 'w') : null;
  const timeline: Enclosed[] = [];
  const pages = new Map<number, number>();
  let state = { vm: { mapped: 0, last: '' } };
  let text = '';
  let queue: Enclosed[] = [];
  let draining = false;
  let seq = 0;

  const keep = (enclosed: Enclosed): void => {
    const { event } = enclosed;
    if (event.type === 'map') pages.set(event.ipa, event.detail);
    if (mode === 'bulk') return;
    state = immer.produce(state, ({ vm }) => {
      vm.last = event.type;
      if (event.type === 'map') vm.mapped += 1;
    });
    timeline.push(enclosed);
    if (fd === null) return;
    text += `${JSON.stringify(enclosed)}\n`;
    if (text.length < BATCH) return;
    writeSync(fd, text);
    text = '';
  };
  const emit = (event: SketchEvent, cause: number | null): void => {
    queue.push({ seq: seq++, cause, event });
    if (draining) return;
    draining = true;
    for (let head = 0; head < queue.length; head++) {
      const next = queue[head] as Enclosed;
      keep(next);
      topics.get(next.event.type)?.next(next);
      all.next(next);
    }
    queue = [];
    draining = false;
  };
  for (const [index, type] of STEPS.slice(1).entries()) {
    topics.get(STEPS[index] ?? '')?.subscribe(({ seq: cause, event: { ipa, detail } }) => {
      emit({ type, vm: 0, vcpu: 0, ipa, detail: detail + 1 }, cause);
    });
  }
  return () => {
    for (let fault = 0; fault < faults; fault++) {
      emit({ type: 'access', vm: 0, vcpu: 0, ipa: 2 ** 30 + fault * 4096, detail: 0 }, null);
    }
    if (fd !== null) {
      writeSync(fd, text);
      closeSync(fd);
      rmSync(file);
    }
    if (pages.size !== faults || (mode !== 'bulk' && state.vm.mapped !== faults))
      throw new Error('faults are lost');
  };
}
