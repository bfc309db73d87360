// The plugins with which people act on what runs, and learn what went wrong.
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import {
  ICommandPalette,
  ISessionContextDialogs,
  Notification,
  SessionContextDialogs
} from '@jupyterlab/apputils';
import type { CodeCell } from '@jupyterlab/cells';
import { INotebookTracker, NotebookActions, NotebookPanel } from '@jupyterlab/notebook';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, TranslationBundle, nullTranslator } from '@jupyterlab/translation';
import { DisposableSet } from '@lumino/disposable';

import { CellNotes, INotePage } from './cellnotes';
import { load } from './consequences';
import { Entries, sharedDocument } from './entries';
import { isShared, isSwitchedOff, switchOff } from './executions';
import { KernelDeath } from './kerneldeath';
import { KernelFacts } from './kernelfacts';
import { KernelsApi } from './kernels';
import { OPEN_LOG, kernelLog } from './kernellog-plugin';
import { hardRestartIcon } from './icons';
import { forServerNotebooks } from './notebooks';
import type { NoteAction } from './notes';
import { streamRenderers } from './longstreams';
import { omittedRenderer } from './omitted';
import { Stakes, hardRestart, startAgain, tellBeforeRestart } from './restart';
import { StoppedCells } from './stopped';
import { IExecutions, IKernels } from './tokens';

const HARD_RESTART = 'notebook-exec:hard-restart';
const TOGGLE_SERVER_SIDE = 'notebook-exec:toggle-server-side';
const DIALOGS_PLUGIN = '@jupyterlab/apputils-extension:sessionDialogs';

const kernels: JupyterFrontEndPlugin<IKernels> = {
  id: 'notebook-exec:kernels',
  description: 'What the server can do with the kernels of the open notebooks.',
  autoStart: true,
  provides: IKernels,
  requires: [INotebookTracker],
  activate: (app: JupyterFrontEnd, tracker: INotebookTracker) => {
    const api = new KernelsApi(app.serviceManager.serverSettings);
    return { api, facts: new KernelFacts(tracker, api) };
  }
};

const restarts: JupyterFrontEndPlugin<void> = {
  id: 'notebook-exec:restarts',
  description: 'Restarts that say what they end; hard restarts.',
  autoStart: true,
  requires: [IExecutions, IKernels, INotebookTracker],
  optional: [ISessionContextDialogs, ISettingRegistry, ITranslator, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    executions: IExecutions,
    { api, facts }: IKernels,
    tracker: INotebookTracker,
    dialogs: ISessionContextDialogs | null,
    registry: ISettingRegistry | null,
    translator: ITranslator | null,
    palette: ICommandPalette | null
  ) => {
    const trans = bundle(translator);
    const stakes: Stakes = context => {
      const panel = tracker.find(({ sessionContext }) => sessionContext === context);
      const document =
        panel?.model && executions.isServerSide(panel.model) && sharedDocument(panel.model);
      const entries = document ? Entries.read(document).values() : [];
      return {
        load: load(entries),
        allocation: facts.of(context.session?.kernel?.id).allocation
      };
    };
    if (dialogs) {
      const isSkipped = async (): Promise<boolean> =>
        (await registry?.get(DIALOGS_PLUGIN, 'skipKernelRestartDialog'))?.composite === true;
      tellBeforeRestart(dialogs, stakes, isSkipped, trans);
    }
    const kernelId = (): string | undefined =>
      tracker.currentWidget?.sessionContext.session?.kernel?.id;
    app.commands.addCommand(HARD_RESTART, {
      label: trans.__('Hard Restart Kernel…'),
      caption: trans.__('Hard restart: the kernel and all that was started for it'),
      icon: hardRestartIcon,
      isVisible: () => facts.of(kernelId()).canHardRestart,
      isEnabled: () => facts.of(kernelId()).canHardRestart,
      execute: async () => {
        if (tracker.currentWidget) {
          await hardRestart(tracker.currentWidget.sessionContext, api, stakes, trans);
        }
      }
    });
    const refresh = (): void => app.commands.notifyCommandChanged(HARD_RESTART);
    facts.changed.connect(refresh);
    tracker.currentChanged.connect(refresh);
    palette?.addItem({ command: HARD_RESTART, category: trans.__('Kernel Operations') });
  }
};

const serverSide: JupyterFrontEndPlugin<void> = {
  id: 'notebook-exec:server-side',
  description: 'Leaves a notebook to JupyterLab, or takes it back.',
  autoStart: true,
  requires: [IExecutions, INotebookTracker],
  optional: [ITranslator, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    executions: IExecutions,
    tracker: INotebookTracker,
    translator: ITranslator | null,
    palette: ICommandPalette | null
  ) => {
    const trans = bundle(translator);
    const notebook = () => tracker.currentWidget?.model ?? null;
    app.commands.addCommand(TOGGLE_SERVER_SIDE, {
      label: trans.__('Run This Notebook on the Server'),
      caption: trans.__('If this is off, JupyterLab runs its cells, for all who open it'),
      isToggled: () => {
        const model = notebook();
        return model !== null && !isSwitchedOff(model);
      },
      isEnabled: () => {
        const model = notebook();
        const document = model && isShared(model) && sharedDocument(model);
        if (!model || !document) {
          return false;
        }
        const { running, queued } = load(Entries.read(document).values());
        return running + queued === 0; // what runs would be written by both
      },
      execute: () => {
        const model = notebook();
        if (model) {
          switchOff(model, !isSwitchedOff(model));
        }
      }
    });
    const refresh = (): void => app.commands.notifyCommandChanged(TOGGLE_SERVER_SIDE);
    tracker.currentChanged.connect(refresh);
    executions.changed.connect(refresh);
    palette?.addItem({ command: TOGGLE_SERVER_SIDE, category: trans.__('Notebook Operations') });
  }
};

