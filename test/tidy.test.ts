// The house rules that no linter knows, checked on every file: small files with one job, each opening with what
// it is; a core that no clock, locale or random number can reach; no machine's own paths; nothing left undone.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');

type Source = { readonly path: string; readonly text: string };

/** One breach of one rule, in the words of an editor: `src/arch/esr.ts:12: what is wrong`. */
type Complaint = string;

type Rule = (source: Source, tree: ts.SourceFile) => readonly Complaint[];

/** A rule for any text, code or not. */
type TextRule = (source: Source) => readonly Complaint[];

const at = (path: string, line: number, what: string): Complaint => `${path}:${line}: ${what}`;

const lineOf = (tree: ts.SourceFile, position: number): number =>
  tree.getLineAndCharacterOfPosition(position).line + 1;

const nodesSeen = new WeakMap<ts.SourceFile, readonly ts.Node[]>();

/** Every node of a file, depth first; collected once, because several rules ask. */
function nodesOf(tree: ts.SourceFile): readonly ts.Node[] {
  const seen = nodesSeen.get(tree);
  if (seen !== undefined) return seen;
  const nodes: ts.Node[] = [];
  const collect = (node: ts.Node): void => {
    nodes.push(node);
    node.forEachChild(collect);
  };
  tree.forEachChild(collect);
  nodesSeen.set(tree, nodes);
  return nodes;
}

/** A rule about single nodes: `describeBreach` says what is wrong with one, or nothing. */
function eachNode(describeBreach: (node: ts.Node, tree: ts.SourceFile) => string | undefined): Rule {
  return ({ path }, tree) =>
    nodesOf(tree).flatMap((node) => {
      const what = describeBreach(node, tree);
      return what === undefined ? [] : [at(path, lineOf(tree, node.getStart(tree)), what)];
    });
}

function eachLine(describeBreach: (line: string) => string | undefined): TextRule {
  return ({ path, text }) =>
    text.split('\n').flatMap((line, index) => {
      const what = describeBreach(line);
      return what === undefined ? [] : [at(path, index + 1, what)];
    });
}

const atMostLines =
  (limit: number): Rule =>
  ({ path, text }) => {
    const lines = text.trimEnd().split('\n').length;
    return lines > limit
      ? [at(path, limit + 1, `${lines} lines, at most ${limit}: give each job a file`)]
      : [];
  };

const atMostColumns = (limit: number): Rule =>
  eachLine((line) => (line.length > limit ? `${line.length} columns, at most ${limit}` : undefined));

const shortFunctions = (limit: number): Rule =>
  eachNode((node, tree) => {
    if (!ts.isFunctionLike(node) || !('body' in node)) return undefined;
    const lines = lineOf(tree, node.end) - lineOf(tree, node.getStart(tree)) + 1;
    return lines > limit ? `a function of ${lines} lines, at most ${limit}: name its steps` : undefined;
  });

const opensWithComment: Rule = ({ path, text }) =>
  /^(#!.*\n)?\/\/ \S/.test(text)
    ? []
    : [at(path, 1, 'open with a // comment: what it is, its rule, its source')];

const noDefaultExport: Rule = eachNode((node) => {
  const modifiers = ts.canHaveModifiers(node) ? (ts.getModifiers(node) ?? []) : [];
  const isDefault =
    ts.isExportAssignment(node) || modifiers.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword);
  return isDefault ? 'a default export: only a scenario has one' : undefined;
});

const noEnum: Rule = eachNode((node) =>
  ts.isEnumDeclaration(node) ? 'an enum: write a union of string literals' : undefined,
);

/** What runs the sources as they are does not look for another ending. */
const importsOfSources: Rule = eachNode((node) => {
  const from =
    ts.isImportDeclaration(node) || ts.isExportDeclaration(node) ? node.moduleSpecifier : undefined;
  const isOther =
    from !== undefined && ts.isStringLiteral(from) && /^\.{1,2}\/.*(?<!\.ts|\.json)$/.test(from.text);
  return isOther ? 'an import of another ending: name the source, which ends in .ts' : undefined;
});

