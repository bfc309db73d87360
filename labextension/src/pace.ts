// How much of the page's time drawing may take: a short burst at once, a flood half of it.

/** So much drawing may go ahead of its rest: what a short cell clears and prints does not wait. */
export const AHEAD_MS = 24;

/** Each millisecond of drawing owes one of rest; time that passes pays it off. */
export class DrawingPace {
  /**
   * @param tookMs - how long a drawing took
   * @param nowMs - when it ended, by any clock that only goes forward
   * @returns how long the next one has to wait
   */
  drew(tookMs: number, nowMs: number): number {
    const rested = Math.max(0, nowMs - tookMs - this._paidAt);
    this._owedMs = Math.max(0, this._owedMs - rested) + tookMs;
    this._paidAt = nowMs;
    return this._owedMs > AHEAD_MS ? this._owedMs : 0;
  }

  private _owedMs = 0;
  private _paidAt = -Infinity;
}
