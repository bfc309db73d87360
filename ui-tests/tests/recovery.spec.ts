// R, U4: pages that go away and come back, networks and servers too.
import { NotebookPage } from '../harness/notebook';
import { Network } from '../harness/proxy';
import { openGate, waitFor } from '../harness/gate';
import { prepareDark, takePicture } from '../harness/pictures';
import { expect, pause, streamText, test } from '../harness/test';

const THREE_LINES = "for i in range(3): print('line', i)";

test('R1, U4: a reload in the middle of a run loses nothing and doubles nothing', async ({
  open,
  server
}) => {
  const notebook = await open([`${THREE_LINES}\n${waitFor('r1a')}\nprint('after')`]);
  await notebook.run(0);
  await expect(notebook.output(0)).toContainText('line 2');

  const asked: string[] = [];
  notebook.page.on('dialog', dialog => {
    asked.push(dialog.type());
    void dialog.accept();
  });
  await notebook.reload();
  expect(asked).toEqual([]); // U4: not "leave this page?", though a cell runs
  await expect(notebook.output(0)).toContainText('line 2');
  await expect(notebook.prompt(0)).toHaveText('[*]:');
  await expect(notebook.badge(0)).toBeVisible();
  await expect.poll(() => notebook.kernelStatus()).toBe('busy');

  await openGate(server, 'r1a');
  await expect(notebook.output(0)).toContainText('after');
  await expect(notebook.prompt(0)).toHaveText('[1]:');
  await expect(notebook.badge(0)).toHaveCount(0);
  await expect.poll(() => notebook.kernelStatus()).toBe('idle');
  const [cell] = await notebook.document();
  expect(streamText(cell)).toBe('line 0\nline 1\nline 2\nafter\n');
  await notebook.expectNoDialog();
});

test('R1: the tab is closed during Run All, and the run goes on', async ({
  open,
  openElsewhere,
  server
}) => {
  const notebook = await open([
    `${waitFor('r1b')}\nprint('first')`,
    "print('second')",
    "print('third')"
  ]);
  await notebook.runAll();
  await expect(notebook.badge(2)).toBeVisible();
  await notebook.page.close();

  await openGate(server, 'r1b');
  await expect
    .poll(async () => {
      const { executions } = await server.json<{ executions: { state: string }[] }>(
        `/api/executions?path=${notebook.name}`
      );
      return executions.map(({ state }) => state);
    })
    .toEqual(['finished', 'finished', 'finished']);

  const again = await openElsewhere(notebook);
  for (const [index, text] of ['first', 'second', 'third'].entries()) {
    await expect(again.output(index)).toHaveText(text);
    await expect(again.prompt(index)).toHaveText(`[${index + 1}]:`);
  }
  const cells = await again.document();
  expect(cells.map(cell => streamText(cell))).toEqual(['first\n', 'second\n', 'third\n']);
});

test('R1: the queue is there after a reload, in its order', async ({ open, server }) => {
  const notebook = await open([waitFor('r1c'), "print('b')", "print('c')"]);
  await notebook.runAll();
  await expect(notebook.badge(2)).toHaveText('Queued, 2 before');

  await notebook.reload();
  await expect(notebook.badge(1)).toHaveText('Queued, 1 before');
  await expect(notebook.badge(2)).toHaveText('Queued, 2 before');
  for (const index of [0, 1, 2]) {
    await expect(notebook.prompt(index)).toHaveText('[*]:');
  }

  await openGate(server, 'r1c');
  await expect(notebook.output(2)).toHaveText('c');
  await expect(notebook.prompt(2)).toHaveText('[3]:');
});

test('U4: 15 s without network: a notice, no dialog, and the outputs catch up', async ({
  open,
  page,
  server
}) => {
  const network = await Network.to(server.port);
  const first = await open([
    `for i in range(200):\n    print('tick', i, flush=True)\n    time.sleep(0.1) if i < 190 else None`.replace(
      /^/,
      'import time\n'
    )
  ]);
  await page.goto(`${network.url}/lab/tree/${first.name}?reset&token=${server.token}`);
  const notebook = new NotebookPage(page, server, first.name);
  await notebook.ready();
  await notebook.run(0);
  await expect(notebook.output(0)).toContainText('tick 3');

  await prepareDark(page);
  await network.cut();
  const notice = page.getByText('connection to the server is lost');
  await expect(notice).toBeVisible();
  await notebook.command('filebrowser:refresh');
  await notebook.cell(0).locator('.jp-InputPrompt').click();
  await page.keyboard.press('Control+s');
  await pause(5000);
  await takePicture(page, 'connection-lost');
  await pause(10_000);
  await notebook.expectNoDialog();
  await expect(page.locator('.jp-nbexec-offline')).toHaveCount(1);
  await network.restore();
  await expect(page.getByText('The connection to the server is back')).toBeVisible();

  await expect(notebook.output(0)).toContainText('tick 199', { timeout: 60_000 });
  await expect(notice).toHaveCount(0);
  await notebook.expectNoDialog();
  const [cell] = await notebook.document();
  const expected = Array.from({ length: 200 }, (_, i) => `tick ${i}\n`).join('');
  expect(streamText(cell)).toBe(expected);
  await expect(notebook.prompt(0)).toHaveText('[1]:');
});

test('R2, R3: the server is killed in the middle of a run: nothing is pressed', async ({
  open,
  openElsewhere,
  ownServer
}) => {
  const endless = [
    'import itertools, os, time',
    'for i in itertools.count():',
    "    print('line', i, flush=True)",
    "    if os.path.exists('r3.gate'): break",
    '    time.sleep(0.01)',
    "print('end', i)"
  ];
  const notebook = await open([endless.join('\n'), "print('next')"], ownServer);
  await notebook.runAll();
  await expect(notebook.output(0)).toContainText('line 50');
  await expect(notebook.badge(1)).toBeVisible();

  await ownServer.end('SIGKILL');
  await expect(notebook.page.getByText('connection to the server is lost')).toBeVisible();
  const seen = (await notebook.output(0).innerText()).trim().split('\n').length;
  await ownServer.launch();

  // It goes on by itself: the same run, in the same output, and the kernel is known to be busy.
  await expect(notebook.output(0)).toContainText(`line ${seen + 300}`, { timeout: 60_000 });
  await expect(notebook.prompt(0)).toHaveText('[*]:');
  await expect(notebook.badge(1)).toBeVisible();
  await expect.poll(() => notebook.kernelStatus()).toBe('busy');
  await notebook.expectNoDialog();

  await openGate(ownServer, 'r3');
  await expect(notebook.output(1)).toHaveText('next', { timeout: 60_000 });
  await expect(notebook.prompt(0)).toHaveText('[1]:');
  await expect(notebook.prompt(1)).toHaveText('[2]:');
  await expect(notebook.badge(0)).toHaveCount(0);
  await expect.poll(() => notebook.kernelStatus()).toBe('idle');
  await notebook.expectNoDialog();

  const [cell] = await notebook.document();
  const printed = streamText(cell).trimEnd().split('\n');
  const last = printed.length - 2;
  expect(printed.pop()).toBe(`end ${last}`);
  expect(printed).toEqual(Array.from({ length: last + 1 }, (_, i) => `line ${i}`));
  const elsewhere = await openElsewhere(notebook);
  expect(await elsewhere.document()).toEqual(await notebook.document());
});
