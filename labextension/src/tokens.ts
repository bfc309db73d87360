// What the plugins of this extension, and others, share.
import type { INotebookModel } from '@jupyterlab/notebook';
import { Token } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';

import type { ExecutionsApi } from './api';
import type { Feed } from './feed';
import type { HttpFeedSource } from './feedsource';
import type { KernelFacts } from './kernelfacts';
import type { KernelsApi } from './kernels';

/** What the user set for all runs. */
export interface IRunOptions {
  /** Seconds after which a cell is stopped; 0: never (SPEC Q15). */
  readonly timeLimitS: number;
  /** Whether cells may ask for input; if not, `input()` raises. */
  readonly allowInput: boolean;
}

/** The executions that the server runs for the notebooks of this page. */
export interface IExecutions {
  readonly api: ExecutionsApi;

  /** Sent with all that this page submits: its cells stop at each other's errors (SPEC Q6). */
  readonly clientId: string;

  readonly runOptions: IRunOptions;

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

/** What the server can do with kernels beside what Jupyter's own routes offer. */
export interface IKernels {
  readonly api: KernelsApi;
  readonly facts: KernelFacts;
}

export const IKernels = new Token<IKernels>(
  'notebook-exec:IKernels',
  "What the server can do with kernels beside what Jupyter's own routes offer."
);
