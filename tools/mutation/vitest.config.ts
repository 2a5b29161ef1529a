// Which tests a mutant has to survive: those of its own file, STAGETWO_TESTS, and of these the fast ones. What looks
// at every encoding or at thousands of random ones takes seconds, and a mutant that only they find no test names.

import { defineConfig } from 'vitest/config';
import base from '../../vitest.config.ts';

export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: [process.env.STAGETWO_TESTS ?? 'test/{arch,host}/**/*.test.ts'],
    exclude: ['test/arch/combine-{algebra,space}.test.ts'],
  },
});
