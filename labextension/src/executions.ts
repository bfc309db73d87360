// Which notebooks the server runs, and with which client.
import type { INotebookModel } from '@jupyterlab/notebook';
import type { ServerConnection } from '@jupyterlab/services';
import { UUID } from '@lumino/coreutils';
import { ISignal, Signal } from '@lumino/signaling';

import { ExecutionsApi } from './api';
import { documentId } from './entries';
import { IExecutions, IRunOptions } from './tokens';

/** In a notebook's metadata: `{"server_side": false}` leaves its cells to JupyterLab (SPEC U6). */
export const NOTEBOOK_METADATA = 'notebook_exec';

const CLIENT_ID_KEY = 'notebook-exec:client-id';

export class Executions implements IExecutions {
  constructor(serverSettings: ServerConnection.ISettings) {
    this.api = new ExecutionsApi(serverSettings);
    this.clientId = clientId();
  }

  readonly api: ExecutionsApi;

  readonly clientId: string;

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The user's setting; a notebook can only switch off what it switches on. */
  get serverSide(): boolean {
    return this._serverSide;
  }
  set serverSide(value: boolean) {
    if (value !== this._serverSide) {
      this._serverSide = value;
      this._changed.emit();
    }
  }

  get runOptions(): IRunOptions {
    return this._runOptions;
  }
  set runOptions(options: IRunOptions) {
    this._runOptions = options;
  }

  isServerSide(notebook: INotebookModel): boolean {
    return this._serverSide && !isSwitchedOff(notebook) && isShared(notebook);
  }

  private _serverSide = true;
  private _runOptions: IRunOptions = { timeLimitS: 0, allowInput: true };
  private readonly _changed = new Signal<this, void>(this);
}

/** Whether the server holds this notebook, and so can run it. */
export function isShared(notebook: INotebookModel): boolean {
  return notebook.collaborative === true && documentId(notebook) !== null;
}

/** Whether this notebook's cells are left to JupyterLab. */
export function isSwitchedOff(notebook: INotebookModel): boolean {
  return metadata(notebook).server_side === false;
}

/** Leaves this notebook's cells to JupyterLab, for all who open it; or takes that back. */
export function switchOff(notebook: INotebookModel, off: boolean): void {
  const rest = { ...metadata(notebook) };
  delete rest.server_side;
  if (off) {
    notebook.setMetadata(NOTEBOOK_METADATA, { ...rest, server_side: false });
  } else if (Object.keys(rest).length > 0) {
    notebook.setMetadata(NOTEBOOK_METADATA, rest);
  } else {
    notebook.deleteMetadata(NOTEBOOK_METADATA);
  }
}

function metadata(notebook: INotebookModel): Record<string, unknown> {
  const own = notebook.getMetadata(NOTEBOOK_METADATA) as unknown;
  return typeof own === 'object' && own !== null ? (own as Record<string, unknown>) : {};
}

/** One id for this browser tab; a reload keeps it, since what it queued before goes on. */
function clientId(): string {
  try {
    const known = window.sessionStorage.getItem(CLIENT_ID_KEY);
    const id = known ?? UUID.uuid4();
    window.sessionStorage.setItem(CLIENT_ID_KEY, id);
    return id;
  } catch {
    return UUID.uuid4(); // storage is switched off
  }
}
