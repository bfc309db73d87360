// The plugins that show people what runs: the feed, the executions panel, progress, marks.
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Dialog, ICommandPalette, Notification, showDialog } from '@jupyterlab/apputils';
import { FileBrowser, IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ITranslator, TranslationBundle, nullTranslator } from '@jupyterlab/translation';
import { DisposableSet } from '@lumino/disposable';

import type { ExecutionsApi } from './api';
import { bellButton } from './bell';
import { Entries, sharedDocument } from './entries';
import { Feed } from './feed';
import { HttpFeedSource } from './feedsource';
import { markFiles } from './filemarks';
import { executionsIcon } from './icons';
import { followAddress, goToCell } from './jump';
import { forServerNotebooks } from './notebooks';
import { TOGGLE_NOTIFICATIONS, notifyPlugin } from './notify-plugin';
import { ExecutionsPanel } from './panel';
import { IGroup } from './panelmodel';
import { Progress } from './progress';
import { TabMark } from './tabmark';
import { notebookName } from './texts';
import { IExecutionFeed, IExecutions } from './tokens';

const SHOW = 'notebook-exec:show-executions';
const PANEL_ID = 'notebook-exec-executions';
/** How many runs an estimate looks back at. */
const FINISHED_RUNS = 500;

const feed: JupyterFrontEndPlugin<IExecutionFeed> = {
  id: 'notebook-exec:feed',
  description: 'Follows the executions of all notebooks of the server.',
  autoStart: true,
  provides: IExecutionFeed,
  activate: (app: JupyterFrontEnd) => {
    const source = new HttpFeedSource(app.serviceManager.serverSettings);
    const made = new Feed(source);
    const look = (): void => made.setHidden(document.visibilityState === 'hidden');
    void app.started.then(() => {
      made.start();
      document.addEventListener('visibilitychange', look);
    });
    return { feed: made, source };
  }
};

const panel: JupyterFrontEndPlugin<void> = {
  id: 'notebook-exec:panel',
  description: 'A side bar with what runs, waits and ran in all notebooks of the server.',
  autoStart: true,
  requires: [IExecutionFeed, IExecutions, INotebookTracker],
  optional: [ITranslator, ICommandPalette, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    { feed: known, source }: IExecutionFeed,
    executions: IExecutions,
    tracker: INotebookTracker,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null
  ) => {
    const trans = bundle(translator);
    const user = app.serviceManager.user;
    const made = new ExecutionsPanel(
      known,
      {
        answer: (id, value) => executions.api.answer(id, value),
        viewer: () => ({
          username: user.identity?.username ?? '',
          clientId: executions.clientId
        }),
        cancel: ({ id }) => report(executions.api.cancel(id), trans),
        cancelAll: group => void cancelAll(group, source, executions.api, trans),
        go: record => void goToCell(app, tracker, record, trans)
      },
      trans
    );
    made.id = PANEL_ID;
    made.tools.append(bellButton(app.commands, TOGGLE_NOTIFICATIONS, trans));
    made.title.icon = executionsIcon;
    made.title.caption = trans.__('Executions');
    app.shell.add(made, 'left', { rank: 250, type: 'Executions' });
    restorer?.add(made, PANEL_ID);
    app.commands.addCommand(SHOW, {
      label: trans.__('Executions'),
      caption: trans.__('Show what runs, waits and ran in all notebooks'),
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => {
        app.shell.activateById(made.id);
      }
    });
    followAddress(tracker, trans);
    palette?.addItem({ command: SHOW, category: trans.__('View') });
  }
};

const progress: JupyterFrontEndPlugin<void> = {
  id: 'notebook-exec:progress',
  description: 'How far a notebook is: in its toolbar and on its tab.',
  autoStart: true,
  requires: [IExecutionFeed, IExecutions, INotebookTracker],
  optional: [ITranslator],
  activate: (
    _: JupyterFrontEnd,
    { source }: IExecutionFeed,
    executions: IExecutions,
    tracker: INotebookTracker,
    translator: ITranslator | null
  ) => {
    const trans = bundle(translator);
    const actions = {
      finished: (id: string) => source.finished(id, FINISHED_RUNS),
      cancel: (id: string, all: boolean) => report(source.cancelNotebook(id, all), trans)
    };
    forServerNotebooks(tracker, executions, each => {
      const shared = each.model && sharedDocument(each.model);
      if (!shared) {
        return null;
      }
      const entries = new Entries(shared);
      return DisposableSet.from([
        new Progress(each, entries, actions, trans),
        new TabMark(each, entries, trans),
        entries
      ]);
    });
  }
};

const files: JupyterFrontEndPlugin<void> = {
  id: 'notebook-exec:files',
  description: 'Marks the notebooks that run in the file browser.',
  autoStart: true,
  requires: [IExecutionFeed],
  optional: [IFileBrowserFactory, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    { feed: known }: IExecutionFeed,
    browsers: IFileBrowserFactory | null,
    translator: ITranslator | null
  ) => {
    const trans = bundle(translator);
    const local = (path: string): string => app.serviceManager.contents.localPath(path);
    const mark = (browser: FileBrowser): void => markFiles(browser, known, local, trans);
    browsers?.tracker.forEach(mark);
    browsers?.tracker.widgetAdded.connect((_, browser) => mark(browser));
  }
};

/** Asks first: it stops what others may wait for. */
async function cancelAll(
  { active, documentId, path }: IGroup,
  source: HttpFeedSource,
  api: ExecutionsApi,
  trans: TranslationBundle
): Promise<void> {
  const answer = await showDialog({
    title: trans.__('Stop all of %1?', notebookName(path, trans)),
    body: trans._n(
      '%1 cell does not run or is interrupted, whoever started it. Outputs stay.',
      '%1 cells do not run or are interrupted, whoever started them. Outputs stay.',
      active.length
    ),
    buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: trans.__('Stop all') })]
  });
  if (answer.button.accept) {
    const cancelled =
      documentId === null
        ? Promise.all(active.map(({ id }) => api.cancel(id)))
        : source.cancelNotebook(documentId, true);
    report(cancelled, trans);
  }
}

function report(done: Promise<unknown>, trans: TranslationBundle): void {
  done.catch((reason: unknown) => {
    const message = reason instanceof Error ? reason.message : String(reason);
    Notification.error(trans.__('It was not cancelled: %1', message), { autoClose: 8000 });
  });
}

function bundle(translator: ITranslator | null): TranslationBundle {
  return (translator ?? nullTranslator).load('notebook_exec');
}

export const panelPlugins: JupyterFrontEndPlugin<unknown>[] = [
  feed,
  panel,
  progress,
  files,
  notifyPlugin
];
