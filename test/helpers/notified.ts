// Notifiers as the tests of madvise, munmap and mprotect tell them: why, and where from the beginning of RAM_HVA.

import type { TestMachine } from './host.ts';
import { RAM_HVA } from './host.ts';

/** [reason, offset, end] of each notifier that `act` sends, in order. */
export function notified({ log }: TestMachine, act: () => unknown): (readonly [string, number, number])[] {
  const from = log.length;
  act();
  return log
    .slice(from)
    .flatMap((event) =>
      event.type === 'notifier-invalidated'
        ? [[event.because, event.start - RAM_HVA, event.end - RAM_HVA] as const]
        : [],
    );
}
