// The stagetwo-machine/1 format: host, slots and VMAs as a person writes them, in YAML or JSON. Fields that do not
// exist are refused, so that a misspelt one is not taken for one left out.

import { z } from 'zod';
import { backing, prot } from './backing-schema.ts';
import { callSchema } from './call-schema.ts';
import { numberField } from './numbers.ts';

const PAGE_SIZES = [4096, 16384, 65536] as const;

const pageSize = numberField.transform((value, context) => {
  const size = PAGE_SIZES.find((known) => known === value);
  if (size !== undefined) return size;
  context.addIssue({ code: 'custom', message: 'expected 4K, 16K or 64K' });
  return z.NEVER;
});

const slot = z.strictObject({
  slot: z.number().int().min(0).optional(),
  ipa: numberField,
  size: numberField,
  hva: numberField.optional(),
  readonly: z.boolean().default(false),
  logDirty: z.boolean().default(false),
  backing: backing.optional(),
});

const vma = z.strictObject({
  start: numberField,
  end: numberField,
  prot: prot.default('read-write'),
  backing,
});

const vgic = z.union([
  z.strictObject({ version: z.literal(2), gicd: numberField.optional(), gicc: numberField }),
  z.strictObject({ version: z.literal(3), gicd: numberField, gicr: numberField }),
]);

const vm = z.strictObject({
  name: z.string().min(1).max(64),
  pid: z.number().int().min(1).optional(),
  vcpuThreads: z.array(z.number().int().min(1)).default([]),
  vcpus: z.number().int().min(1).max(512).optional(),
  ipaBits: z.number().int(),
  slotsComplete: z.boolean().default(false),
  vgic: vgic.optional(),
  capabilities: z.array(z.string()).default([]),
  slots: z.array(slot).default([]),
  vmas: z.array(vma).default([]),
  calls: z.array(callSchema).max(100_000).default([]),
  callsComplete: z.boolean().default(false),
});

const cpu = z.strictObject({
  model: z.string().default('not named'),
  fwb: z.boolean(),
  dic: z.boolean(),
  lpa2: z.boolean(),
  hardwareAccessFlag: z.boolean(),
  vhe: z.boolean().default(true),
  ipaLimitBits: z.number().int().min(32).max(52),
  s1ptwFaultLevel: z.enum(['stage-1', 'stage-2']).default('stage-2'),
});

export const machineFileSchema = z.strictObject({
  format: z.literal('stagetwo-machine/1'),
  name: z.string().max(200).optional(),
  host: z.strictObject({
    kernel: z.union([
      z.string(),
      z.strictObject({ base: z.string(), features: z.record(z.string(), z.unknown()).default({}) }),
    ]),
    pageSize,
    cpu,
    thp: z.enum(['always', 'madvise', 'never']).optional(),
    gicv: z.strictObject({ pa: numberField, size: numberField }).optional(),
  }),
  vms: z.array(vm).min(1).max(1024),
});

export type MachineFile = z.infer<typeof machineFileSchema>;
export type MachineFileInput = z.input<typeof machineFileSchema>;
export type FileVm = MachineFile['vms'][number];
export type FileSlot = FileVm['slots'][number];
