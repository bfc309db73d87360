// The plugin for ipywidgets in notebooks that the server runs.
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { INotebookTracker } from '@jupyterlab/notebook';

import { LateWidgets } from './latewidgets';
import { forServerNotebooks } from './notebooks';
import { IExecutions } from './tokens';

export const widgets: JupyterFrontEndPlugin<void> = {
  id: 'notebook-exec:widgets',
  description: 'Draws widgets again whose comm came later than their view.',
  autoStart: true,
  requires: [IExecutions, INotebookTracker],
  activate: (_: JupyterFrontEnd, known: IExecutions, tracker: INotebookTracker) => {
    forServerNotebooks(
      tracker,
      known,
      panel => new LateWidgets(panel.content, panel.sessionContext)
    );
  }
};
