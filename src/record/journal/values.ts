// Events as JSON text and back, exactly. What JSON cannot say is written as an object with one key that opens with $:
// {"$bigint":"0x5a"}, {"$undefined":true}, {"$number":"-0"}, and a persistent value by the name of its codec. Keys keep
// their order, so that equal input gives equal bytes; what has no exact form is refused, never dropped.

/** How a persistent value that is no plain data is written. */
export interface ValueCodec {
  /** Key of its form, without the $. */
  readonly name: string;
  is(value: object): boolean;
  /** Plain data that says everything. */
  encode(value: object): unknown;
  /** @throws Error for data that `encode` cannot have given */
  decode(data: unknown): unknown;
}

/** The text of one event or control record. @throws TypeError naming the path of a value without a form */
export function toText(value: object, codecs: readonly ValueCodec[]): string {
  return JSON.stringify(isJson(value) ? value : tagged(value, codecs, ''));
}

/** The value of a text that `toText` gave. @throws SyntaxError or TypeError for any other */
export function fromText(text: string, codecs: readonly ValueCodec[]): unknown {
  const value: unknown = JSON.parse(text);
  // A quote inside a JSON string is escaped, so that these bytes can only open an object.
  return text.includes('{"$') ? untagged(value, codecs) : value;
}

const DOLLAR = 0x24;

/** Whether JSON.stringify says all of it; most events pass, and this is what they pay for being exact. */
function isJson(value: unknown): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value) && (value !== 0 || !Object.is(value, -0));
    case 'object':
      break;
    default:
      return false;
  }
  if (value === null) return true;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) if (!isJson(value[index])) return false;
    return true;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  const fields = value as Readonly<Record<string, unknown>>;
  for (const key in fields) {
    if (key.charCodeAt(0) === DOLLAR || key === '__proto__' || !isJson(fields[key])) return false;
  }
  return true;
}

function tagged(value: unknown, codecs: readonly ValueCodec[], path: string): unknown {
  switch (typeof value) {
    case 'bigint':
      return { $bigint: value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}` };
    case 'undefined':
      return { $undefined: true };
    case 'number':
      return isJson(value) ? value : { $number: Object.is(value, -0) ? '-0' : String(value) };
    case 'string':
    case 'boolean':
      return value;
    case 'object':
      if (value === null) return null;
      if (Array.isArray(value)) return Array.from(value, (it, at) => tagged(it, codecs, `${path}[${at}]`));
      return taggedObject(value, codecs, path);
    default:
      throw new TypeError(`${path.slice(1)} is a ${typeof value}, which no record can hold`);
  }
}

function taggedObject(value: object, codecs: readonly ValueCodec[], path: string): unknown {
  const codec = codecs.find((it) => it.is(value));
  if (codec !== undefined) return { [`$${codec.name}`]: tagged(codec.encode(value), codecs, path) };
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TypeError(`${path.slice(1)} is a ${value.constructor.name}, which no record can hold`);
  }
  const fields: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(value)) {
    if (key.charCodeAt(0) === DOLLAR || key === '__proto__') {
      throw new TypeError(
        `${path.slice(1)} has a field named ${key}, a name that records keep to themselves`,
      );
    }
    fields[key] = tagged(field, codecs, `${path}.${key}`);
  }
  return fields;
}

function untagged(value: unknown, codecs: readonly ValueCodec[]): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((it) => untagged(it, codecs));
  const fields = Object.entries(value);
  const [first] = fields;
  if (first?.[0].charCodeAt(0) === DOLLAR) return special(first[0], first[1], codecs);
  const plain: Record<string, unknown> = {};
  for (const [key, field] of fields) plain[key] = untagged(field, codecs);
  return plain;
}

const NUMBERS: Readonly<Record<string, number>> = {
  '-0': -0,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
  NaN: Number.NaN,
};

function special(key: string, data: unknown, codecs: readonly ValueCodec[]): unknown {
  if (key === '$bigint' && typeof data === 'string') {
    return data.startsWith('-') ? -BigInt(data.slice(1)) : BigInt(data);
  }
  if (key === '$undefined') return undefined;
  const number = key === '$number' && typeof data === 'string' ? NUMBERS[data] : undefined;
  if (number !== undefined) return number;
  const codec = codecs.find(({ name }) => `$${name}` === key);
  if (codec === undefined) throw new TypeError(`no value is written as ${key}`);
  return codec.decode(untagged(data, codecs));
}
