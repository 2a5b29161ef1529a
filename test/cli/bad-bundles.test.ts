// Bundles that are none: each ends with exit status 2 and one line that says where, what, and what to do;
// none makes the command hang, fill the memory or print a stack.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadBundle } from '../../src/trace/bundle/load.ts';
import { command } from './memory-terminal.ts';

let folder = '';
let sequence = 0;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bundles-'));
});

afterAll(() => rmSync(folder, { recursive: true }));

/** A bundle of these files; returns its directory. */
function bundle(files: Readonly<Record<string, string | Uint8Array>>): string {
  const directory = join(folder, `b${sequence++}`);
  mkdirSync(directory);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
  return directory;
}

/** The smallest bundle that replays: one VM, one slot of RAM, one load. */
function machine(): Record<string, unknown> {
  const emulation = null;
  const common = { vm: 'vm0', t: 1 };
  const hva = '0x7f0000000000';
  const slot = { slot: 0, ipa: '0x40000000', size: '0x100000', hva };
  const instruction = { isv: true, sas: 3, sse: false, srt: 0, sf: true, ar: false, wnr: false, cm: false };
  return {
    format: 'kvm-capture/1',
    name: 'small',
    host: {
      kernel: { release: '6.12.0', version: '6.12', pageSize: 4096 },
      cpu: {
        model: 'max',
        fwb: true,
        dic: false,
        lpa2: false,
        hardwareAccessFlag: true,
        vhe: true,
        ipaLimitBits: 48,
      },
      gic: { version: 3, gicv: null },
      thp: 'never',
      swap: null,
      emulation,
    },
    devices: [],
    vms: [
      {
        name: 'vm0',
        ipaBits: 40,
        vcpus: 1,
        vgic: { version: 3, gicd: '0x8000000', gicr: '0x80a0000' },
        capabilities: [],
      },
    ],
    timeline: [
      { op: 'mmap', ...common, slot: 0, size: '0x100000', hva, madvise: 'nohugepage' },
      {
        op: 'memslot',
        ...common,
        ...slot,
        flags: { readonly: false, logDirty: false },
        backing: { kind: 'anon' },
      },
      { op: 'run', ...common, step: 0, vcpus: 1 },
      {
        op: 'access',
        ...common,
        id: 0,
        vcpu: 0,
        kind: 'read',
        size: 8,
        va: '0x40000000',
        ipa: '0x40000000',
        instruction,
      },
    ],
  };
}

/** A MADV_PAGEOUT of one page, of which reclaim took that range. */
const pageout = (range: { readonly start: string; readonly end: string }) => ({
  op: 'madvise',
  vm: 'vm0',
  slot: 0,
  offset: '0x0',
  size: '0x1000',
  hva: '0x7f0000000000',
  advice: 'pageout',
  reclaim: [{ kind: 'unmap-range', ...range }],
});

type Path = readonly (string | number)[];

/** The smallest bundle with one field replaced. */
function changed(path: Path, value: unknown): string {
  const root = machine();
  let at: unknown = root;
  for (const key of path.slice(0, -1)) at = (at as Record<string | number, unknown>)[key];
  (at as Record<string | number, unknown>)[path.at(-1) ?? ''] = value;
  return bundle({ 'machine.json': JSON.stringify(root) });
}

async function complaint(directory: string): Promise<string> {
  const { status, out, err } = await command(['replay', directory]);
  expect(status).toBe(2);
  expect(out).toBe('');
  expect(err).toMatch(/^stagetwo: [^\n]+\n$/);
  expect(err.length).toBeLessThan(700);
  expect(err).not.toMatch(/\bat .*\.(ts|js):\d+|fault of stagetwo/);
  return err;
}

describe('a bundle', () => {
  it('that is small and whole replays, checked against nothing', async () => {
    const { status, out } = await command([
      'replay',
      bundle({ 'machine.json': JSON.stringify(machine()) }),
      '--json',
    ]);

    expect(status).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      bundle: 'small',
      accesses: 1,
      checked: false,
      firstDivergence: null,
    });
  });

  it('may be gzipped', () => {
    const directory = bundle({ 'machine.json.gz': gzipSync(JSON.stringify(machine())) });

    expect(loadBundle(directory).machine.name).toBe('small');
  });
});

