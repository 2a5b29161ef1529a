// The commands that look back at a run: a journal, or a scenario or bundle that is run on the spot.

import type { Command } from 'commander';
import { STEPS } from './branch-steps.ts';
import type { Context } from './option-words.ts';
import { examples, JSON_OPTION, wholeNumber } from './option-words.ts';

const RUN = 'a journal, a scenario or the directory of a bundle';
const KERNEL = ['-k, --kernel <name>', 'kernel preset or file, if the run is not a journal'] as const;
const SEED = ['--seed <n>', 'seed of every choice left open, for scenarios', wholeNumber] as const;

export function addRecordCommands(program: Command, context: Context): void {
  addShow(program, context);
  addDiff(program, context);
  addWhy(program, context);
  addBisect(program, context);
  addBranch(program, context);
  addVerify(program, context);
  addExport(program, context);
}

function addShow(program: Command, { terminal, exitWith }: Context): void {
  program
    .command('show')
    .description('one event of a run, what it changed and the state after it')
    .argument('<run>', RUN)
    .argument('[path]', 'a fact, such as vm0.stage2[0x10000000]; the whole state unless given')
    .option('--at <n>', 'after this event (default: the last)', wholeNumber)
    .option(...KERNEL)
    .option(...SEED)
    .option(...JSON_OPTION)
    .addHelpText(
      'after',
      examples([
        ['stagetwo show run.journal --at 40', 'event 40 of a journal'],
        ["stagetwo show headline 'vm0.stage2[0x10000000]' --kernel 6.1", 'one leaf at the end of a scenario'],
      ]),
    )
    .action(async (run: string, path: string | undefined, options) => {
      const { show } = await import('./show.ts');
      exitWith(await show(run, path, options, terminal));
    });
}

function addDiff(program: Command, { terminal, exitWith }: Context): void {
  program
    .command('diff')
    .description('what is different between two moments of a run')
    .argument('<run>', RUN)
    .option('--from <n>', 'after this event (default: before the first)', wholeNumber)
    .option('--to <n>', 'after this event (default: the last)', wholeNumber)
    .option(...KERNEL)
    .option(...SEED)
    .option(...JSON_OPTION)
    .addHelpText(
      'after',
      examples([['stagetwo diff run.journal --from 20 --to 40', 'what happened in between']]),
    )
    .action(async (run: string, options) => {
      const { diff } = await import('./diff.ts');
      exitWith(await diff(run, options, terminal));
    });
}

function addWhy(program: Command, { terminal, exitWith }: Context): void {
  program
    .command('why')
    .description('the event that made a fact what it is, and the chain of its causes')
    .argument('<run>', RUN)
    .argument('<path>', 'vm0.stage2[0x10000000], vm0.dead, nic.BAR0.CTRL, vcpu0.pending, vms[0].slots, ...')
    .option('--at <n>', 'after this event (default: the last)', wholeNumber)
    .option(...KERNEL)
    .option(...SEED)
    .option(...JSON_OPTION)
    .addHelpText(
      'after',
      examples([
        ["stagetwo why run.journal 'vm0.stage2[0x10000000]'", 'why a leaf is what it is'],
        ['stagetwo why headline vm0.dead --kernel 6.1', 'what killed the VM'],
      ]),
    )
    .action(async (run: string, path: string, options) => {
      const { why } = await import('./why.ts');
      exitWith(await why(run, path, options, terminal));
    });
}

function addBisect(program: Command, { terminal, exitWith }: Context): void {
  program
    .command('bisect')
    .description('the first event after which a property fails; exit status 1 if there is one')
    .argument('<run>', RUN)
    .argument('<expression>', "paths, values, == != < <= > >=, and, or, not: 'not vm0.dead'")
    .option('--from <n>', 'the property holds after this event (default: before the first)', wholeNumber)
    .option('--to <n>', 'look no further (default: the last)', wholeNumber)
    .option('--scan', 'look at every state: for a property that comes and goes')
    .option(...KERNEL)
    .option(...SEED)
    .option(...JSON_OPTION)
    .addHelpText(
      'after',
      examples([
        ["stagetwo bisect run.journal 'not vm0.dead'", 'when it died'],
        ["stagetwo bisect headline 'vm0.stage2[0x10000000] == null'", 'when that leaf came'],
      ]),
    )
    .action(async (run: string, expression: string, options) => {
      const { bisect } = await import('./bisect.ts');
      exitWith(await bisect(run, expression, options, terminal));
    });
}

function addBranch(program: Command, { terminal, exitWith }: Context): void {
  const steps = Object.entries(STEPS).map(([name, takes]) => `'${name} ${takes}'`);
  program
    .command('branch')
    .description('the run again with one thing changed, and the two futures side by side')
    .argument('<run>', RUN)
    .argument('<step...>', `what happens, each in quotes: ${steps.join(', ')}`)
    .requiredOption('--at <n>', 'after this event', wholeNumber)
    .option(...KERNEL)
    .option(...SEED)
    .option(...JSON_OPTION)
    .addHelpText(
      'after',
      examples([
        ["stagetwo branch headline --at 30 'memory-off device'", 'had the BAR stopped to decode there'],
        ["stagetwo branch run.journal --at 30 'munmap guest 0x10000000'", 'had the VMM unmapped it'],
      ]),
    )
    .action(async (run: string, words: string[], options) => {
      const { branch } = await import('./branch.ts');
      exitWith(await branch(run, words, options, terminal));
    });
}

function addVerify(program: Command, { terminal, exitWith }: Context): void {
  program
    .command('verify')
    .description('replay a journal and compare the state with every hash in it')
    .argument('<journal>', 'a file that --journal wrote')
    .option(...JSON_OPTION)
    .addHelpText('after', examples([['stagetwo verify run.journal', 'is it whole, and does a replay agree']]))
    .action(async (file: string, options) => {
      const { verify } = await import('./verify.ts');
      exitWith(await verify(file, options, terminal));
    });
}

function addExport(program: Command, { terminal, exitWith }: Context): void {
  program
    .command('export')
    .description('a run in the formats of other tools')
    .argument('<run>', RUN)
    .option('--perfetto <file>', 'a trace for ui.perfetto.dev: tracks of VMs, vCPUs and devices, with causes')
    .option('--junit <file>', 'its expectations as JUnit XML')
    .option('--vitest <file>', 'a test for each expectation that failed')
    .option('--redux <file>', 'a short run for import into Redux DevTools')
    .option(...KERNEL)
    .option(...SEED)
    .addHelpText(
      'after',
      examples([
        ['stagetwo export run.journal --perfetto run.pftrace', 'look at it in ui.perfetto.dev'],
        ['stagetwo export headline --kernel 6.1 --junit report.xml', 'for a CI server'],
      ]),
    )
    .action(async (run: string, options) => {
      const { exportRun } = await import('./export.ts');
      exitWith(await exportRun(run, options, terminal));
    });
}
