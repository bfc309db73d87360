// One look at many changes.

/** Cells that come and go are seen so late: every output is a change of the notebook's content. */
export const CONTENT_MS = 200;

/** Calls back once, at the soonest of the times that were asked for since it did last. */
export class Lookout {
  constructor(look: () => void) {
    this._look = look;
  }

  /** Look in `ms` milliseconds, if not sooner; with 0 after this turn of the event loop. */
  within(ms: number): void {
    const due = Date.now() + ms;
    if (this._timer === undefined || due < this._due) {
      clearTimeout(this._timer);
      this._due = due;
      this._timer = setTimeout(() => {
        this._timer = undefined;
        this._look();
      }, ms);
    }
  }

  cancel(): void {
    clearTimeout(this._timer);
    this._timer = undefined;
  }

  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _due = 0;
  private readonly _look: () => void;
}
