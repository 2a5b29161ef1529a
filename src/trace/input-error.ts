// What is wrong with an input file, in one line: where, what, and what to do about it.

export class InputError extends Error {
  /** @param where file, and line or field if known */
  constructor(where: string, what: string, todo: string) {
    super(`${where}: ${what}; ${todo}`);
    this.name = 'InputError';
  }
}
