// Pictures of the executions panel and of progress, light and dark, of the real thing.
import path from 'node:path';

import { openGate, waitFor } from '../harness/gate';
import { writeNotebook } from '../harness/notebook';
import { expect, test } from '../harness/test';

const IMAGES = process.env.IMAGES || path.resolve(__dirname, '../../docs/images');
const DARK = 'JupyterLab Dark';
const LIGHT = 'JupyterLab Light';

test.use({ viewport: { width: 1180, height: 760 } });

test('the panel with mixed states', async ({ open, server, page }) => {
  const notebook = await open([
    '# Load the measurements\nimport time\ntime.sleep(1.2)',
    'table = [x * x for x in range(50_000)]\ntime.sleep(0.6)',
    '# Clean\ntime.sleep(0.9)',
    `# Train the model\n${waitFor('train')}`,
    "name = input('Name of the run? ')",
    'print(sum(table))',
    'time.sleep(1)'
  ]);
  await writeNotebook(server, 'survey.ipynb', [
    'import time; time.sleep(1.5)',
    'rows = open("answers.csv").readlines()',
    'len(rows)'
  ]);
  await writeNotebook(server, 'forecast.ipynb', [
    'import time',
    'time.sleep(2)',
    ...Array.from({ length: 40 }, (_, index) => `time.sleep(0.0${(index % 9) + 1})`)
  ]);
  await notebook.command('notebook-exec:show-executions');
  await expect(page.locator('.jp-nbexec-empty-title')).toHaveText('Nothing has run yet');
  await page.screenshot({ path: path.join(IMAGES, 'panel-empty.png') });
  const run = (name: string) =>
    server.json('/api/executions', {
      method: 'POST',
      body: JSON.stringify({ path: name, cells: 'all' })
    });
  await run('survey.ipynb');
  await run('forecast.ipynb');
  await notebook.runAll();
  const row = (text: string) => page.locator('.jp-nbexec-row').filter({ hasText: text }).first();
  await expect(row('# Train')).toHaveAttribute('data-state', 'running', { timeout: 30_000 });
  await expect(row('time.sleep(0.04)')).toHaveAttribute('data-state', 'finished', {
    timeout: 30_000
  });
  await expect(row('# Train').locator('.jp-nbexec-row-time')).toHaveText(/[3-9] s/);
  await page.screenshot({ path: path.join(IMAGES, 'panel.png') });
  await notebook.command('apputils:change-theme', { theme: DARK });
  await expect(page.locator('body')).toHaveAttribute('data-jp-theme-light', 'false');
  await page.locator('.jp-nbexec-bar').nth(3).hover();
  await page.screenshot({ path: path.join(IMAGES, 'panel-dark.png') });
  await openGate(server, 'train');
  await expect(row('name = input')).toHaveAttribute('data-state', 'waiting_input');
  await page.screenshot({ path: path.join(IMAGES, 'panel-prompt-dark.png') });
  await notebook.command('apputils:change-theme', { theme: LIGHT });
  await expect(page.locator('body')).toHaveAttribute('data-jp-theme-light', 'true');
  await page.mouse.move(600, 5);
  await page.screenshot({ path: path.join(IMAGES, 'panel-prompt.png') });
  await notebook.input(4).fill('nightly');
  await notebook.input(4).press('Enter');
  await expect(row('print(sum')).toHaveAttribute('data-state', 'finished');
});
