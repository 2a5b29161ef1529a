import { describe, expect, it } from 'vitest';
import scenario from '../../scenarios/headline.ts';
import { tellHeadline } from '../../src/cli/headline.ts';
import { expectGolden } from './golden.ts';
import { memoryTerminal, widest } from './memory-terminal.ts';
import { stagetwo } from './spawn.ts';

interface HeadlineDocument {
  readonly runs: readonly {
    readonly name: string;
    readonly regions: readonly {
      readonly leaves: readonly { readonly type: string; readonly because: string }[];
    }[];
    readonly vms: readonly {
      readonly dead: { readonly errnoName: string; readonly log: readonly string[] } | null;
    }[];
    readonly devices: readonly { readonly shape: string }[];
  }[];
}

function told(columns = 80, json = false): { readonly status: number; readonly out: string } {
  const terminal = memoryTerminal(columns);
  const status = tellHeadline(scenario, { json }, terminal);
  return { status, out: terminal.printed().out };
}

describe('stagetwo alone', () => {
  it('prints the story in one screen of 80 columns', () => {
    const { status, out } = told();

    expect(status).toBe(0);
    expect(widest(out)).toBeLessThanOrEqual(80);
    expectGolden('headline.txt', out);
  });

  it('prints the same bytes into a pipe', async () => {
    const { status, out } = await stagetwo([]);

    expect(status).toBe(0);
    expectGolden('headline.txt', out);
  });

  it('is coloured where that is asked for, and never with NO_COLOR', async () => {
    const forced = await stagetwo([], { FORCE_COLOR: '1' });
    const refused = await stagetwo([], { FORCE_COLOR: '1', NO_COLOR: '1' });

    expect(forced.out).toContain('\u001b[');
    expect(refused.out).not.toContain('\u001b[');
  });

  it.each([40, 44, 60, 66, 80, 120])('fits %i columns', (columns) => {
    expect(widest(told(columns).out)).toBeLessThanOrEqual(columns);
  });

  it('tells which store ends the VM, as data', () => {
    const { runs } = JSON.parse(told(80, true).out) as HeadlineDocument;
    const facts = runs.map(({ name, regions, vms, devices }) => ({
      name,
      type: regions[0]?.leaves[0]?.type,
      because: regions[0]?.leaves[0]?.because,
      dead: vms[0]?.dead?.errnoName ?? null,
      received: devices[0]?.shape,
    }));

    const device = { type: 'Device-nGnRE', dead: 'EFAULT', received: '8 x 8 B write' };
    expect(facts).toEqual([
      { name: 'vfio-pci 6.1', because: 'kernel-before-normal-nc', ...device },
      {
        name: 'vfio-pci 6.12',
        because: 'vma-allows-any-uncached',
        type: 'Normal Non-cacheable',
        dead: null,
        received: '1 x 64 B write, 1 x 8 B write',
      },
      { name: 'vfio-platform 6.1', because: 'kernel-before-normal-nc', ...device },
      { name: 'vfio-platform 6.12', because: 'device-pfn-without-flag', ...device },
      { name: 'gicv 6.1', because: 'gicv-is-a-shared-peripheral', ...device },
      { name: 'gicv 6.12', because: 'gicv-is-a-shared-peripheral', ...device },
    ]);
    expect(runs[0]?.vms[0]?.dead?.log[0]).toContain('Unsupported FSC: EC=0x24 xFSC=0x21');
  });
});
