import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Recorded } from 'stagetwo';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createJournal, openJournal } from '../../src/record/journal/journal.ts';
import { captureAt } from '../captures/captures.ts';
import type { Printed } from './memory-terminal.ts';
import { command, widest } from './memory-terminal.ts';
import { stagetwoBatch } from './spawn.ts';

const COMMANDS = ['show', 'diff', 'why', 'bisect', 'branch', 'verify', 'export'];

const bundle = captureAt('6.12-gicv3-max-nolpa2-vfio');

let folder = '';
let journal = '';
let died = '';

const inFolder = (name: string): string => join(folder, name);

/** Of commands that load a scenario file, in the order in which they ran. */
let batch: Printed[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'look-back-'));
  journal = inFolder('vfio.journal.gz');
  died = inFolder('headline.journal');
  await command(['replay', bundle, '--journal', journal]);
  batch = await stagetwoBatch([
    ['run', 'headline', '--kernel', '6.1', '--journal', died],
    ['why', 'headline', 'vm0.stage2[0x10000000].memAttr', '--kernel', '6.12', '--json'],
    ['branch', died, '--at', '25', 'memory-off device'],
    ['branch', 'headline', '--at', '25', 'munmap guest 0x10000000', '--kernel', '6.12', '--json'],
    ['branch', 'headline', '--at', '1', 'munmap guest 0x10000000'],
    ['branch', 'headline', '--at', '40', 'munmap guest 0x20000000'],
    ['export', died, '--junit', inFolder('j.xml'), '--vitest', inFolder('t.test.ts')],
    ['run', 'headline', '--kernel', '6.1', '--kernel', '6.12', '--journal', inFolder('two.journal')],
    ['run', 'headline', '--journal', died],
    ['verify', died],
  ]);
}, 60_000);

afterAll(() => rmSync(folder, { recursive: true }));

describe('stagetwo why', () => {
  it('tells what killed a VM, from the failed KVM_RUN back to the store', async () => {
    const { status, out } = await command(['why', died, 'vm0.dead']);

    expect(status).toBe(0);
    expect(out).toMatch(/^vm0\.dead after event \d+: 14\n/);
    const [failed, faulted, issued] = ['run-failed event', 'stage2-faulted event', 'access-issued event'].map(
      (it) => out.indexOf(`\n${it}`),
    );
    expect(failed).toBeGreaterThan(0);
    expect(faulted).toBeGreaterThan(failed ?? 0);
    expect(issued).toBeGreaterThan(faulted ?? 0);
    expect(out).toContain('unsupported-fsc: KVM handles');
  });

  it('of a scenario runs it first', () => {
    const [, printed] = batch;
    const { value, chain } = JSON.parse(printed?.out ?? '');
    expect(value).toBe(0b0101);
    expect(chain[0].because).toContain('vma-allows-any-uncached');
  });
});

describe('stagetwo show', () => {
  it('prints an event, what it changed and the state after it', async () => {
    const { status, out } = await command(['show', died, '--at', '24']);

    expect(status).toBe(0);
    expect(out).toContain('event 24 of');
    expect(out).toContain('it changed');
    expect(out).toContain('vm0    ');
  });

  it('prints one fact, or the whole state as data', async () => {
    expect((await command(['show', died, 'guest.dead'])).out).toBe('14\n');
    const { state, at } = JSON.parse((await command(['show', died, '--json', '--at', '25'])).out);
    expect(at).toBe(25);
    expect(state.vms[0].table.leaves[0]).toMatchObject({ address: '0x10000000', level: 3 });
  });
});

describe('stagetwo diff', () => {
  it('lists what is different, bytes of a store together', async () => {
    const { status, out } = await command(['diff', died, '--from', '32'], 160);
    expect(status).toBe(0);
    expect(out).toMatch(/memory\[0x0\]\[0\]\[\d+\.\.\d+/);
    const { differences } = JSON.parse(
      (await command(['diff', died, '--from', '5', '--to', '5', '--json'])).out,
    );
    expect(differences).toEqual([]);
  });
});

describe('stagetwo bisect', () => {
  it('finds the event and gives status 1, or 0 where the property holds', async () => {
    const { status, out } = await command(['bisect', died, 'not vm0.dead', '--json']);
    expect(status).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ kind: 'fails', event: { type: 'run-failed' } });
    expect((await command(['bisect', died, 'vm0.dead == null or vm0.dead == 14', '--scan'])).status).toBe(0);
    expect((await command(['bisect', died, 'vm0.dead'])).out).toContain('--from');
  });
});

