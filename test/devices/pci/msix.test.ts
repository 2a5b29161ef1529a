import type { MachineEvent } from 'stagetwo';
import { deviceNGnRE, e1000e, nvme, runScenario, scenario } from 'stagetwo';
import { describe, expect, it } from 'vitest';
import { ofType } from '../../helpers/machine.ts';

const MSIX_FLAGS = 0x86;
const ENABLED = 0x8000;
const ENABLED_AND_MASKED = 0xc000;

/** An e1000e whose driver fills entry 2, while its VMM does as told. */
function messages(maskFirst: boolean): { sent: readonly MachineEvent[]; pending: bigint | null } {
  let pending: bigint | null = null;
  const run = runScenario(
    scenario('a vector', ({ host }) => {
      const nic = host.plug(e1000e('nic'));
      const vm = host.vm('guest', { ram: '16M' });
      const bar = vm.assign(nic.bar(3), { at: 0x1000_0000 });
      const [ready, raised, done] = ['ready', 'raised', 'done'].map(host.signal);
      if (ready === undefined || raised === undefined || done === undefined) return;
      vm.vcpu(0).run(function* (cpu) {
        const table = cpu.ioremap(bar, deviceNGnRE);
        yield* cpu.store(table.at(0x20), { size: 4, value: 0x0802_0040n });
        yield* cpu.store(table.at(0x28), { size: 4, value: 70n });
        yield* cpu.store(table.at(0x2c), { size: 4, value: 0n });
        yield* cpu.raise(ready);
        yield* cpu.await(raised);
        pending = (yield* cpu.load(table.at(0x2000), { size: 8 })).value;
        yield* cpu.raise(done);
      });
      host.run(function* (vmm) {
        yield* vmm.await(ready);
        const value = maskFirst ? ENABLED_AND_MASKED : ENABLED;
        yield* vmm.configWrite(nic, { offset: MSIX_FLAGS, size: 2, value });
        yield* vmm.raiseMsix(nic, 2);
        yield* vmm.raiseMsix(nic, 3);
        yield* vmm.raise(raised);
        yield* vmm.await(done);
        yield* vmm.configWrite(nic, { offset: MSIX_FLAGS, size: 2, value: ENABLED });
      });
    }),
  );
  return { sent: ofType(run.events, 'msix-sent'), pending };
}

const MESSAGE = { device: 0, vector: 2, address: 0x0802_0040n, data: 70 };

describe('a vector that the device raises', () => {
  it('is the message of its table entry; a masked entry only becomes pending', () => {
    const { sent, pending } = messages(false);
    expect(sent).toMatchObject([MESSAGE]);
    expect(pending).toBe(0b1000n);
  });

  it('waits while the function is masked, and goes when the mask does', () => {
    const { sent, pending } = messages(true);
    expect(pending).toBe(0b1100n);
    expect(sent).toMatchObject([MESSAGE]);
  });
});

describe('a BAR with an MSI-X table', () => {
  const slots = (msix: 'trapped' | 'mapped', pageSize: 4096 | 16384 = 4096) =>
    runScenario(
      scenario('assigned', ({ host }) => {
        host.vm('guest', { ram: '16M' }).assign(host.plug(nvme('disk')).bar(0), { at: 0x1000_0000, msix });
      }),
      { vary: { pageSize } },
    )
      .simulation.state.vms[0]?.slots.filter(({ ipa }) => ipa < 0x4000_0000)
      .map(({ ipa, size }) => [ipa - 0x1000_0000, size]);

  it('has memslots around the pages of table and pending bits', () => {
    expect(slots('trapped')).toEqual([[0, 0x2000]]);
    expect(slots('mapped')).toEqual([[0, 0x4000]]);
  });

  it('is all exits where the page is as large as the BAR', () => {
    expect(slots('trapped', 16384)).toEqual([]);
  });
});
