// The feed's executions by HTTP: a list, and Server-Sent Events (SPEC A2).
import { URLExt } from '@jupyterlab/coreutils';
import type { ServerConnection } from '@jupyterlab/services';

import type { IFeedListener, IFeedSource } from './feed';
import { request, requestJson } from './http';
import { parseJson } from './json';
import { IRecord, readRecord, readRecords } from './records';
import { EventReader } from './sse';

const ROUTE = 'api/executions';
/** Clocks that differ by less are taken for the same: the server's is told in whole seconds. */
const CLOCK_SLACK_MS = 2000;
/** The server says something at least every 15 s; a stream that is silent for longer is dead. */
const SILENCE_MS = 40_000;

export class HttpFeedSource implements IFeedSource {
  constructor(settings: ServerConnection.ISettings) {
    this._settings = settings;
  }

  async list(limit: number): Promise<{ records: IRecord[]; aheadMs: number }> {
    const response = await request(this._settings, `${ROUTE}?limit=${limit}`, {});
    const ahead = Date.parse(response.headers.get('Date') ?? '') - Date.now();
    return {
      records: readRecords(await response.json()),
      aheadMs: Math.abs(ahead) > CLOCK_SLACK_MS ? ahead : 0
    };
  }

  /** The finished runs of one notebook, for estimates. */
  async finished(documentId: string, limit: number): Promise<IRecord[]> {
    const query = URLExt.objectToQueryString({
      document_id: documentId,
      state: 'finished',
      limit: String(limit)
    });
    return readRecords(await requestJson(this._settings, ROUTE + query, {}));
  }

  /** Cancels what is queued in a notebook, or with `all` what runs too (SPEC Q7). */
  async cancelNotebook(documentId: string, all: boolean): Promise<void> {
    const query = URLExt.objectToQueryString({
      document_id: documentId,
      ...(all ? {} : { state: 'queued' })
    });
    await request(this._settings, ROUTE + query, { method: 'DELETE' });
  }

  // EventSource would not do: it can send no token, and asks at an address that may have none.
  async follow(lastId: string, abort: AbortSignal, listener: IFeedListener): Promise<void> {
    const own = new AbortController();
    const stop = (): void => own.abort();
    abort.addEventListener('abort', stop);
    let silence = window.setTimeout(stop, SILENCE_MS);
    try {
      const response = await request(this._settings, `${ROUTE}/events`, {
        headers: lastId ? { 'Last-Event-ID': lastId } : {},
        signal: own.signal
      });
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      const events = new EventReader();
      listener.onOpen();
      for (;;) {
        const piece = await reader?.read();
        if (!piece || piece.done) {
          return;
        }
        window.clearTimeout(silence);
        silence = window.setTimeout(stop, SILENCE_MS);
        for (const { data, event, id } of events.push(piece.value)) {
          const record = event === 'execution' ? readRecord(parseJson(data)) : null;
          if (record) {
            listener.onRecord(record, id);
          }
        }
      }
    } finally {
      window.clearTimeout(silence);
      abort.removeEventListener('abort', stop);
      own.abort();
    }
  }

  private readonly _settings: ServerConnection.ISettings;
}
