// One pasted line in words.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KERNELS } from '../../../src/host/kernels.ts';
import { explain } from '../../../src/trace/explain/explain.ts';
import { InputError } from '../../../src/trace/input-error.ts';
import { property } from '../../helpers/twice.ts';

const FAULT = 'ipa 0x10000000, hsr 0x938d0005, hxfar 0x100000a8, pc 0x00000040000128';

describe('explain', () => {
  it('tells why a VM died of an unaligned store, and on which kernels it does not', () => {
    const { title, fields, story, perKernel, missing } = explain(
      'kvm [4242]: Unsupported FSC: EC=0x24 xFSC=0x21 ESR_EL2=0x92000061',
    );
    expect(title).toBe('Data abort from the guest: Alignment fault');
    expect(fields).toContainEqual({ name: 'WnR', value: '1', meaning: 'write' });
    expect(story.join(' ')).toMatch(/KVM_RUN returns EFAULT/);
    expect(perKernel.map(({ kernels }) => kernels)).toEqual(['5.15 to 6.8', '6.9 to 7.0']);
    expect(perKernel[1]?.what).toMatch(/vfio-platform, GICV or \/dev\/mem: EFAULT/);
    expect(missing.map(({ what }) => what)).toContain('VM_ALLOW_ANY_UNCACHED');
  });

  it.each([
    ['a line of ftrace', `    CPU 0/KVM-4242    [005] d..1. 12345.678901: kvm_guest_fault: ${FAULT}`],
    ['a line of perf script', `  CPU 0/KVM 4200/4242 [005] 12345.678901: kvm:kvm_guest_fault: ${FAULT}`],
    ['only the event', `kvm_guest_fault: ${FAULT}`],
    ['only its fields', FAULT],
    ['fields without commas', FAULT.replaceAll(',', '')],
    ['raw fields', 'vcpu_pc=0x40000128 hsr=0x938d0005 hxfar=0x100000a8 ipa=0x10000000'],
    ['fields over two lines', FAULT.replace(', hxfar', ',\n  hxfar')],
  ])('takes %s', (_what, text) => {
    const { title, fields, story } = explain(text);
    expect(title).toMatch(/^Data abort from the guest at IPA 0x10000000: Translation fault, level 1/);
    expect(fields).toContainEqual(expect.objectContaining({ name: 'address', value: '0x100000a8' }));
    expect(fields).toContainEqual(expect.objectContaining({ name: 'pc', value: '0x40000128' }));
    expect(story.join(' ')).toMatch(/a load of 4 bytes into W13.*1G with 4K pages/);
  });

  it.each([
    ['0x93800006', /^Data abort from the guest: Translation fault, level 2/],
    ['ESR_EL2: 0x8200000f', /^Instruction abort from the guest: Permission fault, level 3/],
    ['hsr 0x9200000b', /Access flag fault, level 3/],
    ['0xffffffff86000010', /an abort without a change of Exception level/],
    ['0x5a000000', /EC 0x16 is no abort/],
  ])('takes the ESR %s', (text, title) => {
    expect(explain(text).title).toMatch(title);
  });

  it.each([
    ['0x93800006', /KVM_EXIT_MMIO/],
    ['0x92000046', /ENOSYS/],
    ['0x82000006', /prefetch abort/],
    ['0x92000086', /page tables are not in memory/],
    ['0x92000147', /skips the cache maintenance/],
    ['0x92000010', /external abort/],
    ['0x92000035', /exclusive/],
  ])('says what becomes of %s without a memslot, or at all', (text, story) => {
    expect(explain(text).story.join(' ')).toMatch(story);
  });

  it('has something to say of each preset for each fault status', () => {
    for (let fsc = 0; fsc < 64; fsc += 1) {
      const { perKernel, story } = explain(`0x${(0x9200_0000 + fsc).toString(16)}`);
      expect(story.length).toBeGreaterThan(1);
      expect(perKernel[0]?.kernels.startsWith(KERNELS[0]?.name ?? '')).toBe(true);
      expect(perKernel.at(-1)?.kernels.endsWith(KERNELS.at(-1)?.name ?? '')).toBe(true);
    }
  });

  it.each(['', 'hello', '0x1000000000000000', 'kvm_entry: PC: 0x40'])('refuses %j in one line', (text) => {
    expect(() => explain(text)).toThrow(InputError);
    expect(() => explain(text)).toThrow(/^explain: [^\n]*$/);
  });

  it('takes any text without another error', () => {
    fc.assert(
      property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `hsr ${text}`),
          fc.string().map((text) => FAULT + text),
        ),
        (text) => {
          try {
            explain(text);
          } catch (error) {
            expect(error).toBeInstanceOf(InputError);
          }
        },
      ),
      { seed: 6, numRuns: 2000 },
    );
  });
});
