// A bundle replayed from machine.json alone: what a mapping maps that no memslot shows whole, and accesses that stage 1
// cannot refuse.

import { describe, expect, it } from 'vitest';
import { replayBundle } from '../../../src/trace/bundle/replay.ts';
import { machineSchema } from '../../../src/trace/bundle/schema.ts';

const NOTHING = { isv: false, sas: 0, sse: false, srt: 0, sf: false, ar: false, cm: false };
const WRITES = ['write', 'exclusive-store', 'ic-ivau', 'dc-cvac'];
const TCG = { tool: 'QEMU 7.2 TCG', cacheMaintenanceFaults: false, s1ptwFaultLevel: 'stage-1' };

type Entry = Readonly<Record<string, unknown>>;

const hex = (value: number): string => `0x${value.toString(16)}`;

/** One VM with stage 1 off on a 6.12 host with 4K pages. */
function replayed(timeline: readonly Entry[], { ipaBits = 40, lpa2 = false } = {}) {
  const cpu = { model: 'max', fwb: true, dic: false, lpa2, hardwareAccessFlag: true, vhe: true };
  const vgic = { version: 3, gicd: '0x8000000', gicr: '0x80a0000' };
  const machine = machineSchema.parse({
    format: 'kvm-capture/1',
    name: 'small',
    host: {
      kernel: { release: '6.12.0', version: '6.12', pageSize: 4096 },
      cpu: { ...cpu, ipaLimitBits: lpa2 ? 52 : 48 },
      gic: { version: 3, gicv: null },
      thp: 'never',
      swap: null,
      emulation: TCG,
    },
    devices: [],
    vms: [{ name: 'vm0', ipaBits, guestPaBits: lpa2 ? 52 : 40, vcpus: 1, vgic, capabilities: [] }],
    timeline: timeline.map((entry) => ({ vm: 'vm0', ...entry })),
  });
  const { observer, simulation } = replayBundle(machine, 'here', () => {});
  const outcomes = [...observer.accesses.values()].map(({ outcome, faults }) => [outcome, faults.length]);
  return { outcomes, table: simulation.state.vms[0]?.table };
}

const access = (id: number, kind: string, at: number): Entry => ({
  op: 'access',
  id,
  vcpu: 0,
  kind,
  size: 8,
  va: hex(at),
  ipa: hex(at),
  instruction: { ...NOTHING, wnr: WRITES.includes(kind), cm: kind.startsWith('ic') || kind.startsWith('dc') },
});

const HVA = 0x7f00_0000_0000;
const RAM: readonly Entry[] = [
  { op: 'mmap', slot: 0, size: '0x100000', hva: hex(HVA), madvise: 'nohugepage' },
  {
    op: 'memslot',
    slot: 0,
    ipa: '0x40000000',
    size: '0x100000',
    hva: hex(HVA),
    flags: { readonly: false, logDirty: false },
    backing: { kind: 'anon' },
  },
];

describe('a memslot that shows a part of a BAR mapping', () => {
  it('tells what all of the mapping is, and its pages have the addresses behind them', () => {
    const { outcomes, table } = replayed([
      { op: 'vfio-open', bdf: '0000:00:04.0', command: '0x2' },
      { op: 'mmap', slot: 1, size: '0x4000', hva: hex(HVA) },
      {
        op: 'memslot',
        slot: 1,
        ipa: '0x10000000',
        size: '0x1000',
        hva: hex(HVA + 0x3000),
        flags: { readonly: false, logDirty: false },
        backing: { kind: 'vfio-bar', bdf: '0000:00:04.0', bar: 2, offset: '0x3000', pa: '0x8041003000' },
      },
      { op: 'run', step: 0, vcpus: 1 },
      access(0, 'read', 0x1000_0000),
      access(1, 'fetch', 0x1000_0000),
    ]);

    expect(outcomes).toEqual([
      ['completed', 1],
      ['guest-abort', 1],
    ]);
    expect(table?.walk(0x1000_0000).leaf).toMatchObject({
      outputAddress: 0x80_4100_3000,
      attributes: { memAttr: 5, xn: 2 },
    });
  });
});

describe('an access beyond the physical addresses of a guest without stage 1', () => {
  const BEYOND = 2 ** 40 + 0x2000;

  it('is refused, but for what makes none: PRFM, maintenance that is a no-op, STXR without a monitor', () => {
    const kinds = ['read', 'prefetch', 'ic-ivau', 'dc-cvac', 'exclusive-store'];
    const { outcomes } = replayed([
      ...RAM,
      { op: 'run', step: 0, vcpus: 1 },
      ...kinds.map((kind, id) => access(id, kind, BEYOND)),
    ]);

    expect(outcomes).toEqual([
      ['guest-stage1-fault', 0],
      ['completed', 0],
      ['completed', 0],
      ['completed', 0],
      ['completed', 0],
    ]);
  });

  it('clears the monitor: the handler returns with ERET, and a STXR after it stores nothing', () => {
    const { outcomes } = replayed([
      ...RAM,
      { op: 'run', step: 0, vcpus: 1 },
      access(0, 'write', 0x4000_0000),
      access(1, 'exclusive-load', 0x4000_0000),
      access(2, 'exclusive-store', BEYOND),
      access(3, 'exclusive-store', 0x4000_1000),
    ]);

    expect(outcomes.slice(2)).toEqual([
      ['guest-stage1-fault', 0],
      ['completed', 0],
    ]);
  });

  it('is an access like others where the guest has 52 bits', () => {
    const { outcomes } = replayed([...RAM, { op: 'run', step: 0, vcpus: 1 }, access(0, 'read', 2 ** 52)], {
      ipaBits: 52,
      lpa2: true,
    });

    expect(outcomes).toEqual([['guest-stage1-fault', 0]]);
  });
});
