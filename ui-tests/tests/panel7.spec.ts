// The executions panel in Notebook 7.
import { openGate, waitFor } from '../harness/gate';
import { writeNotebook } from '../harness/notebook';
import { expect, test } from '../harness/test';

test.use({ app: 'notebook' });

test('U3, U7: the panel is in the View menu, shows what runs, and goes to the cell', async ({
  open,
  ownServer
}) => {
  const notebook = await open(['first = 1', `second = 2\n${waitFor('nb7p')}`], ownServer);
  const { page } = notebook;
  await page.getByRole('menuitem', { name: 'View' }).click();
  await page.getByRole('menuitem', { name: 'Executions', exact: true }).click();
  const panel = page.locator('.jp-nbexec-panel');
  await expect(panel).toContainText('Nothing has run yet'); // on a server of its own
  await notebook.runAll();
  const row = panel.locator('.jp-nbexec-row').filter({ hasText: 'first = 1' });
  await expect(row).toHaveAttribute('data-state', 'finished');
  await row.click();
  await expect(notebook.cell(0)).toHaveClass(/jp-mod-active/);
  await expect(notebook.progress).toHaveText(/^1 of 2 · 00:\d\d$/);
  await openGate(ownServer, 'nb7p');
  await expect(notebook.progress).toBeHidden();
});

test('U3: a cell of another notebook is shown in a page of its own', async ({ open, server }) => {
  const cells = [...Array.from({ length: 30 }, (_, index) => `pass # ${index}\n\n\n`), 'far = 1'];
  await writeNotebook(server, 'nb7 far.ipynb', cells);
  const notebook = await open(["print('here')"]);
  await notebook.command('notebook-exec:show-executions');
  await server.json('/api/executions', {
    method: 'POST',
    body: JSON.stringify({ path: 'nb7 far.ipynb', cells: 'all' })
  });
  const row = notebook.page.locator('.jp-nbexec-row').filter({ hasText: 'far = 1' });
  await expect(row).toHaveAttribute('data-state', 'finished');
  const [opened] = await Promise.all([notebook.page.context().waitForEvent('page'), row.click()]);
  const cell = opened.locator('.jp-Notebook-cell.jp-mod-active', { hasText: 'far = 1' });
  await expect(cell).toBeInViewport({ timeout: 60_000 });
});
