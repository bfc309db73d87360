// U3, Q12, U7: the executions panel, over all notebooks of the server.
import type { Locator, Page } from '@playwright/test';

import { openGate, waitFor } from '../harness/gate';
import { NotebookPage, writeNotebook } from '../harness/notebook';
import { takePicture } from '../harness/pictures';
import { JupyterServer, expect, test } from '../harness/test';

class Panel {
  constructor(readonly page: Page) {}

  /** Opened, with what `notebooks` (default: this one) ran: the tests share a server. */
  static async of(notebook: NotebookPage, text = notebook.name): Promise<Panel> {
    await notebook.command('notebook-exec:show-executions');
    const panel = new Panel(notebook.page);
    await expect(panel.node).toBeVisible();
    await panel.filter(text);
    return panel;
  }

  async filter(text: string): Promise<void> {
    const field = this.node.getByRole('searchbox', { includeHidden: true });
    await field.fill(text, { force: true });
  }

  get node(): Locator {
    return this.page.locator('.jp-nbexec-panel');
  }

  get rows(): Locator {
    return this.node.locator('.jp-nbexec-row');
  }

  row(text: string): Locator {
    return this.rows.filter({ hasText: text });
  }

  group(name: string): Locator {
    return this.node.locator('.jp-nbexec-group').filter({ hasText: name });
  }

  get bars(): Locator {
    return this.node.locator('.jp-nbexec-bar');
  }
}

function run(server: JupyterServer, name: string): Promise<unknown> {
  return server.json('/api/executions', {
    method: 'POST',
    body: JSON.stringify({ path: name, cells: 'all' })
  });
}

test('U3, Q12: who, when, how long and how it ended, live and after a reload', async ({
  open,
  server
}) => {
  const notebook = await open(["print('one')", `gate = 1\n${waitFor('u3a')}`, '1 / 0', 'last = 3']);
  const panel = await Panel.of(notebook);
  await notebook.runAll();
  await expect(panel.row('gate = 1')).toHaveAttribute('data-state', 'running');
  await expect(panel.row('gate = 1').locator('.jp-nbexec-row-time')).toHaveText(/^\d s$/);
  await expect(panel.row('last = 3')).toContainText('2 before');
  await expect(panel.node.locator('.jp-nbexec-summary')).toHaveText('1 running · 2 queued');
  await expect(panel.group(notebook.name)).toContainText('1 of 4');
  await openGate(server, 'u3a');
  await expect(panel.row('1 / 0')).toHaveAttribute('data-state', 'failed');
  for (const look of ['live', 'after a reload']) {
    await test.step(look, async () => {
      await expect(panel.row('gate = 1')).toHaveAttribute('data-state', 'finished');
      await expect(panel.row('gate = 1').locator('.jp-nbexec-row-time')).toHaveText(/\d m?s$/);
      await expect(panel.row('1 / 0')).toContainText('ZeroDivisionError: division by zero');
      await expect(panel.row('1 / 0')).toContainText(/\d\d:\d\d · Anonymous \w+/);
      await expect(panel.row('last = 3')).toContainText('Not run: an earlier cell failed');
      await expect(panel.bars.and(panel.page.locator('[data-state=failed]'))).toHaveCount(1);
    });
    await notebook.reload();
    await Panel.of(notebook);
  }
});

