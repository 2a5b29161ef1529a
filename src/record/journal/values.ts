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

type Codecs = readonly ValueCodec[];

const DOLLAR = 0x24;

/**
 * A key as it was last met at its place in an object. Events of one type mostly have the same keys in the same order,
 * so that this saves making the key's text again; it changes no result.
 */
interface Field {
  readonly key: string;
  /** `{"key":` for the first of an object, `,"key":` for all others. */
  readonly prefix: string;
  readonly inner: Field[];
  readonly latest: Latest;
}

/** The object last met under a key and its text: events share the access they are about, leaves their attributes. */
interface Latest {
  value: object | null;
  text: string;
}

const shapes = new Map<unknown, Field[]>();
const latest = new Map<string, Latest>();
const MOST_SHAPES = 1024;

/** Longer texts are not kept. */
const LONGEST_LATEST = 1024;

/** What goes around an event: its number, what led to it, and when. */
export interface EnvelopeFields {
  readonly seq: number;
  readonly cause: number | null;
  readonly at: number;
}

/**
 * The text of one event or control record, made in one pass: JSON.stringify would drop undefined, stop at a bigint
 * and write a Map as {}, and a pass to find these costs as much again. What an event holds does not change once it
 * was written.
 * @param envelope fields to come last, as if they were the value's own
 * @throws TypeError naming the path of a value that no record can hold
 */
export function toText(value: object, codecs: Codecs, envelope?: EnvelopeFields): string {
  const text = fieldsText(value, codecs);
  if (envelope === undefined) return text === '' ? '{}' : `${text}}`;
  const { seq, cause, at } = envelope;
  return `${text}${text === '' ? '{' : ','}"cause":${cause},"seq":${wholeText(seq)},"at":${wholeText(at)}}`;
}

/** All but the last brace; empty for an object without fields. */
function fieldsText(value: object, codecs: Codecs): string {
  const type = 'type' in value ? value.type : null;
  let shape = shapes.get(type);
  if (shape === undefined) {
    shape = [];
    if (shapes.size < MOST_SHAPES) shapes.set(type, shape);
  }
  try {
    return plainFields(value, shape, codecs);
  } catch (error) {
    throw located(value, codecs, error);
  }
}

function textOf(value: unknown, shape: Field[], codecs: Codecs): string {
  switch (typeof value) {
    case 'string':
      return quoted(value);
    case 'number':
      return isJsonNumber(value) ? wholeText(value) : `{"$number":"${value === 0 ? '-0' : value}"}`;
    case 'boolean':
      return value ? 'true' : 'false';
    case 'bigint':
      return `{"$bigint":"${value < 0n ? '-0x' : '0x'}${(value < 0n ? -value : value).toString(16)}"}`;
    case 'undefined':
      return '{"$undefined":true}';
    case 'object':
      if (value === null) return 'null';
      return Array.isArray(value) ? arrayText(value, shape, codecs) : objectText(value, shape, codecs);
    default:
      throw new TypeError(`is a ${typeof value}, which no record can hold`);
  }
}

const isJsonNumber = (value: number): boolean =>
  value === 0 ? !Object.is(value, -0) : Number.isFinite(value);

function arrayText(values: readonly unknown[], shape: Field[], codecs: Codecs): string {
  let text = '[';
  for (let index = 0; index < values.length; index++) {
    if (index > 0) text += ',';
    text += textOf(values[index], shape, codecs);
  }
  return `${text}]`;
}

function objectText(value: object, shape: Field[], codecs: Codecs): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return codecText(value, shape, codecs);
  const text = plainFields(value, shape, codecs);
  return text === '' ? '{}' : `${text}}`;
}

function plainFields(value: object, shape: Field[], codecs: Codecs): string {
  const fields = value as Readonly<Record<string, unknown>>;
  let text = '';
  let place = 0;
  for (const key in fields) {
    let field = shape[place];
    if (field === undefined || field.key !== key) {
      field = newField(key, place);
      shape[place] = field;
    }
    place += 1;
    const content = fields[key];
    // Positive numbers below 2^31 are the commonest values, and JSON can say them all.
    if (typeof content === 'number' && content > 0 && content < 2 ** 31) text += field.prefix + content;
    else if (typeof content === 'object' && content !== null)
      text += field.prefix + held(content, field, codecs);
    else text += field.prefix + textOf(content, field.inner, codecs);
  }
  return text;
}

