// The one thing that a branch changes, in words: what a VMM or the host's administrator can do at any moment, as events
// from outside. Memory is named by the memslot that covers an address of the guest.

import type { VmmCall } from '../host/calls.ts';
import type { Memslot } from '../host/memslot.ts';
import { slotAt } from '../host/memslot.ts';
import type { MachineEvent } from '../machine/events.ts';
import type { MachineState } from '../machine/state.ts';
import { InputError } from '../trace/input-error.ts';
import { nearest } from './nearest.ts';
import { hex } from './words.ts';

/** What a step may be, with its words, for messages and help. */
export const STEPS = {
  'memory-off': 'DEVICE',
  'memory-on': 'DEVICE',
  munmap: 'VM IPA',
  'mprotect-none': 'VM IPA',
  'mprotect-read': 'VM IPA',
  dontneed: 'VM IPA',
  'delete-slot': 'VM IPA',
  'log-dirty': 'VM IPA',
} as const;

type Step = keyof typeof STEPS;

const PCI_COMMAND_MEMORY = 2;

const isStep = (word: string): word is Step => Object.hasOwn(STEPS, word);

/**
 * @param text `memory-off nic`, `munmap guest 0x10000000`
 * @returns the event, for the state in which it is to happen
 * @throws InputError for a step that there is none, or words that it does not take
 */
export function parseStep(text: string): (state: MachineState) => MachineEvent {
  const [step = '', ...words] = text.trim().split(/\s+/);
  if (!isStep(step)) {
    const near = nearest(step, Object.keys(STEPS));
    const meant = near === null ? '' : ` (did you mean ${near}?)`;
    const known = Object.entries(STEPS).map(([name, takes]) => `'${name} ${takes}'`);
    throw new InputError(`'${text}'`, `there is no step '${step}'${meant}`, `steps are ${known.join(', ')}`);
  }
  const takes = STEPS[step];
  if (words.length !== takes.split(' ').length) {
    throw new InputError(`'${text}'`, `'${step}' takes ${takes}`, `write '${step} ${takes}'`);
  }
  const [first = '', address = ''] = words;
  if (step === 'memory-off' || step === 'memory-on') return (state) => memoryDecoding(state, step, first);
  if (!/^(0x[0-9a-f]+|\d+)$/i.test(address)) {
    throw new InputError(`'${text}'`, `'${address}' is no address`, 'write for example 0x10000000');
  }
  return (state) => onSlot(state, step, first, Number(address));
}

function memoryDecoding(state: MachineState, step: 'memory-off' | 'memory-on', device: string): MachineEvent {
  const names = state.devices.map(({ description }) => description.name);
  if (!names.includes(device)) {
    throw new InputError(
      `'${step} ${device}'`,
      `there is no device '${device}'`,
      `name one of ${names.join(', ')}`,
    );
  }
  return { type: 'pci-command-written', device, value: step === 'memory-on' ? PCI_COMMAND_MEMORY : 0 };
}

type SlotStep = Exclude<Step, 'memory-off' | 'memory-on'>;

function onSlot(state: MachineState, step: SlotStep, name: string, address: number): MachineEvent {
  const where = `'${step} ${name} ${hex(address)}'`;
  const vm = state.vms.findIndex((it, id) => it.name === name || `vm${id}` === name);
  const slots = state.vms[vm]?.slots;
  if (slots === undefined) {
    const names = state.vms.map((it) => it.name).join(', ');
    const there = names === '' ? 'no VM yet' : names;
    throw new InputError(where, `there is no VM '${name}' at that moment`, `there is ${there}`);
  }
  const slot = slotAt(slots, address);
  if (slot === undefined) {
    const known = slots.map(({ ipa }) => hex(ipa)).join(', ');
    const todo = known === '' ? 'there is no memslot yet' : `memslots start at ${known}`;
    throw new InputError(where, 'no memslot covers that address then', todo);
  }
  return { type: 'vmm-called', vm, call: callOf(step, slot) };
}

function callOf(step: SlotStep, slot: Memslot): VmmCall {
  const { hva, size, ipa, readonly } = slot;
  const set = { kind: 'set-memslot', slot: slot.slot, ipa, hva, readonly } as const;
  switch (step) {
    case 'munmap':
      return { kind: 'munmap', hva, size };
    case 'mprotect-none':
      return { kind: 'mprotect', hva, size, prot: 'none' };
    case 'mprotect-read':
      return { kind: 'mprotect', hva, size, prot: 'read' };
    case 'dontneed':
      return { kind: 'madvise', hva, size, advice: 'dontneed', reclaim: [] };
    case 'delete-slot':
      return { ...set, size: 0, logDirty: false };
    case 'log-dirty':
      return { ...set, size, logDirty: true };
  }
}
