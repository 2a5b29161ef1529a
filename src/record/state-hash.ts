// SHA-256 of a state in a canonical form, to check a replay against a record: fields sorted by name, persistent values
// by their content. An Immer snapshot, a plain state and one rebuilt from a journal hash alike if they are equal.

import { createHash } from 'node:crypto';
import { TranslationTable } from '../arch/translation-table.ts';
import { PageBitmap } from '../host/page-bitmap.ts';
import type { MachineState } from '../machine/state.ts';

type Emit = (text: string) => void;

/** Text that gathers before the hash takes it. */
const CHUNK = 2 ** 16;

/**
 * Hex digest; takes time in proportion to the whole state, so that it is for checkpoints, not for every event.
 * @throws TypeError for a value that is neither plain data nor a known persistent value
 */
export const stateHash = (state: MachineState): string => contentHash(state);

/**
 * Hex digest of anything that an event or a state can hold, by its content alone.
 * @throws TypeError as `stateHash`
 */
export function contentHash(value: unknown): string {
  const hash = createHash('sha256');
  let text = '';
  canonical(value, (piece) => {
    text += piece;
    if (text.length < CHUNK) return;
    hash.update(text);
    text = '';
  });
  return hash.update(text).digest('hex');
}

function canonical(value: unknown, emit: Emit): void {
  switch (typeof value) {
    case 'string':
      emit(JSON.stringify(value));
      return;
    case 'bigint':
      emit(`${value}n`);
      return;
    case 'number':
      emit(Object.is(value, -0) ? '-0' : String(value));
      return;
    case 'boolean':
    case 'undefined':
      emit(String(value));
      return;
    case 'object':
      if (value === null) emit('null');
      else if (Array.isArray(value)) canonicalItems('[', value, emit);
      else canonicalObject(value, emit);
      return;
    default:
      throw new TypeError(`a state cannot hold a ${typeof value}`);
  }
}

function canonicalObject(value: object, emit: Emit): void {
  if (value instanceof TranslationTable) {
    canonicalItems('table[', [value.shape], emit);
    canonicalItems('tables[', value.tables(), emit);
    canonicalItems('leaves[', value.leaves(), emit);
    return;
  }
  if (value instanceof PageBitmap) {
    canonicalItems('pages[', [value.pages], emit);
    canonicalItems('set[', value.set(), emit);
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TypeError(`a state cannot hold a ${value.constructor.name}`);
  }
  emit('{');
  for (const key of Object.keys(value).sort()) {
    emit(`${JSON.stringify(key)}:`);
    canonical((value as Readonly<Record<string, unknown>>)[key], emit);
    emit(',');
  }
  emit('}');
}

function canonicalItems(open: string, items: Iterable<unknown>, emit: Emit): void {
  emit(open);
  for (const item of items) {
    canonical(item, emit);
    emit(',');
  }
  emit(']');
}
