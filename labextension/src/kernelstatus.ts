// A kernel that runs a cell is shown as busy, also by a page that came too late to hear it say so.
import type { ISessionContext } from '@jupyterlab/apputils';
import type { Kernel } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';

import { Entries } from './entries';
import { isStarted } from './state';

/** The part of JupyterLab's kernel connection that takes a status; not public there. */
interface IConnectionInside {
  _updateStatus(status: Kernel.Status): void;
}

/**
 * Who connects to a busy kernel hears nothing of it, or `idle`: the answer of its control
 * channel to a greeting. Here it is busy for as long as the document says that a cell runs
 * (SPEC U4).
 */
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
    if (kernel?.connectionStatus !== 'connected') {
      return;
    }
    const runs = [...this._entries.all().values()].some(({ state }) => isStarted(state));
    if (runs && (kernel.status === 'unknown' || kernel.status === 'idle')) {
      this._isOurs = true;
      update(kernel, 'busy');
    } else if (!runs && this._isOurs) {
      this._isOurs = false;
      if (kernel.status === 'busy') {
        update(kernel, 'idle');
      }
    }
  }

  private _isDisposed = false;
  private _isOurs = false;
  private readonly _context: ISessionContext;
  private readonly _entries: Entries;
}

function update(kernel: Kernel.IKernelConnection, status: Kernel.Status): void {
  const inside = kernel as unknown as Partial<IConnectionInside>;
  if (typeof inside._updateStatus === 'function') {
    inside._updateStatus(status);
  }
}
