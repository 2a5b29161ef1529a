// Values of the state in words: one line for people, plain data for --json. Tables are listed leaf by leaf.

import type { Present } from '../arch/table-page.ts';
import { TranslationTable } from '../arch/translation-table.ts';
import { PageBitmap } from '../host/page-bitmap.ts';
import { binary, count, grouped, hex } from './words.ts';

const ADDRESS = /(address|ipa|gpa|hva|pa|va|esr|far|start|end|value|attr|gic[cdrv]|nextPage)$/i;

/** A register by its name in a datasheet. */
const REGISTER = /^[A-Z][A-Z0-9_]{2,}$/;

const isInHex = (name: string): boolean => ADDRESS.test(name) || REGISTER.test(name);

/** Longer values are told by what they are. */
const LONGEST = 160;

/** @param path whose last name says whether a number is an address */
export function valueText(path: string, value: unknown): string {
  const name = /([A-Za-z_]\w*)(\[[^\]]*\])?$/.exec(path)?.[1] ?? '';
  const text = textOf(name, value);
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST - 3)}...`;
}

function textOf(name: string, value: unknown): string {
  if (value === null || value === undefined) return '-';
  if (name === 'memAttr') return binary(Number(value), 4);
  if (typeof value === 'number' || typeof value === 'bigint')
    return isInHex(name) ? hex(value) : String(value);
  if (typeof value !== 'object') return String(value);
  if (value instanceof TranslationTable) return count(value.leafCount, 'leaf', 'leaves');
  if (value instanceof PageBitmap) return `${grouped(value.count)} of ${count(value.pages, 'page')}`;
  if (Array.isArray(value))
    return value.length === 0 ? 'none' : `[${value.map((it) => textOf(name, it)).join(', ')}]`;
  const fields = Object.entries(value).filter(([, field]) => field !== null && field !== false);
  return fields.map(([key, field]) => (field === true ? key : `${key}=${inner(key, field)}`)).join(' ');
}

function inner(name: string, value: unknown): string {
  const text = textOf(name, value);
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? `(${text})` : text;
}

/** As plain data, for JSON. */
export function plainOf(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof TranslationTable) {
    const leaves = (value as TranslationTable<Present>).leaves();
    return {
      ...value.shape,
      leaves: [...leaves].map(({ address, ...leaf }) => ({ address: hex(address), ...leaf })),
    };
  }
  if (value instanceof PageBitmap) return { pages: value.pages, set: [...value.set()] };
  if (Array.isArray(value)) return value.map(plainOf);
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plainOf(field)]));
}
