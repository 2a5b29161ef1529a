// The name that somebody most likely meant: edits counted as insert, delete, replace and swap of neighbours
// (Damerau-Levenshtein, optimal string alignment).

export function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, at) => at)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (rows[i - 1]?.[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min((rows[i - 1]?.[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, replaced);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (rows[i - 2]?.[j - 2] ?? 0) + 1);
      }
      row.push(least);
    }
    rows.push(row);
  }
  return rows[a.length]?.[b.length] ?? 0;
}

/** The nearest candidate, or null where none is near enough to be a slip of the hand. */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  const wanted = word.slice(0, 100).toLowerCase();
  // Of two equally near the one of the same length: digits are swapped more often than lost.
  const ranked = [...candidates]
    .map((name) => ({ name, distance: editDistance(wanted, name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance || lengthGap(a.name, wanted) - lengthGap(b.name, wanted));
  const [best] = ranked;
  const allowed = Math.max(2, Math.floor(wanted.length / 3));
  return best !== undefined && best.distance <= allowed ? best.name : null;
}

const lengthGap = (name: string, word: string): number => Math.abs(name.length - word.length);