describe('stagetwo branch', () => {
  it('runs a journal again from its scenario with one thing changed', () => {
    const { status, out } = batch[2] ?? { status: -1, out: '' };
    expect(status).toBe(0);
    expect(out).toMatch(/branch +event/);
    expect(out).toContain('pci-command-written device=device value=0x0');
    expect(out).toContain('memory-off: PCI memory decoding was switched off');
  });

  it('tells both futures as data', () => {
    const document = JSON.parse(batch[3]?.out ?? '');
    expect(document.parting.second).toMatchObject({ type: 'vmm-called', call: { kind: 'munmap' } });
    expect(document.original.vms).toEqual([{ vm: 'guest', dead: null }]);
    expect(document.branch.vms[0].dead).toBe(14);
  });

  it('says what is missing at that moment', () => {
    expect(batch[4]).toMatchObject({
      status: 2,
      err: expect.stringMatching(/no VM 'guest' at that moment.*\n$/),
    });
    expect(batch[5]).toMatchObject({
      status: 2,
      err: expect.stringMatching(/no memslot covers.*0x10000000/),
    });
  });

  it('works for a bundle too', async () => {
    const { status, out } = await command([
      'branch',
      journal,
      '--at',
      '60',
      'log-dirty vm0 0x40000000',
      '--json',
    ]);
    expect(status).toBe(0);
    expect(JSON.parse(out).branch.events).toBeGreaterThan(100);
  });
});

describe('stagetwo verify', () => {
  it('replays a journal and compares every hash in it', async () => {
    const { status, out } = await command(['verify', journal, '--json']);
    expect(status).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ mismatch: null, ending: 'closed', preset: '6.12' });
    expect(JSON.parse(out).checkpoints).toBeGreaterThan(1);
  });

  it('runs the scenario or bundle again and compares every event', async () => {
    const { out } = await command(['verify', journal, '--json']);
    const { events, again } = JSON.parse(out);
    expect(again).toEqual({ kind: 'same', events });
    expect(batch[9]).toMatchObject({
      status: 0,
      out: expect.stringMatching(/run again +the same \d+ events/),
    });
  });

  it('tells the first event that is another, or was not there', async () => {
    const { header } = openJournal(journal);
    const records = [...openJournal<Recorded>(journal).records()];
    const events = records.flatMap((it) => (it.kind === 'event' ? it.event : []));
    const write = (name: string, made: readonly Recorded[]): string => {
      const writer = createJournal<Recorded>(inFolder(name), header);
      for (const event of made) writer.append(event);
      writer.close();
      return inFolder(name);
    };
    const altered = events.map((event) => (event.seq === 30 ? { ...event, at: event.at + 1 } : event));
    const [other, short] = [write('other.journal', altered), write('short.journal', events.slice(0, 40))];
    expect(await command(['verify', other])).toMatchObject({
      status: 1,
      out: expect.stringMatching(/run again +event 30, [\w-]+, says something else/),
    });
    expect(await command(['verify', short])).toMatchObject({
      status: 1,
      out: expect.stringMatching(/no checkpoint.*run again +event 40 is [\w-]+, the journal has no more/s),
    });
  });

  it('says where a run cannot be done again', async () => {
    const elsewhere = inFolder('elsewhere.journal');
    const header = { source: 'gone/story.ts', hash: '', seed: 1, preset: '6.12' };
    createJournal<Recorded>(elsewhere, header).close();
    const { status, out } = await command(['verify', elsewhere]);
    expect(status).toBe(0);
    expect(out).toMatch(/run again +no: there is no gone\/story\.ts here/);
  });

  it('says where a journal was cut, and keeps what is whole', async () => {
    const torn = inFolder('torn.journal');
    writeFileSync(torn, readFileSync(died));
    truncateSync(torn, readFileSync(died).length - 150);
    const { status, out } = await command(['verify', torn]);
    expect(status).toBe(0);
    expect(out).toContain('cut within a line');
    expect((await command(['show', torn])).err).toMatch(/ends within a line/);
  });

  it('refuses a damaged one with its place', async () => {
    const bad = inFolder('bad.journal');
    writeFileSync(bad, readFileSync(died, 'utf8').replace('"errno":14', '"errno":15'));
    const { status, err } = await command(['verify', bad]);
    expect(status).toBe(2);
    expect(err).toMatch(/^stagetwo: .*bad\.journal: line \d+ \(byte \d+, seq \d+\).*\n$/);
  });
});

