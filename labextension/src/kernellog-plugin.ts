// The plugin that opens viewers of kernels' logs.
import {
  ILabShell,
  ILayoutRestorer,
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, ISanitizer, Sanitizer, WidgetTracker } from '@jupyterlab/apputils';
import { GenericSearchProvider, ISearchProviderRegistry } from '@jupyterlab/documentsearch';
import { INotebookTracker } from '@jupyterlab/notebook';
import type { Kernel } from '@jupyterlab/services';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { KernelLog } from './kernellog';
import { IKernels } from './tokens';

/** Opens the log of the kernel that `kernelId` and `name` say; without them, of the notebook's. */
export const OPEN_LOG = 'notebook-exec:open-kernel-log';

const FIND = 'documentsearch:start';

export const kernelLog: JupyterFrontEndPlugin<void> = {
  id: 'notebook-exec:kernel-log',
  description: 'Shows what the processes of kernels write.',
  autoStart: true,
  requires: [IKernels, INotebookTracker],
  optional: [
    ILabShell,
    ILayoutRestorer,
    ICommandPalette,
    ISanitizer,
    ISearchProviderRegistry,
    ITranslator
  ],
  activate: (
    app: JupyterFrontEnd,
    { api }: IKernels,
    notebooks: INotebookTracker,
    labShell: ILabShell | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    sanitizer: ISanitizer | null,
    search: ISearchProviderRegistry | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('notebook_exec');
    const logs = new WidgetTracker<KernelLog>({ namespace: 'notebook-exec-log' });
    const make = (kernelId: string, name: string): KernelLog =>
      new KernelLog({
        kernelId,
        name,
        api,
        sanitizer: sanitizer ?? new Sanitizer(),
        trans,
        find: search ? () => void app.commands.execute(FIND) : null
      });
    app.commands.addCommand(OPEN_LOG, {
      label: trans.__('Show Kernel Log'),
      caption: trans.__('What the process of the kernel writes by itself, and why it crashed'),
      isEnabled: args =>
        typeof args.kernelId === 'string' ||
        Boolean(notebooks.currentWidget?.sessionContext.session?.kernel),
      execute: async args => {
        const panel = notebooks.currentWidget;
        const kernelId = text(args.kernelId) || panel?.sessionContext.session?.kernel?.id;
        if (!kernelId) {
          return;
        }
        let log = logs.find(known => known.kernelId === kernelId);
        if (!log) {
          log = make(kernelId, text(args.name) || panel?.title.label || kernelId);
          await logs.add(log);
          if (labShell) {
            labShell.add(log, 'main', panel ? { mode: 'split-bottom', ref: panel.id } : {});
          } else {
            app.shell.add(log, 'down'); // Notebook 7 has one main widget, the notebook
          }
        }
        app.shell.activateById(log.id);
      }
    });
    palette?.addItem({ command: OPEN_LOG, category: trans.__('Kernel Operations') });
    notebooks.currentChanged.connect(() => app.commands.notifyCommandChanged(OPEN_LOG));
    void restorer?.restore(logs, {
      command: OPEN_LOG,
      name: ({ kernelId }) => kernelId,
      args: ({ kernelId, kernelName }) => ({ kernelId, name: kernelName })
    });
    search?.add('notebook-exec:kernel-log', {
      isApplicable: (widget): widget is KernelLog => widget instanceof KernelLog,
      createNew: widget => new LogSearch(widget as KernelLog)
    });
    markRestarts(notebooks, logs, () =>
      trans.__('The kernel was restarted at %1', new Date().toLocaleTimeString())
    );
  }
};

/** A search in the lines alone, without the hints and buttons around them. */
class LogSearch extends GenericSearchProvider {
  constructor(log: KernelLog) {
    super(log.content.lines);
  }
}

/** The log goes on when its kernel is restarted: a line says where that was. */
function markRestarts(
  notebooks: INotebookTracker,
  logs: WidgetTracker<KernelLog>,
  mark: () => string
): void {
  const restarting = new Set<string>();
  const follow = (panel: NonNullable<INotebookTracker['currentWidget']>): void => {
    panel.sessionContext.statusChanged.connect((context, status: Kernel.Status) => {
      const id = context.session?.kernel?.id ?? '';
      if (status !== 'restarting' && status !== 'autorestarting') {
        restarting.delete(id);
      } else if (!restarting.has(id)) {
        restarting.add(id);
        logs.find(log => log.kernelId === id)?.content.mark(mark());
      }
    });
  };
  notebooks.forEach(follow);
  notebooks.widgetAdded.connect((_, panel) => follow(panel));
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
