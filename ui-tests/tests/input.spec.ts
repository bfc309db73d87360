// P: prompts for input.
import { openGate, waitFor } from '../harness/gate';
import { takePicture } from '../harness/pictures';
import { expect, streamText, test } from '../harness/test';

test('P1: a prompt is there after a reload, and for others, and anyone answers it', async ({
  open,
  openElsewhere
}) => {
  const notebook = await open(["name = input('Name? ')\nprint('hello', name)"]);
  await notebook.run(0);
  await expect(notebook.input(0)).toBeVisible();
  await notebook.reload();
  await expect(notebook.input(0)).toBeVisible();

  const other = await openElsewhere(notebook);
  await expect(other.cell(0).locator('.jp-nbexec-prompt-label')).toHaveText('Name?');
  await other.input(0).fill('Ada');
  await other.input(0).press('Enter');

  for (const seen of [notebook, other]) {
    await expect(seen.input(0)).toHaveCount(0);
    await expect(seen.output(0)).toContainText('hello Ada');
    await expect(seen.prompt(0)).toHaveText('[1]:');
  }
  const [cell] = await notebook.document();
  expect(streamText(cell)).toBe('Name? Ada\nhello Ada\n');
});

test('P2: who comes too late is told', async ({ open, server }) => {
  const notebook = await open([`input('Name? ')\n${waitFor('never')}`]);
  await notebook.run(0);
  await expect(notebook.input(0)).toBeVisible();
  const { executions } = await server.json<{ executions: { id: string }[] }>(
    `/api/executions?path=${notebook.name}`
  );
  let status = 0;
  await notebook.page.route('**/input?*', async route => {
    // Someone else is faster.
    await server.json(`/api/executions/${executions[0].id}/input`, {
      method: 'POST',
      body: JSON.stringify({ value: 'first' })
    });
    const answer = await route.fetch();
    status = answer.status();
    await route.fulfill({ response: answer });
  });
  await notebook.input(0).fill('second');
  await notebook.input(0).press('Enter');
  await expect(notebook.input(0)).toHaveCount(0);
  await expect(notebook.output(0)).toContainText('Name? first');
  expect(status).toBe(409);
});

test('P3: a password is masked and kept nowhere', async ({ open, server }) => {
  const notebook = await open([
    "import getpass\np = getpass.getpass('Pass? ')\nprint(len(p), 'characters')"
  ]);
  await notebook.run(0);
  await expect(notebook.input(0)).toHaveAttribute('type', 'password');
  await notebook.input(0).fill('hunter2hunter2');
  await notebook.input(0).press('Enter');
  await expect(notebook.output(0)).toContainText('14 characters');
  expect(JSON.stringify(await notebook.document())).not.toContain('hunter2');
  const answer = await server.fetch(`/api/executions?path=${notebook.name}`);
  expect(await answer.text()).not.toContain('hunter2');
});

test('P4: an interrupt takes the prompt away', async ({ open }) => {
  const notebook = await open(["input('Name? ')"]);
  await notebook.run(0);
  await expect(notebook.input(0)).toBeVisible();
  await notebook.command('notebook:interrupt-kernel');
  await expect(notebook.input(0)).toHaveCount(0);
  await expect(notebook.output(0)).toContainText('KeyboardInterrupt');
});

test('U7: keys typed into a prompt are not commands', async ({ open }) => {
  const notebook = await open(["print(input('Name? '))", '# second']);
  await notebook.run(0);
  await notebook.input(0).click();
  await notebook.page.keyboard.type('dd b x');
  await notebook.page.keyboard.press('Enter');
  await expect(notebook.output(0)).toContainText('dd b x');
  await expect(notebook.cells).toHaveCount(2);
});

test('P1: others are told whose run asks, and who types elsewhere goes on typing', async ({
  open,
  openElsewhere,
  server
}) => {
  const notebook = await open([`${waitFor('p1')}\nprint('got', input('Which year? '))`, '']);
  const other = await openElsewhere(notebook);
  await notebook.run(0);
  await expect(notebook.cell(0)).toHaveClass(/jp-nbexec-running/);
  await notebook.cell(1).locator('.cm-content').click();
  await notebook.page.keyboard.type('before ');
  await openGate(server, 'p1');
  await expect(notebook.input(0)).toBeVisible();
  await notebook.page.keyboard.type('after');
  await expect(notebook.cell(1).locator('.cm-content')).toHaveText('before after');
  await expect(notebook.input(0)).toHaveValue('');

  await expect(other.input(0)).toBeVisible();
  await expect(other.input(0)).not.toBeFocused();
  await expect(other.cell(0).getByRole('status').first()).toHaveText(/^Asked by .+’s run$/);
  await takePicture(other.page, 'prompt-asked-by');
  await other.input(0).fill('1815');
  await other.input(0).press('Enter');
  await expect(notebook.output(0)).toContainText('got 1815');
});

test('P2: the same question again and again, each answered by the keyboard alone', async ({
  open
}) => {
  const notebook = await open(["print(sum(int(input('Next: ')) for _ in range(5)))"]);
  await notebook.run(0);
  for (const answer of [1, 2, 3, 4, 5]) {
    await expect(notebook.input(0)).toBeFocused();
    await expect(notebook.input(0)).toHaveValue('');
    await notebook.page.keyboard.type(String(answer));
    await notebook.page.keyboard.press('Enter');
    await expect(notebook.output(0)).toContainText(`Next: ${answer}`);
  }
  await expect(notebook.output(0)).toContainText('15');
});

test('U7: a prompt is announced, reached and left by the keyboard', async ({ open }) => {
  const notebook = await open(["input('Name? ')", '# second']);
  await notebook.run(0);
  await expect(notebook.input(0)).toBeFocused();
  await expect(notebook.cell(0).getByRole('status').first()).toHaveText(/Name\?/);
  await expect(notebook.input(0)).toHaveAccessibleName(/Name\?/);
  await notebook.page.keyboard.press('Escape');
  await expect(notebook.input(0)).not.toBeFocused();
  await notebook.page.keyboard.press('b'); // a command again: a new cell below
  await expect(notebook.cells).toHaveCount(3);
});
