// The kvm-capture/1 format: machine.json (what was done to a real host) and expected.json (what its kernel did).
// Large numbers are hex strings. Unknown fields are let through, missing ones are named in the error.

import { z } from 'zod';

const hex = z.string().regex(/^0x[0-9a-f]+$/i, 'expected a hex string such as "0x40000000"');
export const address = hex.transform((text) => Number(text));
const nullableAddress = address.nullable();
/** Counts are numbers; captures write large ones as hex strings. */
const count = z.union([z.number(), address]);

/** The processor of a captured host, in bundles as in traces. */
export const capturedCpu = z.object({
  model: z.string(),
  fwb: z.boolean(),
  dic: z.boolean(),
  lpa2: z.boolean(),
  hardwareAccessFlag: z.boolean(),
  vhe: z.boolean(),
  ipaLimitBits: z.number(),
});

const instruction = z.object({
  isv: z.boolean(),
  sas: z.union([z.literal(0), z.literal(1), z.literal(2), z.literal(3)]),
  sse: z.boolean(),
  srt: z.number(),
  sf: z.boolean(),
  ar: z.boolean(),
  wnr: z.boolean(),
  cm: z.boolean(),
});

const vma = z.object({
  start: address,
  end: address,
  flags: z.array(z.string()),
  pgoff: address.optional(),
  perms: z.string().optional(),
});

const backing = z.object({
  kind: z.enum(['anon', 'thp', 'hugetlb-2M', 'vfio-bar', 'devmem', 'sysfs-resource']),
  bdf: z.string().optional(),
  bar: z.number().optional(),
  offset: address.optional(),
  pa: address.optional(),
  vma: vma.optional(),
});

const accessKind = z.enum([
  'read',
  'write',
  'fetch',
  'read-pair',
  'write-pair',
  'exclusive-load',
  'exclusive-store',
  'dc-zva',
  'dc-cvac',
  'dc-cvau',
  'dc-civac',
  'dc-ivac',
  'ic-ivau',
  'prefetch',
  's1-walk',
  's1-walk-update',
]);

const common = { vm: z.string(), t: z.number().optional() };

const operation = z.discriminatedUnion('op', [
  z.object({
    op: z.literal('access'),
    ...common,
    id: z.number(),
    vcpu: z.number(),
    kind: accessKind,
    size: z.number(),
    va: address,
    ipa: nullableAddress,
    instruction: instruction.nullable(),
    value: hex.optional(),
    level: z.number().optional(),
    walkFor: z.enum(['fetch', 'read', 'write']).optional(),
    stage1Fault: z.boolean().optional(),
  }),
  z.object({
    op: z.literal('mmap'),
    ...common,
    slot: z.number(),
    size: address,
    hva: nullableAddress,
    madvise: z.enum(['nohugepage', 'hugepage']).optional(),
    hugetlb: z.string().optional(),
    backing: backing.optional(),
  }),
  z.object({
    op: z.literal('memslot'),
    ...common,
    slot: z.number(),
    ipa: address,
    size: address,
    hva: address,
    flags: z.object({ readonly: z.boolean(), logDirty: z.boolean() }),
    backing,
  }),
  z.object({
    op: z.literal('host-write'),
    ...common,
    slot: z.number(),
    offset: address,
    size: address,
    stride: address.optional(),
  }),
  z.object({ op: z.literal('host-read'), ...common, slot: z.number(), offset: address, size: address }),
  z.object({ op: z.literal('create-vgic'), ...common, version: z.union([z.literal(2), z.literal(3)]) }),
  z.object({ op: z.literal('enable-cap'), ...common, cap: z.string(), arg0: address }),
  z.object({ op: z.literal('vfio-open'), ...common, bdf: z.string(), command: address }),
  z.object({ op: z.literal('dma-map'), ...common, slot: z.number(), size: address }),
  z.object({ op: z.literal('pci-command'), ...common, bdf: z.string(), value: address }),
  z.object({
    op: z.literal('madvise'),
    ...common,
    slot: z.number(),
    offset: address,
    size: address,
    hva: address,
    advice: z.enum(['dontneed', 'pageout']),
    reclaim: z
      .array(z.object({ kind: z.enum(['age', 'unmap-range']), start: address, end: address }))
      .optional(),
  }),
  z.object({
    op: z.literal('mprotect'),
    ...common,
    slot: z.number(),
    offset: address,
    size: address,
    hva: address,
    prot: z.enum(['read', 'none', 'read-write']),
  }),
  z.object({
    op: z.literal('munmap'),
    ...common,
    slot: z.number(),
    offset: address,
    size: address,
    hva: address,
  }),
  z.object({
    op: z.literal('dirty-log'),
    ...common,
    slot: z.number(),
    action: z.enum(['get', 'clear']),
    firstPage: count.optional(),
    numPages: count.optional(),
  }),
  z.object({ op: z.literal('mark'), ...common, name: z.string() }),
  z.object({ op: z.literal('barrier'), ...common }),
  z.object({ op: z.literal('dump'), ...common, name: z.string() }),
  z.object({ op: z.literal('run'), ...common, step: z.number(), vcpus: z.number() }),
  z.object({
    op: z.literal('guest-mmu'),
    ...common,
    vcpu: z.number(),
    on: z.boolean(),
    mair: hex.optional(),
  }),
  z.object({ op: z.literal('guest-tlbi'), ...common, vcpu: z.number() }),
  z.object({ op: z.literal('guest-hvc'), ...common, vcpu: z.number() }),
]);

