// U4: a long run tells that it has ended to a user who looks elsewhere.
import type { Page } from '@playwright/test';

import { openGate, waitFor } from '../harness/gate';
import type { NotebookPage } from '../harness/notebook';
import { takePicture } from '../harness/pictures';
import { expect, test } from '../harness/test';

interface Shown {
  readonly title: string;
  readonly body: string;
}

/** Keeps what the browser is told to show; headless browsers show nothing. */
async function keepNotifications(page: Page): Promise<void> {
  await page.context().grantPermissions(['notifications']);
  await page.addInitScript(() => {
    const shown: Shown[] = [];
    const Real = window.Notification;
    class Kept extends EventTarget {
      static get permission(): NotificationPermission {
        return Real.permission;
      }
      static requestPermission(): Promise<NotificationPermission> {
        return Real.requestPermission();
      }
      onclick: (() => void) | null = null;
      constructor(title: string, { body }: { body: string }) {
        super();
        shown.push({ title, body });
      }
      close(): void {}
    }
    Object.assign(window, { Notification: Kept, shownNotifications: shown });
  });
}

function shown(page: Page): Promise<Shown[]> {
  return page.evaluate(
    () => (window as unknown as { shownNotifications: Shown[] }).shownNotifications
  );
}

/** As if the user looked at another tab of the browser. */
async function hide(page: Page): Promise<void> {
  await page.evaluate(() => {
    Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
}

/** Switches notifications on as a user does, for runs of a second and more. */
async function optIn(notebook: NotebookPage): Promise<void> {
  const { page, server } = notebook;
  const answer = await server.fetch('/lab/api/settings/notebook-exec:notifications', {
    method: 'PUT',
    body: JSON.stringify({ raw: '{"threshold": 1}' })
  });
  expect(answer.status).toBe(204);
  await notebook.reload();
  await notebook.command('notebook-exec:show-executions');
  const bell = page.getByRole('button', { name: 'Notify me when a long run of mine ends' });
  await expect(bell).toHaveAttribute('aria-pressed', 'false');
  await bell.click();
  await expect(bell).toHaveAttribute('aria-pressed', 'true');
}

test('U4: a hidden page tells by the browser how a long run ended, after a reload too', async ({
  open,
  page,
  server
}) => {
  await keepNotifications(page);
  const notebook = await open([`import time; time.sleep(1.2)\n${waitFor('n1')}`, '1 / 0']);
  await optIn(notebook);
  await notebook.runAll();
  await expect(notebook.progress).toHaveText(/00:01/);
  await notebook.reload();
  await expect(notebook.progress).toHaveText(/0 of 2/);
  await hide(notebook.page);
  await openGate(server, 'n1');
  await expect.poll(() => shown(notebook.page)).toHaveLength(1);
  const [{ body, title }] = await shown(notebook.page);
  expect(title).toBe(`${notebook.name} failed`);
  expect(body).toMatch(/^ZeroDivisionError: division by zero\n2 cells · 00:\d\d$/);
});

test('U4: who looks at the notebook is not told, nor of a short run', async ({
  open,
  page,
  server
}) => {
  await keepNotifications(page);
  const notebook = await open([
    `import time; time.sleep(1.2)\n${waitFor('n2')}`,
    'x = 1',
    'time.sleep(7)' // a hidden page looks every five seconds
  ]);
  await optIn(notebook);
  await openGate(server, 'n2');
  await notebook.run(0);
  await expect(notebook.prompt(0)).toHaveText('[1]:');
  await hide(notebook.page);
  await notebook.run(1);
  await expect(notebook.prompt(1)).toHaveText('[2]:');
  // A long one after them: what it does not find was not told.
  await notebook.run(2);
  await expect.poll(() => shown(notebook.page)).toHaveLength(1);
  expect((await shown(notebook.page))[0].title).toBe(`${notebook.name} is done`);
});

test('U4: without the permission of the browser it shows in the page', async ({ open, server }) => {
  const notebook = await open([`import time; time.sleep(1.2)\n${waitFor('n3')}`]);
  await optIn(notebook);
  await notebook.runAll();
  const row = notebook.page.locator('.jp-nbexec-row[data-state=running]');
  await expect(row).toBeVisible(); // now the page knows of it
  await hide(notebook.page);
  await openGate(server, 'n3');
  const told = notebook.page.locator('.Toastify__toast', { hasText: 'is done' });
  await expect(told).toContainText(`${notebook.name} is done`);
  await expect(told).toContainText(/1 cell · 00:0\d/);
  await takePicture(notebook.page, 'notification');
});
