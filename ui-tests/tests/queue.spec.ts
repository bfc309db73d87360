// Q, U1, U2, K2: running, stopping and what waits behind.
import { openGate, waitFor } from '../harness/gate';
import { expect, test } from '../harness/test';

test('U2: Run All is one request, and queued and running cells differ', async ({
  open,
  server
}) => {
  const notebook = await open([
    { source: '# A title', type: 'markdown' },
    waitFor('u2a'),
    "print('b')",
    "print('c')"
  ]);
  await notebook.runAll();
  await expect(notebook.cell(1)).toHaveClass(/jp-nbexec-running/);
  await expect(notebook.cell(2)).toHaveClass(/jp-nbexec-queued/);
  await expect(notebook.badge(1)).toHaveText(/^\d+ s$/);
  await expect(notebook.badge(3)).toHaveText('Queued, 2 before');
  await expect(notebook.progress).toHaveText(/^0 of 3 · 00:\d\d$/);
  await openGate(server, 'u2a');
  await expect(notebook.output(3)).toHaveText('c');
  await expect(notebook.progress).toBeHidden();
  expect(notebook.submitted.map(({ way }) => way)).toEqual(['socket']);
});

test('A1: where no websocket for it gets through, cells run all the same', async ({
  open,
  page
}) => {
  await page.routeWebSocket(/api\/executions\/socket/, socket => socket.close());
  const notebook = await open(["print('a')"]);
  await notebook.run(0);
  await expect(notebook.output(0)).toHaveText('a');
  expect(notebook.submitted.map(({ way }) => way)).toEqual(['post']);
});

test('U1: Shift+Enter runs the cell and goes to the next', async ({ open }) => {
  const notebook = await open(["print('a')", "print('b')"]);
  await notebook.select(0);
  await notebook.page.keyboard.press('Shift+Enter');
  await notebook.page.keyboard.press('Shift+Enter');
  await expect(notebook.output(0)).toHaveText('a');
  await expect(notebook.output(1)).toHaveText('b');
  await expect(notebook.prompt(1)).toHaveText('[2]:');
  await expect(notebook.cells).toHaveCount(3);
});

test('Q3: what runs is what the page showed as it was started', async ({ open }) => {
  const notebook = await open(["print('old')"]);
  await notebook.cell(0).locator('.cm-content').click();
  await notebook.page.keyboard.press('Control+A');
  await notebook.page.keyboard.type("print('new')");
  await notebook.page.keyboard.press('Shift+Enter');
  await expect(notebook.output(0)).toHaveText('new');
});

test('Q6: an error stops Run All', async ({ open }) => {
  const notebook = await open(["print('a')", '1 / 0', "print('c')"]);
  await notebook.runAll();
  await expect(notebook.output(1)).toContainText('ZeroDivisionError');
  await expect(notebook.prompt(1)).toHaveText('[2]:');
  await expect(notebook.prompt(2)).toHaveText('[ ]:');
  await expect(notebook.output(2)).toHaveText('');
  await notebook.run(2);
  await expect(notebook.output(2)).toHaveText('c');
});

test('Q7: a queued cell is taken out of the queue by its button', async ({ open, server }) => {
  const notebook = await open([waitFor('q7'), "print('b')", "print('c')"]);
  await notebook.runAll();
  await notebook.badge(1).getByRole('button', { name: 'Take this cell out of the queue' }).click();
  await expect(notebook.badge(1)).toHaveCount(0);
  await expect(notebook.prompt(1)).toHaveText('[ ]:');
  await expect(notebook.prompt(2)).toHaveText('[*]:');
  await openGate(server, 'q7');
  await expect(notebook.output(2)).toHaveText('c');
  await expect(notebook.output(1)).toHaveText('');
});

test('Q7: the running cell is stopped by its button', async ({ open }) => {
  const notebook = await open([waitFor('never')]);
  await notebook.run(0);
  await notebook.badge(0).getByRole('button', { name: 'Stop this cell' }).click();
  await expect(notebook.output(0)).toContainText('KeyboardInterrupt');
  await expect(notebook.badge(0)).toHaveCount(0);
  await expect(notebook.prompt(0)).toHaveText('[1]:');
});

test('Q8: an interrupt stops the queue too, and the next cell runs at once', async ({ open }) => {
  const notebook = await open([waitFor('never'), "print('b')", "print('c')"]);
  await notebook.runAll();
  await expect(notebook.badge(2)).toBeVisible();
  // Not while all of it still waits for the kernel: then nothing would be interrupted.
  await notebook.badge(0).getByRole('button', { name: 'Stop this cell' }).waitFor();
  await notebook.command('notebook:interrupt-kernel');
  await expect(notebook.output(0)).toContainText('KeyboardInterrupt');
  await expect(
    notebook.page.getByText('Interrupted: 2 cells that waited will not run')
  ).toBeVisible();
  for (const index of [1, 2]) {
    await expect(notebook.prompt(index)).toHaveText('[ ]:');
    await expect(notebook.badge(index)).toHaveCount(0);
  }
  await notebook.run(2);
  await expect(notebook.output(2)).toHaveText('c');
});

test('K2: a restart ends what runs and waits; the kernel keeps its id', async ({ open }) => {
  const notebook = await open([
    `x = 1\nprint('begun')\n${waitFor('never')}`,
    "print('b')",
    "print('x' in globals())"
  ]);
  const kernelId = await notebook.kernelId();
  await notebook.runAll();
  await expect(notebook.output(0)).toContainText('begun');
  await notebook.command('notebook:restart-kernel');
  await notebook.page.locator('.jp-Dialog .jp-mod-accept').click();
  for (const index of [0, 1, 2]) {
    await expect(notebook.badge(index)).toHaveCount(0);
    await expect(notebook.prompt(index)).not.toHaveText('[*]:');
  }
  await notebook.run(2);
  await expect(notebook.output(2)).toHaveText('False');
  expect(await notebook.kernelId()).toBe(kernelId);
});

test('U1: Restart and Run All', async ({ open }) => {
  const notebook = await open([
    'try: n += 1\nexcept NameError: n = 1\nprint(n)',
    'import os; print(os.getpid())'
  ]);
  await notebook.runAll();
  await expect(notebook.output(1)).toHaveText(/^\d+\s*$/);
  const before = await notebook.output(1).innerText();
  await notebook.command('notebook:restart-run-all');
  await notebook.page.locator('.jp-Dialog .jp-mod-accept').click();
  await expect(notebook.output(1)).not.toHaveText(before);
  await expect(notebook.output(1)).toHaveText(/^\d+\s*$/);
  await expect(notebook.prompt(1)).toHaveText('[2]:');
  await expect(notebook.output(0)).toHaveText('1');
  await expect(notebook.prompt(0)).toHaveText('[1]:');
});
