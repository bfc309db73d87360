// The plugin for ipywidgets in notebooks that the server runs.
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { INotebookTracker } from '@jupyterlab/notebook';
import { DisposableSet } from '@lumino/disposable';

import { LateWidgets } from './latewidgets';
import { forServerNotebooks } from './notebooks';
import { OtherRestarts } from './otherrestart';
import { IExecutions } from './tokens';

export const widgets: JupyterFrontEndPlugin<void> = {
  id: 'notebook-exec:widgets',
  description: 'Keeps widgets alive: late comms, restarts of the kernel by others.',
  autoStart: true,
  requires: [IExecutions, INotebookTracker],
  activate: (_: JupyterFrontEnd, known: IExecutions, tracker: INotebookTracker) => {
    forServerNotebooks(tracker, known, panel =>
      DisposableSet.from([
        new LateWidgets(panel.content, panel.sessionContext),
        new OtherRestarts(panel.sessionContext)
      ])
    );
  }
};
