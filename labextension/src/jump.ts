// Goes from an execution to its cell: opens the notebook, scrolls, selects.
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';

import { documentId } from './entries';
import type { IRecord } from './records';

/** The open panel of this execution's notebook. */
export function openPanel(tracker: INotebookTracker, record: IRecord): NotebookPanel | null {
  return (
    tracker.find(
      ({ model }) =>
        model !== null && record.documentId !== null && documentId(model) === record.documentId
    ) ?? null
  );
}

/** Never rejects: what cannot be done is said. */
export async function goToCell(
  app: JupyterFrontEnd,
  tracker: INotebookTracker,
  record: IRecord,
  trans: TranslationBundle
): Promise<void> {
  const { path } = record;
  if (path === null) {
    Notification.info(trans.__('This code ran without a notebook'), { autoClose: 4000 });
    return;
  }
  try {
    let panel = openPanel(tracker, record);
    if (!panel) {
      await app.commands.execute('docmanager:open', { path, factory: 'Notebook' });
      panel = openPanel(tracker, record) ?? tracker.find(each => isAt(app, each, path)) ?? null;
    }
    if (!panel) {
      return; // Notebook 7 opens it in a page of its own
    }
    await panel.context.ready;
    await panel.revealed;
    app.shell.activateById(panel.id);
    await showCell(panel, record.cellId, trans);
  } catch (reason) {
    const message = reason instanceof Error ? reason.message : String(reason);
    Notification.error(trans.__('%1 was not opened: %2', path, message), { autoClose: 8000 });
  }
}

async function showCell(
  panel: NotebookPanel,
  cellId: string | null,
  trans: TranslationBundle
): Promise<void> {
  const { content } = panel;
  const index = content.widgets.findIndex(({ model }) => model.id === cellId);
  if (index < 0) {
    Notification.info(trans.__('This cell is no longer in the notebook'), { autoClose: 4000 });
    return;
  }
  content.mode = 'command';
  content.deselectAll();
  content.activeCellIndex = index;
  await content.scrollToItem(index, 'smart');
  content.activate();
}

function isAt(app: JupyterFrontEnd, panel: NotebookPanel, path: string): boolean {
  return app.serviceManager.contents.localPath(panel.context.path) === path;
}
