// O: what a cell puts out, as the page shows it.
import { openGate, waitFor } from '../harness/gate';
import { expect, streamText, test } from '../harness/test';

const HTML_THAT_ACTS =
  '<b class="nbexec-html">here</b><script>window.nbexecRan = (window.nbexecRan || 0) + 1</script>';

test('O3: a tqdm bar is one line that changes', async ({ open, server }) => {
  const notebook = await open([
    [
      'from tqdm import tqdm',
      'import sys',
      "bar = tqdm(total=3000, mininterval=0, ncols=70, file=sys.stdout, desc='bar')",
      'for _ in range(1500): bar.update()',
      waitFor('o3'),
      'for _ in range(1500): bar.update()',
      'bar.close()',
      "print('done')"
    ].join('\n')
  ]);
  await notebook.run(0);
  await expect(notebook.output(0)).toContainText('1500/3000');
  await openGate(server, 'o3');
  await expect(notebook.output(0)).toContainText('done');
  await expect(notebook.prompt(0)).toHaveText('[1]:');
  const [cell] = await notebook.document();
  const lines = streamText(cell).trimEnd().split('\n');
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatch(/^bar: 100%\|.*\| 3000\/3000/);
  const shown = await notebook.output(0).locator('pre').innerText();
  expect(shown.trimEnd()).toBe(lines.join('\n'));
});

test('O19: a long coloured text is whole, is searched and copied, and again after a reload', async ({
  open
}) => {
  const notebook = await open([
    [
      "print('\\033[31m', end='')",
      "print(*(f'line {i}' for i in range(1000)), sep='\\n')",
      "print('\\033[0mdone')"
    ].join('\n')
  ]);
  const { page } = notebook;
  const text = `${Array.from({ length: 1000 }, (_, i) => `line ${i}\n`).join('')}done\n`;
  const stream = notebook.output(0).locator('.jp-RenderedText');
  const check = async (): Promise<void> => {
    await expect(stream).toContainText('done');
    expect(await stream.evaluate(node => node.textContent)).toBe(text);
    const copied = await stream.evaluate(node => {
      const selection = getSelection();
      selection?.selectAllChildren(node);
      const seen = selection?.toString();
      selection?.removeAllRanges(); // or a search would begin with it
      return seen;
    });
    expect(copied?.trimEnd()).toBe(text.trimEnd());
    const blocks = stream.locator('.jp-nbexec-block');
    expect(await blocks.count()).toBeGreaterThan(5);
    for (const block of (await blocks.all()).slice(0, -1)) {
      const red = await block.locator('.ansi-red-fg').allTextContents();
      expect(red.join('')).toBe(await block.evaluate(node => node.textContent));
    }
    await expect(stream.locator('.ansi-red-fg', { hasText: 'done' })).toHaveCount(0);
  };
  await notebook.run(0);
  await check();
  await notebook.reload();
  await check();
  await notebook.select(0);
  await page.keyboard.press('Control+f');
  await page.locator('.jp-DocumentSearch-filter-button').click();
  await page.getByLabel('Search Cell Outputs').check();
  await page.locator('.jp-DocumentSearch-input').first().fill('line 432');
  await expect(page.locator('.jp-DocumentSearch-index-counter')).toHaveText('1/1');
  const found = stream
    .locator('.jp-nbexec-block', { hasText: 'line 432' })
    .locator('mark, .cm-searching');
  await expect(found).toBeInViewport();
  await page.keyboard.press('Escape');
  await expect(found).toHaveCount(0);
  expect(await stream.evaluate(node => node.textContent)).toBe(text);
});

test('O19: a flood goes on being shown while somebody types, and is whole at the end', async ({
  open,
  server
}) => {
  const notebook = await open([
    '',
    [
      'import os, time',
      'i = 0',
      "while not os.path.exists('o19.gate'):",
      "    print('line', i, flush=True); i += 1",
      '    time.sleep(0.0005)',
      "print('done')"
    ].join('\n')
  ]);
  const { page } = notebook;
  const stream = notebook.output(1).locator('.jp-RenderedText');
  await notebook.run(1);
  await expect(stream).toContainText('line');
  await notebook.cell(0).locator('.cm-content').click();
  const seen = new Set<string | null>();
  let typed = '';
  while (seen.size < 5) {
    await page.keyboard.press('a');
    typed += 'a';
    seen.add(await stream.evaluate(node => node.textContent));
  }
  await openGate(server, 'o19');
  await expect(notebook.prompt(1)).toHaveText('[1]:');
  await expect(stream).toContainText('done');
  const [above, cell] = await notebook.document();
  expect(above.source).toBe(typed);
  const text = streamText(cell);
  const lines = text.split('\n');
  expect(lines.slice(0, -2)).toEqual(lines.slice(0, -2).map((_, index) => `line ${index}`));
  expect(await stream.evaluate(node => node.textContent)).toBe(text);
});

