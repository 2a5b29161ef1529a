// List registers: what fits, what waits, and what KVM learns from them at the next exit.

import { describe, expect, it } from 'vitest';
import { interruptOf, wakes } from '../../src/devices/gicv2/lines.ts';
import { decodeLr, encodeLr } from '../../src/devices/gicv2/list-register.ts';
import { EOIR, type Gic, gic, HPPIR, IAR, RPR, running, SPURIOUS } from '../helpers/vgic.ts';

const LEVEL_SPIS = 0xc08;
const ISENABLER1 = 0x104;
const OLD = { lrFirst: 'active' } as const;

/** What a vCPU's list registers hold, in their order. */
const loaded = (it: Gic, cpu = 0) =>
  it
    .vgic()
    .cpus[cpu]?.lrs.map(decodeLr)
    .filter(({ intid }) => intid !== 0)
    .map(({ intid, pending, active }) => `${intid}${pending ? 'P' : ''}${active ? 'A' : ''}`);

const hcr = (it: Gic, cpu = 0) => it.vgic().cpus[cpu]?.hcr;

/** SPIs 32 to 47 enabled, with these priorities from 32 on; all raised in the order of their INTIDs. */
function raised(priorities: readonly number[], traits = {}) {
  const it = running(1, traits);
  it.setDist(ISENABLER1, 0xffff);
  for (const [index, priority] of priorities.entries()) it.setDist(0x420 + index, priority, 1);
  it.sync(0);
  for (const index of priorities.keys()) it.line(32 + index, true);
  it.flush(0);
  return it;
}

describe('a list register', () => {
  it('holds an SPI that is pending until IAR is read, then active until EOIR is written', () => {
    const it = running(1);
    it.line(34, true);
    expect(loaded(it)).toEqual(['34P']);
    it.cpuIf(IAR);
    expect(loaded(it)).toEqual(['34A']);
    it.setCpuIf(EOIR, 34);
    expect(loaded(it)).toEqual(['34']);
    it.bounce(0);
    expect(loaded(it)).toEqual([]);
  });

  it.each([
    [{ intid: 34, priority: 0xa0, pending: true }, 0x1a00_0022],
    [{ intid: 1, cpuid: 3, priority: 0, active: true, eoi: true }, 0x2008_0c01],
    [{ intid: 255, priority: 0xf8, pending: true, active: true, group: 1 }, 0x7f80_00ff],
  ] as const)('is %o in the bits of GICH_LR', (fields, word) => {
    const empty = { cpuid: 0, eoi: false, pending: false, active: false, group: 0 } as const;
    const lr = { ...empty, ...fields };
    expect(encodeLr(lr)).toBe(word);
    expect(decodeLr(word)).toEqual(lr);
  });
});

describe('more interrupts than list registers', () => {
  it('load the most urgent ones, and the rest once these are ended', () => {
    const it = raised([0x80, 0x70, 0x60, 0x50, 0x40, 0x30]);
    expect(loaded(it)).toEqual(['37P', '36P', '35P', '34P']);
    const seen: number[] = [];
    for (let intid = it.cpuIf(IAR); intid !== SPURIOUS; intid = it.cpuIf(IAR)) {
      seen.push(intid);
      it.setCpuIf(EOIR, intid);
    }
    expect(seen).toEqual([37, 36, 35, 34, 33, 32]);
    expect(it.maintained.some((causes) => causes.includes('U'))).toBe(true);
  });

  it('ask for underflow alone before 6.19', () => {
    const it = raised([0x80, 0x70, 0x60, 0x50, 0x40, 0x30], OLD);
    expect(loaded(it)).toEqual(['37P', '36P', '35P', '34P']);
    expect(hcr(it)).toBe(0b11);
  });

  it('ask for no-pending and underflow from 6.19 on, and for a change of the groups', () => {
    expect(hcr(raised([0x80, 0x70, 0x60, 0x50, 0x40, 0x30]))).toBe(0b0110_1011);
  });

  it('that all fit keep the order in which they came', () => {
    expect(loaded(raised([0x80, 0x70, 0x60]))).toEqual(['32P', '33P', '34P']);
  });

  it('let what is active wait from 6.19 on: its end without a list register is counted', () => {
    const it = raised([0x80]);
    expect(it.cpuIf(IAR)).toBe(32);
    for (const [index, priority] of [0x70, 0x60, 0x50, 0x40].entries()) {
      it.setDist(0x421 + index, priority, 1);
      it.line(33 + index, true);
    }
    expect(loaded(it)).toEqual(['36P', '35P', '34P', '33P']);
    expect((hcr(it) ?? 0) & 0b100).toBe(0b100); // LRENPIE
    it.setCpuIf(EOIR, 32);
    expect(it.maintained.at(-1)).toContain('LRENP');
    expect(it.dist(0x304) & 1).toBe(0);
    expect(it.cpuIf(RPR)).toBe(0xff);
  });

  it('let what is active keep its list register before 6.19', () => {
    const it = raised([0x80], OLD);
    it.cpuIf(IAR);
    for (const [index, priority] of [0x70, 0x60, 0x50, 0x40].entries()) {
      it.setDist(0x421 + index, priority, 1);
      it.line(33 + index, true);
    }
    expect(loaded(it)).toEqual(['32A', '36P', '35P', '34P']);
  });
});

