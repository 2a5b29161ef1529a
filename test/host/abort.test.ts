import { describe, expect, it } from 'vitest';
import type { Hva, Ipa } from '../../src/arch/addresses.ts';
import { decideHost } from '../../src/host/decide.ts';
import { accessOf, anon, K, M, machine, RAM_HVA, RAM_IPA } from '../helpers/host.ts';

const GICD = 0x0800_0000;
const NOWHERE = 0x1000_0000;
const DABT_EXTERNAL = 0x96000010;

function withRam(kernel = '6.9') {
  const m = machine({ kernel });
  m.vm.mmap(RAM_HVA, 4 * M, anon());
  m.vm.slot(0, { ipa: RAM_IPA, size: 4 * M, hva: RAM_HVA });
  return m;
}

describe('a synchronous external abort', () => {
  it('is an SError for the guest, and KVM_EXIT_ARM_SEA from 6.19 on', () => {
    for (const status of [
      { kind: 'sync-external' },
      { kind: 'parity' },
      { kind: 'sync-external-on-walk', level: 2 },
      { kind: 'parity-on-walk', level: 2 },
    ] as const) {
      const serror = { kind: 'serror-injected', because: 'external-abort' };
      expect(withRam('6.17').vm.fault(RAM_IPA, status)).toMatchObject(serror);
      const exit = { kind: 'sea-exited', because: 'external-abort' };
      expect(withRam('6.19').vm.fault(RAM_IPA, status)).toMatchObject(exit);
    }
  });
});

describe('a fault status that KVM does not know', () => {
  it('is logged with EC, FSC and ESR_EL2, and fails KVM_RUN', () => {
    const { log, errno } = withRam().vm.fault(RAM_IPA, { kind: 'tlb-conflict' });
    expect(errno).toBe(14);
    expect(log).toBe('kvm [vm0]: Unsupported FSC: EC=0x24 xFSC=0x30 ESR_EL2=0x92000030');
  });
});

describe('an IPA beyond the VM', () => {
  it('comes before the memslots for translation faults alone; FAR is the IPA with the offset in its page', () => {
    const { vm } = withRam();
    expect(vm.read(2 ** 40 + 0x128).end).toMatchObject({ far: 2 ** 40 + 0x128, because: 'ipa-beyond-vm' });
    expect(vm.fault(2 ** 40, { kind: 'alignment' })).toMatchObject({ because: 'unsupported-fsc' });
    const permission = vm.fault(2 ** 40, { kind: 'permission', level: 3 });
    expect(permission).toMatchObject({ kind: 'run-failed', because: 'no-valid-syndrome' });
  });
});

describe('FSC 0x35 on a kernel that injects it', () => {
  it('is the only status of an unknown kind that reaches the guest', () => {
    const { vm } = withRam('7.0');
    const unsupported = { kind: 'run-failed', errno: 14, because: 'unsupported-fsc' };
    expect(vm.fault(RAM_IPA, { kind: 'alignment' })).toMatchObject(unsupported);
    expect(vm.fault(RAM_IPA, { kind: 'lockdown' })).toMatchObject(unsupported);
  });
});

describe('an access-flag fault', () => {
  it('in a slot sets the flag and nothing else: no page is looked up, no map call begins', () => {
    const m = withRam();
    m.vm.write(RAM_IPA);
    const { host } = m.simulation.state;
    if (host === null) throw new Error('booted');
    const status = { kind: 'access-flag', level: 3 } as const;
    const fault = { ipa: RAM_IPA as Ipa, far: RAM_IPA, esr: 0x9200000b, status };
    const access = accessOf(0, 'read', RAM_IPA);
    const input = { type: 'stage2-faulted', vm: 0, vcpu: 0, access, fault } as const;
    expect(decideHost(host, m.vm.state(), input)).toEqual([
      { type: 'stage2-made-young', vm: 0, vcpu: 0, ipa: RAM_IPA },
      { type: 'guest-reentered', vm: 0, vcpu: 0, because: 'access-flag' },
    ]);
  });

  it('is of one page, wherever in it the access is: the page behind stays old', () => {
    for (const pageSize of [4096, 16384] as const)
      for (const hardwareAccessFlag of [true, false]) {
        const { vm } = machine({ pageSize, cpu: { hardwareAccessFlag } });
        vm.mmap(RAM_HVA, 4 * M, anon());
        vm.slot(0, { ipa: RAM_IPA, size: 4 * M, hva: RAM_HVA });
        for (const page of [0, 1]) vm.write(RAM_IPA + page * pageSize);
        vm.pageout(RAM_HVA, pageSize, 'age');
        vm.pageout(RAM_HVA + pageSize, pageSize, 'age');
        vm.read(RAM_IPA + pageSize - 8);
        const flags = [0, pageSize].map((at) => vm.state().table.walk(RAM_IPA + at).leaf?.attributes.af);
        expect(flags).toEqual([true, false]);
      }
  });

  it('where no slot is goes to MMIO: the slot is looked for first', () => {
    const { vm } = machine();
    vm.enable('KVM_CAP_ARM_NISV_TO_USER');
    expect(vm.fault(NOWHERE, { kind: 'access-flag', level: 3 })).toMatchObject({ kind: 'nisv-exited' });
  });
});

