// One line of text through the byte parser, for tests.

import { emptyLine, readLine } from '../../../src/trace/text/line.ts';

export function read(text: string): { outcome: string; reason: string | null } {
  const line = emptyLine();
  const bytes = new TextEncoder().encode(text);
  readLine(line, bytes, 0, bytes.length);
  return { outcome: line.outcome, reason: line.skip ?? line.reject };
}
