// Two users in one notebook.
import { openGate, waitFor } from '../harness/gate';
import { expect, streamText, test } from '../harness/test';

test('R1: two users see one run live, and each output once', async ({
  open,
  openElsewhere,
  server
}) => {
  const notebook = await open([
    `print('begun')\n${waitFor('two')}\nfor i in range(300): print('line', i)`,
    "print('from the other')"
  ]);
  const other = await openElsewhere(notebook);
  await notebook.run(0);
  await expect(other.output(0)).toHaveText('begun');
  await expect(other.prompt(0)).toHaveText('[*]:');
  await other.run(1);
  await expect(notebook.badge(1)).toHaveText('Queued, 1 before');

  await openGate(server, 'two');
  for (const seen of [notebook, other]) {
    await expect(seen.output(0)).toContainText('line 299');
    await expect(seen.output(1)).toHaveText('from the other');
    await expect(seen.prompt(1)).toHaveText('[2]:');
  }
  const [cell] = await notebook.document();
  const lines = Array.from({ length: 300 }, (_, i) => `line ${i}\n`).join('');
  expect(streamText(cell)).toBe(`begun\n${lines}`);
  expect(await other.document()).toEqual(await notebook.document());
});

test("Q6: one user's error does not stop the other's cells", async ({
  open,
  openElsewhere,
  server
}) => {
  const notebook = await open([`${waitFor('q6')}\n1 / 0`, "print('mine')", "print('other')"]);
  const other = await openElsewhere(notebook);
  await notebook.run(0);
  await notebook.run(1);
  await expect(other.badge(1)).toHaveText('Queued, 1 before'); // or the other one's may be before it
  await other.run(2);
  await expect(other.badge(2)).toHaveText('Queued, 2 before');
  await openGate(server, 'q6');
  await expect(notebook.output(2)).toHaveText('other');
  await expect(notebook.prompt(1)).toHaveText('[ ]:');
});

test('O1: no page writes into the document while cells run', async ({ open, openElsewhere }) => {
  const notebook = await open([
    [
      'import sys',
      'from IPython.display import HTML, display, clear_output',
      "h = display(HTML('<b>old</b>'), display_id=True)",
      "for i in range(50): print('line', i); print('err', i, file=sys.stderr)",
      "h.update(HTML('<b>new</b>'))",
      'clear_output(wait=True)',
      "print('shown')",
      "input('Name? ')",
      '1 / 0'
    ].join('\n')
  ]);
  const other = await openElsewhere(notebook);
  await notebook.select(0);
  const pages = [notebook, other];
  await Promise.all(pages.map(page => page.countOwnWrites()));
  await notebook.command('notebook:run-cell');
  await expect(other.input(0)).toBeVisible();
  await other.input(0).fill('Ada');
  await other.input(0).press('Enter');
  for (const page of pages) {
    await expect(page.output(0)).toContainText('ZeroDivisionError');
    await expect(page.prompt(0)).toHaveText('[1]:');
    expect(await page.ownWrites()).toEqual([]);
  }
});
