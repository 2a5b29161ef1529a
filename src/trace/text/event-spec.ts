// How the catalogue describes an event, and what the parser makes of it.

export type EventName =
  | 'kvm_entry'
  | 'kvm_exit'
  | 'kvm_guest_fault'
  | 'kvm_access_fault'
  | 'kvm_mmio'
  | 'kvm_mmio_nisv'
  | 'kvm_userspace_exit'
  | 'kvm_unmap_hva_range'
  | 'kvm_unmap_hva'
  | 'kvm_set_spte_hva'
  | 'kvm_age_hva'
  | 'kvm_test_age_hva';

/** How a field's number is read and what it may be. */
export type FieldKind =
  /** Hex, an address of at most 52 bits. */
  | 'address'
  /** Hex, 64 bits. */
  | 'word'
  /** Hex, ESR_EL2 of at most 44 bits; 6.1 sign-extends some. */
  | 'esr'
  /** Hex with or without 0x. */
  | 'bare-address'
  /** Decimal without a sign. */
  | 'count'
  /** Decimal, may be negative. */
  | 'decimal';

export interface FieldSpec {
  readonly name: string;
  readonly kind: FieldKind;
  /** Words before the number, the first as TP_printk has it. */
  readonly words: readonly string[];
  /** The event is whole without it. */
  readonly optional?: boolean;
}

export interface EventSpec {
  readonly name: EventName;
  readonly fields: readonly FieldSpec[];
  /** Words that are a value themselves: `unsatisfied-read` is type 0. */
  readonly values?: Readonly<Record<string, { readonly field: number; readonly value: number }>>;
  /** Field of a second number that no word introduces: `range: start -- end`. */
  readonly second?: number;
  /**
   * TP_printk as most lines have it: `{pc}` is a hexadecimal number, `{len:d}` a decimal, `{type:w}` one of the words
   * of `values`, `*` a word of no meaning. A line in another form is read by its words.
   */
  readonly print?: string;
}

/** What a word means: the field that it introduces, or also its value. */
export interface Meaning {
  readonly field: number;
  readonly value: number | null;
}

/** A catalogue entry as the byte parser looks it up. */
export interface Compiled {
  readonly spec: EventSpec;
  /** `spec.name` in ASCII. */
  readonly name: Uint8Array;
  /** Position in `CATALOGUE`. */
  readonly index: number;
  /** By hash of the word. */
  readonly words: ReadonlyMap<number, Meaning>;
  /** Bits of the fields that have to be there. */
  readonly required: number;
  /** `print`, step by step; empty without one. */
  readonly layout: readonly Step[];
}

/** What comes next in the text, and the field that it fills. */
export type Step =
  | { readonly kind: 'text'; readonly bytes: Uint8Array }
  | { readonly kind: 'hex' | 'decimal' | 'word'; readonly field: number; readonly most: number }
  | { readonly kind: 'any' };

/** Fields of the event that has most. */
export const MAX_FIELDS = 4;
