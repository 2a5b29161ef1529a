// The VMM's later calls in a machine file: without them what they cause is a surprise, with them it is predicted.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { loadMachineFile, parseMachineFile } from '../../../src/trace/machine-file/load.ts';
import { replayText } from './fixtures.ts';

const RAM = 0x4000_0000;
const WRITE = '0x93cb804';

describe('a call of the VMM in the machine file', () => {
  it('such as deleting and adding a memslot explains a fault where a leaf was', () => {
    const trace = lines(fault(RAM, `${WRITE}5`), entry(), fault(RAM, `${WRITE}7`), entry());
    expect(replayText(trace, machine()).faults).toMatchObject({ surprising: 1, predicted: 1 });
    const calls = `
      - { op: memslot, after: { fault: 1 }, slot: 0, size: 0 }
      - { op: memslot, after: { fault: 1 }, slot: 0, ipa: 0x40000000, size: 16M, hva: 0xffffab400000 }`;
    const again = lines(fault(RAM, `${WRITE}5`), entry(), fault(RAM, `${WRITE}5`), entry());
    const report = replayText(again, machine(calls));
    expect(report.faults).toMatchObject({ seen: 2, predicted: 2 });
    expect(report.calls).toEqual({ given: 2, applied: 2, refused: 0 });
  });

  it.each(['{ line: 2 }', '{ time: 1.2 }', '{ fault: 1 }'])('stands behind %s', (place) => {
    const trace = lines(fault(RAM, `${WRITE}5`), entry(), fault(RAM, `${WRITE}f`), entry());
    expect(replayText(trace, machine()).faults.surprisingBecause).toEqual({ 'table-permits': 1 });
    const logging = `[{ op: memslot, after: ${place}, slot: 0, logDirty: true }]`;
    expect(replayText(trace, machine(logging)).faults).toMatchObject({ predicted: 2 });
  });

  it('KVM_CLEAR_DIRTY_LOG protects what was written again', () => {
    const write = fault(RAM, `${WRITE}f`);
    const trace = lines(fault(RAM, `${WRITE}5`), entry(), write, entry(), write, entry());
    const calls = `
      - { op: memslot, after: { fault: 1 }, slot: 0, logDirty: true }
      - { op: dirty-log, after: { fault: 2 }, slot: 0, action: clear }`;
    expect(replayText(trace, machine(calls)).faults).toMatchObject({ seen: 3, predicted: 3 });
  });

  it.each([
    ['munmap', '{ op: munmap, after: { line: 0 }, start: 0xffffab400000, end: 0xffffab500000 }'],
    [
      'mprotect',
      '{ op: mprotect, after: { line: 0 }, start: 0xffffab400000, end: 0xffffab500000, prot: none }',
    ],
  ])('%s ends the next fault with EFAULT', (_call, call) => {
    const trace = lines(fault(RAM, `${WRITE}5`), failed());
    expect(replayText(trace, machine()).faults.surprisingBecause).toEqual({ 'other-outcome': 1 });
    expect(replayText(trace, machine(`[${call}]`)).faults).toMatchObject({ predicted: 1 });
  });

  it('that writes the command register of a PCI function takes its BAR away', () => {
    const trace = lines(fault(0x1000_0000, '0x938d0005'), failed());
    const off = "[{ op: pci-command, after: { line: 0 }, device: '0000:00:04.0', value: 0 }]";
    expect(replayText(trace, machine(off)).faults).toMatchObject({ predicted: 1 });
  });

  it('that the host refuses changes nothing and is counted', () => {
    const trace = lines(fault(RAM, `${WRITE}5`), entry());
    const calls = `
      - { op: memslot, after: { line: 0 }, slot: 5, size: 0 }
      - { op: memslot, after: { line: 0 }, slot: 6, ipa: 0x40000000, size: 1M, hva: 0xffffa0000000 }
      - { op: munmap, after: { time: 99 }, start: 0xffffab400000, end: 0xffffab500000 }`;
    const report = replayText(trace, machine(calls));
    expect(report.calls).toEqual({ given: 3, applied: 2, refused: 2 });
    expect(report.faults.predicted).toBe(1);
  });

  it('at a fault that is under way leaves open what that fault saw', () => {
    const trace = lines(fault(RAM, `${WRITE}5`), entry(), fault(RAM, `${WRITE}f`), entry());
    const calls = '[{ op: memslot, after: { line: 3 }, slot: 0, logDirty: true }]';
    expect(replayText(trace, machine(calls)).faults.surprising).toBe(1);
  });
});

describe('pages of the host, where every call is told', () => {
  const read = fault(RAM, '0x938b8005');

  it('are the zero page until the VMM or the guest writes', () => {
    const trace = lines(read, entry(), fault(RAM, `${WRITE}f`), entry());
    expect(replayText(trace, machine('[]')).faults.unknownBecause).toEqual({ 'page-state': 1 });
    expect(replayText(trace, machine('[]', true)).faults).toMatchObject({ predicted: 2 });
  });

  it('are written ones where the VMM wrote: the later store does not fault', () => {
    const trace = lines(read, entry(), fault(RAM, `${WRITE}f`), entry());
    const wrote = '[{ op: host-write, after: { line: 0 }, start: 0xffffab400000, end: 0xffffab401000 }]';
    expect(replayText(trace, machine(wrote, true)).faults.surprisingBecause).toEqual({ 'table-permits': 1 });
  });
});

describe("a bundle's own trace", () => {
  it.each([
    '6.12-gicv3-max-lpa2-fuzz02',
    '6.1-gicv3-max-huge',
    '6.12-gicv3-max-nolpa2-mmio',
    '6.1-gicv2-a76-vfio',
  ])('%s is predicted to the last fault', (name) => {
    const file = (path: string): string =>
      fileURLToPath(new URL(`../../fixtures/captures/${name}/${path}`, import.meta.url));
    const trace = gunzipSync(readFileSync(file('trace.txt.gz')));
    const { faults, firstSurprise } = replayText(trace, loadMachineFile(file('machine.json.gz')));
    expect(firstSurprise).toBeNull();
    expect(faults.predicted).toBe(faults.seen);
  });
});

const hex = (value: number): string => `0x${value.toString(16)}`;

const fault = (ipa: number, esr: string): string =>
  `kvm_guest_fault: ipa ${hex(ipa)}, hsr ${esr}, hxfar ${hex(ipa)}, pc 0x00000040000150`;

const entry = (): string => 'kvm_entry: PC: 0x0000000040000150';

const failed = (): string => 'kvm_userspace_exit: reason error (14)';

/** One event each tenth of a second, from 1.0 on. */
const lines = (...events: readonly string[]): string =>
  events.map((event, at) => `  ovmm-368     [000] .....    1.${at}00000: ${event}\n`).join('');

function machine(calls = '[]', callsComplete = false) {
  return parseMachineFile(
    `
format: stagetwo-machine/1
host:
  kernel: '6.12'
  pageSize: 4K
  cpu: { fwb: true, dic: false, lpa2: false, hardwareAccessFlag: true, ipaLimitBits: 48 }
  thp: never
vms:
  - name: guest
    ipaBits: 40
    slotsComplete: true
    callsComplete: ${callsComplete}
    slots:
      - { slot: 0, ipa: 0x40000000, size: 16M, hva: 0xffffab400000, backing: { kind: anon } }
      - slot: 1
        ipa: 0x10000000
        size: 16M
        hva: 0xffff94000000
        backing: { kind: vfio-pci, pa: 0x8041000000, device: '0000:00:04.0' }
    calls: ${calls}
`,
    'machine.yaml',
  );
}
