// U5, K10, K11: what JupyterLab and its extensions do with a kernel works as without us.
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { noteActions, takeActions } from '../harness/lab';
import type { NotebookPage } from '../harness/notebook';
import { expect, test } from '../harness/test';

/** Without how the cells behind the error went. */
function comparable(actions: readonly string[]): string[] {
  return actions.map(action => action.replace(/^(executed c[23]) .*/, '$1'));
}

/** Puts the cursor at the end of a cell's text. */
async function edit(notebook: NotebookPage, index: number): Promise<void> {
  await notebook.cell(index).locator('.cm-content').click();
  await notebook.page.keyboard.press('Control+End');
}

test('K10, U5: the debugger stops a cell that the server runs, and lets it go on', async ({
  open
}) => {
  const notebook = await open([
    'def double(n):\n    total = n + n\n    return total\nprint(double(21))',
    'answer = 1234'
  ]);
  const { page } = notebook;
  await notebook.run(1);
  await expect(notebook.prompt(1)).toHaveText('[1]:');
  const bug = page.locator('.jp-DebuggerBugButton').locator('visible=true').first();
  await expect.poll(() => notebook.kernelStatus()).toBe('idle');
  await expect(async () => {
    // JupyterLab forgets a click that comes while it still asks the kernel whether it can debug.
    if ((await bug.getAttribute('aria-pressed')) !== 'true') {
      await bug.click();
    }
    await expect(bug).toHaveAttribute('aria-pressed', 'true', { timeout: 5000 });
  }).toPass();
  const variables = page.locator('.jp-DebuggerVariables');
  await expect(variables).toContainText('answer'); // not stopped: what the kernel holds

  const gutter = notebook.cell(0).locator('.cm-breakpoint-gutter > .cm-gutterElement');
  await gutter.nth(2).click(); // the first is hidden; this is line 2
  await expect(page.locator('.jp-DebuggerBreakpoints-body')).toContainText('2');
  await notebook.run(0);
  await expect(page.locator('.jp-DebuggerCallstack')).toContainText('double');
  await expect(variables).toContainText('21');
  await expect(notebook.prompt(0)).toHaveText('[*]:');
  await notebook.command('debugger:continue');
  await expect(notebook.output(0)).toContainText('42');
  await expect(notebook.prompt(0)).toHaveText('[2]:');
  await bug.click();
  await expect(bug).toHaveAttribute('aria-pressed', 'false');
  await notebook.run(0);
  await expect(notebook.prompt(0)).toHaveText('[3]:');
});

test('K10, U5: completion and tooltip know what the server ran', async ({ open }) => {
  const notebook = await open([
    'frobnicated = 7\ndef frob(x):\n    "Turns it."',
    'frobnic',
    'frob('
  ]);
  const { page } = notebook;
  await notebook.run(0);
  await expect(notebook.prompt(0)).toHaveText('[1]:');
  // The cell may be through before the page has heard from the kernel, and only then it completes.
  await expect.poll(() => notebook.kernelStatus()).toBe('idle');
  const completer = page.locator('.jp-Completer');
  const text = notebook.cell(1).locator('.cm-content');
  await expect(async () => {
    await edit(notebook, 1);
    await page.keyboard.press('Tab');
    await expect(completer.getByText('frobnicated').or(text.getByText('frobnicated'))).toBeVisible({
      timeout: 3000
    });
  }).toPass();
  await page.keyboard.press('Escape');
  await edit(notebook, 2);
  await page.keyboard.press('Shift+Tab');
  await expect(page.locator('.jp-Tooltip')).toContainText('Turns it.');
  await page.keyboard.press('Escape');
  await notebook.command('inspector:open');
  await edit(notebook, 2);
  await page.keyboard.press('ArrowLeft');
  await expect(page.locator('.jp-Inspector')).toContainText('Turns it.');
});

