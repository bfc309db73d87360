// Pictures of what a test sees, for people: taken when PICTURES names a folder.
import type { Page } from '@playwright/test';
import path from 'node:path';

const DARK = '/lab/api/themes/@jupyterlab/theme-dark-extension/index.css';

/** Takes `name`.png, and `name`-dark.png in JupyterLab's dark theme. */
export async function takePicture(page: Page, name: string): Promise<void> {
  const folder = process.env.PICTURES;
  if (!folder) {
    return;
  }
  await page.screenshot({ path: path.join(folder, `${name}.png`), animations: 'disabled' });
  // Not by JupyterLab's command: that writes the user's settings, which not each server can.
  await page.evaluate(async url => {
    const link = document.createElement('link');
    link.rel = 'stylesheet';
    link.href = url;
    link.id = 'nbexec-dark';
    const loaded = new Promise(resolve => link.addEventListener('load', resolve));
    document.body.append(link);
    document.body.dataset.jpThemeLight = 'false';
    await loaded;
  }, DARK);
  await page.screenshot({ path: path.join(folder, `${name}-dark.png`), animations: 'disabled' });
  await page.evaluate(() => {
    document.getElementById('nbexec-dark')?.remove();
    document.body.dataset.jpThemeLight = 'true';
  });
}
