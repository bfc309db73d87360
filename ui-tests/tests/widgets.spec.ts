// O12: ipywidgets, with two users, reloads in the middle of a run, and captured outputs.
import type { Locator } from '@playwright/test';

import { openGate, waitFor } from '../harness/gate';
import type { NotebookPage } from '../harness/notebook';
import { expect, streamText, test } from '../harness/test';

/** For so long ipywidgets looks for the comm of a view, and a little longer. */
const GIVES_UP_MS = 3000;

/** Moves the slider in that output by so many steps. */
async function move(output: Locator, steps: number): Promise<void> {
  const handle = output.locator('.noUi-handle');
  await handle.focus();
  for (let step = 0; step < Math.abs(steps); step++) {
    await handle.press(steps > 0 ? 'ArrowRight' : 'ArrowLeft');
  }
}

function readout(output: Locator): Locator {
  return output.locator('.widget-readout');
}

/** No view of the page says that it cannot be shown, or waits for what does not come. */
async function expectAllShown(notebook: NotebookPage): Promise<void> {
  await expect(notebook.page.getByText('Error displaying widget')).toHaveCount(0);
  await expect(notebook.page.getByText('Loading widget')).toHaveCount(0);
}

test('O12: a slider moved in one page moves in the kernel and in the other page', async ({
  open,
  openElsewhere
}) => {
  const notebook = await open([
    "from ipywidgets import IntSlider\ns = IntSlider(description='dial')\ns",
    "print('value', s.value)"
  ]);
  await notebook.run(0);
  await expect(readout(notebook.output(0))).toHaveText('0');
  const other = await openElsewhere(notebook);
  await expect(readout(other.output(0))).toHaveText('0');
  await move(notebook.output(0), 3);
  await expect(readout(other.output(0))).toHaveText('3');
  await move(other.output(0), -1);
  await expect(readout(notebook.output(0))).toHaveText('2');
  await other.run(1);
  for (const page of [notebook, other]) {
    await expect(page.output(1)).toHaveText('value 2');
    await expectAllShown(page);
  }
  await notebook.reload();
  await expect(readout(notebook.output(0))).toHaveText('2');
  await move(notebook.output(0), 5);
  await expect(readout(other.output(0))).toHaveText('7');
});

test('O12: the output of interact follows the slider in all pages', async ({
  open,
  openElsewhere
}) => {
  const notebook = await open([
    [
      'from ipywidgets import interact',
      'def show(x):',
      "    print('square', x * x)",
      '    if x == 8: 1 / 0',
      'i = interact(show, x=(0, 10))'
    ].join('\n'),
    "i.widget.children[-1].append_stdout('appended')"
  ]);
  await notebook.run(0);
  await expect(notebook.output(0)).toContainText('square 25');
  const other = await openElsewhere(notebook);
  await expect(other.output(0)).toContainText('square 25');
  await move(notebook.output(0), 1);
  for (const page of [notebook, other]) {
    await expect(page.output(0)).toContainText('square 36');
    await expect(page.output(0)).not.toContainText('square 25');
  }
  await move(other.output(0), 2);
  for (const page of [notebook, other]) {
    await expect(page.output(0)).toContainText('ZeroDivisionError');
  }
  await notebook.run(1);
  for (const page of [notebook, other]) {
    await expect(page.output(0)).toContainText('appended');
    await expectAllShown(page);
  }
  const [cell] = await notebook.document();
  expect(cell.outputs?.map(({ output_type }) => output_type)).toEqual(['display_data']);
});

test('O12: Output widgets show what they capture while the cell runs, nested too', async ({
  open,
  openElsewhere,
  server
}) => {
  const notebook = await open([
    [
      'from ipywidgets import Output',
      'outer, inner = Output(), Output()',
      'display(outer)',
      "print('in the cell')",
      '@inner.capture()',
      'def speak(text): print(text)',
      'with outer:',
      "    print('outer one')",
      '    display(inner)',
      '    with inner:',
      "        print('inner one')",
      "    speak('by decorator')",
      "    print('outer two')",
      waitFor('nested').replace(/^/gm, '    '),
      "    speak('inner end')",
      "print('last')"
    ].join('\n'),
    "print([o['text'] for o in inner.outputs])\nwith outer: print('later')"
  ]);
  await notebook.run(0);
  const early = ['outer one', 'inner one', 'by decorator', 'outer two', 'in the cell'];
  const expectEarly = async (page: NotebookPage): Promise<void> => {
    for (const text of early) {
      await expect(page.output(0)).toContainText(text);
    }
    await expect(page.prompt(0)).toHaveText('[*]:');
  };
  await expectEarly(notebook);
  const other = await openElsewhere(notebook);
  await expectEarly(other);
  await notebook.reload();
  await expectEarly(notebook);
  await openGate(server, 'nested');
  await expect(notebook.prompt(0)).toHaveText('[1]:');
  await notebook.run(1);
  for (const page of [notebook, other]) {
    await expect(page.output(0)).toContainText('inner end');
    await expect(page.output(0)).toContainText('later');
    await expect(page.output(1)).toContainText('inner one\\nby decorator\\ninner end\\n');
    await expectAllShown(page);
  }
  const [cell] = await notebook.document();
  expect(streamText(cell)).toBe('in the cell\nlast\n');
});

