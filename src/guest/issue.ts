// How a program's access becomes an operation of its vCPU: under the stage 1 that its address calls for, switched on
// the way, and in the order of bytes that SCTLR_EL1.EE gives.

import type { Access } from '../arch/access.ts';
import type { OpResult, Steps } from './operations.ts';
import type { Stage1Tables } from './stage1-regime.ts';

/** How the vCPU translates now, and the tables that the guest made for itself. */
export interface Stage1 {
  on: boolean;
  tables: Stage1Tables | null;
  own: Stage1Tables | null;
  bigEndian: boolean;
}

/** The access, after the switch of stage 1 that its address calls for. */
export function* issue(stage1: Stage1, access: Omit<Access, 'id'>): Steps<OpResult> {
  const tables = access.byVa === true ? stage1.own : null;
  const on = access.stage1 !== null || tables !== null;
  if (stage1.on !== on || stage1.tables !== tables) {
    stage1.on = on;
    stage1.tables = tables;
    yield { kind: 'stage-1', on, tables };
  }
  return yield { kind: 'access', access: stage1.bigEndian ? { ...access, bigEndian: true } : access };
}
