// Lines of ftrace, trace-cmd report and perf script, with each column that may be there or not.

import { describe, expect, it } from 'vitest';
import { parseRecord } from '../../../src/trace/text/record.ts';
import { read } from './read-line.ts';

const FAULT = 'kvm_guest_fault: ipa 0x10000000, hsr 0x938d0005, hxfar 0x10000000, pc 0x00000040000128';

describe('a line of a trace', () => {
  it('says which task on which CPU met which event', () => {
    expect(parseRecord(`            ovmm-287     [000] .....    71.610241: ${FAULT}`)).toEqual({
      comm: 'ovmm',
      pid: 287,
      tgid: null,
      cpu: 0,
      flags: '.....',
      time: '71.610241',
      event: 'kvm_guest_fault',
      fields: { ipa: 0x10000000n, esr: 0x938d0005n, far: 0x10000000n, pc: 0x40000128n },
    });
  });

  it.each([
    ['a task with blanks and slashes', `       CPU 0/KVM-4242    [005] d..1. 12345.678901: ${FAULT}`],
    ['a thread group', `       CPU 0/KVM-4242    (   4200) [005] d..1. 12345.678901: ${FAULT}`],
    [
      'a thread group that is not known',
      `       CPU 0/KVM-4242    (-------) [005] d..1. 12345.678901: ${FAULT}`,
    ],
    ['no flags', `       CPU 0/KVM-4242    [005] 12345.678901: ${FAULT}`],
    ['four flags', `       CPU 0/KVM-4242    [005] d..1 12345.678901: ${FAULT}`],
    ['eight flags', `       CPU 0/KVM-4242    [005] dNh2.... 12345.678901: ${FAULT}`],
    ['the latency layout of trace-cmd', `  CPU 0/KVM-4242     5d..1. 12345.678901: ${FAULT}`],
    ['nanoseconds', `       CPU 0/KVM-4242    [005] d..1. 12345.678901234: ${FAULT}`],
    ['a counter as clock', `       CPU 0/KVM-4242    [005] d..1. 123456789012: ${FAULT}`],
    [
      'padding after the event',
      `       CPU 0/KVM-4242    [005] d..1. 12345.678901: ${FAULT.replace(': ', ':      ')}`,
    ],
    ['perf script', `       CPU 0/KVM  4242 [005] 12345.678901: kvm:${FAULT}`],
    ['perf script with process and thread', `   CPU 0/KVM 4200/4242 [005] 12345.678901: kvm:${FAULT}`],
    ['perf script with a period', `       CPU 0/KVM  4242 [005] 12345.678901:          1 kvm:${FAULT}`],
    ['perf script with the misc column', `       CPU 0/KVM  4242 [005] K     12345.678901: kvm:${FAULT}`],
    ['narrow columns of old kernels', `       CPU 0/KVM-4242  ( 4200) [005] d..1 12345.678901: ${FAULT}`],
    [
      'an unknown thread group of old kernels',
      `       CPU 0/KVM-4242  (-----) [005] d..1 12345.678901: ${FAULT}`,
    ],
    ['a thread group and no flags', `       CPU 0/KVM-4242    (   4200) [005] 12345.678901: ${FAULT}`],
    ['a fault before half a minute', `       CPU 0/KVM-4242    [005] d..1.     5.678901: ${FAULT}`],
    [
      'the latency layout of ftrace',
      `  CPU 0/KV-4242     5d..1.   12us+: ${FAULT}`.replace('0/KV-', '0/KVM-'),
    ],
    ['the subsystem of trace-cmd', `       CPU 0/KVM-4242    [005] d..1. 12345.678901: kvm:${FAULT}`],
    ['a carriage return', `       CPU 0/KVM-4242    [005] d..1. 12345.678901: ${FAULT}\r`],
  ])('%s', (_what, text) => {
    const record = parseRecord(text);
    expect(record).toMatchObject({ comm: 'CPU 0/KVM', pid: 4242, cpu: 5, fields: { esr: 0x938d0005n } });
  });

  it.each([
    'D...1',
    'bn...',
    '.p...',
    'XN...',
    '.l.2.',
    '.Lsa.',
    'dBh1.',
    'd.H.3',
    '..z..',
    '..Zf2',
    'DNh2....',
  ])('flags %s', (flags) => {
    const text = ` CPU 0/KVM-4242    [005] ${flags} 12345.678901: ${FAULT}`;
    expect(parseRecord(text)).toMatchObject({ pid: 4242, cpu: 5, flags });
  });

  it.each(['crosvm_vcpu0', 'kvm-vcpu-0', 'fc_vcpu 0', 'vcpu0', 'vhost-4242'])(
    'the vCPU thread %s',
    (comm) => {
      const text = `${comm.padStart(16)}-77      [001] ..... 1.5: ${FAULT}`;
      expect(parseRecord(text)).toMatchObject({ comm, pid: 77 });
    },
  );

  it.each(['a-b-c', '(sd-pam)', 'x [007] y', 'kworker/0:1', 'Überlänge'])('a task named %s', (comm) => {
    expect(parseRecord(`${comm.padStart(16)}-77      [001] ....  1.5: ${FAULT}`)).toMatchObject({
      comm,
      pid: 77,
      cpu: 1,
    });
  });

  it('latency in microseconds, with a mark', () => {
    expect(parseRecord(`     ovmm-287     0d....  12us+: ${FAULT}`)).toMatchObject({ time: '12us+', cpu: 0 });
  });
});

