// How far a notebook is, in its toolbar: 2 of 5 cells, for how long.
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { Entries } from './entries';
import { progress, stopwatch } from './state';

const TICK_MS = 1000;
const NAME = 'notebook-exec-progress';

export class Progress extends Widget {
  constructor(panel: NotebookPanel, entries: Entries, trans: TranslationBundle) {
    super({ node: document.createElement('span') });
    this.addClass('jp-nbexec-progress');
    this._entries = entries;
    this._trans = trans;
    entries.changed.connect(this._refresh, this);
    if (!panel.toolbar.insertBefore('kernelName', NAME, this)) {
      panel.toolbar.addItem(NAME, this);
    }
    this._refresh();
  }

  override dispose(): void {
    window.clearTimeout(this._timer);
    this._entries.changed.disconnect(this._refresh, this);
    super.dispose();
  }

  private _refresh(): void {
    window.clearTimeout(this._timer);
    const now = progress(this._entries.all().values());
    if (!now) {
      this._started = null;
      this.node.textContent = '';
      return;
    }
    if (now.startedAt !== null && this._started?.at !== now.startedAt) {
      // By the server's clock at first sight, by this page's from there: clocks differ.
      const seen = Date.now();
      this._started = { at: now.startedAt, seen, ranMs: Math.max(0, seen - now.startedAt) };
    }
    const cells = this._trans.__('%1 of %2', now.done, now.total);
    this.node.textContent = this._started
      ? `${cells} · ${stopwatch(this._started.ranMs + Date.now() - this._started.seen)}`
      : cells;
    this.node.title = this._trans.__('%1 of %2 cells are done', now.done, now.total);
    this._timer = window.setTimeout(() => this._refresh(), TICK_MS);
  }

  private _timer = 0;
  private _started: { at: number; seen: number; ranMs: number } | null = null;
  private readonly _entries: Entries;
  private readonly _trans: TranslationBundle;
}