const noBarrel: Rule = ({ path }, tree) => {
  const onlyPassesOn = tree.statements.every((it) => ts.isExportDeclaration(it) && it.moduleSpecifier);
  return basename(path) === 'index.ts' || (tree.statements.length > 0 && onlyPassesOn)
    ? [at(path, 1, 'a barrel: src/index.ts is the only file that passes on what others export')]
    : [];
};

/** What differs between two runs or two machines. The same input must give the same bytes. */
const impureNames = new Set(
  'Date Intl performance setTimeout setInterval setImmediate process console globalThis crypto'.split(' '),
);

const noImpurity: Rule = eachNode((node) => {
  if (!ts.isIdentifier(node)) return undefined;
  const isMember =
    (ts.isPropertyAccessExpression(node.parent) && node.parent.name === node) ||
    ((ts.isPropertyAssignment(node.parent) || ts.isPropertySignature(node.parent)) &&
      node.parent.name === node);
  if (isMember) {
    const isRandom = node.text === 'random' && node.parent.getText().startsWith('Math.');
    return isRandom || /^(toLocale|localeCompare)/.test(node.text)
      ? `${node.text}: its result depends on the run or the machine`
      : undefined;
  }
  return impureNames.has(node.text)
    ? `${node.text}: outside src/cli nothing knows the run or the machine`
    : undefined;
});

const noMachinePath: TextRule = eachLine((line) => {
  const found = /(?<![\w.)-])\/(home|work|tmp|root|Users)\/[\w.-]*/.exec(line);
  return found === null ? undefined : `${found[0]}: a path of one machine`;
});

const leftover = new RegExp(
  `\\b(${['TO', 'FIX', 'XX'].map((it, i) => it + ['DO', 'ME', 'X'][i]).join('|')})\\b`,
);

const noLeftover: TextRule = eachLine((line) => {
  const found = leftover.exec(line);
  return found === null ? undefined : `${found[0]}: finish it or leave it out`;
});

/** What a rule has to say about a piece of text, as if it stood in a file. */
function check(rule: Rule, text: string): readonly Complaint[] {
  const path = 'src/arch/example.ts';
  return rule({ path, text }, ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true));
}

/** The files of the repository: those of git where there is one, otherwise all that are not generated. */
function projectFiles(): string[] {
  try {
    const listed = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
    return execFileSync('git', listed, { cwd: root, encoding: 'utf8', stdio: 'pipe' })
      .split('\0')
      .filter(Boolean);
  } catch {
    const walk = (folder: string): string[] =>
      readdirSync(folder, { withFileTypes: true })
        .filter(({ name }) => !['node_modules', 'dist', 'coverage', '.git'].includes(name))
        .flatMap((entry) =>
          entry.isDirectory() ? walk(join(folder, entry.name)) : [join(folder, entry.name)],
        );
    return walk(root).map((path) => relative(root, path));
  }
}

/** Binary files and captured output, whose words are not ours, are left out. */
function readTexts(): Source[] {
  return projectFiles()
    .filter((path) => !path.startsWith('test/fixtures/') && path !== 'package-lock.json')
    .flatMap((path) => {
      try {
        const text = readFileSync(join(root, path), 'utf8');
        return text.includes('\0') || text.includes('\uFFFD') ? [] : [{ path, text }];
      } catch {
        return []; // listed by git, but deleted since
      }
    });
}

const texts = readTexts();
const parsed = texts
  .filter(({ path }) => /\.[cm]?[jt]s$/.test(path))
  .map((source) => ({
    source,
    tree: ts.createSourceFile(source.path, source.text, ts.ScriptTarget.ES2023, true),
  }));