test('U3: a click or Enter goes to the cell, in a notebook that is not open too', async ({
  open,
  server
}) => {
  const cells = [...Array.from({ length: 30 }, (_, index) => `pass # ${index}\n\n\n`), 'far = 1'];
  await writeNotebook(server, 'u3b.ipynb', cells);
  const notebook = await open(['here = 1', 'here = 2']);
  await run(server, 'u3b.ipynb');
  const panel = await Panel.of(notebook, '');
  await expect(panel.row('far = 1')).toHaveAttribute('data-state', 'finished');
  await panel.row('far = 1').click();
  const active = notebook.page.locator('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-mod-active');
  await expect(active.filter({ hasText: 'far = 1' })).toBeInViewport();
  await notebook.page.locator('.lm-TabBar-tab', { hasText: notebook.name }).first().click();
  await notebook.runAll();
  await panel.row('here = 2').focus();
  await notebook.page.keyboard.press('Enter');
  await expect(active.filter({ hasText: 'here = 2' })).toBeInViewport();
  await notebook.select(0);
  await notebook.command('notebook:delete-cell');
  await expect(notebook.cells.filter({ hasText: 'here = 1' })).toHaveCount(0);
  await panel.row('here = 1').click();
  await expect(
    notebook.page.getByText('This cell is no longer in the notebook').first()
  ).toBeVisible();
});

test('U3, Q7: one cell, or all of a notebook, is cancelled; all asks first', async ({ open }) => {
  const notebook = await open([waitFor('never'), 'two = 2', 'three = 3']);
  const panel = await Panel.of(notebook);
  await notebook.runAll();
  await expect(panel.row('import os, time')).toHaveAttribute('data-state', 'running');
  const cancel = panel.row('two = 2').getByRole('button', { name: 'Take this cell out' });
  await cancel.click();
  await expect(panel.row('two = 2')).toContainText(/Cancelled by Anonymous/);
  await expect(panel.row('three = 3')).toHaveAttribute('data-state', 'queued');
  await panel
    .group(notebook.name)
    .getByRole('button', { name: 'Stop all of this notebook' })
    .click();
  const dialog = notebook.page.locator('.jp-Dialog');
  await expect(dialog).toContainText('2 cells do not run or are interrupted');
  await dialog.getByRole('button', { name: 'Stop all' }).click();
  await expect(notebook.output(0)).toContainText('KeyboardInterrupt');
  await expect(panel.row('three = 3')).toHaveAttribute('data-state', 'cancelled');
  await expect(panel.node.locator('.jp-nbexec-summary')).toHaveText('Nothing runs');
});

test('U3, P2: a prompt of another notebook is answered from the panel', async ({
  open,
  server
}) => {
  await writeNotebook(server, 'u3d.ipynb', [
    "import getpass\nname = input('Name? ')\nword = getpass.getpass('Password? ')\nprint(name, len(word))"
  ]);
  const notebook = await open(["print('mine')"]);
  const panel = await Panel.of(notebook, '');
  await run(server, 'u3d.ipynb');
  const row = panel.row('import getpass');
  await expect(row).toHaveAttribute('data-state', 'waiting_input');
  await expect(row).toContainText(/Asked by .+’s run/);
  await expect(row).toContainText('Name?');
  await row.getByRole('textbox', { name: 'Name?' }).fill('Ada');
  await notebook.page.keyboard.press('Enter');
  const password = row.getByLabel('Password?', { exact: true });
  await expect(password).toHaveAttribute('type', 'password');
  await password.fill('secret');
  await notebook.page.keyboard.press('Enter');
  await expect(row).toHaveAttribute('data-state', 'finished');
  await expect(row.locator('form')).toHaveCount(0);
});

test('U3: the filter shows what fits, and says when nothing does', async ({ open, server }) => {
  await writeNotebook(server, 'u3e.ipynb', ['other = 1']);
  const notebook = await open(['mine = 1', 'raise KeyError("gone")']);
  const panel = await Panel.of(notebook, '');
  await run(server, 'u3e.ipynb');
  await notebook.runAll();
  await expect(panel.row('KeyError')).toHaveAttribute('data-state', 'failed');
  await expect(panel.row('other = 1')).toHaveAttribute('data-state', 'finished');
  const field = panel.node.getByRole('searchbox');
  await field.fill('u3e');
  await expect(panel.row('mine = 1')).toHaveCount(0);
  await expect(panel.row('other = 1')).toHaveCount(1);
  await field.fill('');
  await panel.node.getByRole('checkbox', { name: 'Mine' }).check();
  await expect(panel.row('other = 1')).toHaveCount(0);
  await expect(panel.row('mine = 1')).toHaveCount(1);
  await panel.node.getByRole('combobox', { name: 'Which executions' }).selectOption('failed');
  await expect(panel.row('mine = 1')).toHaveCount(0);
  await expect(panel.row('KeyError')).toHaveCount(1);
  await field.fill('no such thing');
  await expect(panel.node).toContainText('Nothing fits the filter');
  await panel.node.getByRole('button', { name: 'Show all' }).click();
  await expect(panel.row('other = 1')).toHaveCount(1);
});

