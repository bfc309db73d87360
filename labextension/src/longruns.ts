// Notices when long runs end, also those that began before this page was loaded (SPEC U4).
import { IViewer, isMine } from './panelmodel';
import { IRecord } from './records';
import { isFinal } from './state';

/** A request all of whose cells are over. */
export interface IEndedRun {
  readonly requestId: string;
  readonly path: string | null;
  /** Milliseconds from the first cell's start to the last one's end. */
  readonly ranMs: number;
  readonly cells: number;
  /** The cell to look at: the one that failed, else the last that ran. */
  readonly last: IRecord;
}

/** Where the ids of runs that go on are kept over a reload of the page. */
export interface IPendingRuns {
  load(): readonly string[];
  save(requestIds: readonly string[]): void;
}

export class LongRuns {
  constructor(pending: IPendingRuns) {
    this._store = pending;
    this._pending = new Set(pending.load());
  }

  /**
   * Looks at all executions; answers the viewer's own runs that have ended since the last look.
   */
  update(records: Iterable<IRecord>, viewer: IViewer): IEndedRun[] {
    const requests = new Map<string, IRecord[]>();
    for (const record of records) {
      if (isMine(record, viewer)) {
        const cells = requests.get(record.requestId) ?? [];
        requests.set(record.requestId, cells);
        cells.push(record);
      }
    }
    const ended: IEndedRun[] = [];
    const pending = new Set<string>();
    for (const [requestId, cells] of requests) {
      if (cells.some(({ state }) => !isFinal(state))) {
        pending.add(requestId);
      } else if (this._pending.has(requestId)) {
        ended.push(endedRun(requestId, cells));
      }
    }
    if (pending.size !== this._pending.size || [...pending].some(id => !this._pending.has(id))) {
      this._store.save([...pending]);
    }
    this._pending = pending;
    return ended;
  }

  private _pending: ReadonlySet<string>;
  private readonly _store: IPendingRuns;
}

function endedRun(requestId: string, cells: readonly IRecord[]): IEndedRun {
  const starts = cells.flatMap(({ startedAt }) => startedAt ?? []);
  const ends = cells.flatMap(({ endedAt, startedAt }) =>
    startedAt !== null && endedAt !== null ? [endedAt] : []
  );
  const ran = cells.filter(({ startedAt }) => startedAt !== null);
  const failed = cells.find(({ state }) => state === 'failed' || state === 'lost');
  const last = failed ?? ran[ran.length - 1] ?? cells[cells.length - 1];
  return {
    requestId,
    path: last.path,
    ranMs: starts.length > 0 ? Math.max(0, Math.max(...ends) - Math.min(...starts)) : 0,
    cells: cells.length,
    last
  };
}
