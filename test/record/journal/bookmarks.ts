// Places at which a reading of a whole journal can be taken up, worked out from its bytes by what docs/journal.md says
// of them. A cut or a flipped bit changes nothing before itself: with these, trying every one of them costs a few lines
// each instead of half the file.

import { gunzipSync } from 'node:zlib';
import { CONTROL } from '../../../src/record/journal/format.ts';
import { memberLength } from '../../../src/record/journal/member.ts';
import type { Bookmark } from '../../../src/record/journal/scan.ts';

const NEWLINE = 0x0a;

/** Behind every line of a plain journal, from the first. */
export function lineBookmarks(text: Buffer): Bookmark[] {
  const marks: Bookmark[] = [];
  let seq = 0;
  let start = 0;
  for (let at = text.indexOf(NEWLINE); at !== -1; at = text.indexOf(NEWLINE, start)) {
    const line = text.toString('utf8', start, at);
    if (!line.startsWith(CONTROL)) seq += 1;
    start = at + 1;
    const crc = Number.parseInt(line.slice(-10, -2), 16);
    const closed = line.startsWith('{"journal":"end"');
    marks.push({ end: start, offset: start, crc, lines: marks.length + 1, seq, version: 1, closed });
  }
  return marks;
}

/** Behind every member of a compressed one. */
function memberBookmarks(bytes: Buffer): Bookmark[] {
  const lines = lineBookmarks(gunzipSync(bytes));
  const marks: Bookmark[] = [];
  let offset = 0;
  for (let end = 0; end < bytes.length; ) {
    const length = memberLength(bytes.subarray(end));
    if (typeof length !== 'number') throw new Error(`no member begins at ${end}`);
    offset += gunzipSync(bytes.subarray(end, end + length)).length;
    end += length;
    const line = lines.find((it) => it.offset === offset);
    if (line === undefined) throw new Error(`the member that ends at ${end} ends within a line`);
    marks.push({ ...line, end });
  }
  return marks;
}

export const bookmarksOf = (file: string, bytes: Buffer): Bookmark[] =>
  file.endsWith('.gz') ? memberBookmarks(bytes) : lineBookmarks(bytes);
