import { describe, expect, it } from 'vitest';
import { describeEsr } from '../../src/arch/esr-words.ts';

describe('an ESR in words', () => {
  it('given the fault of `ldr w13, [x10]`, says one line a field', () => {
    expect(describeEsr(0x938d0005)).toEqual([
      'EC 0x24 Data Abort from a lower Exception level',
      'IL 1 32-bit instruction, or not told',
      'ISV 1 the fields below describe the instruction',
      'SAS 2 word',
      'SSE 0 not sign-extended',
      'SRT 13 W13',
      'SF 0 32-bit register',
      'AR 0 no Acquire/Release semantics',
      'WnR 0 read',
      'DFSC 0x05 Translation fault, level 1 (ESR_ELx_FSC_FAULT)',
    ]);
  });

  it('names the stage 1 walk of a fetch, and no access direction', () => {
    expect(describeEsr(0x82000084)).toEqual([
      'EC 0x20 Instruction Abort from a lower Exception level',
      'IL 1 32-bit instruction, or not told',
      'S1PTW 1 stage 2 fault on a stage 1 translation table walk',
      'IFSC 0x04 Translation fault, level 0 (ESR_ELx_FSC_FAULT)',
    ]);
  });

  it.each<[number, string]>([
    [0x92000061, 'DFSC 0x21 Alignment fault'],
    [0x92000061, 'ISV 0 the syndrome does not describe the instruction'],
    [0x92000145, 'CM 1 cache maintenance or address translation instruction'],
    [0x92000610, 'EA 1 IMPLEMENTATION DEFINED kind of External abort'],
    [0x92000610, 'FnV 1 FAR is not valid'],
    [0x92001010, 'SET 2 Uncontainable (UC)'],
    [0x92002007, 'VNCR 1 the fault came from a use of VNCR_EL2'],
    [0x992001835, 'LST 3 ST64BV0'],
    [0x992001835, 'ISS2 0x9 Xs 9'],
    [0x6092000007, 'ISS2 0x60 Xs 0, DirtyBit, Overlay'],
    [0x93df0007, 'SRT 31 the zero register'],
    [0x93c58007, 'SRT 5 X5'],
    [0x5a000000, 'ISS 0x0000000 not an abort'],
    [0x5a000000, 'EC 0x16 HVC in AArch64 state'],
    [0xfc000000, 'EC 0x3f see the Arm ARM, ESR_ELx.EC'],
  ])('0x%s has the line "%s"', (esr, line) => {
    expect(describeEsr(esr)).toContain(line);
  });
});
