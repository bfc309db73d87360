// What an interrupt did to the cells that waited: they show it nowhere else (SPEC Q8).
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IEntry } from './state';

/** Tells how many waiting cells an interrupt took out of the queue. */
export class StoppedCells {
  /** @param me - the login name of who looks at this page, once it is known */
  constructor(tell: (text: string) => void, me: () => string, trans: TranslationBundle) {
    this._tell = tell;
    this._me = me;
    this._trans = trans;
  }

  /** Looks at a notebook's entries after a change; those that it saw waiting are told of. */
  update(entries: Iterable<IEntry>): void {
    const queued = new Set<string>();
    const stopped: IEntry[] = [];
    for (const entry of entries) {
      if (entry.state === 'queued') {
        queued.add(entry.id);
      } else if (
        entry.state === 'cancelled' &&
        entry.reason === 'interrupted' &&
        this._queued.has(entry.id)
      ) {
        stopped.push(entry);
      }
    }
    this._queued = queued;
    if (stopped.length > 0) {
      this._tell(this._text(stopped[0], stopped.length));
    }
  }

  private _text({ endedBy, endedByUser }: IEntry, count: number): string {
    return endedBy && endedByUser !== this._me()
      ? this._trans._n(
          'Interrupted by %2: the cell that waited will not run.',
          'Interrupted by %2: %1 cells that waited will not run.',
          count,
          endedBy
        )
      : this._trans._n(
          'Interrupted: the cell that waited will not run.',
          'Interrupted: %1 cells that waited will not run.',
          count
        );
  }

  private _queued: ReadonlySet<string> = new Set();
  private readonly _tell: (text: string) => void;
  private readonly _me: () => string;
  private readonly _trans: TranslationBundle;
}
