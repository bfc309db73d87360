// Calls made in one go become one batch; the batches of one key are worked off in turn.

/** Handles a batch; answers with one result for each item, in their order. */
export type Handler<T, R> = (items: readonly T[]) => Promise<Promise<R>[]>;

/**
 * Gathers items by key, until the end of the tick or until `flush`.
 *
 * The handler's outer promise is for "sent": the next batch of the same key is handled when it
 * settles, so that batches arrive in the order in which they were made. The inner promises are
 * for "done", and nobody queues behind them.
 */
export class Batches<K extends object, T, R> {
  constructor(handler: Handler<T, R>) {
    this._handler = handler;
  }

  /** Puts `item` into the open batch; resolves or rejects as the item's result does. */
  add(key: K, item: T): Promise<R> {
    const line = this._line(key);
    return new Promise<R>((resolve, reject) => {
      if (line.open) {
        line.open.push({ item, resolve, reject });
        return;
      }
      const batch = [{ item, resolve, reject }];
      line.open = batch;
      void Promise.resolve().then(() => {
        if (line.open === batch) {
          this.flush(key);
        }
      });
    });
  }

  /** What is gathered is a batch now: it is handled at once, if none before is still sent. */
  flush(key: K): void {
    const line = this._line(key);
    if (line.open) {
      line.waiting.push(line.open);
      line.open = null;
      if (!line.isSending) {
        void this._send(line);
      }
    }
  }

  private async _send(line: ILine<T, R>): Promise<void> {
    line.isSending = true;
    for (let batch = line.waiting.shift(); batch; batch = line.waiting.shift()) {
      await this._handle(batch);
    }
    line.isSending = false;
  }

  private async _handle(batch: readonly IPending<T, R>[]): Promise<void> {
    try {
      const results = await this._handler(batch.map(({ item }) => item));
      batch.forEach(({ resolve }, index) => resolve(results[index]));
    } catch (reason) {
      batch.forEach(({ reject }) => reject(reason));
    }
  }

  private _line(key: K): ILine<T, R> {
    let line = this._lines.get(key);
    if (!line) {
      line = { open: null, waiting: [], isSending: false };
      this._lines.set(key, line);
    }
    return line;
  }

  private readonly _handler: Handler<T, R>;
  private readonly _lines = new WeakMap<K, ILine<T, R>>();
}

/** The batches of one key: one that still grows, and those that are complete. */
interface ILine<T, R> {
  open: IPending<T, R>[] | null;
  readonly waiting: IPending<T, R>[][];
  isSending: boolean;
}

interface IPending<T, R> {
  readonly item: T;
  readonly resolve: (result: R | Promise<R>) => void;
  readonly reject: (reason: unknown) => void;
}