test('O6: a matplotlib figure shows', async ({ open }) => {
  const notebook = await open([
    '%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.show()'
  ]);
  await notebook.run(0);
  const image = notebook.output(0).locator('img');
  await expect(image).toBeVisible({ timeout: 60_000 });
  expect(await image.evaluate((img: HTMLImageElement) => img.naturalWidth)).toBeGreaterThan(100);
});

test('O4: clear_output(wait=True) never shows an empty cell', async ({ open }) => {
  const notebook = await open([
    [
      'import time',
      'from IPython.display import clear_output',
      'for i in range(60):',
      '    clear_output(wait=True)',
      "    print('frame', i)",
      '    time.sleep(0.03)'
    ].join('\n')
  ]);
  await notebook.page.evaluate(() => {
    const seen = { frames: 0, empty: 0 };
    (window as unknown as { seen: typeof seen }).seen = seen;
    const look = (): void => {
      const text = document.querySelector('.jp-Notebook-cell .jp-Cell-outputArea')?.textContent;
      seen.frames += text ? 1 : 0;
      seen.empty += seen.frames > 0 && !text ? 1 : 0;
      requestAnimationFrame(look);
    };
    look();
  });
  await notebook.run(0);
  await expect(notebook.output(0)).toHaveText('frame 59');
  const seen = await notebook.page.evaluate(
    () => (window as unknown as { seen: { frames: number; empty: number } }).seen
  );
  expect(seen.frames).toBeGreaterThan(10);
  expect(seen.empty).toBe(0);
});

test('O4: what took the place of all grows on, and so does what comes as the cell begins', async ({
  open,
  server
}) => {
  const notebook = await open([
    [
      'from IPython.display import clear_output',
      "print('old', flush=True)",
      waitFor('o4a'),
      "clear_output(wait=True); print('new', flush=True)",
      waitFor('o4b'),
      "print('and more', flush=True)",
      waitFor('o4c')
    ].join('\n')
  ]);
  await notebook.run(0); // the notebook is not trusted yet, and trusted with this
  await expect(notebook.output(0)).toHaveText('old');
  await openGate(server, 'o4a');
  await expect(notebook.output(0)).toHaveText('new');
  await openGate(server, 'o4b');
  await expect(notebook.output(0)).toHaveText('new\nand more');
  await openGate(server, 'o4c');
  await expect(notebook.prompt(0)).toHaveText('[1]:');
});

test('O5: update_display changes the output where it stands', async ({ open }) => {
  const notebook = await open([
    [
      'from IPython.display import display, HTML',
      "print('above')",
      "h = display(HTML('<i>old</i>'), display_id=True)",
      "print('below')"
    ].join('\n'),
    "h.update(HTML('<i>new</i>'))"
  ]);
  await notebook.run(0);
  await expect(notebook.output(0)).toContainText('old');
  await notebook.run(1);
  await expect(notebook.output(0)).toContainText('new');
  await expect(notebook.output(0)).toHaveText(/^\s*above\s*new\s*below\s*$/);
});

test('O2: stdout and stderr in turn, each text where it was put', async ({ open }) => {
  const notebook = await open([
    [
      'import sys',
      'for i in range(5):',
      "    print('out', i, flush=True)",
      "    print('err', i, file=sys.stderr, flush=True)"
    ].join('\n')
  ]);
  await notebook.run(0);
  await expect(notebook.output(0)).toHaveText(
    new RegExp([0, 1, 2, 3, 4].map(i => `out ${i}\\s*err ${i}`).join('\\s*'))
  );
});

