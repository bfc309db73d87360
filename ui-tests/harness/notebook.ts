// A notebook as a user meets it in the browser.
import { Locator, Page, expect } from '@playwright/test';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { JupyterServer } from './server';

export interface CellSource {
  readonly source: string;
  readonly type?: 'code' | 'markdown';
  readonly tags?: readonly string[];
  readonly outputs?: readonly unknown[];
}

interface OutputJson {
  readonly output_type: string;
  readonly name?: string;
  readonly text?: string | string[];
  readonly data?: Record<string, unknown>;
  readonly ename?: string;
}

export interface CellJson {
  readonly id: string;
  readonly cell_type: string;
  readonly source: string | string[];
  readonly metadata: Record<string, unknown>;
  readonly execution_count?: number | null;
  readonly outputs?: OutputJson[];
}

/** Writes a notebook into the server's root; its cells are named `c0`, `c1`, … */
export async function writeNotebook(
  server: JupyterServer,
  name: string,
  cells: readonly (string | CellSource)[]
): Promise<void> {
  const json = {
    nbformat: 4,
    nbformat_minor: 5,
    metadata: {
      kernelspec: {
        name: 'python3',
        display_name: 'Python 3',
        language: 'python'
      },
      language_info: { name: 'python' }
    },
    cells: cells.map((given, index) => {
      const cell = typeof given === 'string' ? { source: given } : given;
      const common = {
        id: `c${index}`,
        cell_type: cell.type ?? 'code',
        source: cell.source,
        metadata: cell.tags ? { tags: cell.tags } : {}
      };
      return cell.type === 'markdown'
        ? common
        : { ...common, outputs: cell.outputs ?? [], execution_count: null };
    })
  };
  await writeFile(path.join(server.root, name), JSON.stringify(json));
}

/** The cells as they are on disk. */
export async function readNotebook(server: JupyterServer, name: string): Promise<CellJson[]> {
  const text = await readFile(path.join(server.root, name), 'utf8');
  return (JSON.parse(text) as { cells: CellJson[] }).cells;
}

/** The text of all streams of a cell. */
export function streamText(cell: CellJson | undefined, name = 'stdout'): string {
  return (cell?.outputs ?? [])
    .filter(output => output.output_type === 'stream' && output.name === name)
    .map(output => (Array.isArray(output.text) ? output.text.join('') : (output.text ?? '')))
    .join('');
}

/** What the page's own application says, where the picture does not show it. */
export interface PageApp {
  commands: { execute(id: string, args?: object): Promise<unknown> };
  shell: {
    widgets(area: string): Iterable<PageWidget>;
    currentWidget: PageWidget & {
      sessionContext: {
        session: { kernel: { id: string; status: string } | null } | null;
      };
      content: {
        model: { sharedModel: { ydoc: PageDocument; toJSON(): { cells: CellJson[] } } };
      };
    };
  };
}

interface PageWidget {
  readonly id: string;
  readonly isVisible: boolean;
  dispose(): void;
}

interface PageDocument {
  on(
    event: 'update',
    callback: (
      update: Uint8Array,
      origin: unknown,
      document: unknown,
      transaction: { local: boolean; changed: Map<unknown, Set<string | null>> }
    ) => void
  ): void;
}

const SUBMIT = '/api/executions';

interface ISubmitted {
  readonly way: 'post' | 'socket';
  readonly body: string;
}

const submissions = new WeakMap<Page, ISubmitted[]>();

/** All that a page has submitted: its websocket may be older than what is opened in it. */
function submissionsOf(page: Page): readonly ISubmitted[] {
  const known = submissions.get(page);
  if (known) {
    return known;
  }
  const all: ISubmitted[] = [];
  submissions.set(page, all);
  page.on('request', request => {
    if (request.method() === 'POST' && new URL(request.url()).pathname === SUBMIT) {
      all.push({ way: 'post', body: request.postData() ?? '' });
    }
  });
  page.on('websocket', socket => {
    if (new URL(socket.url()).pathname === `${SUBMIT}/socket`) {
      socket.on('framesent', ({ payload }) => {
        all.push({ way: 'socket', body: String(payload).split('\n')[1] ?? '' });
      });
    }
  });
  return all;
}

export class NotebookPage {
  constructor(
    readonly page: Page,
    readonly server: JupyterServer,
    readonly name: string
  ) {
    this._submissions = submissionsOf(page);
    this._before = this._submissions.length;
  }

  /** By what the page has asked the server to run cells, since it has this notebook. */
  get submitted(): readonly ISubmitted[] {
    return this._submissions.slice(this._before);
  }

  /** Opens the notebook and waits until it and its kernel are there. */
  async open(): Promise<this> {
    const { app, url, token } = this.server;
    const route =
      app === 'lab' ? `/lab/tree/${this.name}?reset&token=` : `/notebooks/${this.name}?token=`;
    await this.page.goto(url + route + token);
    await this.ready();
    return this;
  }

