// K3, K5, U3: the kernel's log in the page, and hard restarts.
import { Page } from '@playwright/test';
import { readFile } from 'node:fs/promises';

import { openGate, waitFor } from '../harness/gate';
import { Network } from '../harness/proxy';
import { NotebookPage } from '../harness/notebook';
import { takePicture } from '../harness/pictures';
import { expect, test } from '../harness/test';

/** Python that writes where the process itself does: ipykernel does not know of it. */
const WRITE = [
  'import os, sys',
  "tty = getattr(sys.stderr, '_original_stdstream_copy', 2)",
  "def log(text): os.write(tty, (text + '\\n').encode())"
].join('\n');

const lines = (page: Page) => page.locator('.jp-nbexec-log-lines');

async function openLog(notebook: NotebookPage): Promise<void> {
  await notebook.page.getByRole('menuitem', { name: 'Kernel', exact: true }).click();
  await notebook.page.getByText('Show Kernel Log').click();
  await expect(lines(notebook.page)).toBeVisible();
}

test('K5: what the kernel writes itself is shown as it comes, with its colours', async ({
  open
}) => {
  const notebook = await open([
    `${WRITE}\nlog('loading \\x1b[32mlibsolver 2.1\\x1b[0m')\nlog('\\x1b[31mout of bounds')\nlog('still red\\x1b[0m')`,
    "for i in range(300): log(f'step {i}')",
    "log('the last')"
  ]);
  const { page } = notebook;
  await openLog(notebook);
  await notebook.run(0);
  await expect(lines(page)).toContainText('out of bounds');
  await expect(lines(page).locator('.ansi-green-fg')).toHaveText('libsolver 2.1');
  await expect(lines(page).locator('.ansi-red-fg')).toHaveText(['out of bounds', 'still red']);
  await takePicture(page, 'kernel-log');

  await notebook.run(1);
  await expect(lines(page).getByText('step 299')).toBeInViewport();
  const follow = page.getByRole('button', { name: 'Follow' });
  await lines(page).evaluate(node => node.scrollTo(0, 0));
  await expect(follow).toHaveAttribute('aria-pressed', 'false');
  await notebook.run(2);
  await expect(lines(page)).toContainText('the last');
  expect(await lines(page).evaluate(node => node.scrollTop)).toBe(0);
  await follow.click();
  await expect(lines(page).getByText('the last')).toBeInViewport();
  await expect(follow).toHaveAttribute('aria-pressed', 'true');
});

test('U3: the log is searched, kept as a file and cleared', async ({ open }) => {
  const notebook = await open([
    `${WRITE}\nfor i in range(50): log(f'step {i}' + ' overflow' * (i % 10 == 7))`
  ]);
  const { page } = notebook;
  await notebook.run(0);
  await openLog(notebook);
  await expect(lines(page)).toContainText('step 49');

  await lines(page).focus();
  await page.keyboard.press('Control+F');
  await page.locator('.jp-DocumentSearch-input').first().fill('overflow');
  await expect(lines(page).locator('.cm-searching')).toHaveCount(5);
  await page.keyboard.press('Enter');
  await expect(page.locator('.jp-DocumentSearch-index-counter')).toHaveText(/^\d\/5$/);
  await takePicture(page, 'kernel-log-search');
  await page.keyboard.press('Escape');

  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Download' }).click()
  ]);
  expect(await readFile(await download.path(), 'utf8')).toContain('step 17 overflow\n');
  await page.getByRole('button', { name: 'Clear', exact: true }).click();
  await expect(lines(page)).toHaveText('');
  await expect(page.getByText('What the kernel writes next is shown here')).toBeVisible();
});

test('K5: the log goes on after a restart of the kernel, a cut of the network and a reload', async ({
  open,
  page,
  server
}) => {
  const network = await Network.to(server.port);
  const first = await open([
    `${WRITE}\nlog('first life')`,
    `${WRITE}\nlog('second life')`,
    waitFor('k5') + "\nlog('while away')"
  ]);
  await page.goto(`${network.url}/lab/tree/${first.name}?reset&token=${server.token}`);
  const notebook = new NotebookPage(page, server, first.name);
  await notebook.ready();
  await notebook.run(0);
  await openLog(notebook);
  await expect(lines(page)).toContainText('first life');
  await notebook.command('notebook:restart-kernel');
  await notebook.dialog.locator('.jp-mod-accept').click();
  await expect(page.locator('.jp-nbexec-log-mark')).toContainText('The kernel was restarted');
  await notebook.run(1);
  await expect(lines(page)).toContainText('second life');

  await notebook.run(2);
  await expect(notebook.cell(2)).toHaveClass(/jp-nbexec-running/);
  await network.cut();
  await expect(page.getByText('the log goes on when it is back')).toBeVisible();
  await openGate(server, 'k5');
  await network.restore();
  await expect(lines(page)).toContainText('while away');
  await expect(lines(page).getByText('second life')).toHaveCount(1);
  await expect(page.getByText('the log goes on when it is back')).toHaveCount(0);

  await page.reload();
  await expect(lines(page)).toContainText('while away');
});

test('K3: a hard restart says what it does, and starts all anew under the same id', async ({
  open,
  server
}) => {
  const notebook = await open([
    `x = 1\nprint('begun')\n${waitFor('never')}`,
    "print('x' in globals())"
  ]);
  const { page } = notebook;
  const kernelId = await notebook.kernelId();
  const nanny = async () =>
    (await server.json<{ nanny: { pid: number } }>(`/api/kernels/${kernelId}/status`)).nanny.pid;
  const before = await nanny();
  await notebook.run(0);
  await expect(notebook.output(0)).toContainText('begun');
  await page.getByRole('button', { name: /^Hard restart/ }).click();
  await expect(notebook.dialog).toContainText('1 cell runs: it ends where it is');
  await expect(notebook.dialog).toContainText(
    'The process that watches over the kernel is replaced too'
  );
  await takePicture(page, 'hard-restart');
  await notebook.dialog.getByRole('button', { name: 'Confirm Kernel Restart' }).click();
  await expect(page.getByText('was started anew')).toBeVisible();
  await expect(notebook.badge(0)).toHaveCount(0);
  await notebook.run(1);
  await expect(notebook.output(1)).toHaveText('False');
  expect(await notebook.kernelId()).toBe(kernelId);
  expect(await nanny()).not.toBe(before);
  await expect.poll(() => notebook.kernelStatus()).toBe('idle');
});
