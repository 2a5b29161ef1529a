import * as api from 'stagetwo';
import { describe, expect, it } from 'vitest';

describe('the API', () => {
  it('answers without a scenario what two stages come to', () => {
    // Stage 1 Normal-NC behind a stage 2 of Device-nGnRE, and behind Normal-NC: MAIR bytes as PAR_EL1 shows them.
    const attrOf = (stage2MemAttr: number) => {
      const stage1 = api.stage1FromMair({ attr: 0x44, sh: 3 }, 'data');
      const { type } = api.combine(stage1, { memAttr: stage2MemAttr, sh: 3 }, { fwb: true, cd: false });
      return [api.describeMemoryType(type), api.encodeMair(type), api.permits(type).unalignedAccess.value];
    };

    expect(attrOf(0b0001)).toEqual(['Device-nGnRE', 0x04, 'alignment-fault']);
    expect(attrOf(0b0101)).toEqual(['Normal Non-cacheable', 0x44, 'yes']);
  });

  it('explains a syndrome', () => {
    expect(api.decodeEsr(0x9200_0061)).toMatchObject({ kind: 'data-abort', status: { kind: 'alignment' } });
    expect(api.describeEsr(0x9200_0061).join(' ')).toMatch(/alignment/i);
  });

  it('has what its users were told', () => {
    expect(Object.keys(api).sort()).toMatchInlineSnapshot(`
      [
        "BECAUSE",
        "KERNELS",
        "VARY_DEVICES",
        "alignmentFault",
        "bochsDisplay",
        "branch",
        "check",
        "combine",
        "combineAttributes",
        "connectx",
        "decodeDescriptor",
        "decodeEsr",
        "decodeHpfar",
        "decodeMair",
        "decodeMemAttr",
        "decodePar",
        "describeEsr",
        "describeMemoryType",
        "devMem",
        "deviceGRE",
        "deviceNGRE",
        "deviceNGnRE",
        "deviceNGnRnE",
        "e1000e",
        "emulated",
        "encodeAbort",
        "encodeHpfar",
        "encodeLeaf",
        "encodeMair",
        "encodePar",
        "executable",
        "gicv2",
        "graceHopper",
        "hpfarValid",
        "hunt",
        "kernelPreset",
        "kernelsBefore",
        "kernelsFrom",
        "latitudeOf",
        "levelSize",
        "normalWriteBack",
        "normalWriteThrough",
        "nvme",
        "outline",
        "permits",
        "record",
        "runScenario",
        "scenario",
        "shrink",
        "stage1FromMair",
        "stage1Tables",
        "stage2Geometry",
        "sysfsPci",
        "timelineOf",
        "timelineOfJournal",
        "tlpsOf",
        "vfioPci",
        "vfioPlatform",
        "writeCombining",
      ]
    `);
  });
});
