// Notebook 7: the same extension in the other front end.
import { openGate, waitFor } from '../harness/gate';
import { takePicture } from '../harness/pictures';
import { expect, streamText, test } from '../harness/test';

test.use({ app: 'notebook' });

test('U1: Notebook 7 runs, reloads, asks and shows', async ({ open, server }) => {
  const notebook = await open([
    `print('begun')\n${waitFor('nb7')}`,
    "print('hello', input('Name? '))"
  ]);
  await notebook.runAll();
  await expect(notebook.output(0)).toHaveText('begun');
  await notebook.reload();
  await expect(notebook.badge(1)).toHaveText('Queued, 1 before');
  await openGate(server, 'nb7');
  await notebook.input(1).fill('Ada');
  await notebook.input(1).press('Enter');
  await expect(notebook.output(1)).toContainText('hello Ada');
  await expect(notebook.prompt(1)).toHaveText('[2]:');
  const cells = await notebook.document();
  expect(streamText(cells[0])).toBe('begun\n');
  await notebook.expectNoDialog();
});

test('U3: Notebook 7 says why a kernel died, shows its log, and restarts it hard', async ({
  open
}) => {
  const notebook = await open([
    "import os, time\nos.write(2, b'out of bounds\\n'); time.sleep(0.5)\nos.kill(os.getpid(), 11)",
    "print('b')"
  ]);
  const { page } = notebook;
  await notebook.run(0);
  await expect(notebook.output(0)).toContainText('ended by signal SIGSEGV');
  await notebook.note(0).getByRole('button', { name: 'Kernel log' }).click();
  await expect(page.locator('.jp-nbexec-log-lines')).toContainText('out of bounds');
  await expect(page.locator('.jp-nbexec-log-lines')).toBeInViewport();
  await takePicture(page, 'kernel-log-notebook7');
  await page.getByRole('button', { name: /^Hard restart/ }).click();
  await notebook.dialog.getByRole('button', { name: 'Confirm Kernel Restart' }).click();
  await expect(page.getByText('was started anew')).toBeVisible();
  await notebook.run(1);
  await expect(notebook.output(1)).toHaveText('b');
  await notebook.expectNoDialog();
});