test('U3: bars are to scale, and tell what they are', async ({ open }) => {
  const notebook = await open([
    'import time; time.sleep(2)',
    'import time; time.sleep(1)',
    'raise ValueError("x")'
  ]);
  const panel = await Panel.of(notebook);
  await notebook.runAll();
  await expect(panel.row('raise')).toHaveAttribute('data-state', 'failed');
  const width = async (part: string, index: number): Promise<number> =>
    Number(await panel.bars.nth(index).locator(part).getAttribute('width'));
  const long = await width('.jp-nbexec-bar-run', 0);
  const short = await width('.jp-nbexec-bar-run', 1);
  expect(long / short).toBeGreaterThan(1.6);
  expect(long / short).toBeLessThan(2.4);
  // The second waited for as long as the first ran, at least.
  expect(await width('.jp-nbexec-bar-wait', 1)).toBeGreaterThan(0.95 * long);
  await panel.bars.nth(2).hover();
  const tip = panel.node.locator('.jp-nbexec-tip');
  await expect(tip).toContainText('ValueError: x');
  await panel.bars.first().focus();
  await notebook.page.keyboard.press('ArrowRight');
  await expect(panel.bars.nth(1)).toBeFocused();
  await expect(tip).toContainText('Waited 2.');
  await notebook.page.keyboard.press('Enter');
  await expect(notebook.cell(1)).toHaveClass(/jp-mod-active/);
});

test('U7: the tree is reached and worked by keyboard', async ({ open }) => {
  const notebook = await open([waitFor('never'), 'two = 2']);
  const panel = await Panel.of(notebook);
  await notebook.runAll();
  await expect(panel.row('two = 2')).toHaveAttribute('data-state', 'queued');
  await notebook.command('notebook-exec:show-executions');
  const { keyboard } = notebook.page;
  const group = panel.group(notebook.name);
  await expect(group).toBeFocused();
  await expect(group).toHaveAttribute('aria-expanded', 'true');
  await keyboard.press('ArrowLeft');
  await expect(group).toHaveAttribute('aria-expanded', 'false');
  await expect(panel.row('two = 2')).toHaveCount(0);
  await keyboard.press('ArrowRight');
  await keyboard.press('ArrowDown');
  await keyboard.press('ArrowDown');
  await expect(panel.row('two = 2')).toBeFocused();
  await expect(panel.row('two = 2')).toHaveAccessibleName(/^two = 2, Queued, Anonymous/);
  await keyboard.press('Delete');
  await expect(panel.row('two = 2')).toHaveAttribute('data-state', 'cancelled');
  await expect(panel.row('two = 2')).toBeFocused();
  await keyboard.press('Home');
  await expect(group).toBeFocused();
  await keyboard.press('Delete');
  await notebook.page.locator('.jp-Dialog .jp-mod-accept').click();
  await expect(panel.node.locator('.jp-nbexec-summary')).toHaveText('Nothing runs');
});

test('U3: hundreds of runs are listed in part, drawn in few bars', async ({ open }) => {
  const notebook = await open(Array.from({ length: 120 }, (_, index) => `n = ${index}`));
  const panel = await Panel.of(notebook);
  await notebook.runAll();
  await expect(panel.row('n = 119')).toHaveAttribute('data-state', 'finished', {
    timeout: 60_000
  });
  await expect(panel.node.locator('.jp-nbexec-summary')).toHaveText('Nothing runs');
  await expect(panel.rows).toHaveCount(10);
  expect(await panel.bars.count()).toBeLessThan(60);
  await panel.node.getByRole('button', { name: '110 more' }).click();
  await expect(panel.rows).toHaveCount(60);
});

