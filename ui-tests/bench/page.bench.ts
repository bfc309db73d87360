// What a person at the page waits for: an output after a key press, a letter while a cell floods.
import { test, type Browser, type Page } from '@playwright/test';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { NotebookPage, writeNotebook } from '../harness/notebook';
import { JupyterServer, pause } from '../harness/server';

const FOLDER = process.env.NOTEBOOK_EXEC_BENCH_FOLDER || 'test-results';
const PRESSES = Number(process.env.NOTEBOOK_EXEC_BENCH_PRESSES || 30);
const WARM_UP = 5;
const CELLS = 500;
const LETTERS = 60;
/** A page that is too busy to take letters gets fewer of them. */
const TYPING_MS = 20_000;
const LINES_PER_S = 2000;
const SYSTEMS = ['ours', 'plain'] as const;

interface Timings {
  [system: string]: {
    press_ms?: number[];
    quiet_ms?: number[];
    letter_ms?: number[];
    lines_per_s?: number;
  };
}

const FLOOD = [
  'import time, sys',
  'start = time.time(); i = 0',
  'while time.time() - start < 60:',
  `    while i < (time.time() - start) * ${LINES_PER_S}:`,
  "        print('line', i, flush=True); i += 1",
  '    time.sleep(0.001)'
].join('\n');

type Pages = (system: (typeof SYSTEMS)[number], cells: string[]) => Promise<NotebookPage>;

/** Runs `work` with a server of each kind, and keeps what it found. */
async function withServers(
  browser: Browser,
  part: string,
  work: (open: Pages, results: Timings) => Promise<void>
): Promise<void> {
  const results: Timings = { ours: {}, plain: {} };
  const servers = {
    ours: await JupyterServer.start('lab'),
    plain: await JupyterServer.start('lab', {}, true)
  };
  try {
    if (part === 'windowed') {
      for (const system of SYSTEMS) {
        await servers[system].set('notebook-extension/tracker', { windowingMode: 'full' });
      }
    }
    await work(async (system, cells) => {
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
      const name = `bench-${cells.length}.ipynb`;
      await writeNotebook(servers[system], name, cells);
      return new NotebookPage(await context.newPage(), servers[system], name).open();
    }, results);
  } finally {
    await Promise.all(SYSTEMS.map(system => servers[system].dispose()));
    await writeFile(path.join(FOLDER, `${part}.json`), JSON.stringify(results));
  }
}

test('press', async ({ browser }) => {
  await withServers(browser, 'press', async (open, results) => {
    const cells = ["n = globals().get('n', 0) + 1\nprint('shown', n)", ''];
    const pages = { ours: await open('ours', cells), plain: await open('plain', cells) };
    for (let press = 1; press <= WARM_UP + PRESSES; press++) {
      for (const system of SYSTEMS) {
        const ms = await pressToOutput(pages[system], `shown ${press}`);
        if (press > WARM_UP) {
          (results[system].press_ms ??= []).push(ms);
        }
      }
    }
  });
});

for (const part of ['flood', 'windowed']) {
  test(part, async ({ browser }) => {
    await floods(browser, part);
  });
}

/** With `windowed`, JupyterLab keeps only the cells in the page that are in sight: its mode "full". */
async function floods(browser: Browser, part: string): Promise<void> {
  const attached = part === 'windowed' ? 2 : CELLS - 1;
  await withServers(browser, part, async (open, results) => {
    const many = ['', FLOOD, ...Array.from({ length: CELLS - 2 }, (_, i) => `x${i} = ${i}`)];
    for (const system of SYSTEMS) {
      const notebook = await open(system, many);
      const { quiet, letters, lines } = await lettersInAFlood(notebook, attached);
      results[system].quiet_ms = quiet;
      results[system].letter_ms = letters;
      results[system].lines_per_s = lines;
      await notebook.page.context().close();
    }
  });
}

/** From Shift+Enter to the frame that shows `text`. */
async function pressToOutput(notebook: NotebookPage, text: string): Promise<number> {
  const { page } = notebook;
  await notebook.select(0);
  await page.evaluate(wanted => {
    const output = document.querySelector('.jp-Notebook-cell');
    const times = window as unknown as { shownMs: Promise<number> };
    times.shownMs = new Promise(resolve => {
      const onKey = (event: KeyboardEvent): void => {
        if (event.key !== 'Enter') {
          return;
        }
        window.removeEventListener('keydown', onKey, true);
        const look = (): void => {
          const shown = output?.querySelector('.jp-OutputArea-output')?.textContent?.trim();
          if (shown === wanted) {
            setTimeout(() => resolve(performance.now() - event.timeStamp));
          } else {
            requestAnimationFrame(look);
          }
        };
        look();
      };
      window.addEventListener('keydown', onKey, true);
    });
  }, text);
  await page.keyboard.press('Shift+Enter');
  const ms = await page.evaluate(() => (window as unknown as { shownMs: Promise<number> }).shownMs);
  await pause(150); // all that comes behind an output is done, for both alike
  return ms;
}

/** From each key press to the frame after it, before the cell below prints, and while it does. */
async function lettersInAFlood(
  notebook: NotebookPage,
  attached: number
): Promise<{ quiet: number[]; letters: number[]; lines: number }> {
  const { page } = notebook;
  // JupyterLab places the editors of a long notebook little by little, which is another load.
  await page.waitForFunction(
    cells => document.querySelectorAll('.jp-Notebook-cell .cm-editor').length >= cells,
    attached,
    { timeout: 120_000 }
  );
  await page.evaluate(() => {
    const times = window as unknown as { letters: number[] };
    let pressed = 0;
    window.addEventListener('keydown', event => (pressed = event.timeStamp), true);
    window.addEventListener('input', () => {
      const at = pressed;
      requestAnimationFrame(() => setTimeout(() => times.letters.push(performance.now() - at)));
    });
  });
  await notebook.cell(0).locator('.cm-content').click();
  const quiet = await type(page);
  await notebook.run(1);
  await notebook.output(1).getByText('line').first().waitFor();
  await notebook.cell(0).locator('.cm-content').click();
  const before = await lastLine(page);
  const start = Date.now();
  const letters = await type(page);
  const lines = (((await lastLine(page)) - before) * 1000) / (Date.now() - start);
  return { quiet, letters, lines };
}

/** Types into an empty line, and tells how long each letter took. */
async function type(page: Page): Promise<number[]> {
  // A line that is wider than the page is scrolled at each letter, which is another load.
  await page.keyboard.press('Control+a');
  await page.keyboard.press('Delete');
  await pause(500);
  await page.evaluate(() => ((window as unknown as { letters: number[] }).letters = []));
  const start = Date.now();
  for (let letter = 0; letter < LETTERS && Date.now() - start < TYPING_MS; letter++) {
    await page.keyboard.press('abcdefgh'[letter % 8]);
    await pause(100);
  }
  return page.evaluate(() => (window as unknown as { letters: number[] }).letters);
}

/** The number of the last line that the cell below shows. */
function lastLine(page: Page): Promise<number> {
  return page.evaluate(() => {
    const output = document.querySelectorAll('.jp-Notebook-cell .jp-Cell-outputArea')[1];
    const shown = output.textContent?.trimEnd() ?? '';
    // The last one may be there in part.
    const last = /line (\d+)\n[^\n]*$/.exec(shown);
    if (!last) {
      throw new Error(`No line at the end of ${JSON.stringify(shown.slice(-80))}`);
    }
    return Number(last[1]);
  });
}
