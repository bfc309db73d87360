// The notes of one notebook's cells, kept in line with its executions (SPEC K1, Q8).
import { CodeCell } from '@jupyterlab/cells';
import type { Notebook, NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { Widget } from '@lumino/widgets';

import { placeBelowOutputs } from './cellplace';
import { Entries } from './entries';
import { CONTENT_MS, Lookout } from './lookout';
import { INote, INoteContext, NoteAction, isBeingStopped, noteOf } from './notes';

const TICK_MS = 1000;

/** What the notes need of the page they are in. */
export interface INotePage {
  /** What is known of the notebook's kernel and user; `stoppingMs` is not. */
  context(): Omit<INoteContext, 'stoppingMs'>;
  act(action: NoteAction, cell: CodeCell): void;
}

export class CellNotes implements IDisposable {
  constructor(panel: NotebookPanel, entries: Entries, page: INotePage, trans: TranslationBundle) {
    this._panel = panel;
    this._notebook = panel.content;
    this._entries = entries;
    this._page = page;
    this._trans = trans;
    entries.changed.connect(this.refresh, this);
    panel.content.modelContentChanged.connect(this._onContent, this);
    panel.content.cellInViewportChanged.connect(this.refresh, this);
    panel.sessionContext.statusChanged.connect(this.refresh, this);
    this._look();
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
    this._entries.changed.disconnect(this.refresh, this);
    this._panel.sessionContext.statusChanged.disconnect(this.refresh, this);
    if (!this._notebook.isDisposed) {
      this._notebook.modelContentChanged.disconnect(this._onContent, this);
      this._notebook.cellInViewportChanged.disconnect(this.refresh, this);
    }
    this._boxes.forEach(box => box.dispose());
    this._boxes.clear();
  }

  /** Changes come in crowds; they are looked at once, after the last of this turn. */
  refresh(): void {
    this._lookout.within(0);
  }

  private _onContent(): void {
    this._lookout.within(CONTENT_MS);
  }

  private _look(): void {
    const context = this._page.context();
    const shown = new Set<CodeCell>();
    const stopping = new Map<string, number>();
    for (const cell of this._notebook.widgets) {
      const entry = cell instanceof CodeCell ? this._entries.get(cell.model.id) : null;
      if (!entry) {
        continue;
      }
      if (isBeingStopped(entry)) {
        stopping.set(entry.id, this._stopping.get(entry.id) ?? Date.now());
      }
      const stoppingMs = Date.now() - (stopping.get(entry.id) ?? Date.now());
      const note = noteOf(entry, { ...context, stoppingMs }, this._trans);
      if (note && this._show(cell as CodeCell, note)) {
        shown.add(cell as CodeCell);
      }
    }
    this._stopping = stopping;
    for (const [cell, box] of this._boxes) {
      if (!shown.has(cell)) {
        box.dispose();
        this._boxes.delete(cell);
      }
    }
    if (stopping.size > 0) {
      this._lookout.within(TICK_MS);
    }
  }

  /** False if the cell is not drawn yet; it comes into view later. */
  private _show(cell: CodeCell, note: INote): boolean {
    let box = this._boxes.get(cell);
    if (!box) {
      box = new NoteBox(action => this._page.act(action, cell), this._trans);
      if (!placeBelowOutputs(cell, box)) {
        box.dispose();
        return false;
      }
      this._boxes.set(cell, box);
    }
    box.setNote(note);
    return true;
  }

  private _isDisposed = false;
  private readonly _lookout = new Lookout(() => this._look());
  private _stopping = new Map<string, number>();
  private readonly _panel: NotebookPanel;
  private readonly _notebook: Notebook;
  private readonly _entries: Entries;
  private readonly _page: INotePage;
  private readonly _trans: TranslationBundle;
  private readonly _boxes = new Map<CodeCell, NoteBox>();
}

/** A line of text, and buttons. */
class NoteBox extends Widget {
  constructor(act: (action: NoteAction) => void, trans: TranslationBundle) {
    super();
    this.addClass('jp-nbexec-note');
    this._act = act;
    this._trans = trans;
    this._text.className = 'jp-nbexec-note-text';
    this._buttons.className = 'jp-nbexec-note-buttons';
    this.node.append(this._text, this._buttons);
    // Clicks are for the buttons alone: the notebook would take the focus from them.
    this.node.addEventListener('mousedown', event => event.stopPropagation());
    this.node.dataset.lmSuppressShortcuts = 'true';
  }

  setNote(note: INote): void {
    this.toggleClass('jp-mod-urgent', note.isUrgent);
    this._text.setAttribute('role', note.isUrgent ? 'status' : 'note');
    if (this._text.textContent !== note.text) {
      this._text.textContent = note.text;
    }
    if (this._shown !== note.actions.join()) {
      this._shown = note.actions.join();
      this._buttons.replaceChildren(...note.actions.map(action => this._button(action)));
    }
  }

  private _button(action: NoteAction): HTMLElement {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = `jp-nbexec-note-button jp-mod-${action}`;
    button.textContent = label(action, this._trans);
    button.addEventListener('click', () => this._act(action));
    return button;
  }

  private _shown = '';
  private readonly _act: (action: NoteAction) => void;
  private readonly _trans: TranslationBundle;
  private readonly _text = document.createElement('span');
  private readonly _buttons = document.createElement('span');
}

function label(action: NoteAction, trans: TranslationBundle): string {
  switch (action) {
    case 'interrupt':
      return trans.__('Interrupt again');
    case 'restart':
      return trans.__('Restart kernel');
    case 'hard-restart':
      return trans.__('Hard restart');
    case 'run-to-here':
      return trans.__('Run all up to here');
    case 'log':
      return trans.__('Kernel log');
  }
}