describe('a bundle that is none', () => {
  it('is a path with a typo', async () => {
    expect(await complaint(join(folder, 'nowhere'))).toContain('nowhere: there is no such directory');
  });

  it('is a directory without machine.json', async () => {
    expect(await complaint(bundle({ 'readme.txt': 'hello' }))).toContain('there is no machine.json here');
  });

  it('is a folder of bundles', async () => {
    bundle({ 'machine.json': JSON.stringify(machine()) });
    expect(await complaint(folder)).toMatch(/in \d+ of its folders; stagetwo replay .*\* takes them all/);
  });

  it('is the trace of another tool', async () => {
    const file = join(folder, 'trace.txt');
    writeFileSync(file, '# tracer: nop\n CPU 0/KVM-1 [000] 1.0: kvm_exit: TRAP: HSR_EC: 0x0024 (DABT_LOW)\n');

    expect(await complaint(file)).toContain('is a file, not a bundle');
  });

  it('has a machine.json that was cut short', async () => {
    const text = JSON.stringify(machine(), null, 1);

    expect(await complaint(bundle({ 'machine.json': text.slice(0, text.length / 2) }))).toMatch(
      /machine\.json: is no JSON.*cut short/,
    );
  });

  it('has a comma too many, and is told the line', async () => {
    expect(await complaint(bundle({ 'machine.json': '{\n "format": "kvm-capture/1",,\n}' }))).toContain(
      'is no JSON at line 2',
    );
  });

  it('has a gzip file that was cut short', async () => {
    const bytes = gzipSync(JSON.stringify(machine()));

    expect(await complaint(bundle({ 'machine.json.gz': bytes.subarray(0, 200) }))).toContain(
      'is no whole gzip file',
    );
  });

  it.each([
    ['one long line of garbage', 'x'.repeat(2 ** 20)],
    ['a megabyte of brackets', '['.repeat(2 ** 20)],
    ['bytes of no meaning', Buffer.from(Array.from({ length: 4096 }, (_, at) => (at * 37) % 256))],
    ['nothing at all', ''],
    ['control characters of a terminal', '\u001b[2J\u0007{'],
  ])('is %s', async (_what, content) => {
    const said = await complaint(bundle({ 'machine.json': content }));

    expect(said).toContain('is no JSON');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is left is the point
    expect(said.trimEnd()).not.toMatch(/[\u0000-\u001f]/);
  });

  it.each([
    ['[]', 'top level'],
    ['null', 'top level'],
    ['{"format":"kvm-capture/2"}', 'format'],
  ])('holds %s, which is JSON of another kind', async (content, where) => {
    expect(await complaint(bundle({ 'machine.json': content }))).toContain(where);
  });

  it('comes from a kernel without a preset', async () => {
    const said = await complaint(changed(['host', 'kernel', 'version'], '9.9'));

    expect(said).toMatch(/no preset for kernel '?9\.9'?.*known are.*6\.1,.*6\.12/);
  });

  it.each<[Path, unknown]>([
    [['host', 'kernel', 'pageSize'], 8192],
    [['host', 'cpu', 'fwb'], 'yes'],
    [['vms', 0, 'vcpus'], '1'],
    [['vms'], []],
    [['timeline'], {}],
    [['timeline', 1, 'ipa'], 1073741824],
    [['timeline', 1, 'ipa'], '40000000'],
    [['timeline', 1, 'size'], '-0x1000'],
    [['timeline', 3, 'kind'], 'sideways'],
    [['timeline', 3, 'op'], 'teleport'],
    [['timeline', 3, 'vm'], 7],
  ])('has another type of %j', async (path, value) => {
    expect(await complaint(changed(path, value))).toContain(`machine.json: ${path.join('.')}`);
  });
});

