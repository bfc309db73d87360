// The browsers of some people, kept from test to test: JupyterLab is loaded and compiled seldom.
import type { Browser, BrowserContext, Page } from '@playwright/test';

import { NotebookPage, PageApp } from './notebook';
import type { JupyterServer } from './server';

const VIEWPORT = { width: 1280, height: 900 };

/** A page of JupyterLab that tests have in turn. */
interface Kept {
  readonly page: Page;
  readonly server: JupyterServer;
  /** As the page was before any test did something in it. */
  readonly traces: string;
}

/**
 * What a test leaves in the browsers is cleared; after a failure they are made anew.
 *
 * The first person's page stays open from test to test, with its notebooks closed. The next test
 * gets it if nothing else of the one before is left there, and else a new one. A test that asks
 * for the `page` itself always has a new one, and all to itself.
 */
export class People {
  constructor(browser: Browser) {
    this._browser = browser;
  }

  /** An empty page of the first person, to be prepared before JupyterLab comes into it. */
  async firstPage(): Promise<Page> {
    await this._leaveKept();
    this._first = await this.newPage(0);
    return this._first;
  }

  /** Opens a notebook in the first person's page; `lasts`: the server is there for later tests. */
  async open(server: JupyterServer, name: string, lasts: boolean): Promise<NotebookPage> {
    if (this._first) {
      return new NotebookPage(this._first, server, name).open();
    }
    const kept = this._kept;
    if (kept && kept.server === server && (await tracesIn(kept.page)) === kept.traces) {
      this._first = kept.page;
      return new NotebookPage(kept.page, server, name).openHere();
    }
    const page = await this.firstPage();
    const notebook = await new NotebookPage(page, server, name).open();
    if (lasts && server.app === 'lab') {
      this._kept = { page, server, traces: await tracesIn(page) };
    }
    return notebook;
  }

  async newPage(person: number): Promise<Page> {
    this._contexts[person] ??= await this._browser.newContext({ viewport: VIEWPORT });
    return this._contexts[person].newPage();
  }

  async closePages(isWell: boolean): Promise<void> {
    this._first = null;
    if (!isWell) {
      await this.leave();
      return;
    }
    for (const page of this._contexts.flatMap(context => context.pages())) {
      if (page.url().startsWith('http')) {
        await page.evaluate(() => {
          localStorage.clear();
          sessionStorage.clear();
        });
      }
      if (page === this._kept?.page) {
        await closeNotebooks(page);
      } else {
        await page.close();
      }
    }
    await Promise.all(this._contexts.map(context => context.clearPermissions()));
  }

  async leave(): Promise<void> {
    this._kept = null;
    await Promise.all(this._contexts.map(context => context.close()));
    this._contexts = [];
  }

  private async _leaveKept(): Promise<void> {
    await this._kept?.page.close();
    this._kept = null;
  }

  private _contexts: BrowserContext[] = [];
  /** The page of the test that runs. */
  private _first: Page | null = null;
  private _kept: Kept | null = null;
  private readonly _browser: Browser;
}

async function closeNotebooks(page: Page): Promise<void> {
  await page.unrouteAll({ behavior: 'ignoreErrors' });
  await page.mouse.move(0, 0);
  await page.evaluate(() => {
    const { shell } = (window as unknown as { jupyterapp: PageApp }).jupyterapp;
    // Not closed but disposed of: that does not ask whether to save.
    [...shell.widgets('main')].forEach(widget => widget.dispose());
  });
}

/** What tests leave in a page, beside documents: messages, dialogs, panels, names. */
async function tracesIn(page: Page): Promise<string> {
  if (page.isClosed()) {
    return 'closed';
  }
  return page.evaluate(() => {
    const { shell } = (window as unknown as { jupyterapp: PageApp }).jupyterapp;
    const sides = ['left', 'right', 'down'].flatMap(area => [...shell.widgets(area)]);
    const attributes = (node: Element): string[] =>
      [...node.attributes].map(({ name, value }) => `${name}=${value}`);
    return JSON.stringify({
      // A reload goes on opening its notebook, a second time, after that can be seen and closed.
      loaded: performance.timeOrigin,
      panels: sides.filter(widget => widget.isVisible).map(widget => widget.id),
      names: [window, document].map(owner =>
        Object.getOwnPropertyNames(owner)
          .filter(name => !name.startsWith('_react'))
          .sort()
      ),
      root: [document.documentElement, document.body].map(attributes),
      above: [
        ...new Set(
          [...document.body.children]
            .filter(node => node.checkVisibility() && node.id !== 'react-toastify-container')
            .map(node => node.id || node.className)
        )
      ].sort(),
      messages: document.querySelectorAll('.Toastify__toast').length,
      folder: document.querySelector('.jp-FileBrowser-crumbs')?.textContent
    });
  });
}