test('O10: edited and moved while it runs, and the outputs follow', async ({ open, server }) => {
  const notebook = await open([`print('begun')\n${waitFor('o10')}\nprint('end')`, '# other']);
  await notebook.run(0);
  await expect(notebook.output(0)).toContainText('begun');
  await notebook.cell(0).locator('.cm-content').click();
  await notebook.page.keyboard.press('Control+Home');
  await notebook.page.keyboard.type('# edited\n');
  await notebook.select(0);
  await notebook.command('notebook:move-cell-down');
  await expect(notebook.cell(1).locator('.cm-content')).toContainText('# edited');
  await expect(notebook.badge(1)).toBeVisible();
  await openGate(server, 'o10');
  await expect(notebook.output(1)).toHaveText(/^begun\s*end\s*$/);
  await expect(notebook.prompt(1)).toHaveText('[1]:');
  const cells = await notebook.document();
  expect(cells.map(cell => cell.id)).toEqual(['c1', 'c0']);
  expect(streamText(cells[1])).toBe('begun\nend\n');
});

test('O11: deleted while it runs, and the next cell runs', async ({ open, server }) => {
  const notebook = await open([waitFor('o11'), "print('b')"]);
  await notebook.runAll();
  await expect(notebook.badge(1)).toBeVisible();
  await notebook.select(0);
  await notebook.command('notebook:delete-cell');
  await expect(notebook.cells).toHaveCount(1);
  await openGate(server, 'o11');
  await expect(notebook.output(0)).toHaveText('b');
});

test('O16: undo gives the text back and leaves outputs and counts', async ({ open }) => {
  const notebook = await open(["print('run')"]);
  await notebook.cell(0).locator('.cm-content').click();
  await notebook.page.keyboard.press('Control+End');
  await notebook.page.keyboard.type('  # typed');
  await notebook.page.keyboard.press('Control+Enter');
  await expect(notebook.output(0)).toHaveText('run');
  await notebook.cell(0).locator('.cm-content').click();
  await notebook.page.keyboard.press('Control+Z');
  await expect(notebook.cell(0).locator('.cm-content')).not.toContainText('# typed');
  await notebook.page.keyboard.press('Control+Z');
  await notebook.page.keyboard.press('Control+Z');
  await expect(notebook.output(0)).toHaveText('run');
  await expect(notebook.prompt(0)).toHaveText('[1]:');
});

test('O18: HTML and scripts of a cell that was run act, for others too', async ({
  open,
  openElsewhere
}) => {
  const saved = {
    output_type: 'display_data',
    metadata: {},
    data: { 'text/html': HTML_THAT_ACTS.replace('nbexecRan', 'nbexecForeign') }
  };
  const notebook = await open([
    `from IPython.display import HTML, display\ndisplay(HTML('''${HTML_THAT_ACTS}'''))`,
    { source: '# never run here', outputs: [saved] }
  ]);
  const other = await openElsewhere(notebook);
  await notebook.run(0);
  for (const { page, output } of [notebook, other].map(seen => ({
    page: seen.page,
    output: seen.output(0)
  }))) {
    await expect(output.locator('.nbexec-html')).toBeVisible();
    await page.waitForFunction(() => 'nbexecRan' in window);
    expect(await page.evaluate(() => 'nbexecForeign' in window)).toBe(false);
  }
  const [cell] = await notebook.document();
  expect(cell.outputs).toHaveLength(1);
});

test('O12: a widget shows, and again after a reload', async ({ open }) => {
  const notebook = await open(["from ipywidgets import IntSlider\nIntSlider(description='dial')"]);
  await notebook.run(0);
  const slider = notebook.output(0).locator('.widget-slider');
  await expect(slider).toBeVisible();
  await notebook.reload();
  await expect(slider).toBeVisible();
});

test('O1: a page clears outputs for everyone', async ({ open, openElsewhere }) => {
  const notebook = await open(["print('text')"]);
  await notebook.run(0);
  await expect(notebook.prompt(0)).toHaveText('[1]:');
  const other = await openElsewhere(notebook);
  await expect(other.output(0)).toHaveText('text');
  await other.select(0);
  await other.command('notebook:clear-cell-output');
  await expect(notebook.output(0)).toHaveText('');
  await notebook.run(0);
  await expect(other.output(0)).toHaveText('text');
  const [cell] = await other.document();
  expect(streamText(cell)).toBe('text\n');
});
