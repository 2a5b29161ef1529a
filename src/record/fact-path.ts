// Paths to facts as people write them: names and numbers, `vm0.stage2[0x10000000].memAttr`. Numbers as in a program:
// decimal, 0x or 0b.

/** A name, or a number in brackets. */
export type PathStep = string | number;

export type FactPath = readonly PathStep[];

const STEP =
  /\s*(?:(\.?)([A-Za-z_0-9][\w-]*)|\[\s*(0[xX][0-9a-fA-F][0-9a-fA-F_]*|0[bB][01][01_]*|[0-9][0-9_]*)\s*\])/y;

/** @throws RangeError for text that is no path */
export function parsePath(text: string): FactPath {
  const { path, end } = readPath(text, 0);
  if (path.length === 0 || end < text.trimEnd().length) {
    throw new RangeError(`'${text}' is no path; write for example vm0.stage2[0x10000000]`);
  }
  return path;
}

/** The longest path that starts there; an empty one where none does. */
export function readPath(text: string, start: number): { readonly path: FactPath; readonly end: number } {
  const path: PathStep[] = [];
  let end = start;
  for (;;) {
    STEP.lastIndex = end;
    const [whole, dot, name, index] = STEP.exec(text) ?? [];
    const fits = name === undefined ? path.length > 0 : (dot === '.') === path.length > 0;
    if (whole === undefined || !fits) return { path, end };
    path.push(name ?? Number((index ?? '').replaceAll('_', '')));
    end += whole.length;
  }
}
