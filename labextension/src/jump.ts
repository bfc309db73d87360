// Goes from an execution to its cell: opens the notebook, scrolls, selects.
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';

import { documentId } from './entries';
import type { IRecord } from './records';

/** What JupyterLab calls a cell in an address. */
const CELL = 'cell-id=';

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
    if (!panel && PageConfig.getOption('notebookPage')) {
      openPage(path, record.cellId);
      return;
    }
    if (!panel) {
      await app.commands.execute('docmanager:open', { path, factory: 'Notebook' });
      panel = openPanel(tracker, record) ?? tracker.find(each => isAt(app, each, path)) ?? null;
    }
    if (!panel) {
      throw new Error(trans.__('it is not there any more'));
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

/** In Notebook 7 each notebook has a page of its own; the new one calls `followAddress`. */
function openPage(path: string, cellId: string | null): void {
  const url = URLExt.join(PageConfig.getBaseUrl(), 'notebooks', URLExt.encodeParts(path));
  window.open(cellId === null ? url : `${url}#${CELL}${encodeURIComponent(cellId)}`, '_blank');
}

/** Goes to the cell that the page's address names, as a page that was opened for it does. */
export function followAddress(tracker: INotebookTracker, trans: TranslationBundle): void {
  const { hash } = window.location;
  if (!hash.startsWith(`#${CELL}`) || !PageConfig.getOption('notebookPage')) {
    return;
  }
  const once = (_: INotebookTracker, panel: NotebookPanel): void => {
    tracker.widgetAdded.disconnect(once);
    void panel.revealed.then(() =>
      showCell(panel, decodeURIComponent(hash.slice(CELL.length + 1)), trans)
    );
  };
  tracker.widgetAdded.connect(once);
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
