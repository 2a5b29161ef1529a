// An event on one line: its fields in their order, addresses and registers in hex, sizes in bytes, the
// envelope left out. Made for any event, so that a new one is printed without a change here.

import type { MachineEvent } from '../machine/events.ts';
import { binary, bytes, hex } from './words.ts';

const ENVELOPE: ReadonlySet<string> = new Set(['type', 'seq', 'cause', 'at']);

/** Addresses and registers by the last word of the field's name. */
const IN_HEX =
  /(^|[a-z])(ipa|gpa|hva|pa|va|esr|far|gic[cdrv]|start|end|descriptor|value|command|offset|attr)$/i;

/** Fields too long for a line: the state has them. */
const LEFT_OUT: ReadonlySet<string> = new Set(['features', 'description', 'departures', 'table', 'vmas']);

export function eventLine(event: MachineEvent): string {
  // Whoever issued an access said what it is; after that its number is enough.
  const isIssued = event.type === 'access-issued';
  const shown = 'access' in event && typeof event.access === 'object' && !isIssued;
  return fields(shown ? { ...event, access: event.access?.id } : event, 0)
    .filter((text) => text !== '')
    .join(' ');
}

function fields(value: object, depth: number): string[] {
  return Object.entries(value)
    .filter(([name]) => (depth > 0 || !ENVELOPE.has(name)) && !LEFT_OUT.has(name))
    .map(([name, field]) => fieldText(name, field, depth));
}

/**
 * Fields in which two events differ, by path: `call.backing.allowAnyUncached`, with the value on either
 * side.
 */
export function differingFields(a: MachineEvent, b: MachineEvent): [path: string, a: string, b: string][] {
  const [left, right] = [leavesOf(a), leavesOf(b)];
  const paths = [...new Set([...left.keys(), ...right.keys()])];
  return paths
    .filter((path) => left.get(path) !== right.get(path))
    .map((path) => [path, left.get(path) ?? '-', right.get(path) ?? '-']);
}

function leavesOf(event: MachineEvent): Map<string, string> {
  const leaves = new Map<string, string>();
  const visit = (value: unknown, name: string, path: string): void => {
    if (typeof value === 'object' && value !== null) {
      for (const [key, field] of Object.entries(value))
        visit(field, key, path === '' ? key : `${path}.${key}`);
    } else {
      const isNumber = typeof value === 'number' || typeof value === 'bigint';
      leaves.set(path, isNumber && IN_HEX.test(name) ? hex(value) : String(value));
    }
  };
  for (const [name, value] of Object.entries(event)) {
    if (!ENVELOPE.has(name) && !LEFT_OUT.has(name)) visit(value, name, name);
  }
  return leaves;
}

function fieldText(name: string, value: unknown, depth: number): string {
  if (value === null || value === undefined || value === false) return '';
  if (value === true) return name;
  if (name === 'memAttr') return `memAttr=${binary(Number(value), 4)}`;
  if (name === 'size') return `size=${bytes(Number(value)).replace(' ', '')}`;
  if (typeof value === 'number' || typeof value === 'bigint') {
    return `${name}=${IN_HEX.test(name) ? hex(value) : String(value)}`;
  }
  if (Array.isArray(value)) return value.length === 0 ? '' : `${name}=[${value.length}]`;
  if (typeof value === 'object') {
    if (depth > 1) return '';
    const inner = fields(value, depth + 1).filter((text) => text !== '');
    return inner.length === 0 ? '' : `${name}(${inner.join(' ')})`;
  }
  return `${name}=${String(value)}`;
}
