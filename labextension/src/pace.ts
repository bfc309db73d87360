// How much of the page's time drawing may take: a short burst at once, a flood a quarter of it.

/** So much drawing may go ahead of its rest: what a short cell clears and prints does not wait. */
export const AHEAD_MS = 24;

/** What each millisecond of drawing owes, in milliseconds without any. */
export const REST_PER_MS = 3;

/** No drawing counts for more: the page stood still for another reason, or must show something. */
export const LONGEST_MS = 200;

/** Time that passes without drawing pays off what is owed. */
export class DrawingPace {
  /**
   * @param tookMs - how long a drawing took
   * @param nowMs - when it ended, by any clock that only goes forward
   * @param isLate - whether it had to wait itself: of a flood nothing goes ahead
   * @returns how long the next one has to wait
   */
  drew(tookMs: number, nowMs: number, isLate = false): number {
    const rested = Math.max(0, nowMs - tookMs - this._paidAt);
    this._owedMs = Math.max(0, this._owedMs - rested) + Math.min(tookMs, LONGEST_MS) * REST_PER_MS;
    this._paidAt = nowMs;
    return isLate || this._owedMs > AHEAD_MS * REST_PER_MS ? this._owedMs : 0;
  }

  private _owedMs = 0;
  private _paidAt = -Infinity;
}

/**
 * Calls back when the page's next frame is drawn, with how long that took: what a change of the
 * document sets off in the browser, its layout above all, comes then.
 */
export function whenDrawn(done: (frameMs: number) => void): void {
  if (document.hidden) {
    setTimeout(() => done(0)); // there are no frames
    return;
  }
  requestAnimationFrame(() => {
    const start = performance.now();
    setTimeout(() => done(performance.now() - start));
  });
}