describe('a level-triggered interrupt', () => {
  function level() {
    const it = running(1);
    it.setDist(LEVEL_SPIS, 0);
    return it;
  }

  it('asks for a maintenance interrupt at its end, by which KVM samples the line again', () => {
    const it = level();
    it.line(34, true);
    expect(it.cpuIf(IAR)).toBe(34);
    it.line(34, false);
    it.setCpuIf(EOIR, 34);
    expect(it.maintained.at(-1)).toEqual(['EOI']);
    expect(it.ended).toEqual([34]);
    expect(it.cpuIf(IAR)).toBe(SPURIOUS);
  });

  it('is pending again after its end while the line is high', () => {
    const it = level();
    it.line(34, true);
    it.setCpuIf(EOIR, it.cpuIf(IAR));
    expect(loaded(it)).toEqual(['34P']);
  });

  it('is never pending and active at once', () => {
    const it = level();
    it.line(34, true);
    it.cpuIf(IAR);
    it.bounce(0);
    expect(loaded(it)).toEqual(['34A']);
  });

  it('is gone at the next exit if the line falls before it is acknowledged', () => {
    const it = level();
    it.line(34, true);
    it.line(34, false);
    it.bounce(0);
    expect(loaded(it)).toEqual([]);
    expect(it.cpuIf(IAR)).toBe(SPURIOUS);
  });
});

describe('an edge-triggered interrupt', () => {
  it('that comes again while it is active is pending and active, and is delivered once more', () => {
    const it = running(1);
    it.line(34, true);
    it.cpuIf(IAR);
    it.line(34, true);
    expect(loaded(it)).toEqual(['34PA']);
    expect(it.cpuIf(IAR)).toBe(SPURIOUS);
    it.setCpuIf(EOIR, 34);
    expect(it.cpuIf(IAR)).toBe(34);
    it.setCpuIf(EOIR, 34);
    expect(it.cpuIf(IAR)).toBe(SPURIOUS);
    expect(it.ended).toEqual([]);
  });

  it('that comes twice before it is acknowledged is delivered once, and lowering it is nothing', () => {
    const it = running(1);
    it.line(34, true);
    it.line(34, false);
    it.line(34, true);
    it.setCpuIf(EOIR, it.cpuIf(IAR));
    expect(it.cpuIf(IAR)).toBe(SPURIOUS);
  });
});

describe('an SGI of several senders', () => {
  it.each([
    ['6.19 and later', {}],
    ['earlier kernels', OLD],
  ])('is delivered once for each, by the EOI maintenance interrupt, on %s', (_kernels, traits) => {
    const it = running(4, traits);
    for (const sender of [3, 1, 2]) it.setDist(0xf00, (1 << 16) | 7, 4, sender);
    const seen: number[] = [];
    for (let value = it.cpuIf(IAR); value !== SPURIOUS; value = it.cpuIf(IAR)) {
      seen.push(value >> 10);
      it.setCpuIf(EOIR, value);
    }
    expect(seen).toEqual([1, 2, 3]);
  });

  it('holds back what is less urgent before 6.19, until all senders were seen', () => {
    const it = running(2, OLD);
    it.setDist(0x422, 0x80, 1);
    it.sync(0);
    it.line(34, true);
    for (const sender of [0, 1]) it.setDist(0xf00, (1 << 16) | 7, 4, sender);
    expect(loaded(it)).toEqual(['7P']);
  });

  it('is ended only with the sender that IAR gave', () => {
    const it = running(2);
    it.setDist(0xf00, (1 << 16) | 7, 4, 1);
    expect(it.cpuIf(IAR)).toBe((1 << 10) | 7);
    it.setCpuIf(EOIR, 7);
    expect(loaded(it)).toEqual(['7A']);
  });
});

