// Machine files: what a trace does not tell, written by a person, with every slip refused in one line.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { InputError } from '../../../src/trace/input-error.ts';
import { parseMachineFile } from '../../../src/trace/machine-file/load.ts';
import { fixtureMachine } from '../text/fixtures.ts';

/** The example of docs/machine-file.md. */
const EXAMPLE = (() => {
  const page = readFileSync(fileURLToPath(new URL('../../../docs/machine-file.md', import.meta.url)), 'utf8');
  return /```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
})();

/** The example with one value changed, by its path. */
function changed(path: string, value: unknown): string {
  const file = parse(EXAMPLE) as Record<string, unknown>;
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  const parent = keys.reduce<Record<string, unknown>>((at, key) => at[key] as Record<string, unknown>, file);
  parent[last] = value;
  return stringify(file);
}

describe('a machine file', () => {
  it('says what is at which IPA: the example of the documentation', () => {
    const { kernel, pageSize, vms } = parseMachineFile(EXAMPLE, 'machine.yaml');
    expect([kernel.name, pageSize]).toEqual(['6.12', 4096]);
    expect(vms[0]).toMatchObject({
      pid: 4242,
      vcpuThreads: [4250, 4251],
      geometry: { ipaBits: 40, startLevel: 1 },
      slots: [{ ipa: 0x4000_0000, size: 2 ** 28 }, { hva: 0xffff_9400_0000 }],
      vmas: [
        { backing: { populated: true } },
        { backing: { vma: { kind: 'pfnmap', allowAnyUncached: true } } },
      ],
    });
  });

  it('may be JSON', () => {
    const json = JSON.stringify(parse(EXAMPLE));
    expect(parseMachineFile(json, 'machine.json')).toEqual(parseMachineFile(EXAMPLE, 'machine.yaml'));
  });

  it('takes a kernel with a backport: a preset and the features that differ', () => {
    const kernel = {
      base: '6.6',
      features: { normalNcForAnyUncached: true, vfioPciAllowsAnyUncached: true },
    };
    const { features, name } = parseMachineFile(changed('host.kernel', kernel), 'machine.yaml').kernel;
    expect(features).toMatchObject({ normalNcForAnyUncached: true, eagerSplit: true, lpa2: false });
    expect(name).toBe('6.6 with normalNcForAnyUncached=true, vfioPciAllowsAnyUncached=true');
  });

  it('may be the file of a long trace: geometry from VTCR_EL2, GICV from the dump', () => {
    const { pageSize, vms, gicv } = fixtureMachine('qemu');
    expect([pageSize, gicv?.pa, vms[0]?.geometry.ipaBits]).toEqual([4096, 0x804_0000, 40]);
    expect(vms[0]).toMatchObject({ slotsComplete: false, vgic: { version: 2, gicc: 0x801_0000 } });
  });

  it("may be a bundle's machine.json: threads, and every call of the VMM with its time", () => {
    const { vms } = fixtureMachine('twovm');
    expect(vms.map(({ pid, vcpuThreads }) => [pid, vcpuThreads])).toEqual([
      [507, [507]],
      [509, [509]],
    ]);
    expect(vms[0]).toMatchObject({ slotsComplete: true, callsComplete: true });
    expect(vms[0]?.calls.slice(0, 2).map(({ call }) => call.kind)).toEqual(['mmap', 'memslot']);
  });

  it.each([
    ['host.kernel', '6.99', /no kernel preset '6.99'; known are 5.15/],
    [
      'host.kernel',
      { base: '6.6', features: { normalNc: true } },
      /kernel.features.normalNc: no kernel feature has this name/,
    ],
    [
      'host.kernel',
      { base: '6.6', features: { deviceBlocks: 'huge' } },
      /take one of page, vma, host-mapping/,
    ],
    ['host.pageSize', '8K', /host.pageSize: expected 4K, 16K or 64K/],
    ['host.cpu.fwb', undefined, /host.cpu.fwb/],
    ['host.cpu.sve', true, /host.cpu: Unrecognized key/],
    ['vms.0.ipaBits', 60, /vms.0.ipaBits: IPA size 60 is not 32 to 48/],
    ['vms.0.slots.1.ipa', 0x4000_0000, /vms.0.slots.1: overlaps the slot at 0x40000000/],
    ['vms.0.slots.1.slot', 0, /there are two slots 0/],
    ['vms.0.slots.0.size', '1Q', /vms.0.slots.0.size: expected a number below/],
    ['vms.0.slots.0.hva', -1, /vms.0.slots.0.hva/],
    ['vms.0.vmas.0.end', 0x1000, /the VMA ends before it starts/],
    ['vms.0.vmas.0.backing.kind', 'gpu', /vms.0.vmas.0.backing.kind/],
    ['vms.0.calls', [{ op: 'memslot', slot: 0 }], /vms.0.calls.0.after/],
    ['vms.0.calls', [{ op: 'munmap', after: { line: 1 }, start: 8192, end: 4096 }], /ends before it starts/],
    [
      'vms.0.calls',
      [{ op: 'host-write', after: { line: 1 }, start: 0, end: '1T' }],
      /vms.0.calls.0: so far the VMM touches 268435456 pages/,
    ],
    ['vms.0.slots.0.hva', 0xf_ffff_ffff_f000, /vms.0.slots.0: ends beyond the addresses of a process/],
    ['vms.0.vmas.0.end', 0xf_ffff_ffff_f000, /vms.0.vmas.0.end: is beyond the addresses of a process/],
    ['vms.0.slots.0', { ipa: 0, size: '1T', logDirty: true }, /vms.0.slots.0.size: a dirty log of more/],
    ['format', 'stagetwo-machine/2', /known are stagetwo-machine\/1/],
  ])('refuses %s = %j', (path, value, message) => {
    const text = changed(path, value);
    expect(() => parseMachineFile(text, 'machine.yaml')).toThrow(InputError);
    expect(() => parseMachineFile(text, 'machine.yaml')).toThrow(message);
    expect(() => parseMachineFile(text, 'machine.yaml')).toThrow(/^machine.yaml: [^\n]*$/);
  });

  it('that is neither YAML nor JSON is refused with its line', () => {
    expect(() => parseMachineFile('format: [1,\nb: }', 'machine.yaml')).toThrow(
      /^machine.yaml: line \d+: [^\n]*$/,
    );
    expect(() => parseMachineFile('', 'machine.yaml')).toThrow(InputError);
  });
});
