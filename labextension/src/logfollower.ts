// Follows a kernel's log across restarts of the kernel, cuts of the network and new servers.
import { ApiError } from './errors';
import type { ILogPart } from './kernels';

/** How it stands with the log. */
export type LogState =
  /** It is being read. */
  | 'connecting'
  | 'following'
  /** The server, or the kernel's nanny, is out of reach; it is tried again. */
  | 'offline'
  /** There is no such kernel any more. */
  | 'gone'
  /** Nobody keeps what the kernel's process writes, or this user may not read it. */
  | 'none';

/** What a follower needs of the world. */
export interface ILogSource {
  read(offset: number, signal: AbortSignal): Promise<ILogPart>;
  /** Resolves after `ms`. */
  sleep(ms: number): Promise<void>;
}

/** What a follower tells. */
export interface ILogSink {
  text(text: string): void;
  /** So many bytes are missing here: they were dropped before they could be read. */
  missing(bytes: number): void;
  /** What was shown is no more the beginning of this log: another one began. */
  restarted(): void;
  state(state: LogState, error: string): void;
}

const RETRY_MS = 2000;

export class LogFollower {
  constructor(source: ILogSource, sink: ILogSink) {
    this._source = source;
    this._sink = sink;
  }

  /** Reads until `stop` is called; to be called once. */
  async run(): Promise<void> {
    while (!this._stop.signal.aborted) {
      this._say('connecting');
      try {
        await this._read();
        // Over, and nothing wrong: the kernel's watcher went, and another may come.
      } catch (error) {
        if (!this._stop.signal.aborted) {
          this._say(stateAfter(error), error instanceof Error ? error.message : String(error));
        }
      }
      if (!this._stop.signal.aborted) {
        await this._source.sleep(RETRY_MS);
      }
    }
  }

  stop(): void {
    this._stop.abort();
  }

  private async _read(): Promise<void> {
    const part = await this._source.read(this._offset, this._stop.signal);
    if (part.offset < this._offset) {
      this._sink.restarted();
    } else if (part.offset > this._offset) {
      this._sink.missing(part.offset - this._offset);
    }
    this._offset = part.offset;
    this._say('following');
    const decoder = new TextDecoder();
    const reader = part.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this._stop.signal.aborted) {
        return;
      }
      this._offset += value.length;
      this._sink.text(decoder.decode(value, { stream: true }));
    }
  }

  /** `connecting` only at first: between tries the state before it stays. */
  private _say(state: LogState, error = ''): void {
    if (state === 'connecting' ? this._state === null : state !== this._state) {
      this._state = state;
      this._sink.state(state, error);
    }
  }

  private _offset = 0;
  private _state: LogState | null = null;
  private readonly _source: ILogSource;
  private readonly _sink: ILogSink;
  private readonly _stop = new AbortController();
}

function stateAfter(error: unknown): LogState {
  if (!(error instanceof ApiError)) {
    return 'offline';
  }
  if (error.reason === 'no_log' || error.status === 403) {
    return 'none';
  }
  return error.status === 404 ? 'gone' : 'offline';
}
