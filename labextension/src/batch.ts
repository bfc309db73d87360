// Calls made in one tick become one batch; the batches of one key are worked off in turn.

/** Handles a batch; answers with one result for each item, in their order. */
export type Handler<T, R> = (items: readonly T[]) => Promise<Promise<R>[]>;

/**
 * Gathers items by key.
 *
 * The handler's outer promise is for "sent": the next batch of the same key is handled when it
 * settles, so that batches arrive in the order in which they were made. The inner promises are
 * for "done", and nobody queues behind them.
 */
export class Batches<K extends object, T, R> {
  constructor(handler: Handler<T, R>) {
    this._handler = handler;
  }

  /** Puts `item` into the batch of this tick; resolves or rejects as the item's result does. */
  add(key: K, item: T): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      const open = this._open.get(key);
      if (open) {
        open.push({ item, resolve, reject });
        return;
      }
      const batch = [{ item, resolve, reject }];
      this._open.set(key, batch);
      const before = this._last.get(key) ?? Promise.resolve();
      const closed = Promise.resolve().then(() => {
        this._open.delete(key);
      });
      this._last.set(
        key,
        Promise.all([before, closed]).then(() => this._handle(batch))
      );
    });
  }

  private async _handle(batch: IPending<T, R>[]): Promise<void> {
    try {
      const results = await this._handler(batch.map(({ item }) => item));
      batch.forEach(({ resolve }, index) => resolve(results[index]));
    } catch (reason) {
      batch.forEach(({ reject }) => reject(reason));
    }
  }

  private readonly _handler: Handler<T, R>;
  private readonly _open = new Map<K, IPending<T, R>[]>();
  private readonly _last = new WeakMap<K, Promise<void>>();
}

interface IPending<T, R> {
  readonly item: T;
  readonly resolve: (result: R | Promise<R>) => void;
  readonly reject: (reason: unknown) => void;
}
