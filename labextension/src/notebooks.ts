// What is done in each open notebook that the server runs, for as long as it does.
import { CodeCellModel } from '@jupyterlab/cells';
import type { INotebookModel, INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { DisposableDelegate, IDisposable } from '@lumino/disposable';

import { OutputView } from './outputview';
import type { IExecutions } from './tokens';

/** Makes what belongs to one open notebook; disposed of when the server runs it no more. */
export type PanelFeature = (panel: NotebookPanel) => IDisposable | null;

/** Calls `feature` for each notebook of `tracker` once the server runs it. */
export function forServerNotebooks(
  tracker: INotebookTracker,
  executions: IExecutions,
  feature: PanelFeature
): void {
  const live = new Map<NotebookPanel, IDisposable>();
  const refresh = (panel: NotebookPanel): void => {
    const { model } = panel;
    const wanted = !panel.isDisposed && model !== null && executions.isServerSide(model);
    if (!wanted) {
      live.get(panel)?.dispose();
      live.delete(panel);
    } else if (!live.has(panel)) {
      const made = feature(panel);
      if (made) {
        live.set(panel, made);
      }
    }
  };
  const follow = (panel: NotebookPanel): void => {
    panel.disposed.connect(() => refresh(panel));
    void panel.context.ready.then(() => {
      refresh(panel);
      panel.model?.metadataChanged.connect(() => refresh(panel));
    });
  };
  tracker.forEach(follow);
  tracker.widgetAdded.connect((_, panel) => follow(panel));
  executions.changed.connect(() => tracker.forEach(refresh));
}

/** Views of the outputs of all code cells of a notebook, those too that come later. */
export class OutputViews implements IDisposable {
  /** Two panels may show one notebook: its views are made once, and end with the last of them. */
  static share(model: INotebookModel): IDisposable {
    const views = OutputViews._shared.get(model) ?? new OutputViews(model);
    OutputViews._shared.set(model, views);
    views._panels++;
    return new DisposableDelegate(() => {
      if (--views._panels === 0) {
        OutputViews._shared.delete(model);
        views.dispose();
      }
    });
  }

  private constructor(model: INotebookModel) {
    this._model = model;
    model.cells.changed.connect(this._refresh, this);
    this._refresh();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    if (!this._model.isDisposed) {
      this._model.cells.changed.disconnect(this._refresh, this);
    }
    this._views.forEach(view => view?.dispose());
    this._views.clear();
  }

  private _refresh(): void {
    for (const [model, view] of this._views) {
      if (model.isDisposed) {
        view?.dispose();
        this._views.delete(model);
      }
    }
    for (const model of this._model.cells) {
      if (model instanceof CodeCellModel && !this._views.has(model)) {
        this._views.set(model, OutputView.of(model));
      }
    }
  }

  private static readonly _shared = new WeakMap<INotebookModel, OutputViews>();
  private _isDisposed = false;
  private _panels = 0;
  private readonly _model: INotebookModel;
  private readonly _views = new Map<CodeCellModel, OutputView | null>();
}
