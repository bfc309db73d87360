// The tab of a notebook shows that it runs, or waits for input.
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';

import { Entries } from './entries';
import { Activity, activityOf } from './state';

const CLASSES: Readonly<Record<Activity, string>> = {
  running: 'jp-nbexec-tab-running',
  waiting: 'jp-nbexec-tab-waiting'
};
/** What is over sooner is not marked, so that a quick cell does not flicker. */
const SHOW_AFTER_MS = 400;

export class TabMark implements IDisposable {
  constructor(panel: NotebookPanel, entries: Entries, trans: TranslationBundle) {
    this._panel = panel;
    this._entries = entries;
    this._trans = trans;
    entries.changed.connect(this._refresh, this);
    panel.title.changed.connect(this._onTitle, this);
    this._refresh();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    window.clearTimeout(this._timer);
    this._entries.changed.disconnect(this._refresh, this);
    if (!this._panel.isDisposed) {
      this._panel.title.changed.disconnect(this._onTitle, this);
      this._show(null);
    }
  }

  private _refresh(): void {
    const wanted = activityOf(this._entries.all().values());
    window.clearTimeout(this._timer);
    if (wanted !== this._shown) {
      const ms = this._shown === null && wanted === 'running' ? SHOW_AFTER_MS : 0;
      this._timer = window.setTimeout(() => this._show(wanted), ms);
    }
  }

  /** JupyterLab writes the caption anew at each save. */
  private _onTitle(): void {
    const { title } = this._panel;
    if (this._line && !title.caption.split('\n').includes(this._line)) {
      title.caption += `\n${this._line}`;
    }
  }

  private _show(activity: Activity | null): void {
    const { title } = this._panel;
    const others = title.className.split(' ').filter(name => name && !OURS.has(name));
    title.className = [...others, ...(activity ? [CLASSES[activity]] : [])].join(' ');
    const lines = title.caption.split('\n').filter(line => line && line !== this._line);
    this._line =
      activity === 'waiting'
        ? this._trans.__('Waits for input')
        : activity === 'running'
          ? this._trans.__('Running on the server')
          : '';
    title.caption = [...lines, this._line].filter(Boolean).join('\n');
    this._shown = activity;
  }

  private _isDisposed = false;
  private _timer = 0;
  private _line = '';
  private _shown: Activity | null = null;
  private readonly _panel: NotebookPanel;
  private readonly _entries: Entries;
  private readonly _trans: TranslationBundle;
}

const OURS: ReadonlySet<string> = new Set(Object.values(CLASSES));
