// A page that comes to a busy kernel shows it as busy, though the kernel has no time to say so.
import type { ISessionContext } from '@jupyterlab/apputils';
import type { Kernel } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';

import { Entries } from './entries';
import { isStarted } from './state';

/** The part of JupyterLab's kernel connection that takes a status; not public there. */
interface IConnectionInside {
  _updateStatus(status: Kernel.Status): void;
}

/** Where the kernel's status is not known yet and a cell runs, it is busy (SPEC U4). */
export class KernelStatus implements IDisposable {
  constructor(context: ISessionContext, entries: Entries) {
    this._context = context;
    this._entries = entries;
    entries.changed.connect(this._refresh, this);
    context.connectionStatusChanged.connect(this._refresh, this);
    context.statusChanged.connect(this._refresh, this);
    this._refresh();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    this._entries.changed.disconnect(this._refresh, this);
    this._context.connectionStatusChanged.disconnect(this._refresh, this);
    this._context.statusChanged.disconnect(this._refresh, this);
  }

  private _refresh(): void {
    const kernel = this._context.session?.kernel;
    if (kernel?.connectionStatus !== 'connected' || kernel.status !== 'unknown') {
      return;
    }
    const inside = kernel as unknown as Partial<IConnectionInside>;
    const runs = [...this._entries.all().values()].some(({ state }) => isStarted(state));
    if (runs && typeof inside._updateStatus === 'function') {
      inside._updateStatus('busy');
    }
  }

  private _isDisposed = false;
  private readonly _context: ISessionContext;
  private readonly _entries: Entries;
}
