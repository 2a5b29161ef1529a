// The arrows between the folders, enforced (`npm run layers`). arch and bus know nobody; guest, host and devices
// know only those two and never each other, so that all they say to one another is data in events; only the
// machine knows all of them; everything later reads the machine.

/** What each folder below src/ may import: other folders there, then packages (guest, host, devices: types only). */
const allowed = {
  arch: { folders: [], packages: [] },
  bus: { folders: [], packages: ['rxjs'] },
  guest: { folders: ['arch', 'bus'], packages: ['rxjs'] },
  host: { folders: ['arch', 'bus'], packages: ['rxjs'] },
  devices: { folders: ['arch', 'bus'], packages: ['rxjs'] },
  machine: { folders: ['arch', 'bus', 'guest', 'host', 'devices'], packages: ['immer', 'rxjs'] },
  record: {
    folders: ['arch', 'bus', 'guest', 'host', 'devices', 'machine'],
    packages: ['immer', 'rxjs', 'zod'],
  },
  trace: {
    folders: ['arch', 'bus', 'guest', 'host', 'devices', 'machine'],
    packages: ['immer', 'rxjs', 'yaml', 'zod'],
  },
};

/** Folders whose code is a function of its input alone: they reach no file, process or clock. */
const core = ['arch', 'bus', 'guest', 'host', 'devices', 'machine'];

const anyOf = (names) => `(${names.join('|')})`;

const folderRules = Object.entries(allowed).flatMap(([folder, { folders, packages }]) => [
  {
    name: `${folder}-folders`,
    comment: `src/${folder} may import ${folders.length === 0 ? 'no other folder' : folders.join(', ')}.`,
    severity: 'error',
    from: { path: `^src/${folder}/` },
    to: { path: '^(src|tools|bin)/', pathNot: `^src/${anyOf([folder, ...folders])}/` },
  },
  {
    name: `${folder}-packages`,
    comment: `src/${folder} may use ${packages.length === 0 ? 'no package' : packages.join(', ')}.`,
    severity: 'error',
    from: { path: `^src/${folder}/` },
    to: {
      path: 'node_modules/',
      ...(packages.length === 0 ? {} : { pathNot: `node_modules/${anyOf(packages)}/` }),
    },
  },
]);

module.exports = {
  forbidden: [
    ...folderRules,
    {
      name: 'rxjs-types-only',
      comment: 'guest, host and devices are given the bus; of rxjs they may import types.',
      severity: 'error',
      from: { path: '^src/(guest|host|devices)/' },
      to: { path: 'node_modules/rxjs/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'core-is-pure',
      comment: 'The core reaches nothing outside itself: no file, process, clock or other module of Node.',
      severity: 'error',
      from: { path: `^src/${anyOf(core)}/` },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'not-below-the-command-line',
      comment:
        'src/index.ts is for scenarios and programs that use the package; src imports the files themselves.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/cli/' },
      to: { path: '^src/(index\\.ts$|cli/)' },
    },
    {
      name: 'src-alone',
      comment:
        'The sources stand alone: tests, benchmarks, scenarios and tools import them, never the reverse.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|scenarios|tools|bin|dist)/' },
    },
    {
      name: 'scenarios-use-the-api',
      comment: "A scenario imports 'stagetwo' and nothing else: whatever it misses belongs in the API.",
      severity: 'error',
      from: { path: '^scenarios/' },
      to: { pathNot: '^src/index\\.ts$' },
    },
    {
      name: 'scenarios-import-by-name',
      comment: "A scenario writes 'stagetwo', not a path, so that it runs wherever it is copied to.",
      severity: 'error',
      from: { path: '^scenarios/' },
      to: { path: '^src/index\\.ts$', dependencyTypes: ['local'] },
    },
    {
      name: 'no-cycles',
      comment: 'Two modules that import each other, types included, are one module in two files.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-orphans',
      comment: 'A module that imports nothing and that nothing imports is dead, or misplaced.',
      severity: 'error',
      from: { orphan: true, path: '^src/' },
      to: {},
    },
    {
      name: 'reached-from-an-entry',
      comment: 'Every module serves the command line or the API; what only tests use belongs to the tests.',
      severity: 'error',
      from: { path: '^src/(cli/main|index)\\.ts$' },
      to: { path: '^src/', pathNot: '^src/(cli/main|index)\\.ts$', reachable: false },
    },
    {
      name: 'resolvable',
      comment: 'Every import finds a file, and every package is in package.json.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'declared-packages',
      comment: 'The sources use the dependencies of package.json, not those of somebody else.',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^test/fixtures/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['types', 'import', 'node', 'default'],
      extensions: ['.ts', '.js'],
    },
  },
};
