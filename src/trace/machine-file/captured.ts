// Machine facts out of the files that go with captures: kvm-trace/1 (beside a long trace) and kvm-capture/1 (a
// bundle's machine.json). Both become the fields of a machine file, as if a person had written them.

import { z } from 'zod';
import { decodeVtcr } from '../../arch/vtcr.ts';
import { address, capturedCpu } from '../bundle/schema.ts';
import { InputError } from '../input-error.ts';
import type { MachineFileInput } from './schema.ts';

type Host = MachineFileInput['host'];
type Vm = MachineFileInput['vms'][number];
type Slot = NonNullable<Vm['slots']>[number];
type Backing = NonNullable<Slot['backing']>;

const capturedHost = z.object({
  kernel: z.object({ version: z.string(), pageSize: z.number().nullable() }),
  cpu: capturedCpu,
  gic: z.object({ version: z.number(), gicv: z.object({ pa: address, size: address }).nullable() }),
  thp: z.enum(['always', 'madvise', 'never']),
  emulation: z.object({ s1ptwFaultLevel: z.enum(['stage-1', 'stage-2']).optional() }).nullish(),
});

const traceSchema = z.object({
  format: z.literal('kvm-trace/1'),
  name: z.string(),
  host: capturedHost,
  vtcr: address.optional(),
  slots: z.array(
    z.object({
      slot: z.number().nullable(),
      ipa: address,
      size: address,
      hva: address.optional(),
      kind: z.string(),
      desc: z.string(),
    }),
  ),
  deviceRangesInLastDump: z
    .array(z.object({ ipa: address, size: address, pa: address, what: z.string() }))
    .default([]),
});

type TraceFile = z.infer<typeof traceSchema>;

/** KVM_CREATE_VM with type 0. */
const DEFAULT_IPA_BITS = 40;

/** @throws InputError that names the first field that does not fit */
export function fromTraceFile(json: unknown, where: string): MachineFileInput {
  const file = checked(traceSchema, json, where);
  const vtcr = file.vtcr === undefined ? null : vtcrOf(file.vtcr, where);
  const pageSize = file.host.kernel.pageSize ?? vtcr?.granule;
  if (pageSize === undefined) {
    throw new InputError(where, 'host.kernel.pageSize: neither it nor vtcr is there', 'add one of them');
  }
  const gicv = file.deviceRangesInLastDump.find(({ what }) => what === 'host GICV');
  const vm: Vm = {
    name: file.name,
    ipaBits: vtcr?.ipaBits ?? DEFAULT_IPA_BITS,
    // Slot numbers are those of the VMM's own calls, so that all of them are listed.
    slotsComplete: file.slots.every(({ slot }) => slot !== null),
    ...(gicv === undefined ? {} : { vgic: { version: 2, gicc: gicv.ipa } }),
    slots: slotsOf(file),
  };
  return { format: 'stagetwo-machine/1', name: file.name, host: hostOf(file.host, pageSize), vms: [vm] };
}

function vtcrOf(value: number, where: string): ReturnType<typeof decodeVtcr> {
  try {
    return decodeVtcr(value);
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    throw new InputError(where, `vtcr: ${what}`, 'fetch the file again');
  }
}

export function checked<T>(schema: z.ZodType<T>, json: unknown, where: string): T {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = issue?.path.join('.') || 'top level';
  throw new InputError(
    where,
    `${path}: ${issue?.message ?? 'does not fit'}`,
    'docs/machine-file.md describes the fields',
  );
}

export function hostOf(host: z.infer<typeof capturedHost>, pageSize: number): Host {
  const { model, fwb, dic, lpa2, hardwareAccessFlag, vhe, ipaLimitBits } = host.cpu;
  return {
    kernel: host.kernel.version,
    pageSize,
    cpu: {
      ...{ model, fwb, dic, lpa2, hardwareAccessFlag, vhe, ipaLimitBits },
      s1ptwFaultLevel: host.emulation?.s1ptwFaultLevel ?? 'stage-2',
    },
    thp: host.thp,
    ...(host.gic.gicv === null ? {} : { gicv: host.gic.gicv }),
  };
}

/** The slots of the file, and device ranges of the last dump that lie in none of them. */
function slotsOf(file: TraceFile): Slot[] {
  const slots = file.slots.map(({ slot, ipa, size, hva, kind, desc }): Slot => {
    const range = file.deviceRangesInLastDump.find((dumped) => dumped.ipa === ipa);
    const backing = backingOf(kind, desc, range?.pa);
    return {
      ipa,
      size,
      ...(slot === null ? {} : { slot }),
      ...(hva === undefined ? {} : { hva }),
      ...(backing === null ? {} : { backing }),
    };
  });
  const covers = (slot: Slot, at: number): boolean =>
    at >= Number(slot.ipa) && at < Number(slot.ipa) + Number(slot.size);
  const devices = file.deviceRangesInLastDump
    .filter(({ what, ipa }) => what !== 'host GICV' && !slots.some((slot) => covers(slot, ipa)))
    .map(({ ipa, size, pa, what }): Slot => {
      const kind = what.includes(' BAR') ? ('vfio-pci' as const) : ('devmem' as const);
      const device = /^[0-9a-f:.]{4,16}/.exec(what)?.[0];
      return { ipa, size, backing: { kind, pa, ...(device === undefined ? {} : { device }) } };
    });
  return [...slots, ...devices];
}

/** What the capturing VMM calls its slots; null for a kind that is not known. */
function backingOf(kind: string, desc: string, pa: number | undefined): Backing | null {
  switch (kind) {
    case 'anon':
      return { kind: 'anon', thp: 'nohugepage' };
    case 'thp':
      return { kind: 'anon', thp: 'hugepage' };
    case 'ram':
      return { kind: 'anon', thp: 'default' };
    case 'hugetlb-2M':
      return { kind: 'hugetlb', pageSize: 2 ** 21 };
    case 'vfio-bar': {
      const device = /^[0-9a-f:.]{4,16}/.exec(desc)?.[0];
      return {
        kind: 'vfio-pci',
        ...(device === undefined ? {} : { device }),
        ...(pa === undefined ? {} : { pa }),
      };
    }
    case 'devmem': {
      const told = pa ?? Number(/pa=(0x[0-9a-f]{1,13})/.exec(desc)?.[1] ?? Number.NaN);
      return { kind: 'devmem', ...(Number.isNaN(told) ? {} : { pa: told }) };
    }
    default:
      return null;
  }
}
