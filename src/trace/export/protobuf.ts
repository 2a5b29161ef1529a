// Just enough of the protobuf wire format to write a trace: varints, 64-bit values and length-delimited fields
// (protobuf.dev/programming-guides/encoding).

/** The bytes of one message, to which fields are added in any order. */
export type Message = number[];

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;

/** @param value a whole number from 0 to 2^53 - 1 */
export function addVarint(message: Message, field: number, value: number): void {
  pushVarint(message, field * 8 + VARINT);
  pushVarint(message, value);
}

export function addFixed64(message: Message, field: number, value: number): void {
  pushVarint(message, field * 8 + FIXED64);
  let rest = value;
  for (let byte = 0; byte < 8; byte++) {
    message.push(rest % 256);
    rest = Math.floor(rest / 256);
  }
}

export function addMessage(message: Message, field: number, inner: ArrayLike<number>): void {
  pushVarint(message, field * 8 + LENGTH);
  pushVarint(message, inner.length);
  for (let at = 0; at < inner.length; at++) message.push(inner[at] ?? 0);
}

export const addText = (message: Message, field: number, text: string): void =>
  addMessage(message, field, Buffer.from(text, 'utf8'));

/** Seven bits a byte, the lowest first; division instead of shifts, which stop at 32 bits. */
function pushVarint(message: Message, value: number): void {
  let rest = value;
  while (rest >= 0x80) {
    message.push((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  message.push(rest);
}