describe('an injected abort', () => {
  it('takes over IL of the trapped instruction', () => {
    const m = machine();
    const { host } = m.simulation.state;
    if (host === null) throw new Error('booted');
    const access = accessOf(0, 's1-walk', NOWHERE, {}, { level: 3, purpose: 'read' });
    const status = { kind: 'translation', level: 1 } as const;
    const at = (esr: number) => {
      const fault = { ipa: NOWHERE as Ipa, far: 0, esr, status };
      return decideHost(host, m.vm.state(), { type: 'stage2-faulted', vm: 0, vcpu: 0, access, fault })[0];
    };
    expect(at(0x92000085)).toMatchObject({ esr: DABT_EXTERNAL });
    expect(at(0x90000085)).toMatchObject({ esr: DABT_EXTERNAL - 0x0200_0000 });
  });
});

describe('a stage-1 walk', () => {
  it('counts as a write if it takes a permission fault; in 5.15 always', () => {
    const readOnly = (kernel: string) => {
      const m = machine({ kernel });
      m.vm.mmap(RAM_HVA, 4 * M, anon());
      m.vm.slot(0, { ipa: RAM_IPA, size: 4 * M, hva: RAM_HVA }, { readonly: true });
      return m.vm;
    };
    expect(readOnly('6.1').walk(RAM_IPA).kind).toBe('access-completed');
    expect(readOnly('5.15').walk(RAM_IPA)).toMatchObject({ because: 'stage1-walk-needs-memory' });
  });

  it('that updates a descriptor in a read-only slot is a write, told by its permission fault, not by WnR', () => {
    const m = machine({ kernel: '6.1' });
    m.vm.mmap(RAM_HVA, 4 * M, anon());
    m.vm.slot(0, { ipa: RAM_IPA, size: 4 * M, hva: RAM_HVA }, { readonly: true });
    const { host } = m.simulation.state;
    if (host === null) throw new Error('booted');
    const access = accessOf(0, 's1-walk-update', RAM_IPA, {}, { level: 3, purpose: 'read' });
    const status = { kind: 'permission', level: 3 } as const;
    const fault = { ipa: RAM_IPA as Ipa, far: 0, esr: 0x9200008f, status };
    const [first] = decideHost(host, m.vm.state(), { type: 'stage2-faulted', vm: 0, vcpu: 0, access, fault });
    expect(first).toMatchObject({ type: 'abort-injected', because: 'stage1-walk-needs-memory' });
  });

  it('in RAM that was only read is a permission fault, which KVM answers with a writable page', () => {
    const { vm } = withRam();
    vm.hostWrite(RAM_HVA, 4 * K);
    vm.slot(0, { ipa: RAM_IPA, size: 4 * M, hva: RAM_HVA }, { logDirty: true });
    vm.walk(RAM_IPA);
    expect(vm.leafAt(RAM_IPA)).toMatchObject({ write: false });
    vm.fault(RAM_IPA, { kind: 'tlb-conflict' });
    expect(vm.dirtyLog(0)).toEqual([]);
  });
});

describe('an access that no memslot answers and no syndrome describes', () => {
  it('fails KVM_RUN with ENOSYS and a line in the log, without KVM_CAP_ARM_NISV_TO_USER', () => {
    const log = 'Data abort outside memslots with no valid syndrome info';
    const failed = { kind: 'run-failed', errno: 38, log, because: 'no-valid-syndrome' };
    expect(machine().vm.readPair(NOWHERE, { size: 16 })).toMatchObject(failed);
  });
});

