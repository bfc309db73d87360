// The executions panel in Notebook 7.
import { openGate, waitFor } from '../harness/gate';
import { expect, test } from '../harness/test';

test.use({ app: 'notebook' });

test('U3, U7: the panel is in the View menu, shows what runs, and goes to the cell', async ({
  open,
  server
}) => {
  const notebook = await open(['first = 1', `second = 2\n${waitFor('nb7p')}`]);
  const { page } = notebook;
  await page.getByRole('menuitem', { name: 'View' }).click();
  await page.getByRole('menuitem', { name: 'Executions', exact: true }).click();
  const panel = page.locator('.jp-nbexec-panel');
  await expect(panel).toContainText('Nothing has run yet');
  await notebook.runAll();
  const row = panel.locator('.jp-nbexec-row').filter({ hasText: 'first = 1' });
  await expect(row).toHaveAttribute('data-state', 'finished');
  await row.click();
  await expect(notebook.cell(0)).toHaveClass(/jp-mod-active/);
  await expect(notebook.progress).toHaveText(/^1 of 2 · 00:\d\d$/);
  await openGate(server, 'nb7p');
  await expect(notebook.progress).toBeHidden();
});
