// K1, K2, Q8, Q15, O15: what went wrong is said where it happened, with what can be done.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import { openGate, waitFor } from '../harness/gate';
import { takePicture } from '../harness/pictures';
import { JupyterServer } from '../harness/server';
import { expect, readNotebook, streamText, test } from '../harness/test';

const run = promisify(execFile);

test.use({
  config: {
    NotebookExecApp: { interrupt_grace: 3, max_output_bytes: 20_000 }
  }
});

const IGNORES_INTERRUPTS = [
  'import signal, time',
  'signal.signal(signal.SIGINT, signal.SIG_IGN)',
  "print('deaf now', flush=True)",
  'while True: time.sleep(0.1)'
].join('\n');

const DIES = [
  'import os, time',
  "print('reading the data …')",
  "os.write(2, b'libsolver: out of bounds in step 7\\n'); time.sleep(0.5)",
  'os.kill(os.getpid(), 11)'
].join('\n');

test('K1: a kernel that dies says why in the cell, in no dialog, and the cells can run again', async ({
  open
}) => {
  const notebook = await open(['x = 40 + 2', DIES, "print('x is', x)"]);
  await notebook.runAll();
  await expect(notebook.output(1)).toContainText('ended by signal SIGSEGV');
  await expect(notebook.output(1)).toContainText('libsolver: out of bounds in step 7');
  await expect(notebook.note(1)).toContainText('The kernel died while this cell ran');
  await expect(notebook.prompt(2)).toHaveText('[ ]:');
  await expect(notebook.page.getByText('a new one is started')).toBeVisible();
  await notebook.expectNoDialog();
  await takePicture(notebook.page, 'kernel-died');

  await notebook.cell(1).locator('.cm-content').fill("print('mended')");
  await notebook.note(1).getByRole('button', { name: 'Run all up to here' }).click();
  await expect(notebook.output(1)).toHaveText('mended');
  await expect(notebook.note(1)).toHaveCount(0);
  await expect(notebook.prompt(0)).toHaveText('[1]:');
  await notebook.run(2);
  await expect(notebook.output(2)).toHaveText('x is 42');
});

test('K1: a kernel that stays dead is started again from the cell', async ({ open }) => {
  const server = await JupyterServer.start('lab', { KernelManager: { autorestart: false } });
  try {
    const notebook = await open([DIES, "print('b')"], server);
    await notebook.run(0);
    await expect(notebook.note(0)).toHaveText(/^The kernel died while this cell ran\.Restart/);
    await expect(notebook.page.getByText(/The kernel of .+ died\./)).toBeVisible();
    await notebook.expectNoDialog();
    await notebook.note(0).getByRole('button', { name: 'Restart kernel' }).click();
    await expect.poll(() => notebook.kernelStatus()).toBe('idle');
    await notebook.run(1);
    await expect(notebook.output(1)).toHaveText('b');
  } finally {
    await server.dispose();
  }
});

test('Q8: a kernel that ignores an interrupt is reported, and a restart from the cell ends it', async ({
  open
}) => {
  const notebook = await open([IGNORES_INTERRUPTS, "print('b')"]);
  await notebook.run(0);
  await expect(notebook.output(0)).toContainText('deaf now');
  await notebook.command('notebook:interrupt-kernel');
  await expect(notebook.badge(0)).toContainText('Stopping');
  await expect(notebook.output(0)).toContainText('has not reacted to the interrupt for 3 s');
  await expect(notebook.note(0)).toContainText('does not react to the interrupt');
  await takePicture(notebook.page, 'interrupt-ignored');

  await notebook.note(0).getByRole('button', { name: 'Restart kernel' }).click();
  await expect(notebook.dialog).toContainText('1 cell runs: it ends where it is');
  await expect(notebook.dialog).toContainText('All variables are lost');
  await takePicture(notebook.page, 'restart');
  await notebook.dialog.getByRole('button', { name: 'Confirm Kernel Restart' }).click();
  await expect(notebook.badge(0)).toHaveCount(0);
  await expect(notebook.note(0)).toHaveText('Ended by a restart of the kernel.');
  await notebook.run(1);
  await expect(notebook.output(1)).toHaveText('b');
});

test('K2: a restart says how many cells it ends, and leaves all as it is if one thinks better of it', async ({
  open,
  server
}) => {
  const notebook = await open([waitFor('k2'), "print('b')", "print('c')"]);
  await notebook.runAll();
  await expect(notebook.cell(0)).toHaveClass(/jp-nbexec-running/);
  await expect(notebook.badge(2)).toHaveText('Queued, 2 before');
  await notebook.command('notebook:restart-kernel');
  await expect(notebook.dialog).toContainText('1 cell runs');
  await expect(notebook.dialog).toContainText('2 cells wait: they will not run');
  await notebook.dialog.getByRole('button', { name: 'Cancel' }).click();
  await openGate(server, 'k2');
  await expect(notebook.output(2)).toHaveText('c');
});

test('O15: what was left out is a click away, as long as it may be', async ({ open }) => {
  const notebook = await open(["for i in range(20_000): print('line', i)"]);
  await notebook.run(0);
  await expect(notebook.output(0)).toContainText('line 19999');
  await expect(notebook.prompt(0)).toHaveText('[1]:');
  const link = notebook.output(0).getByRole('link', { name: 'Download all of it' });
  await link.scrollIntoViewIfNeeded();
  await expect(notebook.output(0).locator('.jp-nbexec-omitted')).toContainText('left out here');
  await takePicture(notebook.page, 'truncated');
  const [download] = await Promise.all([notebook.page.waitForEvent('download'), link.click()]);
  const text = await readFile(await download.path(), 'utf8');
  expect(text).toBe(Array.from({ length: 20_000 }, (_, i) => `line ${i}\n`).join(''));

  await notebook.reload();
  await expect(link).toBeVisible();
});

/** Which of both it says depends on whether the store, or only the file, cannot be written. */
const NOT_SAVED = /is not saved yet|could not be saved/;

test('R7: a full disk is told to everyone, once, and also that it is over', async ({
  open,
  openElsewhere,
  ownServer
}) => {
  const notebook = await open(["for i in range(3): print('kept', i)"], ownServer);
  const other = await openElsewhere(notebook);
  const full = (is: boolean) =>
    run('prlimit', ['--pid', String(ownServer.pid), `--fsize=${is ? '1' : 'unlimited'}:`]);
  await full(true);
  try {
    await notebook.run(0);
    await expect(notebook.output(0)).toContainText('kept 2');
    for (const { page } of [notebook, other]) {
      await expect(page.getByText('The server cannot write to its disk')).toHaveCount(1);
    }
    await expect(notebook.page.getByText(NOT_SAVED)).toHaveCount(1);
    await notebook.expectNoDialog();
    await takePicture(notebook.page, 'disk-full');
  } finally {
    await full(false);
  }
  for (const { page } of [notebook, other]) {
    await expect(page.getByText('can write to its disk again')).toBeVisible();
    await expect(page.getByText('The server cannot write to its disk')).toHaveCount(0);
    // Tried again at least every half minute.
    await expect(page.getByText(NOT_SAVED)).toHaveCount(0, { timeout: 60_000 });
  }
  const saved = await readNotebook(ownServer, notebook.name);
  expect(streamText(saved[0])).toBe('kept 0\nkept 1\nkept 2\n');
});