describe('perf trace, which prints an event as a call,', () => {
  const call = (text: string): string => `     0.012 CPU 0/KVM/4242 kvm:${text}`;

  it('says which task met it how many milliseconds after the start', () => {
    const text =
      'kvm_guest_fault(vcpu_pc: -281474840481340, hsr: 2474639366, hxfar: 4160815272, ipa: 469827584)';
    expect(parseRecord(call(text))).toEqual({
      comm: 'CPU 0/KVM',
      pid: 4242,
      tgid: null,
      cpu: null,
      flags: null,
      time: '0.012',
      event: 'kvm_guest_fault',
      fields: { ipa: 0x1c01_0000n, esr: 0x9380_0006n, far: 0xf801_00a8n, pc: 0xffff_0000_081e_b1c4n },
    });
  });

  it.each([
    ['a duration', '     0.012 (         ): CPU 0/KVM/4242 kvm:kvm_entry(vcpu_pc: 1073741824)'],
    ['a duration that is known', '     0.012 ( 0.003 ms): CPU 0/KVM/4242 kvm:kvm_entry(vcpu_pc: 1073741824)'],
    ['a CPU', '     0.012 [005] CPU 0/KVM/4242 kvm:kvm_entry(vcpu_pc: 1073741824)'],
    ['hexadecimal fields', '     0.012 CPU 0/KVM/4242 kvm:kvm_entry(vcpu_pc: 0x40000000)'],
    ['the text of TP_printk', '     0.012 CPU 0/KVM/4242 kvm:kvm_entry(PC: 0x0000000040000000)'],
  ])('with %s', (_what, text) => {
    const fields = { pc: 0x4000_0000n };
    expect(parseRecord(text)).toMatchObject({ comm: 'CPU 0/KVM', pid: 4242, time: '0.012', fields });
  });

  it('leaves out what is zero', () => {
    const fault = 'kvm_guest_fault(vcpu_pc: 64, hsr: 2181038085)';
    expect(parseRecord(call(fault))?.fields).toEqual({ ipa: 0n, esr: 0x8200_0005n, far: 0n, pc: 64n });
    expect(parseRecord(call('kvm_exit(vcpu_pc: 64)'))?.fields).toEqual({ type: 0n, ec: 0n, pc: 64n });
  });

  it.each([
    ['kvm_userspace_exit(reason: 6)', { reason: 6n, errno: 0n }],
    ['kvm_userspace_exit(errno: -14)', { reason: 0n, errno: -14n }],
    ['kvm_userspace_exit(errno: 4294967282)', { reason: 0n, errno: -14n }],
    ['kvm_mmio(type: 2, len: 4, gpa: 150994968, val: 40)', { type: 2n, len: 4n, gpa: 0x900_0018n, val: 40n }],
    ['kvm_unmap_hva_range(start: 4096, end: 8192)', { start: 4096n, end: 8192n }],
  ])('%s', (text, fields) => {
    expect(parseRecord(call(text))?.fields).toEqual(fields);
  });

  it.each([
    ['kvm_entry(vcpu_pc: 1073', 'cut-short'],
    ['kvm_entry()', 'field-missing'],
    ['kvm_entry(vcpu_pc: 18446744073709551616)', 'number-too-large'],
    ['kvm_mmio(type: -1)', 'number-too-large'],
  ])('%s is rejected', (text, reason) => {
    expect(read(call(text))).toEqual({ outcome: 'rejected', reason });
  });

  it('has other events, too', () => {
    expect(read(call('kvm_timer_update_irq(irq: 27)')).reason).toBe('other-kvm-event');
    expect(read('     0.012 bash/12 syscalls:sys_enter_openat(dfd: CWD)').reason).toBe('other-subsystem');
  });
});

