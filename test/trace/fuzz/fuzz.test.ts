// A slice of the campaigns: any input ends with a report or with one line that says what is wrong with it.

import { describe, expect, it } from 'vitest';
import { documentCampaign } from './document-campaign.ts';
import { traceCampaign } from './trace-campaign.ts';

const quiet = (): void => {};

describe('garbled input', () => {
  it('as a trace: every line is understood, skipped or rejected, and each is counted', async () => {
    const counts = (await traceCampaign(4000, 11, quiet)).counts();
    const read = ['understood', 'skipped', 'rejected'].map((outcome) => counts[`lines ${outcome}`] ?? 0);
    expect(read.reduce((sum, count) => sum + count)).toBe(4000);
    expect(Math.min(...read)).toBeGreaterThan(200);
  });

  it('as a bundle or a machine file: a report, or one line with status 2', async () => {
    const counts = (await documentCampaign(150, 12, quiet)).counts();
    expect(Object.values(counts).reduce((sum, count) => sum + count)).toBe(150);
    expect(counts['bundle refused']).toBeGreaterThan(10);
    expect(counts['machine file refused']).toBeGreaterThan(10);
    expect(counts['bundle as expected']).toBeGreaterThan(5);
  }, 60_000);
});
