// The executions of all notebooks of the server, kept up to date (SPEC A2, Q12).
import type { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { IRecord } from './records';
import { isFinal } from './state';

/** Where the executions come from; a page asks the server by HTTP. */
export interface IFeedSource {
  /** The latest `limit`, oldest first, with how far the server's clock is ahead of this page's. */
  list(limit: number): Promise<{ records: IRecord[]; aheadMs: number }>;

  /**
   * Changes as they come, from the one after `lastId` on. Resolves when the server ends the
   * stream, rejects when it breaks.
   */
  follow(lastId: string, abort: AbortSignal, listener: IFeedListener): Promise<void>;
}

export interface IFeedListener {
  /** The stream has begun: what changes from now on will be told. */
  onOpen(): void;
  onRecord(record: IRecord, id: string): void;
}

/** `waiting` for a hidden page to be seen, `lost` while the server is out of reach. */
export type FeedStatus = 'connecting' | 'live' | 'waiting' | 'lost';

/** How many executions are held; older ones are asked for by `loadMore`. */
const FIRST_LIMIT = 500;
const MOST = 10_000;
const RETRY_MS: readonly number[] = [500, 1000, 2000, 4000];
/** A hidden page holds no stream: browsers allow few connections, all its pages together. */
const HIDDEN_MS = 5000;
/** Changes of one turn, and of a crowd of turns, are told as one. */
const GATHER_MS = 50;

export class Feed implements IDisposable {
  constructor(source: IFeedSource) {
    this._source = source;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    this._stop();
    clearTimeout(this._gathering ?? undefined);
    Signal.clearData(this);
  }

  /** Emitted after changes, at most 20 times a second, with the ids of what changed. */
  get changed(): ISignal<this, ReadonlySet<string>> {
    return this._changed;
  }

  get statusChanged(): ISignal<this, FeedStatus> {
    return this._statusChanged;
  }

  get status(): FeedStatus {
    return this._status;
  }

  /** Whether the server has been asked and has answered. */
  get isReady(): boolean {
    return this._isReady;
  }

  /** Whether there may be executions older than those held here. */
  get hasMore(): boolean {
    return this._hasMore;
  }

  get records(): ReadonlyMap<string, IRecord> {
    return this._records;
  }

  /** Milliseconds since the epoch by the server's clock, as the records have them. */
  now(): number {
    return Date.now() + this._aheadMs;
  }

  start(): void {
    if (!this._run && !this._isDisposed) {
      this._isHidden = false;
      this._run = new AbortController();
      void this._follow(this._run.signal);
    }
  }

  /** Called with whether the page can be seen; one that cannot only asks now and then. */
  setHidden(isHidden: boolean): void {
    if (isHidden !== this._isHidden && !this._isDisposed) {
      this._stop();
      this._isHidden = isHidden;
      this._run = new AbortController();
      void (isHidden ? this._look(this._run.signal) : this._follow(this._run.signal));
    }
  }

  /** Asks for twice as many executions. */
  async loadMore(): Promise<void> {
    this._limit = Math.min(this._limit * 2, MOST);
    await this._list(new Set());
  }

  private _stop(): void {
    this._run?.abort();
    this._run = null;
  }

  private async _follow(abort: AbortSignal): Promise<void> {
    let failures = 0;
    this._setStatus(this._isReady ? 'lost' : 'connecting');
    while (!abort.aborted) {
      const told = new Set<string>();
      const stream = new AbortController();
      const stop = (): void => stream.abort();
      abort.addEventListener('abort', stop);
      const listing = { done: Promise.resolve() };
      try {
        await this._source.follow(this._lastId, stream.signal, {
          onOpen: () => {
            // What was missed, however long: the stream itself reaches back only so far.
            listing.done = this._list(told).then(
              () => {
                failures = 0;
                this._setStatus('live');
              },
              stop // without the list there would be gaps: all begins anew
            );
          },
          onRecord: (record, id) => {
            told.add(record.id);
            this._lastId = id || this._lastId;
            this._take([record]);
          }
        });
      } catch {
        // Out of reach; tried again below.
      }
      await listing.done;
      abort.removeEventListener('abort', stop);
      if (!abort.aborted) {
        this._setStatus('lost');
        await pause(RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)], abort);
      }
    }
  }

  /** What a hidden page does: it looks once more, and on for as long as something runs. */
  private async _look(abort: AbortSignal): Promise<void> {
    this._setStatus('waiting');
    do {
      await pause(HIDDEN_MS, abort);
      if (!abort.aborted) {
        await this._list(new Set()).catch(() => undefined);
      }
    } while (!abort.aborted && this._isActive());
  }

  private _isActive(): boolean {
    return [...this._records.values()].some(({ state }) => !isFinal(state));
  }

  /** Takes what the server lists, except for what the stream has told meanwhile: that is newer. */
  private async _list(told: ReadonlySet<string>): Promise<void> {
    const { records, aheadMs } = await this._source.list(this._limit);
    if (this._isDisposed) {
      return;
    }
    this._aheadMs = aheadMs;
    this._hasMore = records.length >= this._limit && this._limit < MOST;
    this._isReady = true;
    const news = records.filter(({ id }) => !told.has(id));
    const listed = new Set(records.map(({ id }) => id));
    for (const [id, { state }] of this._records) {
      if (!isFinal(state) && !listed.has(id) && !told.has(id)) {
        this._records.delete(id); // the server knows it no more
        this._news.add(id);
      }
    }
    this._take(news);
    this._tell();
  }

  private _take(records: readonly IRecord[]): void {
    for (const record of records) {
      this._records.set(record.id, record);
      this._news.add(record.id);
    }
    if (this._news.size > 0 && this._gathering === null) {
      this._gathering = setTimeout(() => this._tell(), GATHER_MS);
    }
  }

  /** A page that is open for weeks holds no more than one that asks for all. */
  private _forgetOldest(): void {
    for (const [id, { state }] of this._records) {
      if (this._records.size <= MOST) {
        return;
      }
      if (isFinal(state)) {
        this._records.delete(id);
      }
    }
  }

  private _tell(): void {
    this._forgetOldest();
    clearTimeout(this._gathering ?? undefined);
    this._gathering = null;
    const news = this._news;
    this._news = new Set();
    this._changed.emit(news);
  }

  private _setStatus(status: FeedStatus): void {
    if (status !== this._status) {
      this._status = status;
      this._statusChanged.emit(status);
    }
  }

  private _isDisposed = false;
  private _isReady = false;
  private _isHidden = false;
  private _hasMore = false;
  private _status: FeedStatus = 'connecting';
  private _run: AbortController | null = null;
  private _lastId = '';
  private _limit = FIRST_LIMIT;
  private _aheadMs = 0;
  private _gathering: ReturnType<typeof setTimeout> | null = null;
  private _news = new Set<string>();
  private readonly _records = new Map<string, IRecord>();
  private readonly _source: IFeedSource;
  private readonly _changed = new Signal<this, ReadonlySet<string>>(this);
  private readonly _statusChanged = new Signal<this, FeedStatus>(this);
}

function pause(ms: number, abort: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms);
    abort.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
