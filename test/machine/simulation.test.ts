import { describe, expect, it } from 'vitest';
import type { Hva, Ipa } from '../../src/arch/addresses.ts';
import { emulated, gicv2, sysfsPci, vfioPci, vfioPlatform } from '../../src/devices/plug.ts';
import type { MachineEvent } from '../../src/machine/events.ts';
import { createSimulation } from '../../src/machine/simulation.ts';
import type { Machine } from '../helpers/machine.ts';
import { boot, CPU, DEVICE_NGNRE, issue, machineEvents, ofType } from '../helpers/machine.ts';

const BAR = 0x1000_0000;
const GPU = vfioPci('gpu', { bars: [{ size: '16M', prefetchable: true }] });

const assigned = [{ device: 0, region: 0, ipa: BAR }];
const withGpu = (kernel: string): Machine => ({ kernel, devices: [GPU], assigned });

const end: MachineEvent = { type: 'program-ended', vm: 0, vcpu: 0 };

describe('one unaligned store into a PCI BAR', () => {
  it('kills the VM where stage 2 is Device, and completes where it is Normal-NC', () => {
    const outcome = (kernel: string) => {
      const { simulation, events } = boot(withGpu(kernel));
      simulation.dispatch(issue('write', BAR + 0xa0, { size: 16, value: 1n }));
      simulation.dispatch(issue('write', BAR + 0xa4, { size: 16, value: 2n, id: 1 }));
      simulation.dispatch(end);
      const written = ofType(events, 'device-written').map(({ offset, size }) => [offset, size]);
      return {
        died: ofType(events, 'run-failed').map(({ errno, log }) => [errno, log?.slice(0, 60)]),
        written,
      };
    };
    expect(outcome('6.1')).toEqual({
      died: [[14, expect.stringMatching(/Unsupported FSC: EC=0x24 xFSC=0x21/)]],
      written: [[0xa0, 16]],
    });
    expect(outcome('6.12')).toEqual({
      died: [],
      written: [
        [0xa0, 16],
        [0xa4, 16],
      ],
    });
  });
});

describe('an access to a device', () => {
  it('tells the way of each event by its cause', () => {
    const { simulation, events } = boot(withGpu('6.12'));
    simulation.dispatch(issue('read', BAR + 8));
    const last = events.at(-1);
    const chain: string[] = [];
    for (let event = last; event !== undefined; event = events.find(({ seq }) => seq === event?.cause)) {
      chain.push(event.type);
    }
    expect(chain).toEqual([
      'access-completed',
      'transaction-answered',
      'transaction-issued',
      'access-translated',
      'guest-reentered',
      'stage2-map-begun',
      'stage2-faulted',
      'access-issued',
    ]);
    expect(events.map(({ at }) => at)).toEqual([...events.map(({ at }) => at)].sort((a, b) => a - b));
  });

  it('gives a load what a store left, whichever type the mapping has', () => {
    for (const kernel of ['6.1', '6.12']) {
      const { simulation, events } = boot(withGpu(kernel));
      simulation.dispatch(issue('write', BAR + 0x20, { value: 0x1122_3344_5566_7788n }));
      simulation.dispatch(issue('read', BAR + 0x24, { size: 4, id: 1 }));
      expect(ofType(events, 'access-completed').at(-1)?.value).toBe(0x1122_3344n);
    }
  });

  it('reads both registers of a pair, the first one lowest', () => {
    const { simulation, events } = boot(withGpu('6.12'));
    simulation.dispatch(issue('write-pair', BAR, { size: 16, value: 5n * 2n ** 64n + 4n }));
    simulation.dispatch(issue('read-pair', BAR, { size: 16, id: 1 }));
    expect(ofType(events, 'access-completed').at(-1)?.value).toBe(5n * 2n ** 64n + 4n);
    expect(ofType(events, 'device-read').map(({ size }) => size)).toEqual([8, 8]);
  });

  it('finds the region of each device by its physical address', () => {
    const devices = [GPU, vfioPlatform('leds', { regions: [{ size: '4K' }, { size: '4K' }] })];
    const places = [...assigned, { device: 1, region: 1, ipa: 0x2000_0000 }];
    const { simulation, events } = boot({ kernel: '6.12', devices, assigned: places });
    simulation.dispatch(issue('write', 0x2000_0010, { size: 4, value: 1n, attr: DEVICE_NGNRE }));
    expect(ofType(events, 'device-written')).toMatchObject([{ device: 1, region: 1, offset: 0x10, size: 4 }]);
  });

  it('completes a buffered write before vfio-pci lets the function stop to answer: the DSB of its zap', () => {
    const { simulation, events } = boot(withGpu('6.12'));
    simulation.dispatch(issue('write', BAR, { value: 1n }));
    simulation.dispatch({ type: 'pci-command-written', device: 'gpu', value: 0 });
    const order = events.map(({ type }) => type);
    expect(order.indexOf('device-written')).toBeGreaterThan(order.indexOf('notifier-invalidated'));
    expect(order.indexOf('device-written')).toBeLessThan(order.indexOf('pci-function-changed'));
    expect(ofType(events, 'store-lines-drained')).toMatchObject([{ because: 'translation-invalidated' }]);
  });

  it('completes buffered writes before munmap returns, and leaves those to other places alone', () => {
    const { simulation, events } = boot(withGpu('6.12'));
    simulation.dispatch(issue('write', BAR, { value: 1n }));
    const [vma] = simulation.state.vms[0]?.vmas ?? [];
    const half = { kind: 'munmap', hva: ((vma?.start ?? 0) + 2 ** 21) as Hva, size: 2 ** 21 } as const;
    simulation.dispatch({ type: 'vmm-called', vm: 0, call: half });
    expect(ofType(events, 'device-written')).toEqual([]);
    simulation.dispatch({ type: 'vmm-called', vm: 0, call: { ...half, hva: (half.hva - 2 ** 21) as Hva } });
    expect(ofType(events, 'device-written')).toHaveLength(1);
  });

  it('loses a posted write where memory goes off and no mapping does, as behind sysfs', () => {
    const devices = [sysfsPci('gpu', { regions: [{ size: '1M' }] })];
    const { simulation, events } = boot({ kernel: '6.12', devices, assigned });
    simulation.dispatch({ type: 'pci-command-written', device: 'gpu', value: 0 });
    simulation.dispatch(issue('write', BAR, { value: 1n, attr: DEVICE_NGNRE }));
    expect(ofType(events, 'transaction-unclaimed')).toMatchObject([
      { kind: 'write', size: 8, because: 'memory-space-disabled' },
    ]);
    expect(ofType(events, 'device-written')).toEqual([]);
  });

  it('drains the stores of a VM that died: they were done before', () => {
    const { simulation, events } = boot(withGpu('6.12'));
    simulation.dispatch(issue('write', BAR, { value: 1n }));
    simulation.dispatch({ type: 'pci-command-written', device: 'gpu', value: 0 });
    simulation.dispatch(issue('read', BAR, { id: 1 }));
    expect(ofType(events, 'run-failed')).toHaveLength(1);
    expect(simulation.state.vcpus[0]?.storeBuffer.lines).toEqual([]);
  });
});

