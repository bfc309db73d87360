// Restarts that say what they end before they do it (SPEC K2, K3).
import {
  Dialog,
  ISessionContext,
  ISessionContextDialogs,
  Notification,
  showDialog
} from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { ILoad, RestartKind, consequences } from './consequences';
import type { KernelsApi } from './kernels';

/** What a restart would do to a kernel, as far as this page knows. */
export interface IStakes {
  readonly load: ILoad;
  /** What the kernel runs in, in words; empty if that is nothing special. */
  readonly allocation: string;
}

export type Stakes = (context: ISessionContext) => IStakes;

/**
 * Has JupyterLab's dialog before a restart say what would end, where something would.
 *
 * All of its restart commands, in menus and toolbars, ask through `dialogs`. Providing another
 * object in its place would take the dialog's setting out of the settings editor, so its method
 * is replaced.
 *
 * @param isSkipped - whether the user set that there is no such dialog
 */
export function tellBeforeRestart(
  dialogs: ISessionContextDialogs,
  stakes: Stakes,
  isSkipped: () => Promise<boolean>,
  trans: TranslationBundle
): void {
  const plain = dialogs.restart.bind(dialogs);
  dialogs.restart = async (context, ...rest) => {
    if (context.session?.kernel?.status === 'dead') {
      await rest[0]?.onBeforeRestart();
      await startAgain(context);
      return true;
    }
    const { load, allocation } = stakes(context);
    const isNews = load.running + load.queued > 0 && context.session?.kernel;
    const skips = context.kernelPreference.skipKernelRestartDialog === true;
    if (!isNews || skips || (await isSkipped())) {
      return plain(context, ...rest);
    }
    const lines = consequences('in-place', load, allocation, trans);
    if (!(await confirm('in-place', context.name, lines, trans)) || context.isDisposed) {
      return false;
    }
    await rest[0]?.onBeforeRestart();
    await context.restartKernel();
    return true;
  };
}

/**
 * Starts a kernel where one died for good.
 *
 * JupyterLab's connection to a dead kernel is of no use any more, not even to restart it: another
 * takes its place. Nothing is asked, for there is nothing to lose.
 */
export async function startAgain(context: ISessionContext): Promise<void> {
  const name = context.session?.kernel?.name;
  await (name === undefined ? context.restartKernel() : context.changeKernel({ name }));
}

/** Asks, and starts the kernel of `context` anew with all that surrounds it. */
export async function hardRestart(
  context: ISessionContext,
  api: KernelsApi,
  stakes: Stakes,
  trans: TranslationBundle
): Promise<void> {
  const kernel = context.session?.kernel;
  if (!kernel) {
    return;
  }
  const { load, allocation } = stakes(context);
  const lines = consequences('hard', load, allocation, trans);
  if (!(await confirm('hard', context.name, lines, trans))) {
    return;
  }
  const done = api.hardRestart(kernel.id).then(async () => {
    await kernel.reconnect();
    return null;
  });
  Notification.promise(done, {
    pending: { message: trans.__('The kernel of %1 is started anew …', context.name) },
    success: {
      message: () => trans.__('The kernel of %1 was started anew.', context.name),
      options: { autoClose: 3000 }
    },
    error: {
      message: (reason: unknown) =>
        trans.__(
          'The kernel of %1 was not started anew: %2',
          context.name,
          reason instanceof Error ? reason.message : String(reason)
        )
    }
  });
}

async function confirm(
  kind: RestartKind,
  name: string,
  lines: readonly string[],
  trans: TranslationBundle
): Promise<boolean> {
  const title =
    kind === 'hard' ? trans.__('Hard Restart of the Kernel?') : trans.__('Restart Kernel?');
  const label = kind === 'hard' ? trans.__('Hard Restart') : trans.__('Restart');
  const result = await showDialog({
    title,
    body: new Consequences(trans.__('The kernel of %1 is started anew.', name), lines),
    buttons: [
      Dialog.cancelButton({ ariaLabel: trans.__('Cancel Kernel Restart') }),
      Dialog.warnButton({ label, ariaLabel: trans.__('Confirm Kernel Restart') })
    ]
  });
  return result.button.accept;
}

/** A sentence, and a list of what it means. */
class Consequences extends Widget {
  constructor(what: string, lines: readonly string[]) {
    super();
    this.addClass('jp-nbexec-consequences');
    const list = document.createElement('ul');
    list.append(
      ...lines.map(line => {
        const item = document.createElement('li');
        item.textContent = line;
        return item;
      })
    );
    this.node.append(what, list);
  }
}
