// The commands with their arguments, options and examples; what each does is in a file of its own, loaded on
// demand.

import { Command } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import type { Context } from './option-words.ts';
import { examples, JOURNAL_OPTION, JSON_OPTION, repeated, wholeNumber } from './option-words.ts';
import { addRecordCommands } from './record-commands.ts';
import type { Terminal } from './terminal.ts';

export function createProgram(terminal: Terminal, exitWith: (status: number) => void): Command {
  const context: Context = { terminal, exitWith };
  const program = new Command('stagetwo');
  program
    .description(
      'Which memory type does a KVM guest get at stage 2, on which kernel, why, and what the device sees.',
    )
    .version(packageJson.version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: () => {},
      outputError: () => {},
      getOutHelpWidth: () => terminal.columns,
      getOutHasColors: () => true,
    })
    .configureHelp({
      styleTitle: (text) => terminal.style.strong(text),
      subcommandTerm: (command) =>
        `${command.name()} ${command.usage().replace('[options]', '').trim()}`.trim(),
      minWidthToWrap: 20,
    })
    .addHelpText(
      'after',
      examples([
        ['stagetwo', 'one unaligned store into a BAR, a platform device and GICV, under 6.1 and 6.12'],
        ['stagetwo run scenarios/headline.ts --kernel 6.1', 'the story of one scenario'],
        ['stagetwo replay captures/6.12-vfio', 'every fault of a real run, predicted'],
        ['stagetwo matrix --fwb', 'how stage 1 and stage 2 combine'],
      ]),
    );
  addRun(program, context);
  addCompare(program, context);
  addHunt(program, context);
  addReplay(program, context);
  addRecordCommands(program, context);
  addExplain(program, context);
  addMachine(program, context);
  addMatrix(program, context);
  addKernels(program, context);
  addHeadline(program, context);
  return program;
}

function addRun(program: Command, { terminal, exitWith }: Context): void {
  program
    .command('run')
    .description('run a scenario and tell its story')
    .argument('<scenario>', 'file, or name of a file in scenarios/')
    .option(
      '-k, --kernel <name>',
      'kernel preset, or a file; repeat for several (default: the newest)',
      repeated,
    )
    .option('--seed <n>', 'seed of every choice left open', wholeNumber)
    .option('--events', 'list every event with its cause')
    .option('--tlp', 'show the PCI Express packets')
    .option(...JOURNAL_OPTION)
    .option(...JSON_OPTION)
    .addHelpText(
      'after',
      examples([
        ['stagetwo run headline', 'on the newest kernel'],
        ['stagetwo run my-case.ts --kernel 6.1 --kernel 6.12', 'on two kernels, one after the other'],
        ['stagetwo run headline --kernel 6.1 --events', 'every event and what caused it'],
      ]),
    )
    .action(async (scenario: string, options) => {
      const { run } = await import('./run.ts');
      exitWith(await run(scenario, options, terminal));
    });
}

function addCompare(program: Command, { terminal, exitWith }: Context): void {
  program
    .command('compare')
    .description('run a scenario in variants and show where they part')
    .argument('<scenario>', 'file, or name of a file in scenarios/')
    .requiredOption(
      '--vary <what=a,b>',
      'kernel=6.1,6.12 (or a file), device=vfio-pci,gicv, stage1=Normal-NC,Device-GRE; repeat to combine',
      repeated,
    )
    .option('--seed <n>', 'seed of every choice left open', wholeNumber)
    .option('--tlp', 'show the PCI Express packets')
    .option(...JSON_OPTION)
    .addHelpText(
      'after',
      examples([
        ['stagetwo compare headline --vary kernel=6.1,6.12', 'two kernels side by side'],
        [
          'stagetwo compare headline --vary device=vfio-pci,vfio-platform,gicv',
          'three devices, newest kernel',
        ],
        ['stagetwo compare headline --vary kernel=6.1,6.12 --vary device=vfio-pci,gicv', 'all four'],
        ['stagetwo compare headline --vary stage1=Normal-NC,Device-GRE', "the guest's own mapping"],
      ]),
    )
    .action(async (scenario: string, options) => {
      const { compare } = await import('./compare.ts');
      exitWith(await compare(scenario, options, terminal));
    });
}

function addHunt(program: Command, { terminal, exitWith }: Context): void {
  program
    .command('hunt')
    .description('search what processors may do for a behaviour that breaks a scenario')
    .argument('<scenario>', 'file, name of a file in scenarios/, or a finding that was saved')
    .option('-k, --kernel <name>', 'kernel preset, or a file (default: the newest)')
    .option('--vary <what=a>', 'what differs, such as gicv=normal-nc; repeat for several', repeated)
    .option('--seed <n>', 'seed of what is drawn', wholeNumber)
    .option('--runs <n>', 'most runs (default: 2000)', wholeNumber)
    .option('--save <file>', 'write what repeats the finding, as JSON')
    .option(...JSON_OPTION)
    .addHelpText(
      'after',
      examples([
        ['stagetwo hunt gicv-iar --vary gicv=normal-nc', 'the read that loses an interrupt'],
        ['stagetwo hunt gicv-iar', 'why no kernel maps GICV so: as Device there is one behaviour'],
        ['stagetwo hunt frame-buffer --runs 500 --seed 7', 'a BAR that may be Normal-NC'],
      ]),
    )
    .action(async (scenario: string, options) => {
      const { hunt } = await import('./hunt.ts');
      exitWith(await hunt(scenario, options, terminal));
    });
}

