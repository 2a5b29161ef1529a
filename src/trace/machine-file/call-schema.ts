// The VMM's later calls in a machine file: what it did after the guest started and no event of a trace tells. Each says
// where in the trace it stands; names are those of the system calls and ioctls.

import { z } from 'zod';
import { backing, prot } from './backing-schema.ts';
import { numberField } from './numbers.ts';

/** Lines and faults are counted; a clock may print fractions. */
const whole = z.number().int().min(0);

const after = z.union([
  z.strictObject({ line: whole }),
  z.strictObject({ time: z.number().min(0) }),
  z.strictObject({ fault: whole }),
]);

const slot = z.number().int().min(0);
const range = { after, start: numberField, end: numberField };

export const callSchema = z.discriminatedUnion('op', [
  z.strictObject({
    op: z.literal('memslot'),
    after,
    slot,
    ipa: numberField.optional(),
    size: numberField.optional(),
    hva: numberField.optional(),
    readonly: z.boolean().optional(),
    logDirty: z.boolean().optional(),
    backing: backing.optional(),
  }),
  z.strictObject({ op: z.literal('mmap'), ...range, prot: prot.default('read-write'), backing }),
  z.strictObject({ op: z.literal('munmap'), ...range }),
  z.strictObject({ op: z.literal('mprotect'), ...range, prot }),
  z.strictObject({ op: z.literal('madvise'), ...range, advice: z.enum(['dontneed', 'pageout']) }),
  z.strictObject({ op: z.literal('host-write'), ...range, stride: numberField.optional() }),
  z.strictObject({ op: z.literal('host-read'), ...range }),
  z.strictObject({ op: z.literal('dma-map'), ...range }),
  z.strictObject({
    op: z.literal('dirty-log'),
    after,
    slot,
    action: z.enum(['get', 'clear']),
    firstPage: whole.default(0),
    pages: whole.optional(),
  }),
  z.strictObject({ op: z.literal('pci-command'), after, device: z.string(), value: numberField }),
]);

export type FileCall = z.infer<typeof callSchema>;
