// How executions end: seen in the document, or asked for where the document does not say it.
import type { IExecution } from './api';
import { ExecutionState, IEntry, IExecutionError, isFinal } from './state';

/** How an execution ended. */
export interface IOutcome {
  readonly state: ExecutionState;
  readonly error: IExecutionError | null;
}

/** What this needs of the world; a page gives it the document, the server and timers. */
export interface IOutcomeSources {
  /** The shown run of a cell. */
  entry(cellId: string): IEntry | null;

  /** The server's answer; null if it does not know the execution. Rejects if it is out of reach. */
  ask(id: string): Promise<IExecution | null>;

  /** Calls back after `ms`. */
  later(ms: number, callback: () => void): void;
}

/** For how long an execution may be missing in the document before the server is asked. */
const ASK_AFTER_MS = 1000;
/** How often it is asked about those that stay missing, as runs of a cell behind another do. */
const ASK_EVERY_MS = 10_000;

/** Waits for executions to end. Call `update` when the document's entries changed. */
export class Outcomes {
  constructor(sources: IOutcomeSources) {
    this._sources = sources;
  }

  /** Resolves when the execution has ended, however long that takes. Never rejects. */
  wait(cellId: string, id: string): Promise<IOutcome> {
    return new Promise(resolve => {
      this._pending.set(id, { cellId, resolve });
      this.update();
      this._watch();
    });
  }

  /** Looks at the document's entries. */
  update(): void {
    for (const [id, { cellId }] of this._pending) {
      const entry = this._sources.entry(cellId);
      if (entry?.id === id && isFinal(entry.state)) {
        this._settle(id, entry);
      } else if (entry?.id !== id) {
        this._watch();
      }
    }
  }

  private _watch(ms = ASK_AFTER_MS): void {
    if (this._isWatching) {
      return;
    }
    this._isWatching = true;
    this._sources.later(ms, () => {
      void this._askForMissing().then(more => {
        this._isWatching = false;
        if (more) {
          this._watch(ASK_EVERY_MS);
        }
      });
    });
  }

  /** Whether any are still missing in the document. */
  private async _askForMissing(): Promise<boolean> {
    const missing = [...this._pending].filter(
      ([id, { cellId }]) => this._sources.entry(cellId)?.id !== id
    );
    for (const [id] of missing) {
      try {
        const execution = await this._sources.ask(id);
        if (!execution) {
          this._settle(id, { state: 'lost', error: null });
        } else if (isFinal(execution.state)) {
          this._settle(id, execution);
        }
      } catch {
        return true; // out of reach: asked again later
      }
    }
    return missing.some(([id]) => this._pending.has(id));
  }

  private _settle(id: string, { state, error }: IOutcome): void {
    this._pending.get(id)?.resolve({ state, error });
    this._pending.delete(id);
  }

  private _isWatching = false;
  private readonly _sources: IOutcomeSources;
  private readonly _pending = new Map<
    string,
    { cellId: string; resolve: (outcome: IOutcome) => void }
  >();
}
