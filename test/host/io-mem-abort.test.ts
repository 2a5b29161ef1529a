// Accesses that no memslot answers and the kernel answers by itself: ioeventfds, and the second page of GICC where it
// is trapped (kvm_io_bus_write(), ioeventfd_in_range()).

import { describe, expect, it } from 'vitest';
import type { Ipa } from '../../src/arch/addresses.ts';
import { decideHost } from '../../src/host/decide.ts';
import type { TestMachine } from '../helpers/host.ts';
import { accessOf, K, machine } from '../helpers/host.ts';

const DOORBELL = 0x1000_0000;

function stored(m: TestMachine, ipa: number, value: bigint | undefined, size = 4) {
  const { host } = m.simulation.state;
  if (host === null) throw new Error('booted');
  const status = { kind: 'translation', level: 1 } as const;
  const fault = { ipa: (ipa - (ipa % 4096)) as Ipa, far: ipa, esr: 0x93800045, status };
  const access = { ...accessOf(0, 'write', ipa, { size }), ...(value === undefined ? {} : { value }) };
  return decideHost(host, m.vm.state(), { type: 'stage2-faulted', vm: 0, vcpu: 0, access, fault });
}

describe('a store to an ioeventfd', () => {
  const withDoorbell = () => {
    const m = machine();
    const ioeventfd = { gpa: DOORBELL as Ipa, size: 4, datamatch: 7n, eventfd: 'bell' } as const;
    expect(m.vm.call({ kind: 'ioeventfd', ioeventfd })).toBe(0);
    return m;
  };

  it('of its size and value signals it, and nobody leaves the kernel', () => {
    const access = { vcpu: 0, gpa: DOORBELL, size: 4, write: true };
    expect(stored(withDoorbell(), DOORBELL, 7n)).toEqual([
      { type: 'eventfd-signalled', vm: 0, eventfd: 'bell' },
      { type: 'mmio-handled', vm: 0, ...access, because: 'ioeventfd' },
    ]);
  });

  it('of another value, size or address is for the VMM, and so is a load', () => {
    const m = withDoorbell();
    const exit = [{ type: 'mmio-exited', because: 'no-slot' }];
    expect(stored(m, DOORBELL, 8n)).toMatchObject(exit);
    expect(stored(m, DOORBELL, undefined)).toMatchObject(exit);
    expect(stored(m, DOORBELL, 7n, 8)).toMatchObject(exit);
    expect(stored(m, DOORBELL + 4, 7n)).toMatchObject(exit);
    expect(m.vm.read(DOORBELL, { size: 4 }).kind).toBe('mmio-exited');
  });
});

describe('the second page of GICC', () => {
  const v2 = { version: 2, gicd: 0x0800_0000 as Ipa, gicc: 0x0801_0000 as Ipa } as const;
  const DIR = v2.gicc + 0x1000;

  it('is on the in-kernel bus where KVM traps GICC_DIR, to its last word', () => {
    const m = machine({ kernel: '6.19', gicv: { pa: 0x0804_0000, size: 8 * K } });
    m.vm.vgic(v2);
    m.vm.run();
    expect(m.vm.write(DIR, { size: 4 })).toMatchObject({ kind: 'mmio-handled', because: 'in-kernel-device' });
    expect(m.vm.write(DIR + 0xffc, { size: 4 }).kind).toBe('mmio-handled');
    expect(m.vm.write(DIR + 0x1000, { size: 4 }).kind).toBe('mmio-exited');
  });

  it('is mapped where it does not, so that nothing of it faults twice', () => {
    const m = machine({ kernel: '6.12', gicv: { pa: 0x0804_0000, size: 8 * K } });
    m.vm.vgic(v2);
    m.vm.run();
    expect(m.vm.write(DIR, { size: 4 })).toMatchObject({ kind: 'access-completed', faults: [] });
    expect(m.vm.write(DIR + 0x1000, { size: 4 }).kind).toBe('mmio-exited');
  });
});
