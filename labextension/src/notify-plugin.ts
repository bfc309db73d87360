// The plugin that notifies of long runs, if the user wants it (SPEC U4).
import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { goToCell, openPanel } from './jump';
import { IEndedRun, LongRuns } from './longruns';
import { askPermission, notify, pendingRuns, permission } from './notifications';
import { IExecutionFeed, IExecutions } from './tokens';

const ID = 'notebook-exec:notifications';
/** The command that switches them on and off. */
export const TOGGLE_NOTIFICATIONS = 'notebook-exec:toggle-notifications';

export const notifyPlugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Notifies of long runs that have ended.',
  autoStart: true,
  requires: [IExecutionFeed, IExecutions, INotebookTracker, ISettingRegistry],
  optional: [ITranslator],
  activate: async (
    app: JupyterFrontEnd,
    { feed }: IExecutionFeed,
    executions: IExecutions,
    tracker: INotebookTracker,
    registry: ISettingRegistry,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('notebook_exec');
    const settings = await registry.load(ID);
    const wanted = (): boolean => settings.composite.notify === true;
    const leastMs = (): number => Number(settings.composite.threshold) * 1000;
    const isSeen = ({ last }: IEndedRun): boolean =>
      document.visibilityState === 'visible' && openPanel(tracker, last)?.isVisible === true;
    const runs = new LongRuns(pendingRuns);
    const look = (): void => {
      if (!feed.isReady) {
        return; // what ended meanwhile is only known with the server's answer
      }
      const username = app.serviceManager.user.identity?.username ?? '';
      const viewer = { username, clientId: executions.clientId };
      for (const run of runs.update(feed.records.values(), viewer)) {
        if (wanted() && run.ranMs >= leastMs() && !isSeen(run)) {
          notify(run, trans, () => void goToCell(app, tracker, run.last, trans));
        }
      }
    };
    feed.changed.connect(look);
    look();
    let was = wanted();
    settings.changed.connect(() => {
      if (wanted() && !was) {
        void askPermission();
      }
      was = wanted();
      app.commands.notifyCommandChanged(TOGGLE_NOTIFICATIONS);
    });
    app.commands.addCommand(TOGGLE_NOTIFICATIONS, {
      label: trans.__('Notify When a Long Run Ends'),
      describedBy: { args: { type: 'object', properties: {} } },
      isToggled: wanted,
      execute: async () => {
        const on = !wanted();
        if (on) {
          await askPermission();
          if (permission() !== 'granted') {
            Notification.info(
              trans.__('The browser does not allow notifications; they will show in this page.'),
              { autoClose: 6000 }
            );
          }
        }
        await settings.set('notify', on);
      }
    });
  }
};
