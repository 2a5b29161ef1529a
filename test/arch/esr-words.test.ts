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
    [0x91000007, 'IL 0 16-bit instruction'],
    [0x93000007, 'SAS 0 byte'],
    [0x93400007, 'SAS 1 halfword'],
    [0x93c00007, 'SAS 3 doubleword'],
    [0x93200007, 'SSE 1 sign-extended'],
    [0x93c08007, 'SF 1 64-bit register'],
    [0x93c04007, 'AR 1 with Acquire/Release semantics'],
    [0x92000047, 'WnR 1 write'],
    [0x92000810, 'SET 1 reserved'],
    [0x92001810, 'SET 3 Restartable (UEO)'],
    [0x92000835, 'LST 1 ST64BV'],
    [0x92001035, 'LST 2 LD64B or ST64B'],
  ])('0x%s has the line "%s"', (esr, line) => {
    expect(describeEsr(esr)).toContain(line);
  });

  it.each([
    [0x00, 'Unknown reason'],
    [0x01, 'Trapped WF* instruction'],
    [0x07, 'Access to SVE, Advanced SIMD or floating-point'],
    [0x15, 'SVC in AArch64 state'],
    [0x16, 'HVC in AArch64 state'],
    [0x17, 'SMC in AArch64 state'],
    [0x18, 'Trapped MSR, MRS or System instruction'],
    [0x1a, 'Trapped ERET'],
    [0x20, 'Instruction Abort from a lower Exception level'],
    [0x21, 'Instruction Abort without a change of Exception level'],
    [0x22, 'PC alignment fault'],
    [0x24, 'Data Abort from a lower Exception level'],
    [0x25, 'Data Abort without a change of Exception level'],
    [0x26, 'SP alignment fault'],
    [0x2f, 'SError exception'],
    [0x3c, 'BRK instruction'],
  ])('names exception class %i as the manual does: %s', (ec, name) => {
    const code = `0x${ec.toString(16).padStart(2, '0')}`;
    expect(describeEsr(ec * 2 ** 26)[0]).toBe(`EC ${code} ${name}`);
  });

  it('leaves out ISS2 where it says nothing: of an instruction abort, or all zero', () => {
    for (const esr of [0x60_8200_0007, 0x9200_0007]) {
      expect(describeEsr(esr).filter((line) => line.startsWith('ISS2'))).toEqual([]);
    }
  });
});
