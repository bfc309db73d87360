// Letters first: while somebody types in this page, what can wait is done seldom, and between two letters.
import { whenDrawn } from './pace';

/** So long after a key somebody is taken to type on. */
export const PAUSE_MS = 500;

/** So many times as long as else it waits while somebody types. */
export const SLOWER = 12;

/** Knows of each key that is pressed, and calls back what waits for a good moment. */
export class Typing {
  /**
   * Calls back after `ms`; while somebody types, behind the first letter after `SLOWER` times as
   * long, or as soon as they pause.
   */
  after(ms: number, done: () => void): void {
    const waiting: IWaiting = { isDue: false, betweenLettersMs: Date.now() + ms * SLOWER, done };
    this._waiting.add(waiting);
    setTimeout(() => {
      waiting.isDue = true;
      this._look(false);
    }, ms);
  }

  /** A key went down. */
  pressed(): void {
    this._isTyping = true;
    clearTimeout(this._timer);
    this._timer = setTimeout(() => {
      this._isTyping = false;
      this._look(false);
    }, PAUSE_MS);
  }

  /** What a key has changed is drawn. */
  shown(): void {
    this._look(true);
  }

  private _look(isBehindLetter: boolean): void {
    for (const waiting of [...this._waiting]) {
      const isTheMoment = this._isTyping
        ? isBehindLetter && Date.now() >= waiting.betweenLettersMs
        : waiting.isDue;
      if (isTheMoment) {
        this._waiting.delete(waiting);
        waiting.done();
      }
    }
  }

  private _isTyping = false;
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private readonly _waiting = new Set<IWaiting>();
}

interface IWaiting {
  isDue: boolean;
  readonly betweenLettersMs: number;
  readonly done: () => void;
}

/** The page's. */
export const typing = new Typing();

/** Has `typing` know of the keys that are pressed in this page. */
export function watchTyping(): void {
  const onKey = (): void => {
    typing.pressed();
    whenDrawn(() => setTimeout(() => typing.shown())); // behind what else waits for this frame
  };
  window.addEventListener('keydown', onKey, { capture: true, passive: true });
}