test('U3, U7: mixed states in three notebooks differ by more than colour', async ({
  ownServer,
  page
}) => {
  const notebook = new NotebookPage(page, ownServer, 'training.ipynb');
  await writeNotebook(ownServer, notebook.name, [
    '# Load the measurements\nimport time\ntime.sleep(1.2)',
    'table = [x * x for x in range(50_000)]\ntime.sleep(0.6)',
    '# Clean\ntime.sleep(0.9)',
    `# Train the model\n${waitFor('train')}`,
    "name = input('Name of the run? ')",
    'print(sum(table))'
  ]);
  await writeNotebook(ownServer, 'survey.ipynb', [
    'import time; time.sleep(1.5)',
    'import time; time.sleep(0.4); open("answers.csv")',
    'len(rows)'
  ]);
  await writeNotebook(ownServer, 'forecast.ipynb', [
    'import time',
    'time.sleep(2)',
    ...Array.from({ length: 40 }, (_, index) => `time.sleep(0.0${(index % 9) + 1})`)
  ]);
  await notebook.open();
  const panel = await Panel.of(notebook, '');
  await expect(panel.node).toContainText('Nothing has run yet');
  await takePicture(page, 'panel-empty');
  await run(ownServer, 'survey.ipynb');
  await run(ownServer, 'forecast.ipynb');
  await notebook.runAll();
  await expect(panel.row('# Train')).toHaveAttribute('data-state', 'running');
  await expect(panel.group('forecast').locator('[data-state=queued]')).toHaveCount(0, {
    timeout: 60_000
  });
  await expect(panel.row('# Train').locator('.jp-nbexec-row-time')).toHaveText(
    /^(?:[5-9]|\d\d) s$/
  );
  const icons = new Set<string>();
  for (const state of ['running', 'queued', 'finished', 'failed', 'cancelled']) {
    icons.add(
      await panel.node.locator(`.jp-nbexec-row[data-state=${state}] svg`).first().innerHTML()
    );
  }
  expect(icons.size).toBe(5);
  const bar = (state: string) => panel.bars.and(page.locator(`[data-state=${state}]`)).first();
  await expect(bar('failed').locator('.jp-nbexec-bar-pattern')).toHaveAttribute('fill', /failed/);
  await expect(bar('finished').locator('.jp-nbexec-bar-pattern')).toHaveAttribute('fill', 'none');
  await takePicture(page, 'panel');
  await bar('running').hover();
  await expect(panel.node.locator('.jp-nbexec-tip')).toContainText('# Train the model');
  await takePicture(page, 'timeline');
  await openGate(ownServer, 'train');
  await expect(panel.row('name = input')).toHaveAttribute('data-state', 'waiting_input');
  await page.mouse.move(700, 5);
  await takePicture(page, 'panel-prompt');
  await notebook.input(4).fill('nightly');
  await notebook.input(4).press('Enter');
  await expect(panel.row('print(sum')).toHaveAttribute('data-state', 'finished');
});

test('R3: the panel goes on after a restart of the server', async ({ open, ownServer }) => {
  const notebook = await open(["print('a')", "print('b')"], ownServer);
  const panel = await Panel.of(notebook);
  await notebook.run(0);
  await expect(panel.row("print('a')")).toHaveAttribute('data-state', 'finished');
  await ownServer.end('SIGKILL');
  const summary = panel.node.locator('.jp-nbexec-summary');
  await expect(summary).toHaveText('The server is out of reach. What runs there goes on.');
  await ownServer.launch();
  await expect(summary).toHaveText('Nothing runs');
  await run(ownServer, notebook.name);
  await expect(panel.row("print('b')")).toHaveAttribute('data-state', 'finished');
  await expect(panel.row("print('a')")).toHaveCount(2);
});
