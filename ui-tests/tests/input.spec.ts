// P: prompts for input.
import { waitFor } from '../harness/gate';
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