describe('a length that lies', () => {
  it.each<[Path, unknown]>([
    [['timeline', 3, 'size'], 0],
    [['timeline', 3, 'size'], -8],
    [['timeline', 3, 'size'], 2.5],
    [['timeline', 3, 'size'], 2 ** 52],
    [['timeline', 3, 'instruction'], null],
    [['timeline', 3, 'instruction', 'wnr'], true],
    [['timeline', 3, 'vcpu'], 1],
    [['timeline', 3, 'vcpu'], -1],
    [['timeline', 3, 'vm'], 'vm9'],
    [['timeline', 3, 'id'], -1],
    [['timeline', 3, 'ipa'], '0x20000000000000'],
    [['timeline', 2, 'vcpus'], 1e9],
    [['timeline', 1, 'ipa'], '0xffffffffffffff00'],
    [['timeline', 1, 'size'], '0x4000000000000'],
    [['timeline', 0, 'size'], '0x4000000000000'],
    [['timeline', 0, 'hva'], '0xffffffffff000000'],
    [['vms', 0, 'vcpus'], 1e9],
    [['vms', 0, 'vcpus'], 0],
    [['vms', 0, 'ipaBits'], 64],
    [['vms', 0, 'ipaBits'], -1],
    [['host', 'cpu', 'ipaLimitBits'], 1000],
    [['host', 'gic', 'gicv'], { pa: '0x8040000', size: '0x4000000000000' }],
    [['timeline', 1], { op: 'host-write', vm: 'vm0', slot: 0, offset: '0x0', size: '0x4000000000000' }],
    [['timeline', 1], { op: 'host-write', vm: 'vm0', slot: 0, offset: '0x0', size: '0x1000', stride: '0x0' }],
    [['timeline', 1], pageout({ start: '0x1000', end: '0x7f0000001000' })],
    [['timeline', 1], pageout({ start: '0x7f0000001000', end: '0x7f0000000000' })],
    [['timeline', 1], { op: 'dma-map', vm: 'vm0', slot: 0, size: '0x800000000000' }],
    [['timeline', 1], { op: 'dirty-log', vm: 'vm0', slot: 0, action: 'clear', firstPage: 0, numPages: 1e15 }],
  ])('in %j is refused by its path, at once', async (path, value) => {
    const started = process.hrtime.bigint();
    const said = await complaint(changed(path, value));

    expect(said).toContain(`machine.json: ${path.join('.')}`);
    expect(process.hrtime.bigint() - started).toBeLessThan(2_000_000_000n);
  });

  it('a memslot beyond the IPA size is what the kernel refuses too: the call fails, the replay goes on', async () => {
    const { status, out } = await command([
      'replay',
      changed(['timeline', 1, 'ipa'], '0x20000000000'),
      '--json',
    ]);

    expect(status).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ accesses: 1 });
  });

  it('a mapping of 128 TiB costs no more than a small one', async () => {
    const { status } = await command([
      'replay',
      changed(['timeline', 0, 'size'], '0x400000000000'),
      '--json',
    ]);

    expect(status).toBe(0);
  });

  it('the same access twice', async () => {
    const { timeline } = machine() as { timeline: unknown[] };

    expect(await complaint(changed(['timeline', 2], timeline[3]))).toContain('timeline.3.id: access 0');
  });
});

describe('answers that are none', () => {
  it.each([
    ['{', 'is no JSON'],
    ['{"format":"kvm-capture/1"}', 'format'],
    [
      '{"format":"kvm-capture-expected/1","accesses":{"0":{"faults":7}},"operations":{},"dumps":{}}',
      'accesses.0.faults',
    ],
  ])('%s', async (content, where) => {
    const directory = bundle({ 'machine.json': JSON.stringify(machine()), 'expected.json': content });

    expect(await complaint(directory)).toMatch(new RegExp(`expected\\.json: .*${where.replace('.', '\\.')}`));
  });

  it('may lack an access: what has no answer is not compared', async () => {
    const expected = { format: 'kvm-capture-expected/1', accesses: {}, operations: {}, dumps: {} };
    const directory = bundle({
      'machine.json': JSON.stringify(machine()),
      'expected.json': JSON.stringify(expected),
    });
    const { status, out } = await command(['replay', directory, '--json']);

    expect(status).toBe(0);
    expect(JSON.parse(out).outcomes).toEqual({ expected: 0, matched: 0 });
  });
});
