// A typed client of the server's HTTP interface (SPEC A1, A2).
import { URLExt } from '@jupyterlab/coreutils';
import type { ServerConnection } from '@jupyterlab/services';

import { ApiError } from './errors';
import { requestJson } from './http';
import { field } from './json';
import { ExecutionState, IExecutionError, isState, readError } from './state';
import { SubmissionSocket } from './submissions';

const ROUTE = 'api/executions';

/** What to run, as `POST /api/executions` takes it. */
export interface ISubmission {
  readonly document_id: string;
  readonly cells: readonly {
    readonly cell_id: string;
    readonly source: string;
  }[];
  readonly client_id: string;
  readonly record_timing: boolean;
  readonly allow_stdin: boolean;
  /** Seconds; without it there is no limit. */
  readonly time_limit?: number;
  readonly kernel?: { readonly id: string };
}

/** How one run of one cell stands, of what the server answers the part that is used here. */
export interface IExecution {
  readonly id: string;
  readonly cellId: string | null;
  readonly state: ExecutionState;
  readonly error: IExecutionError | null;
}

/** The server's executions. */
export class ExecutionsApi {
  constructor(serverSettings: ServerConnection.ISettings) {
    this._settings = serverSettings;
    this._socket = new SubmissionSocket(() => openSocket(serverSettings));
  }

  /** Opens what the first submission would have to wait for. */
  connect(): void {
    this._socket.open();
  }

  /**
   * Queues cells, as one request (SPEC Q2).
   *
   * @param key - the same for each try of the same submission, so that none runs twice
   * @returns the executions, in the order of `submission.cells`
   */
  async submit(submission: ISubmission, key: string): Promise<IExecution[]> {
    const body = JSON.stringify(submission);
    const answer =
      (await this._socket.submit(body, key)) ??
      (await this._request('', {
        method: 'POST',
        body,
        headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key }
      }));
    const executions = field(answer, 'executions');
    if (!Array.isArray(executions)) {
      throw new ApiError('The answer has no executions', 502, 'protocol', '');
    }
    return executions.map(readExecution);
  }

  /** How the execution stands; null if the server does not know it (any more). */
  async get(id: string): Promise<IExecution | null> {
    try {
      return readExecution(await this._request(encodeURIComponent(id), {}));
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) {
        return null;
      }
      throw error;
    }
  }

  /** Cancels one execution; the running one is interrupted (SPEC Q7). */
  async cancel(id: string): Promise<void> {
    await this._request(encodeURIComponent(id), { method: 'DELETE' });
  }

  /** Answers a prompt; an `ApiError` with status 409 says that it waits no more (SPEC P2). */
  async answer(id: string, value: string): Promise<void> {
    await this._request(`${encodeURIComponent(id)}/input`, {
      method: 'POST',
      body: JSON.stringify({ value }),
      headers: { 'Content-Type': 'application/json' }
    });
  }

  private _request(path: string, init: RequestInit): Promise<unknown> {
    return requestJson(this._settings, path ? `${ROUTE}/${path}` : ROUTE, init);
  }

  private readonly _settings: ServerConnection.ISettings;
  private readonly _socket: SubmissionSocket;
}

function openSocket({ wsUrl, token, appendToken, WebSocket }: ServerConnection.ISettings) {
  const query = appendToken && token ? URLExt.objectToQueryString({ token }) : '';
  return new WebSocket(URLExt.join(wsUrl, ROUTE, 'socket') + query);
}

function readExecution(value: unknown): IExecution {
  const id = field(value, 'id');
  const state = field(value, 'state');
  const cellId = field(value, 'cell_id');
  if (typeof id !== 'string' || !isState(state)) {
    throw new ApiError('The answer is no execution', 502, 'protocol', '');
  }
  return {
    id,
    cellId: typeof cellId === 'string' ? cellId : null,
    state,
    error: readError(field(value, 'error'))
  };
}
