import { describe, expect, it } from 'vitest';
import { decideMmio } from '../../src/devices/decide.ts';
import { GICV } from '../../src/devices/description.ts';
import { evolveDevice } from '../../src/devices/evolve.ts';
import { gicv2 } from '../../src/devices/plug.ts';
import { initialDevice } from '../../src/devices/state.ts';
import { DIR, EOIR, gic, HPPIR, IAR, RPR, running, SPURIOUS } from '../helpers/vgic.ts';

describe('the virtual CPU interface', () => {
  it('acknowledges by a read: IAR gives the INTID once, EOIR ends it', () => {
    const it = running();
    it.line(34, true);
    const [read] = it.access(GICV, 0, IAR, 4, null);
    expect(read).toMatchObject({
      type: 'device-read',
      register: 'GICV_IAR',
      value: 34n,
      effect: 'acknowledges INTID 34: pending becomes active',
    });
    expect(it.dist(0x304)).toBe(1 << 2);
    expect(it.cpuIf(IAR)).toBe(SPURIOUS);
    it.setCpuIf(EOIR, 34);
    expect(it.dist(0x304)).toBe(0);
    expect(it.cpuIf(IAR)).toBe(SPURIOUS);
  });

  it('gives 1023 and changes nothing where nothing is pending', () => {
    const it = running();
    const before = structuredClone(it.state.vgics[0]);
    expect(it.access(GICV, 0, IAR, 4, null)[0]).toMatchObject({ value: 1023n, effect: null });
    expect(it.state.vgics[0]).toEqual(before);
  });

  it('shows the running priority while an interrupt is active', () => {
    const it = running();
    it.setDist(0x422, 0xa7, 1);
    it.line(34, true);
    expect(it.cpuIf(RPR)).toBe(0xff);
    expect(it.cpuIf(HPPIR)).toBe(34);
    it.cpuIf(IAR);
    expect(it.cpuIf(RPR)).toBe(0xa0);
    expect(it.cpuIf(HPPIR)).toBe(SPURIOUS);
    expect(it.cpuIf(0xd0)).toBe(2 ** (0xa0 / 8));
  });

  it('lets only a more urgent interrupt preempt', () => {
    const it = running();
    it.setDist(0x104, 0b1111 << 2);
    for (const [intid, priority] of [
      [34, 0x80],
      [35, 0x80],
      [36, 0x40],
    ] as const)
      it.setDist(0x400 + intid, priority, 1);
    it.line(34, true);
    expect(it.cpuIf(IAR)).toBe(34);
    it.line(35, true);
    expect(it.cpuIf(HPPIR)).toBe(35);
    expect(it.cpuIf(IAR)).toBe(SPURIOUS);
    it.line(36, true);
    expect(it.cpuIf(IAR)).toBe(36);
    it.setCpuIf(EOIR, 36);
    it.setCpuIf(EOIR, 34);
    expect(it.cpuIf(IAR)).toBe(35);
  });

  it('masks by PMR and by the enable of the group', () => {
    const it = running();
    it.setDist(0x422, 0x80, 1);
    it.line(34, true);
    it.setCpuIf(0x04, 0x80);
    expect(it.cpuIf(IAR)).toBe(SPURIOUS);
    it.setCpuIf(0x04, 0xf0);
    it.setCpuIf(0x00, 0);
    expect(it.cpuIf(IAR)).toBe(SPURIOUS);
    it.setCpuIf(0x00, 1);
    expect(it.cpuIf(IAR)).toBe(34);
  });

  it('shows in HPPIR what PMR masks, and in AHPPIR only what would be signalled', () => {
    const it = running();
    it.setDist(0x422, 0x80, 1);
    it.line(34, true);
    it.setCpuIf(0x04, 0x80);
    expect([it.cpuIf(HPPIR), it.cpuIf(IAR)]).toEqual([34, SPURIOUS]);
    it.setCpuIf(0x00, 0);
    expect(it.cpuIf(HPPIR)).toBe(SPURIOUS);
    it.setDist(0x084, 1 << 2);
    it.setCpuIf(0x00, 0b11);
    expect([it.cpuIf(HPPIR), it.cpuIf(0x28)]).toEqual([1022, SPURIOUS]);
    it.setCpuIf(0x04, 0xf0);
    expect([it.cpuIf(HPPIR), it.cpuIf(0x28)]).toEqual([1022, 34]);
  });

  it('leaves deactivation to DIR with EOImode', () => {
    const it = running();
    it.setCpuIf(0x00, 1 | (1 << 9));
    it.line(34, true);
    it.cpuIf(IAR);
    it.setCpuIf(EOIR, 34);
    expect(it.cpuIf(RPR)).toBe(0xff);
    expect(it.dist(0x304)).toBe(1 << 2);
    it.setCpuIf(DIR, 34);
    expect(it.dist(0x304)).toBe(0);
  });

  it('wants group 1 acknowledged through the alias', () => {
    const it = running();
    it.setDist(0x084, 1 << 2);
    it.setCpuIf(0x00, 0b11);
    it.line(34, true);
    expect(it.cpuIf(IAR)).toBe(1022);
    expect(it.cpuIf(0x28)).toBe(34);
    expect(it.cpuIf(0x20)).toBe(34);
    it.setCpuIf(0x24, 34);
    expect(it.cpuIf(0x20)).toBe(SPURIOUS);
  });

  it('keeps a level-triggered interrupt pending as long as its line is high', () => {
    const it = running();
    it.setDist(0xc08, 0);
    it.line(34, true);
    expect(it.cpuIf(IAR)).toBe(34);
    it.setCpuIf(EOIR, 34);
    expect(it.cpuIf(IAR)).toBe(34);
    it.line(34, false);
    it.setCpuIf(EOIR, 34);
    expect(it.cpuIf(IAR)).toBe(SPURIOUS);
  });

  it('resets its binary points to the lowest they can be', () => {
    const it = gic();
    expect([it.cpuIf(0x08), it.cpuIf(0x1c), it.cpuIf(0xfc)]).toEqual([2, 3, 0x0202_143b]);
    it.setCpuIf(0x08, 0);
    it.setCpuIf(0x1c, 7);
    expect([it.cpuIf(0x08), it.cpuIf(0x1c)]).toEqual([2, 7]);
  });
});

