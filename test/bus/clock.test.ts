import { describe, expect, it } from 'vitest';
import { createClock } from '../../src/bus/clock.ts';

describe('the virtual clock', () => {
  it('stands at 0 until the run moves it', () => {
    const clock = createClock();
    expect(clock.now).toBe(0);
    clock.advanceTo(250);
    expect(clock.now).toBe(250);
  });

  it('refuses to go back, and says from where to where', () => {
    const clock = createClock();
    clock.advanceTo(10);
    expect(() => clock.advanceTo(9)).toThrow(
      new RangeError('the virtual clock is at 10 ns and cannot go back to 9 ns'),
    );
  });
});
