// Where each cell stands, said at the cell: queued behind how many, running for how long.
import { CodeCell } from '@jupyterlab/cells';
import type { Notebook, NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon, stopIcon } from '@jupyterlab/ui-components';
import type { IDisposable } from '@lumino/disposable';

import { Entries } from './entries';
import { CONTENT_MS, Lookout } from './lookout';
import { IEntry, isFinal, isStarted, places, stopwatch } from './state';

const QUEUED_CLASS = 'jp-nbexec-queued';
const RUNNING_CLASS = 'jp-nbexec-running';
/** Cells that are done sooner show nothing, so that a quick Run All does not flicker. */
const SHOW_AFTER_MS = 400;
const TICK_MS = 1000;

/** Cancels the execution with this id. */
export type Cancel = (executionId: string) => void;

/** Keeps the marks of one notebook's cells in line with its executions. */
export class CellStatus implements IDisposable {
  constructor(panel: NotebookPanel, entries: Entries, cancel: Cancel, trans: TranslationBundle) {
    this._notebook = panel.content;
    this._entries = entries;
    this._cancel = cancel;
    this._trans = trans;
    entries.changed.connect(this._onEntries, this);
    panel.content.modelContentChanged.connect(this._onContent, this);
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
    this._lookout.cancel();
    this._entries.changed.disconnect(this._onEntries, this);
    if (!this._notebook.isDisposed) {
      this._notebook.modelContentChanged.disconnect(this._onContent, this);
    }
    this._badges.forEach(badge => badge.dispose());
    this._badges.clear();
  }

  private _onEntries(): void {
    this._lookout.within(0);
  }

  private _onContent(): void {
    this._lookout.within(CONTENT_MS);
  }

  private _refresh(): void {
    const entries = this._entries.all();
    const cells = this._notebook.widgets.filter(cell => cell instanceof CodeCell);
    const before = places(
      entries,
      cells.map(cell => cell.model.id)
    );
    const shown = new Set<CodeCell>();
    let isActive = false;
    for (const cell of cells) {
      const entry = entries.get(cell.model.id);
      if (entry && !isFinal(entry.state)) {
        isActive = true;
        if (cell.inputArea) {
          this._show(cell, entry, before.get(cell.model.id) ?? 0);
          shown.add(cell);
        } // else not drawn yet; it is by one of the next looks
      }
    }
    for (const [cell, badge] of this._badges) {
      if (!shown.has(cell)) {
        badge.dispose();
        this._badges.delete(cell);
      }
    }
    if (isActive) {
      this._lookout.within(TICK_MS);
    }
  }

  private _show(cell: CodeCell, entry: IEntry, before: number): void {
    let badge = this._badges.get(cell);
    if (!badge) {
      badge = new CellBadge(cell, this._cancel, this._trans);
      this._badges.set(cell, badge);
    }
    const next = badge.show(entry, before);
    if (next > 0) {
      this._lookout.within(next);
    }
  }

  private _isDisposed = false;
  private readonly _lookout = new Lookout(() => this._refresh());
  private readonly _notebook: Notebook;
  private readonly _entries: Entries;
  private readonly _cancel: Cancel;
  private readonly _trans: TranslationBundle;
  private readonly _badges = new Map<CodeCell, CellBadge>();
}

/** The mark of one cell: a line of text and a button that cancels. */
class CellBadge implements IDisposable {
  constructor(cell: CodeCell, cancel: Cancel, trans: TranslationBundle) {
    this._cell = cell;
    this._cancel = cancel;
    this._trans = trans;
    this._text = document.createElement('span');
    this._text.className = 'jp-nbexec-badge-text';
    this._button = document.createElement('button');
    this._button.type = 'button';
    this._button.className = 'jp-nbexec-badge-cancel';
    this._button.addEventListener('click', this._onClick);
    this._node = document.createElement('div');
    this._node.className = 'jp-nbexec-badge';
    this._node.append(this._text, this._button);
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    this._node.remove();
    this._cell.removeClass(QUEUED_CLASS);
    this._cell.removeClass(RUNNING_CLASS);
  }

  /** Shows `entry`; answers after how many milliseconds there is something to show, 0 if now. */
  show(entry: IEntry, before: number): number {
    if (entry.id !== this._id) {
      this._id = entry.id;
      this._since = Date.now();
      this._ran = null;
      this._seen = null;
      this._button.disabled = false;
    }
    const started = isStarted(entry.state);
    this._cell.toggleClass(QUEUED_CLASS, !started);
    this._cell.toggleClass(RUNNING_CLASS, started);
    const wait = this._since + SHOW_AFTER_MS - Date.now();
    if (wait > 0) {
      return wait;
    }
    this._setText(started ? this._running(entry) : this._queued(before));
    this._node.title = entry.requestedBy ? this._trans.__('Run by %1', entry.requestedBy) : '';
    this._setIcon(started);
    const parent = this._cell.inputArea?.parent?.node;
    if (parent && this._node.parentElement !== parent) {
      parent.append(this._node);
    }
    return 0;
  }

  private _queued(before: number): string {
    return before === 0
      ? this._trans.__('Next')
      : this._trans._n('Queued, %1 before', 'Queued, %1 before', before);
  }

  private _running(entry: IEntry): string {
    if (entry.state === 'waiting_input') {
      return this._trans.__('Waits for input');
    }
    // By the server's clock at first sight, by this page's from there: clocks differ.
    this._ran ??= Math.max(0, Date.now() - (entry.startedAt ?? Date.now()));
    this._seen ??= Date.now();
    const time = stopwatch(this._ran + Date.now() - this._seen);
    return entry.reason ? this._trans.__('Stopping · %1', time) : time;
  }

  private _setText(text: string): void {
    if (this._text.textContent !== text) {
      this._text.textContent = text;
    }
  }

  private _setIcon(started: boolean): void {
    const label = started
      ? this._trans.__('Stop this cell')
      : this._trans.__('Take this cell out of the queue');
    if (this._button.title !== label) {
      this._button.title = label;
      this._button.setAttribute('aria-label', label);
      const icon = started ? stopIcon : closeIcon;
      this._button.replaceChildren(icon.element({ tag: 'span' }));
    }
  }

  private readonly _onClick = (event: Event): void => {
    event.stopPropagation();
    this._button.disabled = true;
    this._cancel(this._id);
  };

  private _isDisposed = false;
  private _id = '';
  private _since = 0;
  private _ran: number | null = null;
  private _seen: number | null = null;
  private readonly _cell: CodeCell;
  private readonly _cancel: Cancel;
  private readonly _trans: TranslationBundle;
  private readonly _node: HTMLElement;
  private readonly _text: HTMLElement;
  private readonly _button: HTMLButtonElement;
}
