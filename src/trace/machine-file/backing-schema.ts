// What a machine file says of a VMA: its protection and what backs it.

import { z } from 'zod';
import { numberField } from './numbers.ts';

export const backing = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('anon'),
    thp: z.enum(['nohugepage', 'hugepage', 'default']).default('default'),
    populated: z.boolean().optional(),
  }),
  z.strictObject({ kind: z.literal('shmem'), populated: z.boolean().optional() }),
  z.strictObject({
    kind: z.literal('hugetlb'),
    pageSize: numberField,
    populated: z.boolean().optional(),
  }),
  z.strictObject({
    kind: z.enum(['vfio-pci', 'vfio-platform', 'devmem', 'sysfs']),
    device: z.string().optional(),
    pa: numberField.optional(),
    allowAnyUncached: z.boolean().optional(),
    cacheable: z.boolean().default(false),
    ram: z.boolean().default(false),
  }),
]);

export const prot = z.enum(['none', 'read', 'read-write']);

export type FileBacking = z.infer<typeof backing>;
