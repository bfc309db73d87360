// Measurements in a real browser, not tests: `python -m benchmarks.ui` runs them.
import base from './playwright.config';

export default {
  ...base,
  testDir: 'bench',
  testMatch: '*.bench.ts',
  workers: 1, // nothing beside what is measured
  fullyParallel: false,
  timeout: 240_000,
  reporter: [['line']]
};
