// Writing a machine file from what a running host shows: /proc/PID/smaps of the VMM for the VMAs, and the VMM's own
// memory map for the slots. VmFlags without a mnemonic print as `??`: VM_ALLOW_ANY_UNCACHED (measured on 6.12).

import { InputError } from '../input-error.ts';
import type { MachineFileInput } from './schema.ts';

type Vma = NonNullable<MachineFileInput['vms'][number]['vmas']>[number];
type Backing = Vma['backing'];

/** One mapping of smaps. */
export interface SmapsVma {
  readonly start: number;
  readonly end: number;
  readonly perms: string;
  /** vm_pgoff in bytes. */
  readonly offset: number;
  readonly path: string;
  readonly flags: readonly string[];
  readonly kernelPageSize: number | null;
}

export interface SlotInput {
  readonly slot: number;
  readonly ipa: number;
  readonly size: number;
  readonly hva: number;
}

/** @throws InputError if the text holds no mapping or a line has more than a mapping can say */
export function parseSmaps(text: string, where: string): SmapsVma[] {
  const vmas: { -readonly [Key in keyof SmapsVma]: SmapsVma[Key] }[] = [];
  for (const line of text.split('\n')) {
    const head = /^([0-9a-f]{1,16})-([0-9a-f]{1,16}) ([rwxsp-]{4}) ([0-9a-f]{1,16}) \S+ \d+ *(.*)$/.exec(
      line,
    );
    if (head !== null) {
      const [, start = '0', end = '0', perms = '', offset = '0', path = ''] = head;
      const [from, to] = [Number.parseInt(start, 16), Number.parseInt(end, 16)];
      if (to <= from)
        throw new InputError(where, `the mapping ${start}-${end} has no size`, 'copy smaps again');
      vmas.push({
        start: from,
        end: to,
        perms,
        offset: Number.parseInt(offset, 16),
        path,
        flags: [],
        kernelPageSize: null,
      });
      continue;
    }
    const last = vmas.at(-1);
    if (last === undefined) continue;
    if (line.startsWith('VmFlags:')) last.flags = line.slice('VmFlags:'.length).split(' ').filter(Boolean);
    const size = /^KernelPageSize: {1,20}(\d{1,9}) kB/.exec(line);
    if (size !== null) last.kernelPageSize = Number(size[1]) * 1024;
  }
  if (vmas.length === 0) {
    throw new InputError(where, 'there is no mapping in it', 'give the text of /proc/PID/smaps');
  }
  return vmas;
}

/** What KVM sees behind a VMA, and what smaps does not tell of it. */
function backingOfSmaps(vma: SmapsVma): {
  readonly backing: Backing;
  readonly unknown: readonly string[];
} {
  const { flags, path } = vma;
  const has = (flag: string): boolean => flags.includes(flag);
  if (has('ht'))
    return { backing: { kind: 'hugetlb', pageSize: vma.kernelPageSize ?? 2 ** 21 }, unknown: [] };
  if (!has('pf') && !has('io')) {
    const inMemory = path === '' || path.startsWith('[') || path.startsWith('/dev/zero');
    if (!inMemory) return { backing: { kind: 'shmem' }, unknown: [] };
    const thp = has('hg') ? 'hugepage' : has('nh') ? 'nohugepage' : 'default';
    return { backing: { kind: 'anon', thp }, unknown: [] };
  }
  if (path.startsWith('/dev/mem')) return { backing: { kind: 'devmem', pa: vma.offset }, unknown: [] };
  if (path.startsWith('/sys/')) return { backing: { kind: 'sysfs' }, unknown: ['pa'] };
  const allowAnyUncached = has('??');
  // Only vfio-pci sets the flag; without it the name of the file does not tell vfio-pci and vfio-platform apart.
  const unknown = allowAnyUncached ? ['pa'] : ['pa', 'kind (vfio-pci or vfio-platform)'];
  return { backing: { kind: 'vfio-pci', allowAnyUncached }, unknown };
}

const PROT: Readonly<Record<string, Vma['prot']>> = {
  rw: 'read-write',
  'r-': 'read',
  '--': 'none',
  '-w': 'read-write',
};

const toHex = (value: number): string => `0x${value.toString(16)}`;

/**
 * The VM of a machine file, with the VMAs that its slots use; the host's facts are not in smaps.
 * @param slots the VMM's memory map, each slot inside one VMA or several
 * @returns the VM's fields, and one line for each thing that is still to be filled in
 * @throws InputError if smaps holds no mapping, or none at a slot's hva
 */
export function machineFromSmaps(
  smaps: string,
  slots: readonly SlotInput[],
  given: { readonly name: string; readonly pid?: number; readonly ipaBits: number },
  where = 'smaps',
): { readonly vm: MachineFileInput['vms'][number]; readonly missing: readonly string[] } {
  const mappings = parseSmaps(smaps, where);
  const missing: string[] = [];
  const used = mappings.filter(({ start, end }) =>
    slots.some(({ hva, size }) => start < hva + size && hva < end),
  );
  for (const { slot, hva, size } of slots) {
    if (used.some(({ start, end }) => start <= hva && hva < end)) continue;
    const range = `${toHex(hva)} to ${toHex(hva + size)}`;
    throw new InputError(
      where,
      `slot ${slot}: no mapping at ${range}`,
      'check hva, or take smaps while the VM runs',
    );
  }
  const vmas = used.map((vma): Vma => {
    const { backing, unknown } = backingOfSmaps(vma);
    const at = `VMA ${toHex(vma.start)} (${vma.path || 'anonymous'})`;
    for (const name of unknown) missing.push(`${at}: smaps does not tell ${name}`);
    const prot = PROT[vma.perms.slice(0, 2)] ?? 'read-write';
    return { start: toHex(vma.start), end: toHex(vma.end), prot, backing };
  });
  const vm = {
    ...given,
    slots: slots.map(({ slot, ipa, size, hva }) => ({
      slot,
      ipa: toHex(ipa),
      size: toHex(size),
      hva: toHex(hva),
    })),
    vmas,
  };
  return { vm, missing };
}