describe('the text of an event', () => {
  it.each([
    ['as TP_printk has it', 'ipa 0x1c010000, hsr 0x93800006, hxfar 0xf80100a8, pc 0x802c21c8'],
    ['without commas', 'ipa 0x1c010000 hsr 0x93800006 hxfar 0xf80100a8 pc 0x802c21c8'],
    ['as raw fields', 'vcpu_pc=0x802c21c8 hsr=0x93800006 hxfar=0xf80100a8 ipa=0x1c010000'],
    [
      'with the option fields',
      'vcpu_pc=0x802c21c8 (2150375880) hsr=0x93800006 (2474639366) hxfar=0xf80100a8 (4160815272) ' +
        'ipa=0x1c010000 (469827584)',
    ],
    ['sign-extended', 'ipa 0x1c010000, hsr 0xffffffff93800006, hxfar 0xf80100a8, pc 0x802c21c8'],
  ])('%s', (_what, text) => {
    expect(parseRecord(` ovmm-1 [000] ..... 1.0: kvm_guest_fault: ${text}`)?.fields).toEqual({
      ipa: 0x1c010000n,
      esr: 0x93800006n,
      far: 0xf80100a8n,
      pc: 0x802c21c8n,
    });
  });

  it('a zero that printf prints without 0x', () => {
    const record = parseRecord(
      ' ovmm-1 [000] ..... 1.0: kvm_guest_fault: ipa 0, hsr 0x82000005, hxfar 00000000, pc 00000000000000',
    );
    expect(record?.fields).toMatchObject({ ipa: 0n, far: 0n, pc: 0n });
  });

  it.each([
    ['reason KVM_EXIT_MMIO (6)', { reason: 6n }],
    ['reason error (14)', { errno: 14n }],
    ['reason restart (4)', { errno: 4n }],
    ['reason 0x27 (39)', { reason: 39n }],
    ['reason=0 errno=-14', { reason: 0n, errno: -14n }],
  ])('kvm_userspace_exit: %s', (text, fields) => {
    expect(parseRecord(` ovmm-1 [000] ..... 1.0: kvm_userspace_exit: ${text}`)?.fields).toEqual(fields);
  });

  it('an IPA without 0x in kvm_access_fault', () => {
    expect(parseRecord(' ovmm-1 [000] ..... 1.0: kvm_access_fault: IPA: 80000000')?.fields).toEqual({
      ipa: 0x80000000n,
    });
  });

  it('an IPA without 0x that begins with a letter', () => {
    const record = parseRecord(' ovmm-1 [000] ..... 1.0: kvm_access_fault: IPA: a000000');
    expect(record?.fields).toEqual({ ipa: 0xa00_0000n });
  });

  it('both ends of a notifier', () => {
    const text = 'mmu notifier unmap range: 0x00ffffa1c00000 -- 0x00ffffa2c00000';
    const fields = { start: 0xffffa1c00000n, end: 0xffffa2c00000n };
    expect(parseRecord(` ovmm-1 [000] ..... 1.0: kvm_unmap_hva_range: ${text}`)?.fields).toEqual(fields);
    expect(
      parseRecord(' ovmm-1 [000] ..... 1.0: kvm_unmap_hva_range: start=0x00ffffa1c00000 end=0x00ffffa2c00000')
        ?.fields,
    ).toEqual(fields);
  });
});

describe('a line that carries no event of use', () => {
  it.each([
    ['# tracer: nop', 'header'],
    ['cpus=2', 'header'],
    ['', 'blank'],
    ['CPU:3 [LOST 12 EVENTS]', 'events-lost'],
    ['CPU:1 [EVENTS DROPPED]', 'events-lost'],
    [' => kvm_handle_guest_abort', 'call-chain'],
    ['\tffff8000100b1234 kvm_handle_guest_abort+0x1c ([kernel.kallsyms])', 'call-chain'],
    ['  bash-1 [000] ..... 1.0: sched_switch: prev_comm=bash', 'other-subsystem'],
    ['  ovmm-1 [000] ..... 1.0: kvm_sys_access: PC: 40 SYS_CTR_EL0 (3,3,0,0,1) read', 'other-kvm-event'],
    ['  ovmm-1 [000] ..... 1.0: vfs_read <-ksys_read', 'function-or-marker'],
  ])('%s', (text, reason) => {
    expect(read(text)).toEqual({ outcome: 'skipped', reason });
  });
});

describe('a line that is rejected', () => {
  it('with a number that runs into a word, where no field wants one', () => {
    expect(read('  ovmm-1 [000] ..... 1.0: kvm_entry: -2giJX').outcome).toBe('rejected');
  });

  it.each([
    ['nothing that anybody wrote', 'no-timestamp-or-task'],
    ['\0\0\0\0\0\0\0\0\0\0\0\0', 'no-timestamp-or-task'],
    ['  ovmm-1 [000] ..... 1.0: kvm_guest_fault: ipa 0x1000, hsr 0x93800006', 'field-missing'],
    ['  ovmm-1 [000] ..... 1.0: kvm_entry: PC: 0x12g4', 'not-a-number'],
    ['  ovmm-1 [000] ..... 1.0: kvm_entry: PC: 1234', 'hex-without-0x'],
    ['  ovmm-1 [000] ..... 1.0: kvm_entry: PC: 0x11112222333344445', 'number-too-large'],
    ['  ovmm-1 [000] ..... 1.0: kvm_entry: PC: 0x1 PC: 0x2', 'field-twice'],
    [
      '  ovmm-1 [000] ..... 1.0: kvm_unmap_hva_range: mmu notifier unmap range: 0x2000 -- 0x1000',
      'range-ends-before-start',
    ],
    [
      '  ovmm-1 [000] ..... 1.0: kvm_guest_fault: ipa 0x10000000000000, hsr 0x93800006, hxfar 0, pc 0',
      'number-too-large',
    ],
  ])('%s', (text, reason) => {
    expect(read(text)).toEqual({ outcome: 'rejected', reason });
  });
});
