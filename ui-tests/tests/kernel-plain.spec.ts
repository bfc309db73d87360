// K3, K5: kernels that nobody watches over; what cannot be is hidden, or said.
import { expect, test } from '../harness/test';

test.use({ config: { NotebookExecApp: { nanny: false } } });

test('K3: the command is hidden where it is no other, and a log that nobody keeps is said', async ({
  open
}) => {
  const notebook = await open(["print('run')"]);
  await notebook.run(0);
  await expect(notebook.output(0)).toHaveText('run');
  await expect(notebook.page.getByRole('button', { name: /^Hard restart/ })).toHaveCount(0);
  await notebook.page.getByRole('menuitem', { name: 'Kernel', exact: true }).click();
  await expect(notebook.page.getByText('Show Kernel Log')).toBeVisible();
  await expect(notebook.page.getByText('Hard Restart Kernel')).toBeHidden();
  await notebook.page.getByText('Show Kernel Log').click();
  await expect(notebook.page.getByText('Only kernels with a nanny have a log')).toBeVisible();
  await expect(notebook.page.getByText('NotebookExecApp.nanny')).toBeVisible();
});

test('U4: a crash of the server, and of the kernel with it, is told in the cell it hit', async ({
  open,
  ownServer
}) => {
  const long = "import time\nprint('begun')\ntime.sleep(600)";
  const notebook = await open([long, "print('next')"], ownServer);
  await notebook.runAll();
  await expect(notebook.output(0)).toHaveText('begun');

  await ownServer.end('SIGKILL');
  await expect(notebook.page.getByText('connection to the server is lost')).toBeVisible();
  await ownServer.launch();

  await expect(notebook.output(0)).toContainText('begun'); // nothing shown is taken back
  await expect(notebook.output(0)).toContainText(
    'The server stopped while this cell ran, and its kernel with it.',
    { timeout: 60_000 }
  );
  await expect(notebook.badge(1)).toHaveCount(0);
  await expect(notebook.prompt(1)).toHaveText('[ ]:');
  await notebook.expectNoDialog();
  await notebook.run(1);
  await expect(notebook.output(1)).toHaveText('next', { timeout: 60_000 });
});
