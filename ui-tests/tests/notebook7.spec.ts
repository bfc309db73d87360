// Notebook 7: the same extension in the other front end.
import { openGate, waitFor } from '../harness/gate';
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
