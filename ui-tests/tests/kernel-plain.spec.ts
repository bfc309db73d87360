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
