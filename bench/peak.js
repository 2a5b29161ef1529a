// Loaded into a process that is measured (`node --import`): says in a file what it took, as it ends.

import { writeFileSync } from 'node:fs';
import { resourceUsage } from 'node:process';

process.on('exit', () => {
  const { maxRSS, userCPUTime, systemCPUTime } = resourceUsage();
  const usage = { peakMiB: maxRSS / 1024, cpuSeconds: (userCPUTime + systemCPUTime) / 1e6 };
  writeFileSync(process.env.STAGETWO_PEAK ?? '', JSON.stringify(usage));
});