describe('SGIs', () => {
  it('name their sender in IAR, the lowest first', () => {
    const it = running(4);
    it.setDist(0xf00, (1 << 24) | 5, 4, 3);
    it.setDist(0xf00, (1 << 16) | 5, 4, 1);
    expect(it.dist(0xf24, 4, 0)).toBe(0b1010 << 8);
    expect(it.cpuIf(IAR, 0)).toBe((1 << 10) | 5);
    expect(it.cpuIf(IAR, 0)).toBe(SPURIOUS);
    it.setCpuIf(EOIR, (1 << 10) | 5, 0);
    expect(it.cpuIf(IAR, 0)).toBe((3 << 10) | 5);
    expect(it.cpuIf(IAR, 2)).toBe((3 << 10) | 5);
    expect(it.cpuIf(IAR, 3)).toBe(SPURIOUS);
  });

  it.each([
    ['the list', (0b10 << 16) | 1, [SPURIOUS, 1]],
    ['all but the sender', (1 << 24) | 1, [SPURIOUS, 1]],
    ['the sender', (2 << 24) | 1, [1, SPURIOUS]],
    ['nobody: filter 3 is reserved', (3 << 24) | (0b11 << 16) | 1, [SPURIOUS, SPURIOUS]],
  ])('SGIR sends to %s', (_to, value, acknowledged) => {
    const it = running();
    it.setDist(0xf00, value);
    expect([it.cpuIf(IAR, 0), it.cpuIf(IAR, 1)]).toEqual(acknowledged);
  });

  it('are set and cleared by source in SPENDSGIR and CPENDSGIR, byte by byte', () => {
    const it = running();
    it.setDist(0xf21, 0b10, 1);
    expect(it.dist(0x200)).toBe(1 << 1);
    it.setDist(0xf11, 0b10, 1);
    expect(it.dist(0x200)).toBe(0);
  });
});

