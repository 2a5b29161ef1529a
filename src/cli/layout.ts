// Text blocks that fit the terminal: wrapped paragraphs, and tables that first drop the columns they can do
// without, then wrap, and where even that is too wide print each row as a block of its own.

import stringWidth from 'string-width';

/** Text whose look is applied after it was measured and padded. */
export interface Styled {
  readonly text: string;
  readonly style: (text: string) => string;
}

export type Cell = string | Styled;

export interface Column {
  readonly header: string;
  readonly align?: 'right';
  /** The column may be wrapped, down to this many columns. */
  readonly wrapsTo?: number;
  /** The column may be left out where space is short; the highest number goes first. */
  readonly drop?: number;
}

export interface TableOptions {
  /** Columns that a line may fill. */
  readonly width: number;
  /** Columns left free at the left. */
  readonly indent?: number;
  readonly headerStyle?: (text: string) => string;
}

const plain = (text: string): string => text;
const textOf = (cell: Cell): string => (typeof cell === 'string' ? cell : cell.text);
const styleOf = (cell: Cell): ((text: string) => string) => (typeof cell === 'string' ? plain : cell.style);

/** Columns that a text fills on a terminal, whatever its colours. */
export const widthOf = (text: string): number => stringWidth(text);

/**
 * Breaks plain text at spaces, a word that is too long behind a hyphen or where it must be. Keeps its
 * indent.
 */
export function wrap(text: string, width: number): string[] {
  const indent = /^ */.exec(text)?.[0] ?? '';
  const room = Math.max(1, width - indent.length);
  const lines: string[] = [];
  let line = '';
  for (const word of text.slice(indent.length).split(' ')) {
    let rest = word;
    if (line !== '' && widthOf(line) + 1 + widthOf(rest) > room) {
      lines.push(line);
      line = '';
    }
    while (widthOf(rest) > room) {
      const cut = cutOf(rest, room);
      lines.push(rest.slice(0, cut));
      rest = rest.slice(cut);
    }
    line = line === '' ? rest : `${line} ${rest}`;
  }
  return [...lines, line].map((part) => (part === '' ? part : indent + part));
}

/** How many characters of a word go onto a line of `room` columns. */
function cutOf(word: string, room: number): number {
  const behindHyphen = word.lastIndexOf('-', room - 1) + 1;
  return behindHyphen > 1 ? behindHyphen : room;
}

/** A paragraph: the first line after `lead`, the others below its text. */
export function paragraph(lead: string, text: string, width: number): string[] {
  const indent = widthOf(lead);
  return wrap(text, Math.max(16, width - indent)).map((line, index) =>
    `${index === 0 ? lead : ' '.repeat(indent)}${line}`.trimEnd(),
  );
}

const GAP = 2;

function naturalWidths(columns: readonly Column[], rows: readonly (readonly Cell[])[]): number[] {
  return columns.map(({ header }, at) =>
    Math.max(widthOf(header), ...rows.map((row) => widthOf(textOf(row[at] ?? '')))),
  );
}

const total = (widths: readonly number[]): number =>
  widths.reduce((sum, width) => sum + width, 0) + GAP * Math.max(0, widths.length - 1);

/** Which columns stay, and how wide each is; null when the table cannot be made to fit. */
function fitWidths(
  columns: readonly Column[],
  natural: readonly number[],
  room: number,
): Map<number, number> | null {
  const kept = new Map(natural.map((width, at) => [at, width]));
  const excess = (): number => total([...kept.values()]) - room;
  for (const { at } of columns
    .map(({ drop }, at) => ({ drop: drop ?? 0, at }))
    .filter(({ drop }) => drop > 0)
    .sort((a, b) => b.drop - a.drop)) {
    if (excess() <= 0) break;
    kept.delete(at);
  }
  while (excess() > 0) {
    const widest = widestToWrap(columns, kept);
    if (widest === undefined) break;
    kept.set(widest.at, widest.width - 1);
  }
  return excess() <= 0 ? kept : null;
}

