// Replaying traces of real kernels: each fault is predicted, unknown for a reason that is named, or a surprise.

import { describe, expect, it } from 'vitest';
import { parseMachineFile } from '../../../src/trace/machine-file/load.ts';
import { fixture, fixtureMachine, replayText } from './fixtures.ts';

describe('a trace of a real kernel', () => {
  it('is predicted as far as it tells: six faults of a small VM, one after the other', () => {
    const report = replayText(story(), machine());
    expect(report.faults).toMatchObject({ seen: 6, predicted: 6, surprising: 0, unknown: 0 });
    expect(report.lines).toMatchObject({ read: 19, understood: 19, skipped: 0, rejected: 0 });
  });

  it.each(['tracecmd-report', 'tracecmd-raw', 'tracecmd-latency'])('in the form %s', (name) => {
    const { lines, faults, notifiers } = replayText(fixture(name), fixtureMachine('tracecmd'));
    expect(lines).toMatchObject({ read: 521, understood: 217, skipped: 304, rejected: 0 });
    expect(faults).toMatchObject({ seen: 60, predicted: 56, surprising: 0, unknown: 4 });
    expect(faults.unknownBecause).toEqual({ 'page-state': 3, 'vma-may-have-changed': 1 });
    expect(notifiers).toEqual({ seen: 26, applied: 26, ofNoVm: 0 });
  });

  it('of a Linux guest that boots', () => {
    const { lines, faults } = replayText(fixture('linux'), fixtureMachine('linux'));
    expect(lines.understood + lines.skipped + lines.rejected).toBe(40_000);
    expect(lines.rejected).toBe(0);
    expect(faults.seen).toBeGreaterThan(3000);
    expect(faults).toMatchObject({ predicted: faults.seen, surprising: 0, unknown: 0 });
  });

  it('of QEMU, whose slots are not all given and whose RAM may be in huge pages', () => {
    const { lines, faults } = replayText(fixture('qemu'), fixtureMachine('qemu'));
    expect(lines).toMatchObject({ read: 62_000, rejected: 0 });
    expect(faults.surprising).toBe(0);
    expect(faults.unknown).toBeLessThan(20);
    expect(Object.keys(faults.unknownBecause).sort()).toEqual(['leaf-size', 'no-slot-given']);
  });

  it('of two VMs, told apart by their threads', () => {
    const { faults, vms } = replayText(fixture('twovm'), fixtureMachine('twovm'));
    expect(vms.map(({ vcpuTasks }) => vcpuTasks)).toEqual([1, 1]);
    expect(faults).toMatchObject({ predicted: faults.seen, surprising: 0, unknown: 0 });
    expect(faults.seen).toBe(3603);
  });

  it('of two vCPUs that fault on the same pages', () => {
    const { faults, vms } = replayText(fixture('smp2'), fixtureMachine('smp2'));
    expect(vms[0]?.vcpuTasks).toBe(4); // two vCPUs in two runs, each with threads of its own
    expect(faults).toMatchObject({ seen: 2060, surprising: 0 });
    expect(faults.predicted).toBeGreaterThan(1950);
  });

  it('of a processor without the hardware access flag', () => {
    const { faults, events } = replayText(fixture('age'), fixtureMachine('age'));
    expect(events.kvm_access_fault).toBeGreaterThan(0);
    expect(faults).toMatchObject({ predicted: faults.seen, surprising: 0 });
    expect(faults.kinds['write access-flag 3']?.seen).toBeGreaterThan(0);
  });

  it('gives the same report however the input is cut', () => {
    const text = fixture('tracecmd-report').subarray(0, 20_000);
    const whole = replayText(text, fixtureMachine('tracecmd'));
    expect(replayText(text, fixtureMachine('tracecmd'))).toEqual(whole);
  });
});