test('K11, K10: a console shows what runs in the notebook, and runs code of its own', async ({
  open
}) => {
  const notebook = await open(["print('from the notebook')", "print('now', shared)"]);
  const { page } = notebook;
  await notebook.command('notebook:create-console', { activate: false });
  const console = page.locator('.jp-CodeConsole');
  await expect(console).toBeVisible();
  const prompt = console.locator('.jp-CodeConsole-promptCell .cm-content');
  await prompt.click();
  await page.keyboard.type("shared = 40 + 2; print('by console', shared)");
  await page.keyboard.press('Shift+Enter');
  await expect(console).toContainText('by console 42');
  await notebook.command('console:toggle-show-all-kernel-activity');
  await notebook.run(0);
  await expect(notebook.output(0)).toContainText('from the notebook');
  await expect(console.locator('.jp-CodeConsole-content')).toContainText('from the notebook');
  await notebook.run(1);
  await expect(notebook.output(1)).toContainText('now 42');
  await expect(notebook.output(0)).not.toContainText('by console');
  await expect(notebook.prompt(1)).toHaveText('[3]:');
});

test('U5: NotebookActions tells other extensions what it tells them without us', async ({
  open
}) => {
  const cells = ["print('one')", '1 / 0', "print('never')", "print('four')"];
  const seen: string[][] = [];
  for (const isOurs of [false, true]) {
    const notebook = await open(cells);
    const { page } = notebook;
    await page.evaluate(mine => {
      const { jupyterapp } = window as unknown as {
        jupyterapp: {
          shell: {
            currentWidget: {
              content: {
                model: { sharedModel: { setMetadata(key: string, value: unknown): void } };
              };
            };
          };
        };
      };
      const { sharedModel } = jupyterapp.shell.currentWidget.content.model;
      sharedModel.setMetadata('notebook_exec', { server_side: mine });
    }, isOurs);
    await noteActions(page);
    const actions: string[] = [];
    const collect = async (count: number): Promise<void> => {
      await expect(async () => {
        actions.push(...(await takeActions(page)));
        expect(actions.length).toBeGreaterThanOrEqual(count);
      }).toPass();
    };
    await notebook.run(0);
    await collect(3);
    await notebook.runAll();
    await expect(notebook.output(1)).toContainText('ZeroDivisionError');
    await collect(12); // 3, then two for each of four cells and one for all
    await notebook.select(3);
    await notebook.command('notebook:run-cell');
    await expect(notebook.output(3)).toContainText('four');
    await collect(15);
    await notebook.select(0);
    await notebook.command('notebook:clear-cell-output');
    await collect(16);
    seen.push(actions);
  }
  const [theirs, ours] = seen;
  expect(theirs).toContain('executed c1 false ZeroDivisionError');
  // In JupyterLab alone the kernel aborts what is behind an error a little later, and a selection
  // counts as executed before or after that, and a cell behind may have run by then; each cell's
  // own events are in order, and the same.
  for (const about of ['c0', 'c1', 'c2', 'c3']) {
    const own = (actions: string[]): string[] =>
      comparable(actions.filter(action => !/^selection/.test(action) && action.includes(about)));
    expect(own(ours)).toEqual(own(theirs));
  }
  expect(comparable(ours).sort()).toEqual(comparable(theirs).sort());
});

test('O13: %load, set_next_input and a pager', async ({ open, server }) => {
  await writeFile(path.join(server.root, 'loaded.py'), "print('loaded')\n");
  const notebook = await open(['%load loaded.py', "get_ipython().set_next_input('1 + 1')", 'len?']);
  await notebook.run(0);
  await expect(notebook.cell(0).locator('.cm-content')).toContainText("print('loaded')");
  await notebook.run(0);
  await expect(notebook.output(0)).toContainText('loaded');
  await notebook.run(1);
  await expect(notebook.cells.nth(2).locator('.cm-content')).toContainText('1 + 1');
  await notebook.run(3);
  await expect(notebook.output(3)).toContainText('Return the number of items in a container');
});

test('U5: search and replace in a notebook that was run', async ({ open }) => {
  const notebook = await open(["value = 'needle'\nprint(value)"]);
  const { page } = notebook;
  await notebook.run(0);
  await expect(notebook.output(0)).toHaveText('needle');
  await notebook.select(0);
  await page.keyboard.press('Control+f');
  await page.locator('.jp-DocumentSearch-input').first().fill('needle');
  await expect(page.locator('.jp-DocumentSearch-index-counter')).toHaveText('1/1');
  await page.getByRole('button', { name: 'Show Replace' }).click();
  await page.getByPlaceholder('Replace').fill('thread');
  await page.getByRole('button', { name: 'Replace All' }).click();
  await expect(notebook.cell(0).locator('.cm-content')).toContainText("value = 'thread'");
  await expect(notebook.output(0)).toHaveText('needle');
});
