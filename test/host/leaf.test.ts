import { describe, expect, it } from 'vitest';
import { leafAttributes, memAttrOf, setProtAttr } from '../../src/host/leaf.ts';

const TYPES = ['normal', 'normal-nc', 'device'] as const;

describe('the attributes that KVM gives a leaf', () => {
  it('of RAM on a processor without FEAT_S2FWB: Normal Write-Back, Inner Shareable, access flag set', () => {
    expect(leafAttributes(false, { write: true, exec: true, type: 'normal' })).toEqual({
      memAttr: 0b1111,
      read: true,
      write: true,
      xn: 0,
      sh: 3,
      af: true,
      fnXS: false,
      nT: false,
      dbm: false,
      contiguous: false,
      software: 0,
    });
  });

  it('have a MemAttr by type, which FEAT_S2FWB changes for Normal alone (asm/memory.h)', () => {
    expect(TYPES.map((type) => memAttrOf(type, false))).toEqual([0b1111, 0b0101, 0b0001]);
    expect(TYPES.map((type) => memAttrOf(type, true))).toEqual([0b0110, 0b0101, 0b0001]);
  });

  it('carry that MemAttr, S2AP[1] and XN whatever the other two are; only Normal memory is executable', () => {
    for (const type of TYPES) {
      for (const fwb of [false, true]) {
        for (const write of [false, true]) {
          for (const exec of type === 'normal' ? [false, true] : [false]) {
            const fields = {
              memAttr: memAttrOf(type, fwb),
              read: true,
              write,
              xn: exec ? 0 : 0b10,
              af: true,
            };
            expect(leafAttributes(fwb, { write, exec, type })).toMatchObject(fields);
          }
        }
      }
    }
  });

  it('are refused as executable device memory, for one exception level, too', () => {
    const refused = () => leafAttributes(true, { write: true, exec: true, type: 'device' });
    expect(refused).toThrow('a device leaf cannot be executable (-EINVAL)');
    const prot = { write: true, px: true, ux: false, device: true, normalNc: false };
    expect(setProtAttr(prot, { fwb: true, xnx: true })).toBeNull();
    expect(setProtAttr({ ...prot, px: false, ux: true }, { fwb: true, xnx: true })).toBeNull();
  });
});
