// U2, Q7: how far a notebook is, in its toolbar, on its tab, in the file browser.
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { openGate, waitFor } from '../harness/gate';
import { writeNotebook } from '../harness/notebook';
import { takePicture } from '../harness/pictures';
import { expect, test } from '../harness/test';

const TAB = '.lm-DockPanel-tabBar .lm-TabBar-tab.lm-mod-current';

test('U2: progress is there after a reload and for the other user', async ({
  open,
  openElsewhere,
  server
}) => {
  const notebook = await open(["print('a')", waitFor('p1'), "print('c')"]);
  await notebook.runAll();
  await expect(notebook.progress).toHaveText(/^1 of 3 · 00:\d\d$/);
  const elsewhere = await openElsewhere(notebook);
  await expect(elsewhere.progress).toHaveText(/^1 of 3 · 00:\d\d$/);
  await notebook.reload();
  await expect(notebook.progress).toHaveText(/^1 of 3 · 00:\d\d$/);
  const tab = notebook.page.locator(TAB);
  await expect(tab).toHaveClass(/jp-nbexec-tab-running/);
  await expect(tab).toHaveAttribute('title', /Running on the server/);
  await openGate(server, 'p1');
  for (const each of [notebook, elsewhere]) {
    await expect(each.output(2)).toHaveText('c');
    await expect(each.progress).toBeHidden();
  }
  await expect(tab).not.toHaveClass(/jp-nbexec-tab/);
  await expect(tab).not.toHaveAttribute('title', /Running on the server/);
});

test('U2: what is left is told by earlier runs, and not before there were any', async ({
  open,
  server
}) => {
  const sleep = 'import time; time.sleep(float(open("p2.txt").read()))';
  const notebook = await open([sleep, `print('b')\n${waitFor('p2')}`]);
  await writeFile(path.join(server.root, 'p2.txt'), '3');
  await openGate(server, 'p2');
  await notebook.runAll();
  await expect(notebook.progress).toHaveText(/^0 of 2 · 00:02$/);
  await expect(notebook.output(1)).toHaveText('b');
  await writeFile(path.join(server.root, 'p2.txt'), '8');
  await notebook.runAll();
  await expect(notebook.progress).toHaveText(/^0 of 2 · 00:0\d · almost done$/);
  await takePicture(notebook.page, 'estimate');
  await expect(notebook.progress).toBeHidden();
});

test('Q7: from the toolbar the queue is emptied while its cell goes on', async ({
  open,
  server
}) => {
  const notebook = await open([waitFor('p3'), "print('b')", "print('c')"]);
  const { page } = notebook;
  await notebook.runAll();
  await page.getByRole('button', { name: '0 of 3 cells are done' }).click();
  const menu = page.getByRole('dialog', { name: 'What runs in this notebook' });
  await expect(menu).toContainText('2 queued cells will not run. The running one goes on.');
  await takePicture(page, 'progress');
  await menu.getByRole('button', { name: /Empty the queue/ }).click();
  await expect(menu).toHaveCount(0);
  await expect(notebook.prompt(1)).toHaveText('[ ]:');
  await expect(notebook.prompt(2)).toHaveText('[ ]:');
  await expect(notebook.prompt(0)).toHaveText('[*]:');
  await openGate(server, 'p3');
  await expect(notebook.prompt(0)).toHaveText('[1]:');
  await expect(notebook.output(0)).toHaveText('');
});

test('Q7, U7: by keyboard, everything is stopped, with the consequence said before', async ({
  open
}) => {
  const notebook = await open([waitFor('never'), "print('b')"]);
  const { page } = notebook;
  await notebook.runAll();
  await expect(notebook.cell(1)).toHaveClass(/jp-mod-active/); // it takes the focus there
  const button = page.getByRole('button', { name: '0 of 2 cells are done' });
  await button.focus();
  await page.keyboard.press('Enter');
  const menu = page.getByRole('dialog', { name: 'What runs in this notebook' });
  await expect(menu.getByRole('button', { name: /Go to the running cell/ })).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(menu).toHaveCount(0);
  await expect(button).toBeFocused();
  await page.keyboard.press('Enter');
  await page.keyboard.press('ArrowUp');
  const stop = menu.getByRole('button', { name: /Stop everything/ });
  await expect(stop).toBeFocused();
  await expect(stop).toContainText(
    'The running cell is interrupted, 1 queued cell will not run. Outputs stay.'
  );
  await page.keyboard.press('Enter');
  await expect(notebook.output(0)).toContainText('KeyboardInterrupt');
  await expect(notebook.prompt(1)).toHaveText('[ ]:');
  await expect(notebook.progress).toBeHidden();
});

test('U2: a tab that waits for input has a badge', async ({ open }) => {
  const notebook = await open(["input('Name? ')"]);
  await notebook.run(0);
  const tab = notebook.page.locator(TAB);
  await expect(tab).toHaveClass(/jp-nbexec-tab-waiting/);
  await expect(tab).toHaveAttribute('title', /Waits for input/);
  await expect(notebook.progress).toHaveText(/^0 of 1 · 00:\d\d · waits for input$/);
  await takePicture(notebook.page, 'tab-waits');
  await notebook.command('docmanager:save');
  await expect(tab).toHaveAttribute('title', /Last Saved/);
  await expect(tab).toHaveAttribute('title', /Waits for input/);
  await notebook.input(0).fill('Ada');
  await notebook.input(0).press('Enter');
  await expect(tab).not.toHaveClass(/jp-nbexec-tab/);
});

test('U2: the file browser shows notebooks that run, those too that nobody has open', async ({
  open,
  server
}) => {
  const notebook = await open(["print('a')"]);
  const { page } = notebook;
  await mkdir(path.join(server.root, 'p6'), { recursive: true });
  await writeNotebook(server, 'p6/hidden.ipynb', [waitFor('../p6')]);
  await server.json('/api/executions', {
    method: 'POST',
    body: JSON.stringify({ path: 'p6/hidden.ipynb', cells: 'all' })
  });
  await notebook.command('filebrowser:refresh');
  const folder = page.locator('.jp-DirListing-item').filter({ hasText: /^p6/ });
  await expect(folder).toHaveAttribute('data-nbexec', 'running');
  await folder.dblclick();
  const file = page.locator('.jp-DirListing-item').filter({ hasText: 'hidden.ipynb' });
  await expect(file).toHaveAttribute('data-nbexec', 'running');
  await expect(file).toHaveAttribute('aria-description', 'Running on the server');
  await takePicture(page, 'files');
  await openGate(server, 'p6');
  await expect(file).not.toHaveAttribute('data-nbexec');
});