  /** Opens the notebook as a user does whose JupyterLab is there already, with nothing else. */
  async openHere(): Promise<this> {
    await this.page.evaluate(async name => {
      const { jupyterapp } = window as unknown as { jupyterapp: PageApp };
      await jupyterapp.commands.execute('filebrowser:open-path', { path: name });
    }, this.name);
    await this.ready();
    await this.page.evaluate(() => {
      const { shell } = (window as unknown as { jupyterapp: PageApp }).jupyterapp;
      const others = [...shell.widgets('main')].filter(widget => widget !== shell.currentWidget);
      others.forEach(widget => widget.dispose()); // the launcher
    });
    await this.page.waitForURL(`**/lab/tree/${this.name}*`); // where a reload goes to
    return this;
  }

  async reload(): Promise<void> {
    await this.page.reload();
    await this.ready();
  }

  async ready(): Promise<void> {
    await expect(this.cells.first()).toBeVisible({ timeout: 60_000 });
    await this.page.waitForFunction(
      () => {
        const app = (window as unknown as { jupyterapp?: PageApp }).jupyterapp;
        return Boolean(app?.shell.currentWidget?.sessionContext?.session?.kernel);
      },
      undefined,
      { timeout: 60_000 }
    );
  }

  get cells(): Locator {
    return this.page.locator('.jp-Notebook-cell');
  }

  cell(index: number): Locator {
    return this.cells.nth(index);
  }

  /** What the cell shows below its input. */
  output(index: number): Locator {
    return this.cell(index).locator('.jp-Cell-outputArea');
  }

  /** `[*]:`, `[3]:` or `[ ]:` */
  prompt(index: number): Locator {
    return this.cell(index).locator('.jp-InputArea-prompt');
  }

  badge(index: number): Locator {
    return this.cell(index).locator('.jp-nbexec-badge');
  }

  get progress(): Locator {
    return this.page.locator('.jp-nbexec-progress-button');
  }

  input(index: number): Locator {
    return this.cell(index).locator('.jp-nbexec-prompt-input');
  }

  /** What is said below the cell's outputs, with its buttons. */
  note(index: number): Locator {
    return this.cell(index).locator('.jp-nbexec-note');
  }

  get dialog(): Locator {
    return this.page.locator('.jp-Dialog');
  }

  async command(id: string, args: object = {}): Promise<void> {
    await this.page.evaluate(
      ([name, given]) => {
        const { jupyterapp } = window as unknown as { jupyterapp: PageApp };
        void jupyterapp.commands.execute(name, given);
      },
      [id, args] as const
    );
  }

  async runAll(): Promise<void> {
    await this.command('notebook:run-all-cells');
  }

  async select(index: number): Promise<void> {
    await this.prompt(index).click();
  }

  /** Runs one cell as Shift+Enter does. */
  async run(index: number): Promise<void> {
    await this.select(index);
    await this.page.keyboard.press('Shift+Enter');
  }

  /** The document as this page holds it. */
  async document(): Promise<CellJson[]> {
    return this.page.evaluate(() => {
      const { jupyterapp } = window as unknown as { jupyterapp: PageApp };
      return jupyterapp.shell.currentWidget.content.model.sharedModel.toJSON().cells;
    });
  }

  async kernelId(): Promise<string> {
    return this.page.evaluate(() => {
      const { jupyterapp } = window as unknown as { jupyterapp: PageApp };
      return jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.id ?? '';
    });
  }

  async kernelStatus(): Promise<string> {
    return this.page.evaluate(() => {
      const { jupyterapp } = window as unknown as { jupyterapp: PageApp };
      return jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status ?? '';
    });
  }

  /** From now on, what this page itself writes into the document is counted. */
  async countOwnWrites(): Promise<void> {
    await this.page.evaluate(() => {
      const app = window as unknown as { jupyterapp: PageApp; ownWrites: string[] };
      app.ownWrites = [];
      const { ydoc } = app.jupyterapp.shell.currentWidget.content.model.sharedModel;
      ydoc.on('update', (_update, _origin, _doc, transaction) => {
        if (transaction.local) {
          const parts = [...transaction.changed.values()].flatMap(keys => [...keys]);
          app.ownWrites.push(parts.map(String).join(' '));
        }
      });
    });
  }

  async ownWrites(): Promise<string[]> {
    return this.page.evaluate(() => (window as unknown as { ownWrites: string[] }).ownWrites);
  }

  /** No dialog that stops the user. */
  async expectNoDialog(): Promise<void> {
    // By its words, or a dialog that came and went once would never be known.
    await expect.poll(() => this.page.locator('.jp-Dialog').allInnerTexts()).toEqual([]);
  }

  private readonly _submissions: readonly ISubmitted[];
  private readonly _before: number;
}
