// Rates and times with their spread: processor time, which other programs disturb least, and wall time.

import { cpuUsage, hrtime } from 'node:process';

export interface Figure {
  readonly name: string;
  readonly unit: string;
  /** By processor time, one value a round. */
  readonly cpu: readonly number[];
  /** By wall time, one value a round. */
  readonly wall: readonly number[];
}

/** Units per second of what `prepare` returns, prepared anew for each round. */
export function rate(name: string, rounds: number, units: number, prepare: () => () => void): Figure {
  const cpu: number[] = [];
  const wall: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const work = prepare();
    const cpuBefore = cpuUsage();
    const wallBefore = hrtime.bigint();
    work();
    const wallNs = Number(hrtime.bigint() - wallBefore);
    const { user, system } = cpuUsage(cpuBefore);
    cpu.push((units / (user + system)) * 1e6);
    wall.push((units / wallNs) * 1e9);
  }
  return { name, unit: '/s', cpu, wall };
}

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

/** The quotient of two figures, round by round of their sorted values. */
export function ratio(name: string, over: Figure, under: Figure): Figure {
  const quotients = (a: readonly number[], b: readonly number[]): number[] => {
    const sorted = [...b].sort((x, y) => x - y);
    return [...a].sort((x, y) => x - y).map((value, index) => value / (sorted[index] ?? Number.NaN));
  };
  return { name, unit: 'x', cpu: quotients(over.cpu, under.cpu), wall: quotients(over.wall, under.wall) };
}

const written = (value: number): string =>
  value < 100 ? value.toFixed(2) : String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');

const spread = (values: readonly number[]): string =>
  `${written(median(values))} (${written(Math.min(...values))} to ${written(Math.max(...values))})`;

export const line = ({ name, unit, cpu, wall }: Figure): string =>
  `${name.padEnd(26)} CPU ${`${spread(cpu)} ${unit}`.padEnd(36)} wall ${spread(wall)} ${unit}`;
