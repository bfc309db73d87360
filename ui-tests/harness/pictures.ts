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
  await prepareDark(page);
  for (const dark of [false, true]) {
    await page.evaluate(isDark => {
      const sheet = document.getElementById('nbexec-dark') as HTMLLinkElement;
      sheet.media = isDark ? 'all' : 'not all';
      document.body.dataset.jpThemeLight = String(!isDark);
    }, dark);
    const file = path.join(folder, `${name}${dark ? '-dark' : ''}.png`);
    await page.screenshot({ path: file, animations: 'disabled' });
  }
  await page.evaluate(() => {
    (document.getElementById('nbexec-dark') as HTMLLinkElement).media = 'not all';
    document.body.dataset.jpThemeLight = 'true';
  });
}

/**
 * Loads the dark theme beside the light one; to be called before the network goes.
 *
 * JupyterLab's own command writes the user's settings, which not each server can.
 */
export async function prepareDark(page: Page): Promise<void> {
  if (!process.env.PICTURES) {
    return;
  }
  await page.evaluate(async url => {
    if (document.getElementById('nbexec-dark')) {
      return;
    }
    const sheet = document.createElement('link');
    sheet.rel = 'stylesheet';
    sheet.href = url;
    sheet.id = 'nbexec-dark';
    sheet.media = 'not all';
    const loaded = new Promise(resolve => sheet.addEventListener('load', resolve));
    document.body.append(sheet);
    await loaded;
  }, DARK);
}
