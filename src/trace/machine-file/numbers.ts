// Numbers as people write them into a machine file: 0x hex, decimal, and sizes such as 16M.

import { z } from 'zod';

const UNITS: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };
const LIMIT = 2 ** 52;
const HELP = 'expected a number below 2^52 such as 0x40000000, 4096 or 16M';

/** The number that the text says, or undefined. */
export function parseNumber(text: string): number | undefined {
  if (text.length > 24) return undefined;
  if (/^0x[0-9a-f]+$/i.test(text)) return Number(text);
  const parts = /^([0-9]+)([KMGT]?)(?:i?B)?$/.exec(text);
  if (parts === null) return undefined;
  return Number(parts[1]) * (UNITS[parts[2] ?? ''] ?? 1);
}

export const numberField = z.union([z.number(), z.string()]).transform((value, context): number => {
  const number = typeof value === 'number' ? value : parseNumber(value);
  if (number !== undefined && Number.isSafeInteger(number) && number >= 0 && number < LIMIT) return number;
  context.addIssue({ code: 'custom', message: HELP });
  return z.NEVER;
});