describe('the in-kernel MMIO bus', () => {
  const v2 = { version: 2, gicd: GICD as Ipa, gicc: 0x0801_0000 as Ipa } as const;

  it('is asked by every access that io_mem_abort() emulates, a store into a read-only slot, too', () => {
    const { vm } = machine();
    vm.mmap(RAM_HVA, 64 * K, anon());
    vm.slot(0, { ipa: GICD, size: 64 * K, hva: RAM_HVA }, { readonly: true });
    vm.vgic(v2);
    vm.run();
    const handled = { kind: 'mmio-handled', because: 'in-kernel-device' };
    expect(vm.write(GICD, { size: 4 })).toMatchObject(handled);
    const exit = { kind: 'mmio-exited', because: 'readonly-slot' };
    expect(vm.write(GICD + 0x1000, { size: 4 })).toMatchObject(exit);
    expect(vm.read(GICD, { size: 4 }).kind).toBe('access-completed');
  });

  it('has no GIC in a VM without one', () => {
    const { vm } = machine();
    vm.run();
    expect(vm.read(GICD, { size: 4 })).toMatchObject({ kind: 'mmio-exited', because: 'no-slot' });
  });
  const v3 = { version: 3, gicd: GICD as Ipa, gicr: 0x080a_0000 as Ipa } as const;

  it('answers for the GICv2 distributor, 4K, once a vCPU has run', () => {
    const { vm } = machine();
    vm.vgic(v2);
    expect(vm.read(GICD, { size: 4 }).kind).toBe('mmio-exited');
    vm.run();
    vm.run(1);
    expect(vm.read(GICD, { size: 4 })).toMatchObject({ kind: 'mmio-handled', because: 'in-kernel-device' });
    expect(vm.read(GICD + 0xffc, { size: 4 }).kind).toBe('mmio-handled');
    expect(vm.read(GICD + 0xffc, { size: 8 }).kind).toBe('mmio-exited');
    expect(vm.read(GICD + 0x1000, { size: 4 }).kind).toBe('mmio-exited');
  });

  it('answers for GICv3: GICD 64K, GICR 128K a vCPU (rule 13)', () => {
    const { vm } = machine({ vcpus: 2 });
    vm.vgic(v3);
    vm.run();
    for (const [gpa, kind] of [
      [GICD + 0xfffc, 'mmio-handled'],
      [GICD + 0x10000, 'mmio-exited'],
      [v3.gicr + 0x3fffc, 'mmio-handled'],
      [v3.gicr + 0x40000, 'mmio-exited'],
    ] as const) {
      expect(vm.write(gpa, { size: 4 }).kind).toBe(kind);
    }
  });
});

describe('creating a vGIC', () => {
  const v2 = (gicd: number, gicc: number) => ({ version: 2, gicd: gicd as Ipa, gicc: gicc as Ipa }) as const;

  it('is done once, at aligned addresses inside the IPA space', () => {
    const { vm } = machine();
    expect(vm.vgic(v2(GICD, 0x0801_0800))).toBe(22);
    expect(vm.vgic(v2(GICD, 2 ** 40 - 0x1000))).toBe(7);
    const v3 = { version: 3, gicd: GICD as Ipa, gicr: 0x080a_1000 as Ipa } as const;
    expect(vm.vgic(v3)).toBe(22);
    expect(vm.vgic({ ...v3, gicr: (2 ** 40 - 0x10000) as Ipa })).toBe(7);
    expect(vm.vgic(v2(GICD, 2 ** 40 - 0x2000))).toBe(0);
    expect(vm.vgic(v2(GICD, 0x0801_0000))).toBe(17);
  });

  it('with 64K pages maps the one page in which the guest sees its CPU interface', () => {
    const m = machine({ pageSize: 65536, gicv: { pa: 0x0804_0000, size: 0x10000 } });
    m.vm.vgic(v2(GICD, 0x0801_1000));
    m.vm.run();
    expect(m.vm.leaves()).toEqual([{ ipa: 0x0801_0000, level: 3 }]);
  });

  it('on a host without GICV maps nothing', () => {
    const { vm } = machine();
    vm.vgic(v2(GICD, 0x0801_0000));
    vm.run();
    expect(vm.leaves()).toEqual([]);
  });
});

describe('an mmap that the driver refuses', () => {
  it('gives its errno and leaves no VMA', () => {
    const { vm } = machine();
    expect(vm.call({ kind: 'mmap-refused', errno: 22 })).toBe(22);
    expect(vm.state().vmas).toEqual([]);
  });

  it('of odd length is made of whole pages', () => {
    const { vm, bar } = machine();
    vm.call({ kind: 'mmap', hva: RAM_HVA as Hva, size: 256, prot: 'read-write', backing: bar() });
    expect(vm.state().vmas).toMatchObject([{ start: RAM_HVA, end: RAM_HVA + 4 * K }]);
  });
});