/** All complaints of `rule` about the code whose path matches. */
function complaints(rule: Rule, where: RegExp, except = /^$/): readonly Complaint[] {
  return parsed
    .filter(({ source }) => where.test(source.path) && !except.test(source.path))
    .flatMap(({ source, tree }) => rule(source, tree));
}

describe('a rule', () => {
  it('names the file, the line and what to do instead', () => {
    const text = '// Levels.\n\nexport enum Level { Page = 3, Block = 2 }\n';
    expect(check(noEnum, text)).toEqual(['src/arch/example.ts:3: an enum: write a union of string literals']);
  });

  it.each([
    ['a clock', noImpurity, 'export const now = () => Date.now();', true],
    ['a random number', noImpurity, 'export const seed = Math.random();', true],
    ['a locale', noImpurity, 'export const show = (n: number) => n.toLocaleString();', true],
    ['the process', noImpurity, 'export const argv = process.argv;', true],
    [
      'a field that is only called process',
      noImpurity,
      'export const x = (y: { process: 1 }) => y.process;',
      false,
    ],
    ['a default export', noDefaultExport, 'export default function main() {}', true],
    ['an import of what will be compiled', importsOfSources, "import { a } from './a.js';", true],
    ['an import of a source', importsOfSources, "import { a } from '../b/a.ts';\nimport 'rxjs';", false],
    ['a re-export among code', noBarrel, "export { a } from './a.ts';\nexport const b = 1;", false],
    ['a file that only re-exports', noBarrel, "export { a } from './a.ts';", true],
    ['a file without a word about itself', opensWithComment, 'export const a = 1;', true],
    ['a long line', atMostColumns(120), `// ${'x'.repeat(120)}`, true],
    ['a long file', atMostLines(3), 'a;\nb;\nc;\nd;\n', true],
    ['a long function', shortFunctions(3), 'function f() {\n  a;\n  b;\n}', true],
    ['a path of one machine', noMachinePath, `// see ${'/home'}/me/notes.md`, true],
    ['a path of a project', noMachinePath, '// see src/home/work.ts', false],
    ['something left undone', noLeftover, `// ${'TO'}${'DO'}: the other half`, true],
  ])('%s', (_what, rule, text, isBreach) => {
    expect(check(rule, text).length > 0).toBe(isBreach);
  });
});

describe('the project', () => {
  it('has small source files', () =>
    expect(complaints(atMostLines(300), /^(src|bench|tools|bin)\//)).toEqual([]));

  it('has small test files', () => expect(complaints(atMostLines(400), /^test\//)).toEqual([]));

  it('has short functions', () => expect(complaints(shortFunctions(70), /^(src|bench|tools)\//)).toEqual([]));

  it('has lines that fit a screen', () =>
    expect(complaints(atMostColumns(120), /^(src|test|bench|tools|bin|scenarios)\//)).toEqual([]));

  it('says at the top of each file what it is', () =>
    expect(complaints(opensWithComment, /^(src|bench|tools|bin|scenarios)\//)).toEqual([]));

  it('exports by name', () => expect(complaints(noDefaultExport, /^(src|test|bench|tools)\//)).toEqual([]));

  it('imports sources by their names', () =>
    expect(complaints(importsOfSources, /^(src|test|bench|scenarios)\//)).toEqual([]));

  it('has no enums', () => expect(complaints(noEnum, /^(src|test|bench|scenarios)\//)).toEqual([]));

  it('has one barrel, the API', () => expect(complaints(noBarrel, /^src\//, /^src\/index\.ts$/)).toEqual([]));

  it('keeps the run and the machine out of the core', () =>
    expect(complaints(noImpurity, /^src\//, /^src\/cli\//)).toEqual([]));

  it('names no path of one machine', () => expect(texts.flatMap(noMachinePath)).toEqual([]));

  it('leaves nothing undone', () => expect(texts.flatMap(noLeftover)).toEqual([]));
});
