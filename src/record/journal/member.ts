// Journals as .gz: each batch is one gzip member (RFC 1952), so that it is on disk as a whole or not at all, and any
// gunzip reads the file. An extra field holds the member's length, twice, so that members are read one at a time and a
// torn last one is told from a damaged one.

import { crc32, deflateRawSync } from 'node:zlib';

/** ID1 ID2 CM FLG=FEXTRA MTIME XFL OS=unknown XLEN SI1 SI2 LEN: the same for every member. */
const HEAD = Buffer.from([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 12, 0, 0x53, 0x32, 8, 0]);

/** The head and both lengths. */
export const MEMBER_HEADER = HEAD.length + 8;

const TRAILER = 8;

/** Fast rather than small: a journal's lines resemble each other so much that little is left to gain. */
const LEVEL = 1;

/** One whole member that holds `text`. */
export function toMember(text: Uint8Array): Uint8Array {
  const deflated = deflateRawSync(text, { level: LEVEL });
  const member = Buffer.alloc(MEMBER_HEADER + deflated.length + TRAILER);
  member.set(HEAD);
  member.writeUInt32LE(member.length, HEAD.length);
  member.writeUInt32LE(~member.length >>> 0, HEAD.length + 4);
  member.set(deflated, MEMBER_HEADER);
  member.writeUInt32LE(crc32(text), member.length - TRAILER);
  member.writeUInt32LE(text.length, member.length - TRAILER + 4);
  return member;
}

/**
 * What the first bytes of a member say: its length; `torn` for the beginning of a header, as a crash leaves it;
 * `foreign` for anything else.
 */
export function memberLength(bytes: Buffer): number | 'torn' | 'foreign' {
  const known = Math.min(bytes.length, HEAD.length);
  if (!bytes.subarray(0, known).equals(HEAD.subarray(0, known))) return isZero(bytes) ? 'torn' : 'foreign';
  if (bytes.length < MEMBER_HEADER) return 'torn';
  const length = bytes.readUInt32LE(HEAD.length);
  const sound = bytes.readUInt32LE(HEAD.length + 4) === ~length >>> 0;
  return sound && length > MEMBER_HEADER + TRAILER ? length : 'foreign';
}

/** Nothing but zeros: a file system that extended the file before it wrote the data leaves that. */
export const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);
