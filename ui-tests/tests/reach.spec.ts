// U7: a narrow window, and what is told to who does not see the page.
import { openGate, waitFor } from '../harness/gate';
import { takePicture } from '../harness/pictures';
import { expect, test } from '../harness/test';

test('U7: in a narrow window all of it is there, and within it', async ({ open, page, server }) => {
  const width = 480;
  await page.setViewportSize({ width, height: 800 });
  const notebook = await open([
    waitFor('u7'),
    "name = input('What is your name, and where do you come from? ')",
    '1 / 0'
  ]);
  await notebook.command('application:toggle-left-area');
  await notebook.runAll();
  await expect(notebook.badge(1)).toHaveText('Queued, 1 before');
  for (const index of [0, 1, 2]) {
    const badge = (await notebook.badge(index).boundingBox())!;
    const editor = (await notebook.cell(index).locator('.jp-InputArea-editor').boundingBox())!;
    expect(badge.x + badge.width).toBeLessThanOrEqual(width);
    expect(badge.y + badge.height).toBeLessThanOrEqual(editor.y + 1); // no code is covered
  }
  await takePicture(page, 'narrow');
  await page.getByRole('button', { name: 'More commands' }).click(); // where toolbars keep the rest
  await notebook.progress.click();
  await expect(page.getByText('Empty the queue')).toBeVisible();
  await page.keyboard.press('Escape');
  await openGate(server, 'u7');
  const input = (await notebook.input(1).boundingBox())!;
  expect(input.x + input.width).toBeLessThanOrEqual(width);
  await takePicture(page, 'narrow-prompt');
  await notebook.input(1).fill('Ada');
  await notebook.input(1).press('Enter');
  await expect(notebook.output(2)).toContainText('ZeroDivisionError');
});

test('U7: who does not see the page is told what runs, what waits, and what is asked', async ({
  open,
  page,
  server
}) => {
  const notebook = await open([waitFor('u7b'), "name = input('Name? ')", "print('end')"]);
  await notebook.runAll();
  const shown = page.locator('.jp-NotebookPanel');
  await expect(notebook.badge(2)).toHaveText('Queued, 2 before');
  await expect(shown).toMatchAriaSnapshot(`
    - toolbar:
      - button "0 of 3 cells are done"
      - status: 3 cells run
    - region:
      - feed "Cells":
        - text: /\\d+ s/
        - button "Stop this cell"
        - text: Queued, 1 before
        - button "Take this cell out of the queue"
        - text: Queued, 2 before
        - button "Take this cell out of the queue"
  `);
  await openGate(server, 'u7b');
  await expect(shown).toMatchAriaSnapshot(`
    - toolbar:
      - button "1 of 3 cells are done"
    - region:
      - feed "Cells":
        - text: Waits for input
        - button "Stop this cell"
        - textbox "Name?"
        - status: "A cell waits for input: Name?"
        - text: Queued, 1 before
  `);
  await notebook.input(1).fill('Ada');
  await notebook.input(1).press('Enter');
  await expect(notebook.output(2)).toHaveText('end');
  await expect(shown).toMatchAriaSnapshot(`
    - toolbar:
      - status: The run is done
  `);
});
