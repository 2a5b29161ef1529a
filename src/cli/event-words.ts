// An event on one line: its fields in the order in which the type declares them, addresses and registers in hex, the
// envelope left out. Made for any event, so that a new one is printed without a change here.

import type { MachineEvent } from '../machine/events.ts';
import { binary, hex } from './words.ts';

const ENVELOPE: ReadonlySet<string> = new Set(['type', 'seq', 'cause', 'at']);

/** Addresses and registers by the last word of the field's name. */
const IN_HEX = /(^|[a-z])(ipa|gpa|hva|pa|va|esr|far|start|end|descriptor|value|command|offset|attr)$/i;

/** Fields too long for a line: the state has them. */
const LEFT_OUT: ReadonlySet<string> = new Set(['features', 'description', 'departures', 'table', 'vmas']);

export function eventLine(event: MachineEvent): string {
  return fields(event, 0)
    .filter((text) => text !== '')
    .join(' ');
}

function fields(value: object, depth: number): string[] {
  return Object.entries(value)
    .filter(([name]) => (depth > 0 || !ENVELOPE.has(name)) && !LEFT_OUT.has(name))
    .map(([name, field]) => fieldText(name, field, depth));
}

function fieldText(name: string, value: unknown, depth: number): string {
  if (value === null || value === undefined || value === false) return '';
  if (value === true) return name;
  if (name === 'memAttr') return `memAttr=${binary(Number(value), 4)}`;
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