export const machineSchema = z.object({
  format: z.literal('kvm-capture/1'),
  name: z.string(),
  host: z.object({
    kernel: z.object({
      release: z.string(),
      version: z.string(),
      pageSize: z.union([z.literal(4096), z.literal(16384), z.literal(65536)]),
    }),
    cpu: capturedCpu,
    gic: z.object({
      version: z.number(),
      gicv: z.object({ pa: address, size: address }).nullable(),
    }),
    thp: z.enum(['always', 'madvise', 'never']),
    swap: z.string().nullable(),
    emulation: z
      .object({
        tool: z.string().optional(),
        cacheMaintenanceFaults: z.boolean().optional(),
        s1ptwFaultLevel: z.enum(['stage-1', 'stage-2']).optional(),
        s1ptwAfUpdateWnR: z.boolean().optional(),
      })
      .nullish(),
  }),
  devices: z.array(z.object({ bdf: z.string() })),
  vms: z
    .array(
      z.object({
        name: z.string(),
        ipaBits: z.number(),
        vcpus: z.number(),
        vgic: z.union([
          z.object({ version: z.literal(2), gicd: address, gicc: address }),
          z.object({ version: z.literal(3), gicd: address, gicr: address }),
        ]),
        capabilities: z.array(z.string()),
        guestPaBits: z.number().optional(),
      }),
    )
    .min(1),
  timeline: z.array(operation),
  schedule: z
    .array(
      z.union([
        z.tuple([z.literal('op'), z.number()]),
        z.tuple([z.enum(['walk', 'map-begin', 'map-end']), z.number(), z.number()]),
      ]),
    )
    .optional(),
});

export type BundleMachine = z.infer<typeof machineSchema>;
export type BundleOperation = z.infer<typeof operation>;
export type BundleAccess = Extract<BundleOperation, { op: 'access' }>;

const notifier = z.object({
  kind: z.string(),
  start: address.optional(),
  end: address.optional(),
  gfns: z.array(z.object({ slot: z.number() })).optional(),
});

const expectedAccess = z.object({
  faults: z.array(z.object({ ipa: address, esr: address, far: hex })),
  notifiers: z.array(notifier).optional(),
  outcome: z.string(),
  errno: z.number().nullish(),
  guestEsr: hex.nullish(),
  guestFar: hex.nullish(),
});

const expectedOperation = z.object({
  ret: z.number().optional(),
  errno: z.number().nullish(),
  notifiers: z.array(notifier).optional(),
  dirtyCount: z.number().optional(),
  dirtyPagesFirst39: z.array(z.number()).optional(),
});

const dump = z.object({
  vtcr: hex,
  startLevel: z.number(),
  iaBits: z.number(),
  leaves: z.array(z.object({ ipa: address, level: z.number(), desc: hex })),
  tables: z.array(z.object({ ipa: address, level: z.number() })),
});

export const expectedSchema = z.object({
  format: z.literal('kvm-capture-expected/1'),
  accesses: z.record(z.string(), expectedAccess),
  operations: z.record(z.string(), expectedOperation),
  dumps: z.record(z.string(), z.record(z.string(), dump)),
});

export type BundleExpected = z.infer<typeof expectedSchema>;
export type ExpectedAccess = z.infer<typeof expectedAccess>;
export type ExpectedOperation = z.infer<typeof expectedOperation>;
export type ExpectedDump = z.infer<typeof dump>;