const troubles: JupyterFrontEndPlugin<void> = {
  id: 'notebook-exec:troubles',
  description: 'Says at the cell what went wrong and what can be done.',
  autoStart: true,
  requires: [IExecutions, IKernels, INotebookTracker],
  optional: [ISessionContextDialogs, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    executions: IExecutions,
    { facts }: IKernels,
    tracker: INotebookTracker,
    dialogs: ISessionContextDialogs | null,
    translator: ITranslator | null
  ) => {
    const trans = bundle(translator);
    const asking =
      dialogs ?? new SessionContextDialogs({ translator: translator ?? nullTranslator });
    forServerNotebooks(tracker, executions, panel => {
      const document = panel.model && sharedDocument(panel.model);
      if (!document) {
        return null;
      }
      const entries = new Entries(document);
      const page = new NotebookTroubles(app, panel, facts, asking);
      const notes = new CellNotes(panel, entries, page, trans);
      facts.changed.connect(notes.refresh, notes);
      const death = new KernelDeath(panel, () => page.deathActions(), trans);
      const stopped = new StoppedCells(
        text => void Notification.info(text, { autoClose: 6000 }),
        () => page.context().me,
        trans
      );
      stopped.update(entries.all().values());
      entries.changed.connect(() => stopped.update(entries.all().values()));
      return DisposableSet.from([notes, death, entries]);
    });
  }
};

/** What can be done from the notes of one notebook. */
class NotebookTroubles implements INotePage {
  constructor(
    private readonly _app: JupyterFrontEnd,
    private readonly _panel: NotebookPanel,
    private readonly _facts: KernelFacts,
    private readonly _dialogs: ISessionContextDialogs
  ) {}

  context() {
    const kernel = this._panel.sessionContext.session?.kernel;
    const { hasLog, canHardRestart } = this._facts.of(kernel?.id);
    return {
      isKernelDead: !kernel || kernel.status === 'dead',
      hasLog,
      canHardRestart,
      me: this._app.serviceManager.user.identity?.username ?? ''
    };
  }

  act(action: NoteAction, cell: CodeCell): void {
    const { content, sessionContext } = this._panel;
    switch (action) {
      case 'interrupt':
        void sessionContext.session?.kernel?.interrupt();
        break;
      case 'restart':
        void this._dialogs.restart(sessionContext);
        break;
      case 'hard-restart':
        this._panel.activate();
        void this._app.commands.execute(HARD_RESTART);
        break;
      case 'run-to-here':
        content.activeCellIndex = content.widgets.indexOf(cell) + 1;
        void NotebookActions.runAllAbove(content, sessionContext, this._dialogs);
        content.activeCellIndex = content.widgets.indexOf(cell);
        break;
      case 'log':
        this._openLog();
        break;
    }
  }

  deathActions() {
    return {
      restart: () => void startAgain(this._panel.sessionContext),
      openLog: this.context().hasLog ? () => this._openLog() : null
    };
  }

  private _openLog(): void {
    const kernelId = this._panel.sessionContext.session?.kernel?.id ?? '';
    void this._app.commands.execute(OPEN_LOG, { kernelId, name: this._panel.title.label });
  }
}

const omittedOutput: JupyterFrontEndPlugin<void> = {
  id: 'notebook-exec:omitted-output',
  description: 'Links to output that a cell shows no more.',
  autoStart: true,
  requires: [IRenderMimeRegistry],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    rendermime: IRenderMimeRegistry,
    translator: ITranslator | null
  ) => {
    const { serverSettings } = app.serviceManager;
    rendermime.addFactory(omittedRenderer(serverSettings, bundle(translator)));
  }
};

const longStreams: JupyterFrontEndPlugin<void> = {
  id: 'notebook-exec:long-streams',
  description:
    'Draws long text outputs in blocks, so that a flood of output leaves the page usable.',
  autoStart: true,
  requires: [IRenderMimeRegistry],
  activate: (_: JupyterFrontEnd, rendermime: IRenderMimeRegistry) => {
    streamRenderers.forEach(factory => rendermime.addFactory(factory));
  }
};

function bundle(translator: ITranslator | null): TranslationBundle {
  return (translator ?? nullTranslator).load('notebook_exec');
}

export const controlPlugins: JupyterFrontEndPlugin<unknown>[] = [
  kernels,
  restarts,
  serverSide,
  troubles,
  kernelLog,
  omittedOutput,
  longStreams
];
