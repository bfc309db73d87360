// The document's root map `execution`, followed live.
import type { INotebookModel } from '@jupyterlab/notebook';
import type { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';
import type * as Y from 'yjs';

import { IEntry, readEntry } from './state';

/** The shared document of a notebook; null if this notebook has none. */
export function sharedDocument(notebook: INotebookModel): Y.Doc | null {
  const shared = notebook.sharedModel;
  return 'ydoc' in shared ? (shared.ydoc as Y.Doc) : null;
}

/** What the server calls the notebook; null if the server does not hold it. */
export function documentId(notebook: INotebookModel): string | null {
  const id: unknown = notebook.sharedModel.getState('document_id');
  return typeof id === 'string' && id ? id : null;
}

/** The shown run of each cell of one notebook. */
export class Entries implements IDisposable {
  /** What a document says at this moment, by cell id. */
  static read(document: Y.Doc): Map<string, IEntry> {
    return readAll(document.getMap('execution'));
  }

  constructor(document: Y.Doc) {
    this._map = document.getMap('execution');
    this._map.observeDeep(this._onChange);
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Emitted after each change, with nothing: whoever listens reads what it needs. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._map.unobserveDeep(this._onChange);
    Signal.clearData(this);
  }

  get(cellId: string): IEntry | null {
    return readEntry(this._map.get(cellId));
  }

  all(): Map<string, IEntry> {
    return readAll(this._map);
  }

  private readonly _onChange = (): void => this._changed.emit();

  private _isDisposed = false;
  private readonly _map: Y.Map<unknown>;
  private readonly _changed = new Signal<this, void>(this);
}

function readAll(map: Y.Map<unknown>): Map<string, IEntry> {
  const entries = new Map<string, IEntry>();
  map.forEach((value, cellId) => {
    const entry = readEntry(value);
    if (entry) {
      entries.set(cellId, entry);
    }
  });
  return entries;
}
