// The quick ways to read an event's text: each gives what reading it by its words gives.

import { describe, expect, it } from 'vitest';
import { EVENTS_BY_LENGTH } from '../../../src/trace/text/catalogue.ts';
import { emptyReading, readText } from '../../../src/trace/text/event-text.ts';
import { emptyValues, readFields } from '../../../src/trace/text/fields.ts';
import { readLayout } from '../../../src/trace/text/layout.ts';
import { createRepeats } from '../../../src/trace/text/repeats.ts';
import { createDice } from '../fuzz/dice.ts';
import { mutateBytes } from '../fuzz/mutate.ts';
import { fixture } from './fixtures.ts';

const event = (name: string) => EVENTS_BY_LENGTH[name.length]?.find(({ spec }) => spec.name === name);

/** What stands behind the timestamp, a part of it garbled. */
function texts(count: number): Buffer[] {
  const dice = createDice(21);
  const lines = ['tracecmd-report', 'age', 'qemu'].flatMap((name) =>
    fixture(name).toString('latin1').split('\n').slice(0, 900),
  );
  return Array.from({ length: count }, () => {
    const line = dice.pick(lines);
    const text = Buffer.from(line.slice(line.indexOf(': ') + 1), 'latin1');
    return dice.oneIn(2) ? text : mutateBytes(dice, text);
  });
}

describe('the form that TP_printk gives an event', () => {
  it('is matched to its end: a fault with its four numbers', () => {
    const text = Buffer.from('ipa 0x1c010000, hsr 0x93800006, hxfar 0xf80100a8, pc 0x802c21c8');
    const values = emptyValues();
    const fault = event('kvm_guest_fault');
    expect(fault !== undefined && readLayout(values, fault, text, 0, text.length)).toBe(true);
    expect([...values.lo]).toEqual([0x1c01_0000, 0x9380_0006, 0xf801_00a8, 0x802c_21c8]);
    expect(fault !== undefined && readLayout(values, fault, text, 0, text.length - 30)).toBe(false);
  });

  it('gives the values that the words give, wherever it matches', () => {
    let matched = 0;
    for (const text of texts(6000)) {
      const name = /^ *(kvm_\w+): */.exec(text.toString('latin1'));
      const found = name === null ? undefined : event(name[1] ?? '');
      if (name === null || found === undefined) continue;
      const [quick, thorough] = [emptyValues(), emptyValues()];
      if (!readLayout(quick, found, text, name[0].length, text.length)) continue;
      matched += 1;
      expect(readFields(thorough, found, text, name[0].length, text.length)).toBeNull();
      expect(quick).toEqual(thorough);
    }
    expect(matched).toBeGreaterThan(1000);
  });
});

describe('a text that repeats', () => {
  it('is read as if it were the first, with the buffer cut anywhere and used again', () => {
    const repeats = createRepeats();
    const buffer = new Uint8Array(4096);
    const view = new DataView(buffer.buffer);
    texts(6000).forEach((text, index) => {
      if (text.length > 2000) return;
      const start = index % 7;
      buffer.set(text, start);
      const fresh = emptyReading();
      readText(fresh, text, 0, text.length);
      const read = repeats.read(buffer, view, start, start + text.length);
      expect({ ...read, values: null, nameHash: null }).toEqual({ ...fresh, values: null, nameHash: null });
      if (fresh.event !== null) expect(read.values.present).toBe(fresh.values.present);
    });
  });
});
