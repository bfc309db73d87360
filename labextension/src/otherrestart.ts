// A kernel that someone else restarted: the page forgets what belonged to the old process.
//
// JupyterLab forgets it in the page that restarts the kernel; no message tells the other pages.
// There, comms go on to a process that is gone, and new widgets speak on its subshells, which the
// new process does not have: it answers the first message and none after that.
import type { ISessionContext } from '@jupyterlab/apputils';
import type { Kernel } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';

/** The parts of JupyterLab's kernel connection that its own restart uses; not public there. */
interface IConnectionInside {
  _updateStatus(status: Kernel.Status): void;
  _clearKernelState(): void;
  _kernelSession: string;
}

/** Said by the kernel's process itself alone, and first of all that matters here. */
const OF_THE_PROCESS = new Set(['execute_input', 'comm_open', 'comm_msg']);

export class OtherRestarts implements IDisposable {
  constructor(context: ISessionContext) {
    this._context = context;
    context.kernelChanged.connect(this._follow, this);
    context.statusChanged.connect(this._onStatus, this);
    this._follow();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._context.kernelChanged.disconnect(this._follow, this);
    this._context.statusChanged.disconnect(this._onStatus, this);
    this._kernel?.anyMessage.disconnect(this._onMessage, this);
  }

  private _follow(): void {
    this._kernel?.anyMessage.disconnect(this._onMessage, this);
    this._kernel = this._context.session?.kernel ?? null;
    this._process = '';
    this._kernel?.anyMessage.connect(this._onMessage, this);
  }

  /** JupyterLab knows of this restart. */
  private _onStatus(_: ISessionContext, status: Kernel.Status): void {
    if (status === 'restarting' || status === 'autorestarting') {
      this._process = '';
    }
  }

  /** Called for each message as it comes; JupyterLab handles it a little later. */
  private _onMessage(kernel: Kernel.IKernelConnection, { msg }: Kernel.IAnyMessageArgs): void {
    if (msg.channel !== 'iopub' || !OF_THE_PROCESS.has(msg.header.msg_type)) {
      return;
    }
    const process = msg.header.session; // each process of a kernel has one of its own
    if (this._process && process !== this._process) {
      forgetProcess(kernel, process);
    }
    this._process = process;
  }

  private _isDisposed = false;
  private _process = '';
  private _kernel: Kernel.IKernelConnection | null = null;
  private readonly _context: ISessionContext;
}

/** As JupyterLab itself does at a restart. */
function forgetProcess(kernel: Kernel.IKernelConnection, session: string): void {
  const inside = kernel as unknown as Partial<IConnectionInside>;
  if (
    typeof inside._updateStatus === 'function' &&
    typeof inside._clearKernelState === 'function'
  ) {
    inside._updateStatus('restarting'); // so comms and ipywidgets let go, too
    inside._clearKernelState();
    inside._kernelSession = session; // or the message that told it would be dropped
    inside._updateStatus('busy');
  }
}
