// Tells a user who looks elsewhere that a long run has ended.
import { Notification as LabNotification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IEndedRun, IPendingRuns } from './longruns';
import { clock } from './state';
import { notebookName, outcomeText } from './texts';

const PENDING_KEY = 'notebook-exec:pending-runs';

/** How the browser may be used: asked for, refused, or not there at all (no secure context). */
export function permission(): NotificationPermission | 'missing' {
  return 'Notification' in window ? window.Notification.permission : 'missing';
}

/** Asks the user, if the browser has not been answered yet; best called from a click. */
export async function askPermission(): Promise<void> {
  if (permission() === 'default') {
    await window.Notification.requestPermission();
  }
}

export interface IMessage {
  readonly title: string;
  readonly body: string;
  readonly isError: boolean;
}

export function message(run: IEndedRun, trans: TranslationBundle): IMessage {
  const { cells, last, path, ranMs } = run;
  const name = notebookName(path, trans);
  const isError = last.state === 'failed' || last.state === 'lost';
  const how = isError
    ? trans.__('%1 failed', name)
    : last.state === 'cancelled'
      ? trans.__('%1 was stopped', name)
      : trans.__('%1 is done', name);
  const counted = trans._n('%1 cell', '%1 cells', cells);
  const body = [outcomeText(last, trans), `${counted} · ${clock(ranMs)}`].filter(Boolean);
  return { title: how, body: body.join('\n'), isError };
}

/** By the browser if it may, else in the page. */
export function notify(run: IEndedRun, trans: TranslationBundle, onClick: () => void): void {
  const { body, isError, title } = message(run, trans);
  if (permission() === 'granted') {
    try {
      // One tag: of several pages of one user, only one notification is seen.
      const shown = new window.Notification(title, { body, tag: `notebook-exec-${run.requestId}` });
      shown.onclick = () => {
        window.focus();
        shown.close();
        onClick();
      };
      return;
    } catch {
      // Chrome on Android has them in service workers only: then in the page.
    }
  }
  LabNotification.emit(`${title}\n${body}`, isError ? 'error' : 'success', {
    autoClose: false,
    actions: [{ label: trans.__('Show'), callback: onClick }]
  });
}

/** Kept for this tab alone: a reload goes on with it. */
export const pendingRuns: IPendingRuns = {
  load: () => {
    try {
      const known: unknown = JSON.parse(window.sessionStorage.getItem(PENDING_KEY) ?? '[]');
      return Array.isArray(known) ? known.filter(id => typeof id === 'string') : [];
    } catch {
      return []; // storage is switched off, or holds something else
    }
  },
  save: ids => {
    try {
      window.sessionStorage.setItem(PENDING_KEY, JSON.stringify(ids));
    } catch {
      // storage is switched off: a run that ends during a reload is not told
    }
  }
};