describe('a read that no program asked for', () => {
  const NIC = vfioPci('nic', {
    bars: [{ size: '4K', registers: [{ name: 'ICR', offset: 0xc0, access: 'RC', reset: 5 }] }],
  });

  it.each([
    ['6.1', [], 5n],
    ['6.12', ['the read clears it'], 0n],
  ])('clears a status register where stage 2 permits speculation, on %s', (kernel, effects, left) => {
    const { simulation, events } = boot({ kernel, devices: [NIC], assigned });
    simulation.dispatch(issue('read', BAR + 0x10, { size: 4 }));
    events.length = 0;
    simulation.dispatch(issue('prefetch', BAR + 0xc0, { size: 4, id: 1 }));
    expect(ofType(events, 'device-read').map(({ effect }) => effect)).toEqual(effects);
    simulation.dispatch(issue('read', BAR + 0xc0, { size: 4, id: 2 }));
    expect(ofType(events, 'access-completed').at(-1)?.value).toBe(left);
  });
});

describe('a GICv2 in the host', () => {
  const vgic = { version: 2, gicd: 0x0800_0000 as Ipa, gicc: 0x0801_0000 as Ipa } as const;
  const device = { attr: DEVICE_NGNRE, size: 4 };

  function withVgic(kernel: string) {
    const machine = boot({ kernel, devices: [gicv2('gic')] });
    machine.simulation.dispatch({ type: 'vmm-called', vm: 0, call: { kind: 'create-vgic', vgic } });
    machine.simulation.dispatch({ type: 'vcpu-run', vm: 0, vcpu: 0 });
    return machine;
  }

  it('answers at the distributor through the kernel, and at GICV without an exit', () => {
    const { simulation, events } = withVgic('6.12');
    simulation.dispatch(issue('read', 0x0800_0004, { ...device }));
    simulation.dispatch(issue('read', 0x0801_00fc, { ...device, id: 1 }));
    expect(ofType(events, 'access-completed').map(({ value }) => value)).toEqual([7n, 0x0202_143bn]);
    expect(events.map(({ type }) => type)).toContain('mmio-handled');
    expect(ofType(events, 'stage2-faulted')).toHaveLength(1);
  });

  it('keeps GICV Device under every kernel: a prefetch acknowledges nothing', () => {
    for (const kernel of ['6.1', '6.12']) {
      const { simulation, events } = withVgic(kernel);
      simulation.dispatch(issue('prefetch', 0x0801_000c, { size: 4 }));
      expect(ofType(events, 'transaction-issued')).toEqual([]);
    }
  });

  it('leaves what it does not model unknown: a VM with a GICv3', () => {
    const { simulation, events } = boot({ devices: [] });
    const v3 = { version: 3, gicd: 0x0800_0000 as Ipa, gicr: 0x080a_0000 as Ipa } as const;
    simulation.dispatch({ type: 'vmm-called', vm: 0, call: { kind: 'create-vgic', vgic: v3 } });
    simulation.dispatch({ type: 'vcpu-run', vm: 0, vcpu: 0 });
    simulation.dispatch(issue('read', 0x0800_0004, { ...device }));
    expect(ofType(events, 'access-completed')).toMatchObject([{ value: null }]);
  });
});

