// A small language for properties of a state: paths to facts, numbers, 'texts', true, false and null, comparisons, and,
// or, not and parentheses. Nothing is ever executed as a program; whatever cannot be read is refused with its place.

import type { Moment } from './fact.ts';
import { checkPath, readFact } from './fact.ts';
import type { FactPath } from './fact-path.ts';
import { readPath } from './fact-path.ts';

export interface Expression {
  /** False for null, false, 0 and ''; any other value is true. */
  holds(moment: Moment): boolean;
  /** @throws RangeError if a path names nothing at that moment */
  check(moment: Moment): void;
}

type Evaluate = (moment: Moment) => unknown;

interface Reader {
  readonly text: string;
  at: number;
  depth: number;
  readonly paths: FactPath[];
}

const MOST_CHARACTERS = 10_000;
const MOST_DEPTH = 100;

/** @throws RangeError that names the place where the text stops making sense */
export function parseExpression(text: string): Expression {
  if (text.length > MOST_CHARACTERS)
    throw new RangeError(`an expression has at most ${MOST_CHARACTERS} characters`);
  const reader: Reader = { text, at: 0, depth: 0, paths: [] };
  const evaluate = either(reader);
  if (rest(reader) !== '') throw unexpected(reader);
  return {
    holds: (moment) => isTrue(evaluate(moment)),
    check(moment) {
      for (const path of reader.paths) checkPath(moment, path);
    },
  };
}

const rest = ({ text, at }: Reader): string => text.slice(at).trimStart();

function unexpected(reader: Reader): RangeError {
  const left = rest(reader);
  const place = reader.text.length - left.length + 1;
  const found = left === '' ? 'the expression ends' : `'${left.slice(0, 20)}' stands`;
  return new RangeError(`${found} at character ${place}, where a path, a value or an operator is wanted`);
}

/** Takes what a pattern, anchored at its start, matches. */
function take(reader: Reader, pattern: RegExp): string | null {
  const left = rest(reader);
  const [found] = pattern.exec(left) ?? [];
  if (found === undefined) return null;
  reader.at = reader.text.length - left.length + found.length;
  return found;
}

/** null, false, 0 and '' are false. */
const isTrue = (value: unknown): boolean => Boolean(value);

function either(reader: Reader): Evaluate {
  const parts = [both(reader)];
  while (take(reader, /^(or\b(?!-)|\|\|)/) !== null) parts.push(both(reader));
  const [only, ...others] = parts;
  return only !== undefined && others.length === 0
    ? only
    : (moment) => parts.some((part) => isTrue(part(moment)));
}

function both(reader: Reader): Evaluate {
  const parts = [negated(reader)];
  while (take(reader, /^(and\b(?!-)|&&)/) !== null) parts.push(negated(reader));
  const [only, ...others] = parts;
  return only !== undefined && others.length === 0
    ? only
    : (moment) => parts.every((part) => isTrue(part(moment)));
}

function negated(reader: Reader): Evaluate {
  if (take(reader, /^(not\b(?!-)|!(?!=))/) === null) return compared(reader);
  return nested(reader, () => {
    const inner = negated(reader);
    return (moment) => !isTrue(inner(moment));
  });
}

function compared(reader: Reader): Evaluate {
  const left = value(reader);
  const operator = take(reader, /^(==|!=|<=|>=|<|>)/);
  if (operator === null) return left;
  const right = value(reader);
  return (moment) => compare(left(moment), operator, right(moment));
}

/** Order is of numbers, and of texts by their code units; between anything else there is none. */
function compare(left: unknown, operator: string, right: unknown): boolean {
  const isNumber = (it: unknown) => typeof it === 'number' || typeof it === 'bigint';
  const ordered =
    (isNumber(left) && isNumber(right)) || (typeof left === 'string' && typeof right === 'string');
  // A register's bigint and a number that was written are equal if they are the same number.
  const equal = ordered
    ? !((left as number) < (right as number) || (left as number) > (right as number))
    : left === right;
  switch (operator) {
    case '==':
      return equal;
    case '!=':
      return !equal;
    case '<=':
      return ordered && (equal || (left as number) < (right as number));
    case '>=':
      return ordered && (equal || (left as number) > (right as number));
    case '<':
      return ordered && (left as number) < (right as number);
    default:
      return ordered && (left as number) > (right as number);
  }
}

const WORDS: Readonly<Record<string, unknown>> = { true: true, false: false, null: null };

function value(reader: Reader): Evaluate {
  if (take(reader, /^\(/) !== null) {
    return nested(reader, () => {
      const inner = either(reader);
      if (take(reader, /^\)/) === null) throw unexpected(reader);
      return inner;
    });
  }
  const text = take(reader, /^'[^']*'|^"[^"]*"/);
  if (text !== null) return () => text.slice(1, -1);
  const number = take(reader, /^(0[xX][0-9a-fA-F][0-9a-fA-F_]*|0[bB][01][01_]*|[0-9][0-9_]*)(?![\w.-])/);
  if (number !== null) {
    const wide = BigInt(number.replaceAll('_', ''));
    const exact = wide > BigInt(Number.MAX_SAFE_INTEGER) ? wide : Number(wide);
    return () => exact;
  }
  return word(reader);
}

function word(reader: Reader): Evaluate {
  const start = reader.text.length - rest(reader).length;
  const { path, end } = readPath(reader.text, start);
  const [first] = path;
  if (first === undefined || /^\d|^(and|or|not)$/.test(String(first))) throw unexpected(reader);
  reader.at = end;
  if (path.length === 1 && Object.hasOwn(WORDS, first)) return () => WORDS[String(first)];
  reader.paths.push(path);
  return (moment) => readFact(moment, path);
}

function nested(reader: Reader, read: () => Evaluate): Evaluate {
  reader.depth += 1;
  if (reader.depth > MOST_DEPTH) throw new RangeError(`parentheses and 'not' nest deeper than ${MOST_DEPTH}`);
  const evaluate = read();
  reader.depth -= 1;
  return evaluate;
}
