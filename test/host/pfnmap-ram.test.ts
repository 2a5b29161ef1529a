// Host RAM that reaches a VM through a VM_PFNMAP mapping: what KVM asks is whether the kernel maps the page
// (pfn_is_map_memory), not how the VMA was made.

import { describe, expect, it } from 'vitest';
import { KERNELS } from '../../src/host/kernels.ts';
import { BAR_HVA, BAR_PA, K, M, machine, pfnmap } from '../helpers/host.ts';
import { assign, BAR_IPA } from './cases/case.ts';

const RAM_PA = 2 ** 41;
const CARVE_OUT = pfnmap('devmem', RAM_PA, { ram: true });

describe('/dev/mem over RAM', () => {
  it('is Normal under every kernel, as cacheable as any RAM, though user space maps it write-combining', () => {
    for (const { name: kernel } of KERNELS) {
      for (const [fwb, bits] of [
        [true, '7db'],
        [false, '7ff'],
      ] as const) {
        const m = machine({ kernel, cpu: { fwb } });
        expect(assign(m, { size: 16 * K, backing: CARVE_OUT })).toBe(0);
        m.vm.write(BAR_IPA);
        expect(m.vm.leafAt(BAR_IPA), kernel).toMatchObject({
          bits,
          because: 'pfn-is-map-memory',
          pa: RAM_PA,
        });
      }
    }
  });

  it('can be executed, which a device page cannot', () => {
    const m = machine({ kernel: '6.12', cpu: { dic: false } });
    assign(m, { size: 16 * K, backing: CARVE_OUT });
    expect(m.vm.fetch(BAR_IPA)).toMatchObject({ kind: 'access-completed' });
    expect(m.vm.leafAt(BAR_IPA)?.bits).toBe('7db');
  });

  it('takes blocks where get_vma_page_shift() looks at VM_PFNMAP, pages elsewhere', () => {
    for (const [kernel, level] of [
      ['5.15', 2],
      ['6.1', 3],
      ['6.9', 2],
      ['6.12', 3],
      ['6.13', 2],
    ] as const) {
      const m = machine({ kernel });
      assign(m, { size: 2 * M, backing: CARVE_OUT });
      m.vm.read(BAR_IPA);
      expect(m.vm.leafAt(BAR_IPA), kernel).toMatchObject({ level });
    }
  });

  it('still refuses a dirty log, and memory tagging', () => {
    const m = machine({ kernel: '6.12' });
    assign(m, { size: 16 * K, backing: CARVE_OUT });
    const at = { ipa: BAR_IPA, size: 16 * K, hva: BAR_HVA };
    expect(m.vm.slot(0, at, { logDirty: true })).toBe(22);
    const mte = machine({ kernel: '6.12', capabilities: { KVM_CAP_ARM_MTE: 0 } });
    expect(assign(mte, { size: 16 * K, backing: CARVE_OUT })).toBe(22);
  });

  it('is refused from 6.17 if its mapping is cacheable and the host lacks FWB or DIC', () => {
    const cacheable = { ...CARVE_OUT, cacheable: true };
    for (const [kernel, errno] of [
      ['6.13', 0],
      ['6.17', 22],
    ] as const) {
      const m = machine({ kernel, cpu: { dic: false } });
      expect(assign(m, { size: 16 * K, backing: cacheable }), kernel).toBe(errno);
      const full = machine({ kernel });
      expect(assign(full, { size: 16 * K, backing: cacheable })).toBe(0);
      full.vm.read(BAR_IPA);
      expect(full.vm.leafAt(BAR_IPA)).toMatchObject({ bits: '7db' });
    }
  });
});

describe('a PFNMAP mapping put under a slot that logs dirty pages', () => {
  const mapped = (backing: typeof CARVE_OUT) => {
    const m = machine({ kernel: '6.12' });
    const at = { ipa: BAR_IPA, size: 16 * K, hva: BAR_HVA };
    m.vm.slot(0, at, { logDirty: true });
    m.vm.mmap(BAR_HVA, 16 * K, backing);
    m.vm.read(BAR_IPA);
    return { write: m.vm.leafAt(BAR_IPA)?.write, dirty: m.vm.dirtyLog(0) };
  };

  it('maps a device page writable at once, and dirty: only pages of RAM wait for their first store', () => {
    expect(mapped(pfnmap('vfio-pci', BAR_PA))).toEqual({ write: true, dirty: [0] });
    expect(mapped(CARVE_OUT)).toEqual({ write: false, dirty: [] });
  });
});
