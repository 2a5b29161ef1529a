// Addresses as distinct types, so that an intermediate physical address can never be passed where a physical
// one is meant. All are safe integers: FEAT_LPA2 and FEAT_LPA end at 52 bits (DDI0487 D8.1.7), and a Linux user
// address has at most 52 bits too. Virtual addresses of a guest kernel need 64 bits and are bigint at the edges.

declare const kind: unique symbol;

type Branded<Kind extends string> = number & { readonly [kind]: Kind };

/** Intermediate physical address: what a guest takes for physical. 0 to 2^52 - 1, in bytes. */
export type Ipa = Branded<'Ipa'>;

/** Physical address of the host. 0 to 2^52 - 1, in bytes. */
export type Pa = Branded<'Pa'>;

/** Host virtual address of a VMM process (userspace_addr of a memslot). 0 to 2^52 - 1, in bytes. */
export type Hva = Branded<'Hva'>;

/** Virtual address of a guest, below 2^52 as every address of a TTBR0 mapping is. */
export type Va = Branded<'Va'>;

const LIMIT = 2 ** 52;

function checked(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0 || value >= LIMIT) {
    throw new RangeError(`${name} ${value} is not a whole number of bytes below 2^52`);
  }
  return value;
}

/** @throws RangeError outside 0 to 2^52 - 1 */
export const ipa = (value: number): Ipa => checked('IPA', value) as Ipa;

/** @throws RangeError outside 0 to 2^52 - 1 */
export const pa = (value: number): Pa => checked('PA', value) as Pa;

/** @throws RangeError outside 0 to 2^52 - 1 */
export const hva = (value: number): Hva => checked('HVA', value) as Hva;

/** @throws RangeError outside 0 to 2^52 - 1 */
export const va = (value: number): Va => checked('VA', value) as Va;

/** Rounds down to a multiple of `size`; division, because bit operations stop at 32 bits. */
export function alignDown<A extends number>(address: A, size: number): A {
  return (address - (address % size)) as A;
}

/** Rounds up to a multiple of `size`. */
export function alignUp<A extends number>(address: A, size: number): A {
  const rest = address % size;
  return (rest === 0 ? address : address - rest + size) as A;
}
