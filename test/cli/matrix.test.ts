import { describe, expect, it } from 'vitest';
import { expectGolden } from './golden.ts';
import { command, widest } from './memory-terminal.ts';

interface MatrixDocument {
  readonly fwb: boolean;
  readonly rows: readonly {
    readonly memAttr: number;
    readonly encoding: string;
    readonly cells: readonly {
      readonly mair: string;
      readonly combined: readonly string[];
      readonly because: string;
    }[];
  }[];
}

const matrix = async (...words: string[]): Promise<MatrixDocument> =>
  JSON.parse((await command(['matrix', '--json', ...words])).out);

describe('stagetwo matrix', () => {
  it('shows every MemAttr against every stage 1 type in 80 columns', async () => {
    const { status, out } = await command(['matrix']);

    expect(status).toBe(0);
    expect(widest(out)).toBeLessThanOrEqual(80);
    expectGolden('matrix.txt', out);
  });

  it('with FEAT_S2FWB is another table', async () => {
    expectGolden('matrix-fwb.txt', (await command(['matrix', '--fwb'])).out);
  });

  it('with HCR_EL2.CD makes Normal results Non-cacheable', async () => {
    expectGolden('matrix-fwb-cd.txt', (await command(['matrix', '--fwb', '--cd'])).out);
  });

  it('puts Device above Normal in 60 columns', async () => {
    const { out } = await command(['matrix'], 60);

    expect(widest(out)).toBeLessThanOrEqual(60);
    expectGolden('matrix-60.txt', out);
  });

  it.each([40, 48, 72, 80, 120])('fits %i columns', async (columns) => {
    for (const words of [[], ['--fwb'], ['--cd'], ['--fwb', '--cd']]) {
      expect(widest((await command(['matrix', ...words], columns)).out)).toBeLessThanOrEqual(columns);
    }
  });
});

describe('the matrix as data', () => {
  it('has the cell of the story: write-combining under Device-nGnRE', async () => {
    const { rows } = await matrix();
    const cell = rows[0b0001]?.cells.find(({ mair }) => mair === '0x44');

    expect(cell).toMatchObject({ combined: ['Device-nGnRE'], because: 'device-wins-over-normal' });
  });

  it('has write-combining under Normal-NC', async () => {
    const { rows } = await matrix('--fwb');

    expect(rows[0b0101]?.cells.find(({ mair }) => mair === '0x44')?.combined).toEqual([
      'Normal Non-cacheable',
    ]);
  });

  it('lists every outcome that a reserved encoding permits', async () => {
    const { rows } = await matrix();
    const reserved = rows[0b1100];

    expect(reserved?.encoding).toBe('reserved');
    expect(reserved?.cells.find(({ mair }) => mair === '0xff')?.combined).toHaveLength(3);
    expect(reserved?.cells.find(({ mair }) => mair === '0x4')?.combined).toEqual(['Device-nGnRE']);
  });
});

describe('colour', () => {
  it('changes no letter', async () => {
    const plain = await command(['matrix'], 80, false);
    const coloured = await command(['matrix'], 80, true);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is taken out
    const stripped = coloured.out.replace(/\u001b\[\d+m/g, '');

    expect(coloured.out).not.toBe(plain.out);
    expect(stripped).toBe(plain.out);
  });
});