describe('an MMIO exit', () => {
  const UART = emulated('uart', {
    size: '4K',
    registers: [{ name: 'UARTDR', offset: 0, size: 2, sizes: [1, 2], reset: 0x8081 }],
  });
  const load = issue('read', 0x0900_0000, { size: 2, attr: DEVICE_NGNRE });

  it('is answered by the device whose window of that VM it hits', () => {
    const { simulation, events } = boot({ devices: [UART] });
    simulation.dispatch({ type: 'mmio-window-opened', device: 0, region: 0, vm: 0, gpa: 0x0900_0000 as Ipa });
    simulation.dispatch(load);
    expect(ofType(events, 'device-read')).toMatchObject([{ device: 0, register: 'UARTDR', value: 0x8081n }]);
    expect(ofType(events, 'access-completed')).toMatchObject([{ value: 0x8081n }]);
  });

  it('is sign-extended for a signed load (ESR_EL2.SSE, SF)', () => {
    const { simulation, events } = boot({ devices: [UART] });
    simulation.dispatch({ type: 'mmio-window-opened', device: 0, region: 0, vm: 0, gpa: 0x0900_0000 as Ipa });
    if (load.type !== 'access-issued' || load.access.syndrome === null)
      throw new Error('a load has a syndrome');
    const syndrome = { ...load.access.syndrome, sse: true, sf: true };
    simulation.dispatch({ ...load, access: { ...load.access, syndrome } });
    expect(ofType(events, 'access-completed')).toMatchObject([{ value: 0xffff_ffff_ffff_8081n }]);
  });

  it('outside all windows reads 0 from the VMM', () => {
    const { simulation, events } = boot({ devices: [UART] });
    simulation.dispatch(load);
    expect(ofType(events, 'device-read')).toEqual([]);
    expect(ofType(events, 'access-completed')).toMatchObject([{ value: 0n }]);
  });

  it('is left to a listener on the bus where there are no devices, or if asked', () => {
    for (const machine of [{ devices: [] }, { devices: [UART] }]) {
      const { simulation, events } = boot(machine, { unassignedMmio: 'listener' });
      simulation.bus.on('mmio-exited').subscribe(({ vm, vcpu }) => {
        simulation.dispatch({ type: 'mmio-answered', vm, vcpu, value: 0x1_5a5an });
      });
      simulation.dispatch(load);
      expect(ofType(events, 'access-completed')).toMatchObject([{ value: 0x5a5an }]);
    }
    const { events, simulation } = boot({ devices: [] });
    simulation.dispatch(load);
    expect(events.at(-1)?.type).toBe('mmio-exited');
  });
});

describe('the simulation', () => {
  it('holds an event for a schedule, and goes on when it is released', () => {
    const { simulation, events } = boot(withGpu('6.12'), { hold: ({ type }) => type === 'stage2-map-begun' });
    simulation.dispatch(issue('read', BAR));
    expect(events.at(-1)?.type).toBe('stage2-map-begun');
    expect(simulation.held(0)?.type).toBe('stage2-map-begun');
    expect(simulation.release(0)).toBe(true);
    expect(events.at(-1)?.type).toBe('access-completed');
    expect(simulation.release(0)).toBe(false);
  });

  it('moves virtual time with events and to the times given, never back', () => {
    const { simulation, events } = boot({ devices: [] });
    simulation.dispatch(issue('prefetch', BAR), 5_000);
    simulation.dispatch(issue('prefetch', BAR, { id: 1 }), 10);
    expect(events.map(({ at }) => at)).toEqual([5_000, 5_001, 5_002, 5_003]);
  });

  it('makes the same events of the same input', () => {
    const run = () => {
      const { simulation, events } = boot(withGpu('6.12'));
      for (let index = 0; index < 20; index++) {
        simulation.dispatch(
          issue(index % 3 === 0 ? 'read' : 'write', BAR + index * 24, { value: 1n, id: index }),
        );
      }
      return events;
    };
    expect(run()).toEqual(run());
  });

  it('ignores what comes before the host booted', () => {
    const simulation = createSimulation();
    simulation.dispatch(issue('read', BAR));
    expect([simulation.length, simulation.state.host]).toEqual([1, null]);
  });

  it('answers an access with no device region without touching a device', () => {
    const machine = machineEvents({ devices: [], cpu: CPU });
    const simulation = createSimulation({ state: 'plain' });
    for (const event of machine) simulation.dispatch(event);
    expect(simulation.state.interconnect).toEqual([]);
  });
});