function held(content: object, { latest: last, inner }: Field, codecs: Codecs): string {
  if (last.value === content) return last.text;
  const text = textOf(content, inner, codecs);
  if (text.length <= LONGEST_LATEST) {
    last.value = content;
    last.text = text;
  }
  return text;
}

/** Decimal digits that a number of a small integer's size always holds. */
const HALF = 1e7;

/** `String(value)`: engines are slow with integers beyond 32 bits, which addresses are, and fast with two halves. */
function wholeText(value: number): string {
  if (value < 2 ** 31 || value > Number.MAX_SAFE_INTEGER || !Number.isInteger(value)) return `${value}`;
  const high = Math.floor(value / HALF);
  return high + `${value - high * HALF + HALF}`.slice(1);
}

function newField(key: string, place: number): Field {
  if (key.charCodeAt(0) === DOLLAR || key === '__proto__') {
    throw new TypeError(`has a field named ${key}, a name that records keep to themselves`);
  }
  let last = latest.get(key);
  if (last === undefined) {
    last = { value: null, text: '' };
    if (latest.size < MOST_SHAPES) latest.set(key, last);
  }
  return { key, prefix: `${place === 0 ? '{' : ','}${JSON.stringify(key)}:`, inner: [], latest: last };
}

function codecText(value: object, shape: Field[], codecs: Codecs): string {
  const codec = codecs.find((it) => it.is(value));
  if (codec === undefined) throw new TypeError(`is a ${value.constructor.name}, which no record can hold`);
  return `{"$${codec.name}":${textOf(codec.encode(value), shape, codecs)}}`;
}

/** Texts of the strings that events repeat: types, kinds, reasons. */
const known = new Map<string, string>();
const MOST_KNOWN = 4096;
const LONGEST_KNOWN = 64;

function quoted(value: string): string {
  const text = known.get(value);
  if (text !== undefined) return text;
  const made = JSON.stringify(value);
  if (value.length <= LONGEST_KNOWN && known.size < MOST_KNOWN) known.set(value, made);
  return made;
}

/** The error with the path of the innermost value that cannot be written. */
function located(value: object, codecs: Codecs, error: unknown): unknown {
  if (error instanceof RangeError) return new TypeError('the event holds itself, or is nested too deep');
  if (!(error instanceof TypeError)) return error;
  let path = '';
  for (let inside: unknown = value; typeof inside === 'object' && inside !== null; ) {
    const culprit = Object.entries(inside).find(([, field]) => isRefused(field, codecs));
    if (culprit === undefined) break;
    path += Array.isArray(inside) ? `[${culprit[0]}]` : `.${culprit[0]}`;
    inside = culprit[1];
  }
  return new TypeError(`${path === '' ? 'the event' : path.slice(1)} ${error.message}`, { cause: error });
}

function isRefused(value: unknown, codecs: Codecs): boolean {
  try {
    textOf(value, [], codecs);
    return false;
  } catch {
    return true;
  }
}

/** The value of a text that `toText` gave. @throws SyntaxError or TypeError for any other */
export function fromText(text: string, codecs: Codecs): unknown {
  const value: unknown = JSON.parse(text);
  // A quote inside a JSON string is escaped, so that these bytes can only open an object.
  return text.includes('{"$') ? untagged(value, codecs) : value;
}

/** Changes the value in place: it was parsed a moment ago, and most of it stays as it is. */
function untagged(value: unknown, codecs: Codecs): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const fields = value as Record<string, unknown>;
  for (const key in fields) {
    const field = fields[key];
    if (key.charCodeAt(0) === DOLLAR) return special(key, field, codecs);
    if (typeof field === 'object' && field !== null) fields[key] = untagged(field, codecs);
  }
  return value;
}

const NUMBERS: Readonly<Record<string, number>> = {
  '-0': -0,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
  NaN: Number.NaN,
};

function special(key: string, data: unknown, codecs: Codecs): unknown {
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
