// What the plugins of this extension, and others, share.
import type { INotebookModel } from '@jupyterlab/notebook';
import { Token } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';

import type { ExecutionsApi } from './api';
import type { Feed } from './feed';
import type { HttpFeedSource } from './feedsource';

/** The executions that the server runs for the notebooks of this page. */
export interface IExecutions {
  readonly api: ExecutionsApi;

  /** Sent with all that this page submits: its cells stop at each other's errors (SPEC Q6). */
  readonly clientId: string;

  /** Emitted when `isServerSide` may answer differently. */
  readonly changed: ISignal<IExecutions, void>;

  /** Whether the server runs this notebook's cells; else JupyterLab does. */
  isServerSide(notebook: INotebookModel): boolean;
}

export const IExecutions = new Token<IExecutions>(
  'notebook-exec:IExecutions',
  'The executions that the server runs for the notebooks of this page.'
);

/** The executions of all notebooks of the server, live. */
export interface IExecutionFeed {
  readonly feed: Feed;
  readonly source: HttpFeedSource;
}

export const IExecutionFeed = new Token<IExecutionFeed>(
  'notebook-exec:IExecutionFeed',
  'The executions of all notebooks of the server, live.'
);