function addReplay(program: Command, { terminal, exitWith }: Context): void {
  program
    .command('replay')
    .description('replay captures or traces of real kernels and compare every prediction')
    .argument('<bundle...>', 'directories with a machine.json, or a trace as text (.gz as it is)')
    .option('--machine <file>', 'of a trace: the host, its memslots and VMAs (docs/machine-file.md)')
    .option('-k, --kernel <name>', 'predict for this kernel preset or file instead of the captured one')
    .option(...JOURNAL_OPTION)
    .option(...JSON_OPTION)
    .addHelpText(
      'after',
      examples([
        ['stagetwo replay captures/6.12-vfio', 'one capture in full'],
        ['stagetwo replay captures/*', 'a table of many'],
        ['stagetwo replay trace.txt.gz --machine host.yaml', 'ftrace, trace-cmd or perf script text'],
        [
          'stagetwo replay captures/6.1-vfio --kernel 6.12',
          'where another kernel would have gone another way',
        ],
      ]),
    )
    .action(async (bundles: string[], options) => {
      if (options.machine !== undefined) {
        const { replayTraces } = await import('./trace.ts');
        exitWith(await replayTraces(bundles, options, terminal));
        return;
      }
      const { replay } = await import('./replay.ts');
      exitWith(await replay(bundles, options, terminal));
    });
}

function addMachine(program: Command, { terminal, exitWith }: Context): void {
  program
    .command('machine')
    .description('help to write the machine file that a trace needs, from /proc/PID/smaps')
    .requiredOption('--smaps <file>', 'copy of /proc/PID/smaps of the VMM')
    .option('--slot <ipa,size,hva>', 'a memslot, also as slot=ipa,size,hva; repeat for each', repeated, [])
    .option('-k, --kernel <name>', 'kernel preset of the host', '6.12')
    .option('--page-size <size>', 'host page size: 4K, 16K or 64K', '4K')
    .option('--ipa-bits <n>', 'IPA size of the VM', wholeNumber, 40)
    .option('--pid <n>', 'process id of the VMM, to know its tasks in the trace', wholeNumber)
    .addHelpText(
      'after',
      examples([
        [
          'stagetwo machine --smaps smaps.txt --slot 0x40000000,0x10000000,0xffff80000000',
          'one slot of RAM; VM_ALLOW_ANY_UNCACHED shows as ?? in smaps',
        ],
      ]),
    )
    .action(async (options) => {
      const { machineCommand } = await import('./trace.ts');
      exitWith(machineCommand(options, terminal));
    });
}

function addExplain(program: Command, { terminal, exitWith }: Context): void {
  program
    .command('explain')
    .description('the story of one pasted line: a fault of a trace, a line of the host log, or an ESR')
    .argument('<words...>', 'the line, quoted or not')
    .option(...JSON_OPTION)
    .addHelpText(
      'after',
      examples([
        ["stagetwo explain 'Unsupported FSC: EC=0x24 xFSC=0x21 ESR_EL2=0x92000061'", 'why the VM died'],
        [
          "stagetwo explain 'kvm_guest_fault: ipa 0x10000000, hsr 0x93800005, hxfar 0x10000000, pc 0x40000128'",
          'a line of a trace',
        ],
        ['stagetwo explain 0x93c08061', 'a bare ESR'],
      ]),
    )
    .action(async (words: string[], options) => {
      const { explainCommand } = await import('./explain.ts');
      exitWith(explainCommand(words, options, terminal));
    });
}

function addMatrix(program: Command, { terminal, exitWith }: Context): void {
  program
    .command('matrix')
    .description('how the memory types of stage 1 and stage 2 combine')
    .option('--fwb', 'with HCR_EL2.FWB = 1 (FEAT_S2FWB)')
    .option('--cd', 'with HCR_EL2.CD = 1')
    .option(...JSON_OPTION)
    .addHelpText(
      'after',
      examples([
        ['stagetwo matrix', 'without FEAT_S2FWB'],
        ['stagetwo matrix --fwb', 'with it, as on most servers'],
      ]),
    )
    .action(async (options) => {
      const { matrix } = await import('./matrix.ts');
      exitWith(matrix(options, terminal));
    });
}

function addKernels(program: Command, { terminal, exitWith }: Context): void {
  program
    .command('kernels')
    .description('the kernel presets and what distinguishes them')
    .usage('[options] [diff A B]')
    .argument('[diff]', "'diff' compares two presets")
    .argument('[from]', 'preset')
    .argument('[to]', 'preset')
    .option(...JSON_OPTION)
    .addHelpText(
      'after',
      examples([
        ['stagetwo kernels', 'each preset and what changed with it'],
        ['stagetwo kernels diff 6.8 6.9', 'what an upgrade changes for stage 2'],
        ['stagetwo kernels diff 6.6 enterprise.yaml', 'what a backport changes (docs/machine-file.md)'],
      ]),
    )
    .action(async (action: string | undefined, from: string | undefined, to: string | undefined, options) => {
      const { kernels } = await import('./kernels.ts');
      exitWith(await kernels({ action, from, to }, options, terminal));
    });
}

function addHeadline(program: Command, { terminal, exitWith }: Context): void {
  program
    .command('headline')
    .description('what stagetwo alone prints: one store, three devices, two kernels')
    .option(...JSON_OPTION)
    .addHelpText('after', examples([['stagetwo headline --json', 'the same facts for a program']]))
    .action(async (options) => {
      const { headline } = await import('./headline.ts');
      exitWith(await headline(options, terminal));
    });
}
