// A kernel that dies is told without a dialog: in the cell that ran, and in a notification.
import { Notification } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';

/** What a notification offers. */
export interface IDeathActions {
  restart(): void;
  /** Null if the kernel has no log. */
  openLog: (() => void) | null;
}

/** JupyterLab's own way to tell of it: a dialog over everything; not public there. */
interface IPanelInside {
  _onSessionStatusChanged(sender: unknown, status: Kernel.Status): void;
}

export class KernelDeath implements IDisposable {
  constructor(panel: NotebookPanel, actions: () => IDeathActions, trans: TranslationBundle) {
    this._panel = panel;
    this._actions = actions;
    this._trans = trans;
    const inside = panel as unknown as Partial<IPanelInside>;
    this._dialog = inside._onSessionStatusChanged ?? null;
    if (this._dialog) {
      panel.sessionContext.statusChanged.disconnect(this._dialog, panel);
    }
    panel.sessionContext.statusChanged.connect(this._onStatus, this);
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    const { sessionContext } = this._panel;
    sessionContext.statusChanged.disconnect(this._onStatus, this);
    if (this._dialog && !this._panel.isDisposed) {
      sessionContext.statusChanged.connect(this._dialog, this._panel);
    }
  }

  private _onStatus(_: unknown, status: Kernel.Status): void {
    if (status === 'idle' || status === 'busy') {
      this._told = null;
    } else if ((status === 'autorestarting' || status === 'dead') && this._told !== status) {
      this._told = status;
      this._tell(status === 'dead');
    }
  }

  private _tell(isDead: boolean): void {
    const name = this._panel.context.localPath;
    const { openLog, restart } = this._actions();
    const log = openLog ? [{ label: this._trans.__('Kernel log'), callback: openLog }] : [];
    if (isDead) {
      Notification.error(this._trans.__('The kernel of %1 died.', name), {
        autoClose: false,
        actions: [
          { label: this._trans.__('Restart kernel'), displayType: 'accent', callback: restart },
          ...log
        ]
      });
    } else {
      Notification.warning(
        this._trans.__(
          'The kernel of %1 died, and a new one is started. Its variables are gone.',
          name
        ),
        { autoClose: 20_000, actions: log }
      );
    }
  }

  private _isDisposed = false;
  private _told: Kernel.Status | null = null;
  private readonly _panel: NotebookPanel;
  private readonly _actions: () => IDeathActions;
  private readonly _dialog: IPanelInside['_onSessionStatusChanged'] | null;
  private readonly _trans: TranslationBundle;
}