test('O12: a tqdm bar goes on in a page that is reloaded or comes in the middle', async ({
  open,
  openElsewhere,
  server
}) => {
  const notebook = await open([
    [
      'from tqdm.notebook import tqdm',
      "bar = tqdm(total=100, desc='bar', mininterval=0, miniters=1)",
      'bar.update(40)',
      waitFor('tqdm-1'),
      'bar.update(20)',
      waitFor('tqdm-2'),
      'bar.update(40)',
      'bar.close()'
    ].join('\n')
  ]);
  await notebook.run(0);
  await expect(notebook.output(0)).toContainText('40%');
  await notebook.reload();
  const other = await openElsewhere(notebook);
  for (const page of [notebook, other]) {
    await expect(page.output(0)).toContainText('40%');
    await expect(page.prompt(0)).toHaveText('[*]:');
  }
  await openGate(server, 'tqdm-1');
  for (const page of [notebook, other]) {
    await expect(page.output(0)).toContainText('60%');
  }
  await notebook.reload();
  await openGate(server, 'tqdm-2');
  for (const page of [notebook, other]) {
    await expect(page.output(0)).toContainText('100%');
    await expect(page.prompt(0)).toHaveText('[1]:');
    await expectAllShown(page);
  }
});

test('O12: a comm that comes long after its view', async ({ open, page }) => {
  const held: (() => void)[] = [];
  let isHeld = true;
  await page.routeWebSocket(/\/api\/kernels\/[^/]+\/channels/, socket => {
    const server = socket.connectToServer();
    server.onMessage(message => {
      // What opens a comm, and the answer to who asks which there are.
      if (isHeld && /"comm_open"|"update_states"|"comm_info_reply"/.test(message.toString())) {
        held.push(() => socket.send(message));
      } else {
        socket.send(message);
      }
    });
  });
  const notebook = await open([
    "print('ready')",
    "from ipywidgets import IntSlider\nIntSlider(description='dial')"
  ]);
  await notebook.run(0);
  await expect(notebook.output(0)).toHaveText('ready');
  await notebook.run(1);
  await expect(notebook.prompt(1)).toHaveText('[2]:');
  const view = notebook.output(1).locator('.jp-OutputArea-output');
  await expect(view).toHaveText(/widget/); // "Loading widget", then "Error displaying widget"
  await page.waitForTimeout(GIVES_UP_MS);
  isHeld = false;
  held.splice(0).forEach(send => send());
  await expect(readout(notebook.output(1))).toHaveText('0');
  await move(notebook.output(1), 2);
  await expect(readout(notebook.output(1))).toHaveText('2');
  await expectAllShown(notebook);
});

test('O12: the kernel is restarted, and widgets work again', async ({ open, openElsewhere }) => {
  const notebook = await open([
    [
      'from ipywidgets import IntSlider, Output',
      'out = Output()',
      "s = IntSlider(description='dial')",
      'display(s, out)',
      'import os',
      "with out: print('captured', os.getpid())"
    ].join('\n')
  ]);
  await notebook.run(0);
  await expect(notebook.output(0)).toContainText('captured');
  const before = (await notebook.output(0).innerText()).match(/captured \d+/)?.[0] ?? '';
  const other = await openElsewhere(notebook);
  await notebook.server.fetch(`/api/kernels/${await notebook.kernelId()}/restart`, {
    method: 'POST'
  });
  await notebook.run(0);
  for (const page of [notebook, other]) {
    await expect(page.output(0)).not.toContainText(before);
    await expect(page.output(0)).toContainText('captured');
    await expect(page.output(0).locator('.noUi-handle')).toHaveCount(1);
    await expectAllShown(page);
  }
  await move(notebook.output(0), 2);
  await expect(readout(other.output(0))).toHaveText('2');
});

test('O12: a plotly FigureWidget is live for two users, and after a reload', async ({
  open,
  openElsewhere
}) => {
  const notebook = await open([
    [
      'import plotly.graph_objects as go',
      "figure = go.FigureWidget(data=[go.Bar(y=[1, 3, 2])], layout={'title': {'text': 'before'}})",
      'figure'
    ].join('\n'),
    "figure.layout.title.text = 'changed'",
    "figure.layout.title.text = 'again'"
  ]);
  const title = (page: NotebookPage): Locator => page.output(0).locator('.gtitle');
  await notebook.run(0);
  await expect(title(notebook)).toHaveText('before', { timeout: 60_000 });
  const other = await openElsewhere(notebook);
  await expect(title(other)).toHaveText('before');
  await other.run(1);
  await expect(title(notebook)).toHaveText('changed');
  await expect(title(other)).toHaveText('changed');
  await notebook.reload();
  await expect(notebook.output(0).locator('.bars .point')).toHaveCount(3);
  await other.run(2);
  await expect(title(notebook)).toHaveText('again');
  await expect(title(other)).toHaveText('again');
  await expectAllShown(notebook);
});
