// U6, Q11, Q15, A7: what a user can set, and what the server makes of it.
import { NotebookPage } from '../harness/notebook';
import { takePicture } from '../harness/pictures';
import { expect, readNotebook, test } from '../harness/test';

const EXECUTIONS = 'notebook-exec:executions';
const TRACKER = '@jupyterlab/notebook-extension:tracker';

/** Sets a user's setting as the settings editor does; the open page hears of it. */
async function set(notebook: NotebookPage, plugin: string, values: object): Promise<void> {
  await notebook.page.evaluate(
    async ([id, raw]) => {
      const { jupyterapp } = window as unknown as {
        jupyterapp: {
          serviceManager: { settings: { save(id: string, raw: string): Promise<void> } };
        };
      };
      await jupyterapp.serviceManager.settings.save(id, raw);
    },
    [plugin, JSON.stringify(values)] as const
  );
  await notebook.reload();
}

test('U6: one notebook is switched off by its menu, and JupyterLab runs it, and back', async ({
  open,
  server
}) => {
  const notebook = await open(["print('run')", "print('again')"]);
  await notebook.page.getByRole('menuitem', { name: 'Run', exact: true }).click();
  const item = notebook.page.getByRole('menuitemcheckbox', {
    name: 'Run This Notebook on the Server'
  });
  const plain = notebook.page.getByText('Run This Notebook on the Server');
  await takePicture(notebook.page, 'menu-server-side');
  await ((await item.count()) > 0 ? item : plain).click();

  await notebook.countOwnWrites();
  await notebook.run(0);
  await expect(notebook.output(0)).toHaveText('run');
  await expect(notebook.prompt(0)).toHaveText('[1]:');
  expect(notebook.submitted).toEqual([]);
  expect(await notebook.ownWrites()).not.toEqual([]); // this page wrote the outputs itself
  const off = JSON.stringify({ server_side: false });
  await expect
    .poll(async () => JSON.stringify(await metadata(notebook)))
    .toContain(`"notebook_exec":${off}`);
  const { executions } = await server.json<{ executions: unknown[] }>(
    `/api/executions?path=${notebook.name}`
  );
  expect(executions).toEqual([]);

  await notebook.command('notebook-exec:toggle-server-side');
  await expect.poll(() => metadata(notebook)).not.toHaveProperty('notebook_exec');
  await notebook.run(1);
  await expect(notebook.output(1)).toHaveText('again');
  await expect.poll(() => notebook.submitted.length).toBe(1);
});

test('U6: a user switches it off, and JupyterLab runs the cells of each notebook', async ({
  open,
  ownServer
}) => {
  const notebook = await open(
    ["print('run')", "name = input('Name? ')\nprint('hello', name)"],
    ownServer
  );
  await set(notebook, EXECUTIONS, { serverSide: false });
  await notebook.countOwnWrites();
  await notebook.run(0);
  await expect(notebook.output(0)).toHaveText('run');
  expect(await notebook.ownWrites()).not.toEqual([]);
  await notebook.run(1);
  const box = notebook.cell(1).locator('.jp-Stdin-input'); // JupyterLab's own
  await box.fill('Ada');
  await box.press('Enter');
  await expect(notebook.output(1)).toContainText('hello Ada');
  expect(notebook.submitted).toEqual([]);

  await set(notebook, EXECUTIONS, {});
  await notebook.run(0);
  await expect(notebook.prompt(0)).toHaveText('[3]:');
  await expect.poll(() => notebook.submitted.length).toBe(1);
});

test('Q15: a cell that passes the time limit of its user is stopped, and says so', async ({
  open,
  ownServer
}) => {
  const notebook = await open(
    [
      "import time\nfor epoch in range(1000):\n    print('epoch', epoch)\n    time.sleep(0.5)",
      "print('b')"
    ],
    ownServer
  );
  await set(notebook, EXECUTIONS, { timeLimit: 2 });
  await notebook.runAll();
  await expect(notebook.output(0)).toContainText('The time limit of 2 s is reached');
  await expect(notebook.output(0)).toContainText('KeyboardInterrupt');
  await expect(notebook.prompt(1)).toHaveText('[ ]:');
  await takePicture(notebook.page, 'time-limit');
});

test('A7: a user who allows no input gets an error at once', async ({ open, ownServer }) => {
  const notebook = await open(["input('Name? ')"], ownServer);
  await set(notebook, EXECUTIONS, { allowInput: false });
  await notebook.run(0);
  await expect(notebook.output(0)).toContainText('StdinNotImplementedError');
  await expect(notebook.input(0)).toHaveCount(0);
});

test("Q11: timing is recorded if JupyterLab's own setting asks for it, and else not", async ({
  open,
  ownServer
}) => {
  const notebook = await open(["print('timed')", "print('not timed')"], ownServer);
  await set(notebook, TRACKER, { recordTiming: true });
  await notebook.run(0);
  await expect(notebook.prompt(0)).toHaveText('[1]:');
  await set(notebook, TRACKER, {});
  await notebook.run(1);
  await expect(notebook.prompt(1)).toHaveText('[2]:');
  const [timed, other] = await notebook.document();
  expect(Object.keys(timed.metadata.execution as object).sort()).toEqual([
    'iopub.execute_input',
    'iopub.status.busy',
    'iopub.status.idle',
    'shell.execute_reply',
    'shell.execute_reply.started'
  ]);
  expect(other.metadata).not.toHaveProperty('execution');
  await expect
    .poll(async () => (await readNotebook(ownServer, notebook.name))[0].metadata)
    .toHaveProperty('execution');
});

/** The notebook's metadata as this page holds it. */
function metadata(notebook: NotebookPage): Promise<Record<string, unknown>> {
  return notebook.page.evaluate(() => {
    const { jupyterapp } = window as unknown as {
      jupyterapp: {
        shell: {
          currentWidget: {
            content: { model: { sharedModel: { metadata: Record<string, unknown> } } };
          };
        };
      };
    };
    return { ...jupyterapp.shell.currentWidget.content.model.sharedModel.metadata };
  });
}