/** Of the columns that can still be wrapped, the widest: what is lost is shared evenly. */
function widestToWrap(columns: readonly Column[], kept: ReadonlyMap<number, number>) {
  return [...kept]
    .map(([at, width]) => ({ at, width, least: columns[at]?.wrapsTo ?? Number.POSITIVE_INFINITY }))
    .filter(({ width, least }) => width > least)
    .sort((a, b) => b.width - a.width)[0];
}

/** Lines of a table with aligned columns; without trailing spaces. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  { width, indent = 0, headerStyle = plain }: TableOptions,
): string[] {
  const kept = fitWidths(columns, naturalWidths(columns, rows), width - indent);
  if (kept === null) return stacked(columns, rows, { width, indent, headerStyle });
  const margin = ' '.repeat(indent);
  const line = (cells: readonly Cell[]): string[] => {
    const wrapped = [...kept].map(([at, size]) => wrap(textOf(cells[at] ?? ''), size));
    const height = Math.max(...wrapped.map((lines) => lines.length));
    return Array.from({ length: height }, (_, part) => {
      const parts = [...kept].map(([at, size], index) => {
        const text = wrapped[index]?.[part] ?? '';
        const space = ' '.repeat(size - widthOf(text));
        const shown = text === '' ? '' : styleOf(cells[at] ?? '')(text);
        return columns[at]?.align === 'right' ? space + shown : shown + space;
      });
      return (margin + parts.join(' '.repeat(GAP))).trimEnd();
    });
  };
  const headers = columns.map(({ header }) => ({ text: header, style: headerStyle }));
  const hasHeader = columns.some(({ header }) => header !== '');
  return [...(hasHeader ? line(headers) : []), ...rows.flatMap(line)];
}

/** Each row as `header  value` lines, with a blank line between rows. */
function stacked(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  { width, indent = 0, headerStyle = plain }: TableOptions,
): string[] {
  const margin = ' '.repeat(indent);
  const label = Math.max(...columns.map(({ header }) => widthOf(header)));
  return rows.flatMap((row, index) => {
    const lines = columns.flatMap(({ header }, at) => {
      const cell = row[at] ?? '';
      if (textOf(cell) === '') return [];
      const room = Math.max(16, width - indent - label - GAP);
      return wrap(textOf(cell), room).map((text, part) => {
        const name =
          part === 0 ? headerStyle(header) + ' '.repeat(label - widthOf(header)) : ' '.repeat(label);
        return `${margin}${name}${' '.repeat(GAP)}${styleOf(cell)(text)}`;
      });
    });
    return index === 0 ? lines : ['', ...lines];
  });
}

/**
 * `name  value` lines with the values below each other and wrapped; in a narrow terminal below their names.
 */
export function facts(
  entries: readonly (readonly [name: string, value: Cell])[],
  { width, indent = 0, headerStyle = plain }: TableOptions,
): string[] {
  const margin = ' '.repeat(indent);
  const label = Math.max(...entries.map(([name]) => widthOf(name)));
  const room = width - indent - label - GAP;
  return entries.flatMap(([name, value]) => {
    const shown = (text: string): string => (text === '' ? '' : styleOf(value)(text));
    if (room < MIN_VALUE) {
      const lines = wrap(textOf(value), width - indent - 2 * GAP);
      return [
        margin + headerStyle(name),
        ...lines.map((text) => `${margin}${' '.repeat(2 * GAP)}${shown(text)}`),
      ];
    }
    return wrap(textOf(value), room).map((text, part) => {
      const lead = part === 0 ? headerStyle(name) + ' '.repeat(label - widthOf(name)) : ' '.repeat(label);
      return `${margin}${lead}${' '.repeat(GAP)}${shown(text)}`.trimEnd();
    });
  });
}

/** Columns that values need beside their names. */
const MIN_VALUE = 20;
