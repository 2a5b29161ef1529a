// The KVM events that a replay uses, with the words that introduce each field in any text form: TP_printk text,
// raw fields (`trace-cmd report -R`, the `fields` option) and both spellings of kernels (include/trace/events/kvm.h,
// arch/arm64/kvm/trace_arm.h). Everything else of a trace is counted and passed by.

import { textHash } from './bytes.ts';
import type { Compiled, EventSpec, FieldSpec, Meaning } from './event-spec.ts';
import { compileLayout } from './layout.ts';

const PC: FieldSpec = { name: 'pc', kind: 'word', words: ['pc', 'vcpu_pc', 'PC'] };
const IPA: FieldSpec = { name: 'ipa', kind: 'address', words: ['ipa'] };
const RANGE: readonly FieldSpec[] = [
  { name: 'start', kind: 'address', words: ['range', 'hva', 'start'] },
  { name: 'end', kind: 'address', words: ['end'] },
];
const HVA: FieldSpec = { name: 'hva', kind: 'address', words: ['hva'] };

export const CATALOGUE: readonly EventSpec[] = [
  { name: 'kvm_entry', fields: [PC], print: 'PC: 0x{pc}' },
  {
    name: 'kvm_exit',
    fields: [
      { name: 'type', kind: 'count', words: ['ret'], optional: true },
      { name: 'ec', kind: 'word', words: ['HSR_EC', 'esr_ec', 'ESR_EC'], optional: true },
      PC,
    ],
    values: {
      IRQ: { field: 0, value: 0 },
      SERROR: { field: 0, value: 1 },
      EL1_SERROR: { field: 0, value: 1 },
      TRAP: { field: 0, value: 2 },
      ILLEGAL: { field: 0, value: 3 },
      HYP_GONE: { field: 0, value: 0xbadca11 },
    },
    print: '{type:w}: HSR_EC: 0x{ec} (*), PC: 0x{pc}',
  },
  {
    name: 'kvm_guest_fault',
    fields: [
      IPA,
      { name: 'esr', kind: 'esr', words: ['hsr', 'esr'] },
      { name: 'far', kind: 'word', words: ['hxfar', 'far'] },
      PC,
    ],
    print: 'ipa 0x{ipa}, hsr 0x{esr}, hxfar 0x{far}, pc 0x{pc}',
  },
  { name: 'kvm_access_fault', fields: [{ name: 'ipa', kind: 'bare-address', words: ['IPA', 'ipa'] }] },
  {
    name: 'kvm_mmio',
    fields: [
      { name: 'type', kind: 'count', words: ['type'] },
      { name: 'len', kind: 'count', words: ['len'] },
      { name: 'gpa', kind: 'address', words: ['gpa'] },
      { name: 'val', kind: 'word', words: ['val'] },
    ],
    values: {
      'unsatisfied-read': { field: 0, value: 0 },
      read: { field: 0, value: 1 },
      write: { field: 0, value: 2 },
    },
    print: 'mmio {type:w} len {len:d} gpa 0x{gpa} val 0x{val}',
  },
  {
    name: 'kvm_mmio_nisv',
    fields: [
      IPA,
      { name: 'esr', kind: 'esr', words: ['esr', 'hsr'] },
      { name: 'far', kind: 'word', words: ['far', 'hxfar'] },
      PC,
    ],
  },
  {
    name: 'kvm_userspace_exit',
    fields: [
      { name: 'reason', kind: 'count', words: ['reason'], optional: true },
      { name: 'errno', kind: 'decimal', words: ['errno', 'restart', 'error'], optional: true },
    ],
    print: 'reason * ({reason:d})',
  },
  {
    name: 'kvm_unmap_hva_range',
    fields: RANGE,
    second: 1,
    print: 'mmu notifier unmap range: 0x{start} -- 0x{end}',
  },
  { name: 'kvm_unmap_hva', fields: [HVA] },
  { name: 'kvm_set_spte_hva', fields: [HVA] },
  { name: 'kvm_age_hva', fields: RANGE, second: 1 },
  { name: 'kvm_test_age_hva', fields: [HVA] },
];

function compile(spec: EventSpec, index: number): Compiled {
  const words = new Map<number, Meaning>();
  spec.fields.forEach((field, at) => {
    for (const word of field.words) words.set(textHash(word), { field: at, value: null });
  });
  for (const [word, meaning] of Object.entries(spec.values ?? {})) words.set(textHash(word), meaning);
  const required = spec.fields.reduce(
    (bits, { optional }, at) => bits | (optional === true ? 0 : 1 << at),
    0,
  );
  const layout = spec.print === undefined ? [] : compileLayout(spec.print, spec.fields);
  return { spec, name: new TextEncoder().encode(spec.name), index, words, required, layout };
}

const EVENTS: readonly Compiled[] = CATALOGUE.map(compile);

/** The events whose name has so many letters. */
export const EVENTS_BY_LENGTH: readonly (readonly Compiled[] | undefined)[] = Array.from(
  { length: 1 + Math.max(...EVENTS.map(({ name }) => name.length)) },
  (_, length) => {
    const events = EVENTS.filter(({ name }) => name.length === length);
    return events.length === 0 ? undefined : events;
  },
);

/** Names of KVM_EXIT_*, as kvm_userspace_exit prints them; its table ends at 30, later ones print as hex. */
export const EXIT_NAMES: Readonly<Record<number, string>> = {
  0: 'KVM_EXIT_UNKNOWN',
  1: 'KVM_EXIT_EXCEPTION',
  2: 'KVM_EXIT_IO',
  3: 'KVM_EXIT_HYPERCALL',
  4: 'KVM_EXIT_DEBUG',
  5: 'KVM_EXIT_HLT',
  6: 'KVM_EXIT_MMIO',
  7: 'KVM_EXIT_IRQ_WINDOW_OPEN',
  8: 'KVM_EXIT_SHUTDOWN',
  9: 'KVM_EXIT_FAIL_ENTRY',
  10: 'KVM_EXIT_INTR',
  16: 'KVM_EXIT_NMI',
  17: 'KVM_EXIT_INTERNAL_ERROR',
  24: 'KVM_EXIT_SYSTEM_EVENT',
  28: 'KVM_EXIT_ARM_NISV',
};