describe('EOIR', () => {
  it('of another interrupt drops the priority all the same, and leaves the active one active', () => {
    const it = running(1);
    it.line(34, true);
    it.cpuIf(IAR);
    it.setCpuIf(EOIR, 50);
    expect(it.cpuIf(RPR)).toBe(0xff);
    expect(loaded(it)).toEqual(['34A']);
  });

  it.each([1023, 1022, 1020])('of the special number %i does nothing', (intid) => {
    const it = running(1);
    it.line(34, true);
    it.cpuIf(IAR);
    it.setCpuIf(EOIR, intid);
    expect([loaded(it), it.cpuIf(RPR)]).toEqual([['34A'], 0]);
  });

  it('without an active priority does nothing', () => {
    const it = running(1);
    it.setDist(0x304, 1 << 2);
    it.setCpuIf(EOIR, 34);
    expect(loaded(it)).toEqual(['34A']);
  });
});

describe('the binary point', () => {
  it.each([
    [2, 0x88, 34],
    [6, 0x88, SPURIOUS],
    [7, 0x08, SPURIOUS],
  ])('%i: 0x90 is running, does 0x%x preempt', (bpr, priority, seen) => {
    const it = running(1);
    it.setDist(ISENABLER1, 0b1100);
    it.setCpuIf(0x08, bpr);
    it.setDist(0x423, 0x90, 1);
    it.setDist(0x422, priority, 1);
    it.line(35, true);
    it.cpuIf(IAR);
    it.line(34, true);
    expect(it.cpuIf(HPPIR)).toBe(34);
    expect(it.cpuIf(IAR)).toBe(seen);
  });
});

describe('EOImode', () => {
  const EOI_MODE = 1 | (1 << 9);

  it('lets another vCPU deactivate through the trapped DIR from 6.19 on', () => {
    const it = running(2);
    it.setDist(LEVEL_SPIS, 0);
    for (const cpu of [0, 1]) it.setCpuIf(0x00, EOI_MODE, cpu);
    it.line(34, true);
    it.setCpuIf(EOIR, it.cpuIf(IAR));
    expect(it.dist(0x304)).toBe(1 << 2);
    it.line(34, false);
    it.trappedDir(34, 1);
    expect(it.dist(0x304)).toBe(0);
  });

  it('is what the trapped DIR needs: without it the write is ignored', () => {
    const it = running(1);
    it.line(34, true);
    it.cpuIf(IAR);
    it.trappedDir(34);
    expect(it.dist(0x304)).toBe(1 << 2);
  });
});

describe('the exception that is signalled', () => {
  it.each([
    ['group 0', 0, 0b0001, 'irq'],
    ['group 0 with FIQEn', 0, 0b1001, 'fiq'],
    ['group 1 with FIQEn', 1, 0b1010, 'irq'],
    ['a group that is off', 1, 0b0001, null],
  ] as const)('for %s', (_what, group, ctlr, exception) => {
    const it = running(1);
    it.setDist(0x084, group << 2);
    it.setCpuIf(0x00, ctlr);
    it.line(34, true);
    expect(interruptOf(it.vgic(), 0)).toBe(exception);
  });

  it('waits for PMR, and so does WFI', () => {
    const it = running(1);
    it.setDist(0x422, 0x80, 1);
    it.setCpuIf(0x04, 0x80);
    it.line(34, true);
    expect([interruptOf(it.vgic(), 0), wakes(it.vgic(), 0)]).toEqual([null, false]);
    it.setCpuIf(0x04, 0x88);
    expect([interruptOf(it.vgic(), 0), wakes(it.vgic(), 0)]).toEqual(['irq', true]);
  });
});

describe('a distributor that is switched on late', () => {
  it('leaves what was pending before unqueued, until ISENABLER is written again', () => {
    const it = gic(1);
    it.setDist(ISENABLER1, 1 << 2);
    it.setCpuIf(0x04, 0xf0);
    it.setCpuIf(0x00, 1);
    it.line(34, true);
    it.setDist(0x000, 1);
    expect([it.dist(0x204), it.cpuIf(IAR)]).toEqual([1 << 2, SPURIOUS]);
    it.setDist(ISENABLER1, 1 << 2);
    expect(it.cpuIf(IAR)).toBe(34);
  });
});

describe('IIDR', () => {
  it.each([2, 3])('shows revision %i of its kernel', (revision) => {
    expect(gic(1, { revision }).dist(0x008)).toBe(0x4b00_043b + revision * 0x1000);
  });
});