describe('a surprise', () => {
  it('is told: what happened, what was expected, and what leaves no event', () => {
    const again = story().replace(
      /(.*kvm_entry: PC: 0x0000000040000150)\n$/,
      `$1\n${fault('0x40110000', '0x93cb804f')}${entry()}`,
    );
    const { faults, firstSurprise } = replayText(again, machine());
    expect(faults).toMatchObject({ seen: 7, surprising: 1, surprisingBecause: { 'table-permits': 1 } });
    expect(firstSurprise).toMatchObject({
      line: 20,
      ipa: '0x40110000',
      task: 'ovmm-368',
      reason: 'table-permits',
    });
    expect(firstSurprise?.story.join(' ')).toMatch(/dirty logging/);
  });

  it('is counted once: the table is then as the fault showed it', () => {
    const again = `${story()}${fault('0x40110000', '0x93cb804f')}${entry()}`;
    expect(replayText(again, machine()).faults.surprising).toBe(1);
    expect(
      replayText(`${again}${fault('0x40111000', '0x93cb8047')}${entry()}`, machine()).faults.surprising,
    ).toBe(1);
  });

  it('is none where events were lost', () => {
    const lost = `${story()}CPU:0 [LOST 12 EVENTS]\n${fault('0x40110000', '0x93cb804f')}${entry()}`;
    const { faults, lost: lines } = replayText(lost, machine());
    expect(lines).toBe(1);
    expect(faults).toMatchObject({ surprising: 0, unknownBecause: { 'events-lost': 1 } });
  });
});

describe('what a trace cannot tell', () => {
  it('which task is whose, with two VMs and no threads in the machine file', () => {
    const two = machine().vms.concat(machine().vms.map((vm) => ({ ...vm, name: 'other' })));
    const { faults } = replayText(story(), { ...machine(), vms: two });
    expect(faults).toMatchObject({ seen: 6, unknown: 6, unknownBecause: { 'task-of-no-vm': 6 } });
  });

  it('whether anything is where no slot is given', () => {
    const slotless = {
      ...machine(),
      vms: machine().vms.map((vm) => ({ ...vm, slots: [], slotsComplete: false })),
    };
    const { faults } = replayText(story(), slotless);
    expect(faults.surprising).toBe(0);
    expect(faults.unknownBecause).toEqual({ 'no-slot-given': faults.unknown });
  });

  it('what was mapped before it began', () => {
    const { faults, vms } = replayText(story().split('\n').slice(3).join('\n'), machine());
    expect(vms[0]?.fromStart).toBe(false);
    expect(faults).toMatchObject({ surprising: 0, unknownBecause: { 'mapped-before-trace': 1 } });
  });

  it('nothing at all, where there is no line', () => {
    expect(replayText('', machine())).toMatchObject({
      lines: { read: 0 },
      faults: { seen: 0 },
      firstSurprise: null,
    });
  });
});

const fault = (ipa: string, esr: string): string =>
  `  ovmm-368     [000] .....    72.975693: kvm_guest_fault: ipa ${ipa}, hsr ${esr}, hxfar ${ipa}, ` +
  'pc 0x00000040000150\n';

const entry = (): string => '  ovmm-368     [000] d....    72.976073: kvm_entry: PC: 0x0000000040000150\n';

const exit = (): string =>
  '  ovmm-368     [000] .....    72.976073: kvm_exit: TRAP: HSR_EC: 0x0024 (DABT_LOW), PC: ' +
  '0x0000000040000150\n';

/** First fetch, a store, a fetch from the stored page, a load and a store of a VFIO BAR's pages, an MMIO exit. */
function story(): string {
  return [
    exit(),
    fault('0x40000000', '0x82000005'),
    entry(),
    exit(),
    fault('0x40110000', '0x93cb8047'),
    entry(),
    exit(),
    fault('0x40110000', '0x8200000f'),
    entry(),
    exit(),
    fault('0x10000000', '0x938d0005'),
    entry(),
    fault('0x10200000', '0x938d0046'),
    entry(),
    exit(),
    fault('0x9020000', '0x93890046'),
    '  ovmm-368     [000] .....    72.981190: kvm_mmio: mmio write len 4 gpa 0x9020000 val 0x0\n',
    '  ovmm-368     [000] .....    72.981286: kvm_userspace_exit: reason KVM_EXIT_MMIO (6)\n',
    entry(),
  ].join('');
}

function machine() {
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
    slots:
      - { slot: 0, ipa: 0x40000000, size: 16M, hva: 0xffffab400000, backing: { kind: anon, populated: true } }
      - { slot: 1, ipa: 0x10000000, size: 16M, hva: 0xffff94000000, backing: { kind: vfio-pci, pa: 0x8041000000 } }
`,
    'machine.yaml',
  );
}