describe('the distributor that the kernel emulates', () => {
  it.each([
    ['TYPER: 256 INTIDs, two vCPUs', 0x004, 0b00001_00111],
    ['IIDR: KVM, revision 3', 0x008, 0x4b00_343b],
    ['ISENABLER0: SGIs are enabled at reset', 0x100, 0xffff],
    ['ICFGR0: SGIs are edge-triggered', 0xc00, 0xaaaa_aaaa],
    ['ICFGR1: PPIs are level-triggered', 0xc04, 0],
    ['ICFGR2: SPIs are edge-triggered', 0xc08, 0xaaaa_aaaa],
    ['IPRIORITYR0', 0x400, 0],
    ['an offset that is not listed', 0x040, 0],
    ['the end of the frame', 0xffc, 0],
  ])('reads %s', (_what, offset, value) => {
    expect(gic().dist(offset)).toBe(value);
  });

  it.each([
    ['IGROUPR1', 0x084, 0xffff_ffff, 0xffff_ffff],
    ['IPRIORITYR8 keeps the top 5 bits', 0x420, 0xffff_ff07, 0xf8f8_f800],
    ['ITARGETSR8 keeps bits of vCPUs that exist', 0x820, 0xff02_0103, 0x0302_0103],
    ['ICFGR2 keeps the upper bit of each field', 0xc08, 0xffff_fff1, 0xaaaa_aaa0],
    ['TYPER ignores writes', 0x004, 0xffff_ffff, 0b00001_00111],
    ['IIDR ignores writes', 0x008, 0, 0x4b00_343b],
    ['ITARGETSR0 reads the own vCPU', 0x800, 0, 0x0101_0101],
    ['ICFGR1 ignores writes', 0xc04, 0xffff_ffff, 0],
    ['SGIR reads 0', 0xf00, 0x0200_0001, 0],
  ])('%s', (_what, offset, written, read) => {
    const it = gic();
    it.setDist(offset, written);
    expect(it.dist(offset)).toBe(read);
  });

  it.each([
    ['enabled', 0x104, 0x184],
    ['pending', 0x204, 0x284],
    ['active', 0x304, 0x384],
  ])('sets and clears %s bits through two registers that read alike', (_what, set, clear) => {
    const it = gic();
    it.setDist(set, 0x8000_0003);
    expect([it.dist(set), it.dist(clear)]).toEqual([0x8000_0003, 0x8000_0003]);
    it.setDist(clear, 0x8000_0001);
    expect([it.dist(set), it.dist(clear)]).toEqual([2, 2]);
  });

  it('reads pending from a level line, which clearing the latch does not change', () => {
    const it = gic();
    it.setDist(0xc08, 0);
    it.line(32, true);
    it.setDist(0x284, 1);
    expect(it.dist(0x204)).toBe(1);
    it.line(32, false);
    expect(it.dist(0x204)).toBe(0);
  });

  it('lets no guest change pending SGIs through ISPENDR', () => {
    const it = gic();
    it.setDist(0x200, 0xffff_ffff);
    expect(it.dist(0x200)).toBe(0xffff_0000);
  });

  it('banks SGIs and PPIs by vCPU, not SPIs', () => {
    const it = gic();
    it.setDist(0x100, 1 << 27, 4, 1);
    expect([it.dist(0x100, 4, 0), it.dist(0x100, 4, 1)]).toEqual([0xffff, 0x0800_ffff]);
    expect([it.dist(0x800, 1, 0), it.dist(0x800, 1, 1)]).toEqual([1, 2]);
  });

  it('routes an SPI to the lowest vCPU of its targets, to vCPU 0 without one', () => {
    const it = running();
    it.line(34, true);
    expect([it.cpuIf(IAR, 1), it.cpuIf(HPPIR, 0)]).toEqual([SPURIOUS, 34]);
    it.setDist(0x822, 0b10, 1);
    it.bounce(0); // an interrupt that is queued already moves when its vCPU leaves the guest
    expect([it.cpuIf(HPPIR, 0), it.cpuIf(IAR, 1)]).toEqual([SPURIOUS, 34]);
  });

  it.each([
    ['a byte of ISENABLER1', 0x104, 1],
    ['two bytes of IPRIORITYR8', 0x420, 2],
    ['eight bytes of CTLR', 0x000, 8],
    ['four bytes off alignment', 0x422, 4],
  ])('is RAZ/WI for %s', (_what, offset, size) => {
    const it = gic();
    const before = structuredClone(it.state.vgics[0]);
    it.setDist(offset, 0xff, size);
    expect(it.state.vgics[0]).toEqual(before);
    expect(it.dist(offset, size)).toBe(0);
  });

  it('forwards nothing while it is off', () => {
    const it = running();
    it.line(34, true);
    it.setDist(0x000, 0);
    expect(it.cpuIf(IAR)).toBe(SPURIOUS);
  });
});

describe('a VM without a GICv2', () => {
  it('reads zeros and changes nothing', () => {
    const state = initialDevice(gicv2('gic'));
    const by = { vm: 3, vcpu: 0, index: 0 };
    const input = { by, region: GICV, offset: IAR, size: 4, write: false, value: null };
    const events = decideMmio(state, 0, input);
    expect(events.at(-1)).toMatchObject({ type: 'mmio-answered', value: 0n });
    for (const event of events) evolveDevice(state, event);
    expect(state.vgics).toEqual({});
  });
});
