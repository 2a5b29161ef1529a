// The other direction of the wire format, written independently of the writer: fields of a message by number.

export type Field = number | bigint | Uint8Array;

export type Fields = ReadonlyMap<number, readonly Field[]>;

export function readMessage(bytes: Uint8Array): Fields {
  const fields = new Map<number, Field[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error('the message ends within a varint');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const key = Number(varint());
    const values = fields.get(key >> 3) ?? [];
    fields.set(key >> 3, values);
    if ((key & 7) === 0) values.push(Number(varint()));
    else if ((key & 7) === 1) {
      values.push(new DataView(bytes.buffer, bytes.byteOffset + at, 8).getBigUint64(0, true));
      at += 8;
    } else if ((key & 7) === 2) {
      const length = Number(varint());
      if (at + length > bytes.length) throw new Error('a field is longer than its message');
      values.push(bytes.subarray(at, at + length));
      at += length;
    } else throw new Error(`no wire type ${key & 7} is written`);
  }
  return fields;
}

export const inner = (fields: Fields, number: number): Fields[] =>
  (fields.get(number) ?? []).map((field) => readMessage(field as Uint8Array));

export const text = (fields: Fields, number: number): string | null => {
  const [field] = fields.get(number) ?? [];
  return field instanceof Uint8Array ? new TextDecoder().decode(field) : null;
};

export const numberOf = (fields: Fields, number: number): number | null => {
  const [field] = fields.get(number) ?? [];
  return typeof field === 'number' ? field : null;
};
