// What each kernel can do, asked once for each of its lives, and asked again when that may differ.
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { ISignal, Signal } from '@lumino/signaling';

import { IKernelFacts, KernelsApi, UNKNOWN_KERNEL } from './kernels';

export class KernelFacts {
  constructor(tracker: INotebookTracker, api: KernelsApi) {
    this._api = api;
    tracker.forEach(panel => this._follow(panel));
    tracker.widgetAdded.connect((_, panel) => this._follow(panel));
  }

  /** Emitted when `of` answers differently. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** What is known by now. */
  of(kernelId: string | undefined): IKernelFacts {
    return (kernelId !== undefined && this._known.get(kernelId)) || UNKNOWN_KERNEL;
  }

  private _follow({ sessionContext }: NotebookPanel): void {
    const ask = (): void => void this._ask(sessionContext.session?.kernel?.id);
    sessionContext.kernelChanged.connect(ask);
    sessionContext.connectionStatusChanged.connect((_, status) => {
      if (status === 'connected') {
        ask();
      }
    });
    ask();
  }

  private async _ask(kernelId: string | undefined): Promise<void> {
    if (kernelId === undefined) {
      return;
    }
    try {
      this._known.set(kernelId, await this._api.facts(kernelId));
    } catch {
      // Gone, or the server is away: what was known stays, and the next connection asks again.
      return;
    }
    this._changed.emit();
  }

  private readonly _api: KernelsApi;
  private readonly _known = new Map<string, IKernelFacts>();
  private readonly _changed = new Signal<this, void>(this);
}
