// The plugins of notebook_exec in JupyterLab and Notebook 7.
import {
  IConnectionLost,
  ILabStatus,
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { DocumentWidget } from '@jupyterlab/docregistry';
import { INotebookCellExecutor, INotebookTracker } from '@jupyterlab/notebook';
import { ServerConnection } from '@jupyterlab/services';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, TranslationBundle, nullTranslator } from '@jupyterlab/translation';
import { DisposableSet } from '@lumino/disposable';

import { CellStatus } from './cellstatus';
import {
  connectionNotice,
  isConnectionLost,
  isReachable,
  untilReachable,
  watchKernels
} from './connection';
import { controlPlugins } from './control-plugin';
import { Entries, sharedDocument } from './entries';
import { Executions } from './executions';
import { ServerCellExecutor } from './executor';
import { KernelStatus } from './kernelstatus';
import { askOnlyForWhatIsLost } from './leaving';
import { OutputViews, forServerNotebooks } from './notebooks';
import { showNotices } from './notices';
import { panelPlugins } from './panel-plugin';
import { Prompts } from './prompt';
import { saveWhenReachable } from './savelater';
import { IExecutions } from './tokens';
import { watchTyping } from './typing';
import { widgets } from './widgets-plugin';

export { IExecutions } from './tokens';

const executions: JupyterFrontEndPlugin<IExecutions> = {
  id: 'notebook-exec:executions',
  description: 'Which notebooks the server runs, and with which client.',
  autoStart: true,
  provides: IExecutions,
  optional: [ISettingRegistry],
  activate: (app: JupyterFrontEnd, registry: ISettingRegistry | null) => {
    const made = new Executions(app.serviceManager.serverSettings);
    made.api.connect();
    const read = (settings: ISettingRegistry.ISettings): void => {
      const { serverSide, timeLimit, allowInput } = settings.composite;
      made.runOptions = {
        timeLimitS: typeof timeLimit === 'number' ? timeLimit : 0,
        allowInput: allowInput !== false
      };
      made.serverSide = serverSide !== false;
    };
    registry?.load(executions.id).then(
      settings => {
        read(settings);
        settings.changed.connect(read);
      },
      (reason: unknown) => console.error('No settings of notebook_exec', reason)
    );
    return made;
  }
};

const cellExecutor: JupyterFrontEndPlugin<INotebookCellExecutor> = {
  id: 'notebook-exec:cell-executor',
  description: 'Runs the cells of shared notebooks on the server.',
  autoStart: true,
  provides: INotebookCellExecutor,
  requires: [IExecutions],
  optional: [ITranslator],
  activate: (_: JupyterFrontEnd, known: IExecutions, translator: ITranslator | null) =>
    new ServerCellExecutor(known, translator ?? nullTranslator)
};

const notebooks: JupyterFrontEndPlugin<void> = {
  id: 'notebook-exec:notebooks',
  description: 'Shows what the server runs: outputs, queue, prompts for input.',
  autoStart: true,
  requires: [IExecutions, INotebookTracker],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    known: IExecutions,
    tracker: INotebookTracker,
    translator: ITranslator | null
  ) => {
    const trans = bundle(translator);
    watchTyping();
    const cancel = (id: string): void => {
      known.api.cancel(id).catch((reason: unknown) => {
        const message = reason instanceof Error ? reason.message : String(reason);
        Notification.error(trans.__('The cell was not cancelled: %1', message));
      });
    };
    const me = (): string => app.serviceManager.user.identity?.username ?? '';
    forServerNotebooks(tracker, known, panel => {
      const document = panel.model && sharedDocument(panel.model);
      if (!panel.model || !document) {
        return null;
      }
      const entries = new Entries(document);
      return DisposableSet.from([
        OutputViews.share(panel.model),
        new CellStatus(panel, entries, cancel, trans),
        new KernelStatus(panel.sessionContext, entries),
        new Prompts(panel, entries, (id, value) => known.api.answer(id, value), me, trans),
        entries
      ]);
    });
  }
};

const connectionLost: JupyterFrontEndPlugin<IConnectionLost> = {
  id: 'notebook-exec:connection-lost',
  description: 'Says without a dialog that the server is out of reach.',
  autoStart: true,
  provides: IConnectionLost,
  requires: [JupyterFrontEnd.IPaths],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    paths: JupyterFrontEnd.IPaths,
    translator: ITranslator | null
  ) => {
    const trans = bundle(translator);
    const restart = 'hub:restart';
    const action = paths.urls.hubPrefix
      ? {
          label: trans.__('Restart the server'),
          run: () => void app.commands.execute(restart)
        }
      : null;
    return connectionNotice(app.serviceManager.serverSettings, trans, action);
  }
};

const connectionWatch: JupyterFrontEndPlugin<void> = {
  id: 'notebook-exec:connection-watch',
  description: 'Notices at once that the server is out of reach, and that it is back.',
  autoStart: true,
  requires: [IExecutions, INotebookTracker, IConnectionLost],
  activate: (
    app: JupyterFrontEnd,
    executions: IExecutions,
    tracker: INotebookTracker,
    lost: IConnectionLost
  ) => {
    const { serviceManager } = app;
    const settings = serviceManager.serverSettings;
    const tell = (): void => {
      const error = new ServerConnection.NetworkError(new TypeError('The server is away'));
      void lost(serviceManager, error);
    };
    watchKernels(tracker, settings, tell);
    const reach = {
      isReachable: () => isReachable(settings),
      untilBack: () => {
        tell();
        return untilReachable(settings);
      }
    };
    forServerNotebooks(tracker, executions, ({ context }) => saveWhenReachable(context, reach));
  }
};

const leaving: JupyterFrontEndPlugin<void> = {
  id: 'notebook-exec:leaving',
  description: 'Asks before the page is left only if something would be lost.',
  autoStart: true,
  requires: [ILabStatus],
  activate: ({ shell }: JupyterFrontEnd, status: ILabStatus) =>
    askOnlyForWhatIsLost(status, shell, () => !isConnectionLost())
};

const notices: JupyterFrontEndPlugin<void> = {
  id: 'notebook-exec:notices',
  description: 'Shows what the server has to say: conflicts with a file, a full disk.',
  autoStart: true,
  optional: [ITranslator],
  activate: (app: JupyterFrontEnd, translator: ITranslator | null) => {
    const isOpen = (path: string): boolean =>
      [...app.shell.widgets('main')].some(
        widget => widget instanceof DocumentWidget && widget.context.localPath === path
      );
    showNotices(app.serviceManager.events, isOpen, bundle(translator));
  }
};

function bundle(translator: ITranslator | null): TranslationBundle {
  return (translator ?? nullTranslator).load('notebook_exec');
}

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  executions,
  cellExecutor,
  notebooks,
  connectionLost,
  connectionWatch,
  leaving,
  notices,
  ...panelPlugins,
  ...controlPlugins,
  widgets
];

export default plugins;
