// Widget views whose comm came late are drawn again.
//
// The document may bring a view to the page before the kernel's connection brings the comm that
// it shows. ipywidgets waits two seconds for it, then says "Error displaying widget" for good.
// SPEC O12: what came late is shown when it has come.
import type { ISessionContext } from '@jupyterlab/apputils';
import { CodeCell } from '@jupyterlab/cells';
import type { Notebook } from '@jupyterlab/notebook';
import type { KernelMessage } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import { Panel, Widget } from '@lumino/widgets';

import { modelId, widgetDisplays } from './widgetdisplays';

/** Longer than ipywidgets takes between two looks for a comm that has come. */
const SETTLE_MS = 500;

export class LateWidgets implements IDisposable {
  constructor(notebook: Notebook, context: ISessionContext) {
    this._notebook = notebook;
    this._context = context;
    context.iopubMessage.connect(this._onMessage, this);
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    window.clearTimeout(this._timer);
    this._context.iopubMessage.disconnect(this._onMessage, this);
  }

  private _onMessage(_: ISessionContext, message: KernelMessage.IMessage): void {
    const displayed = modelId((message.content as { data?: unknown }).data);
    if (displayed !== null) {
      widgetDisplays.note(displayed);
    }
    const come = modelIds(message);
    if (come.length === 0) {
      return;
    }
    come.forEach(id => this._come.add(id));
    window.clearTimeout(this._timer);
    this._timer = window.setTimeout(() => this._redraw(), SETTLE_MS);
  }

  private _redraw(): void {
    const come = new Set(this._come);
    this._come.clear();
    for (const cell of this._notebook.widgets) {
      if (!(cell instanceof CodeCell) || !cell.outputArea) {
        continue;
      }
      const { model, widgets } = cell.outputArea;
      for (let index = 0; index < model.length; index++) {
        const output = model.get(index);
        const id = modelId(output.data);
        if (id !== null && come.has(id) && showsNothing(widgets[index])) {
          model.set(index, output.toJSON());
        }
      }
    }
  }

  private _isDisposed = false;
  private _timer = 0;
  private readonly _come = new Set<string>();
  private readonly _notebook: Notebook;
  private readonly _context: ISessionContext;
}

/** The models that a page can make when it has this message. */
function modelIds(message: KernelMessage.IMessage): string[] {
  const content = message.content as unknown as Record<string, unknown>;
  if (message.header.msg_type === 'comm_open') {
    return [String(content.comm_id)];
  }
  if (message.header.msg_type === 'comm_msg') {
    const data = content.data as { method?: unknown; states?: object } | undefined;
    return data?.method === 'update_states' ? Object.keys(data.states ?? {}) : [];
  }
  return [];
}

/** Whether an output's view of a widget has no widget in it: it gave up, or waits still. */
function showsNothing(output: Widget | undefined): boolean {
  const view =
    output instanceof Panel
      ? output.widgets.find(part => part.hasClass('jp-OutputArea-output'))
      : undefined;
  return view instanceof Panel && view.widgets.length === 0;
}