describe('stagetwo export', () => {
  it('writes what was asked for', async () => {
    const [pf, redux] = [inFolder('run.pftrace'), inFolder('run.json')];
    const { status, out } = await command(['export', died, '--perfetto', pf, '--redux', redux]);
    expect(status).toBe(0);
    expect(out.split('\n')).toHaveLength(3);
    expect(readFileSync(pf)[0]).toBe(0x0a);
    const { stagedActionIds, computedStates } = JSON.parse(readFileSync(redux, 'utf8'));
    expect(stagedActionIds).toHaveLength(computedStates.length);
  });

  it('asks the scenario for its expectations', () => {
    expect(batch[6]).toMatchObject({ status: 0, out: expect.stringContaining('3 expectations, 0 failed') });
    expect(readFileSync(inFolder('j.xml'), 'utf8')).toContain('<testcase name="guest died');
    expect(existsSync(inFolder('t.test.ts'))).toBe(false);
  });
});

describe('--journal', () => {
  it('is of one run, and never replaces a file', () => {
    expect(batch[7]).toMatchObject({ status: 2, err: expect.stringMatching(/a journal is of one run/) });
    expect(batch[8]).toMatchObject({ status: 2, err: expect.stringMatching(/exists already/) });
  });
});

describe('the commands that look back', () => {
  it.each(COMMANDS)('%s --help ends with examples', async (name) => {
    const { status, out } = await command([name, '--help']);
    expect(status).toBe(0);
    expect(out).toMatch(new RegExp(`Examples:\\n  # .*\\n  stagetwo ${name}`));
  });

  it.each<[string[], RegExp]>([
    [['why', 'RUN', 'vm7.dead'], /the machine has no 'vm7'; it has .*vm0/],
    [['why', 'RUN', 'vm0..dead'], /no path/],
    [['show', 'RUN', '--at', '99999'], /events 0 to \d+/],
    [['show', 'RUN', 'vm0.nothing'], /vm0 has no 'nothing'/],
    [['diff', 'RUN', '--to', '99999'], /events 0 to/],
    [['bisect', 'RUN', 'vm0.dead ='], /'=' stands at character 10/],
    [['bisect', 'RUN', 'vm7.dead'], /has no 'vm7'/],
    [['bisect', 'RUN', 'true', '--from', '9', '--to', '3'], /nothing to look at/],
    [['branch', 'RUN', 'memory-off x'], /required option '--at/],
    [['branch', 'RUN', '--at', '9', 'munmp guest 0x1'], /did you mean munmap\?/],
    [['branch', 'RUN', '--at', '9', 'munmap guest'], /'munmap' takes VM IPA/],
    [['branch', 'RUN', '--at', '9', 'munmap guest here'], /'here' is no address/],
    [['branch', 'RUN', '--at', '50', 'memory-off nobody'], /no device 'nobody'/],
    [['show', 'RUN', '--kernel', '6.12'], /a journal is of one run/],
    [['export', 'RUN'], /no format is given/],
    [['export', 'RUN', '--junit', 'x.xml'], /has no expectations/],
    [['export', 'RUN', '--perfetto', '/nowhere/at/all'], /cannot be written \(ENOENT\)/],
    [['export', 'RUN', '--redux', 'x.json'], /more than the 1000/],
    [['verify', 'nosuch.journal'], /ENOENT/],
    [['show', 'nosuch.journal.gz'], /ENOENT/],
    [['verify', bundle], /EISDIR|directory/],
    [['replay', bundle, bundle, '--journal', 'x.journal'], /a journal is of one run/],
  ])('%j is one line and status 2', async (words, line) => {
    const { status, out, err } = await command(words.map((word) => (word === 'RUN' ? journal : word)));
    expect(status).toBe(2);
    expect(out).toBe('');
    expect(err).toMatch(/^stagetwo: [^\n]*\n$/);
    expect(err).toMatch(line);
  });

  it('refuse a file that is no journal', async () => {
    const other = inFolder('notes');
    appendFileSync(other, 'hello\n');
    expect(await command(['show', other])).toMatchObject({
      status: 2,
      err: expect.stringMatching(/no journal/),
    });
  });

  it.each([40, 60, 80])('fit %i columns', async (columns) => {
    for (const words of [
      ['show', died, '--at', '30'],
      ['why', died, 'vm0.dead'],
      ['diff', died],
      ['verify', died],
    ]) {
      const { out } = await command(words, columns);
      expect(widest(out.replaceAll(folder, '')), words.join(' ')).toBeLessThanOrEqual(columns);
    }
  });
});
