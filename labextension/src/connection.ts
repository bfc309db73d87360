// A lost connection is said in a notice that goes away by itself; nothing stops meanwhile.
import type { IConnectionLost } from '@jupyterlab/application';
import type { ISessionContext } from '@jupyterlab/apputils';
import { URLExt } from '@jupyterlab/coreutils';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

const RETRY_MS = 2000;
/** For so long it is said that the connection is back. */
const BACK_MS = 3000;

let isLost = false;
let back: Promise<void> | null = null;

/** Whether the server was out of reach when it was asked last. */
export function isConnectionLost(): boolean {
  return isLost;
}

/** What a user may do about it, beside waiting. */
export interface IConnectionAction {
  readonly label: string;
  readonly run: () => void;
}

/**
 * What JupyterLab calls each time that it cannot reach the server.
 *
 * @param action - offered in the notice, as a restart of the server under JupyterHub
 */
export function connectionNotice(
  settings: ServerConnection.ISettings,
  trans: TranslationBundle,
  action: IConnectionAction | null
): IConnectionLost {
  return async () => {
    if (isLost) {
      return;
    }
    isLost = true;
    const notice = showNotice(
      trans.__(
        'The connection to the server is lost. Cells keep running there; this page catches up, and saves, when it is back.'
      ),
      action
    );
    await untilReachable(settings);
    isLost = false;
    notice.replaceChildren(trans.__('The connection to the server is back.'));
    notice.classList.add('jp-mod-back');
    setTimeout(() => notice.remove(), BACK_MS);
  };
}

/** JupyterLab's own notifications load their code when the first is shown: too late for this. */
function showNotice(text: string, action: IConnectionAction | null): HTMLElement {
  const notice = document.createElement('div');
  notice.className = 'jp-nbexec-offline';
  notice.setAttribute('role', 'status');
  document.body.append(notice);
  notice.append(text); // read out, since it comes after its place
  if (action) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'jp-mod-styled jp-mod-warn';
    button.textContent = action.label;
    button.addEventListener('click', action.run);
    notice.append(button);
  }
  return notice;
}

/**
 * Looks at once when a kernel's websocket breaks, and connects it anew when the server is back.
 *
 * JupyterLab itself looks every ten seconds, tries a kernel whose server was away after up to
 * half a minute more, and gives up after a few such tries.
 */
export function watchKernels(
  tracker: INotebookTracker,
  settings: ServerConnection.ISettings,
  onLost: () => void
): void {
  const watched = new Set<ISessionContext>();
  const watch = async (context: ISessionContext): Promise<void> => {
    if (await isReachable(settings)) {
      return;
    }
    onLost();
    await untilReachable(settings);
    const kernel = context.session?.kernel;
    if (kernel && kernel.connectionStatus !== 'connected' && kernel.status !== 'dead') {
      kernel.reconnect().catch(() => undefined); // JupyterLab goes on as after any failed try
    }
  };
  tracker.widgetAdded.connect((_, panel: NotebookPanel) => {
    panel.sessionContext.connectionStatusChanged.connect((context, status) => {
      if (status === 'connecting' && context.isReady && !watched.has(context)) {
        watched.add(context);
        void watch(context).finally(() => watched.delete(context));
      }
    });
  });
}

/** Resolves when the server answers. Whoever else waits for that waits for the same requests. */
export function untilReachable(settings: ServerConnection.ISettings): Promise<void> {
  back ??= retry(settings).finally(() => {
    back = null;
  });
  return back;
}

async function retry(settings: ServerConnection.ISettings): Promise<void> {
  while (!(await isReachable(settings))) {
    await new Promise(resolve => setTimeout(resolve, RETRY_MS));
  }
}

/** Whether the server answers now. */
export async function isReachable(settings: ServerConnection.ISettings): Promise<boolean> {
  try {
    const url = URLExt.join(settings.baseUrl, 'api');
    const response = await ServerConnection.makeRequest(url, {}, settings);
    return response.ok;
  } catch {
    return false;
  }
}
