// Nobody is asked "leave this page?" for what the server has already (SPEC U4).
import type { ILabStatus, JupyterFrontEnd } from '@jupyterlab/application';
import { DocumentRegistry, DocumentWidget } from '@jupyterlab/docregistry';
import { DisposableDelegate, IDisposable } from '@lumino/disposable';

/**
 * Has `status` count as unsaved only what would be lost with the page.
 *
 * A shared document is on the server's disk before anybody sees it: that its file is yet to be
 * saved, as it always is while a cell prints, is no reason to ask.
 */
export function askOnlyForWhatIsLost(
  status: ILabStatus,
  shell: JupyterFrontEnd.IShell,
  isReachable: () => boolean
): void {
  let dirty = status.isDirty ? 1 : 0;
  const setDirty = status.setDirty.bind(status);
  status.setDirty = (): IDisposable => {
    const held = setDirty();
    dirty++;
    return new DisposableDelegate(() => {
      dirty--;
      held.dispose();
    });
  };
  Object.defineProperty(status, 'isDirty', {
    get: () => dirty > (isReachable() ? heldByServer(shell) : 0)
  });
}

/** How many documents are unsaved, and shared. */
function heldByServer(shell: JupyterFrontEnd.IShell): number {
  const contexts = new Set<DocumentRegistry.Context>();
  for (const widget of shell.widgets('main')) {
    if (widget instanceof DocumentWidget) {
      contexts.add((widget as DocumentWidget).context);
    }
  }
  return [...contexts].filter(({ model }) => model.dirty && model.collaborative).length;
}
