// Takes the pictures of the documentation: npx playwright test --config screenshots.config.ts
import { defineConfig } from '@playwright/test';

import base from './playwright.config';

export default defineConfig(base, { testDir: 'screenshots' });
