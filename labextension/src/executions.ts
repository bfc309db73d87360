// Which notebooks the server runs, and with which client.
import type { INotebookModel } from '@jupyterlab/notebook';
import type { ServerConnection } from '@jupyterlab/services';
import { UUID } from '@lumino/coreutils';
import { ISignal, Signal } from '@lumino/signaling';

import { ExecutionsApi } from './api';
import { documentId } from './entries';
import { IExecutions } from './tokens';

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

  isServerSide(notebook: INotebookModel): boolean {
    const own = notebook.getMetadata(NOTEBOOK_METADATA) as unknown;
    const isOff =
      typeof own === 'object' &&
      own !== null &&
      (own as Record<string, unknown>).server_side === false;
    return (
      this._serverSide && !isOff && notebook.collaborative === true && documentId(notebook) !== null
    );
  }

  private _serverSide = true;
  private readonly _changed = new Signal<this, void>(this);
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
