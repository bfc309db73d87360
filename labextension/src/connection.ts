// A lost connection is said in a notice that goes away by itself; nothing stops meanwhile.
import { Notification } from '@jupyterlab/apputils';
import type { IConnectionLost } from '@jupyterlab/application';
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

const RETRY_MS = 2000;

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
  let isLost = false;
  return async () => {
    if (isLost) {
      return;
    }
    isLost = true;
    const id = Notification.emit(
      trans.__(
        'The connection to the server is lost. Cells keep running there; this page catches up when it is back.'
      ),
      'warning',
      {
        autoClose: false,
        actions: action ? [{ label: action.label, callback: action.run }] : []
      }
    );
    while (!(await isReachable(settings))) {
      await new Promise(resolve => setTimeout(resolve, RETRY_MS));
    }
    isLost = false;
    Notification.dismiss(id);
    Notification.info(trans.__('Connected again.'), { autoClose: 3000 });
  };
}

async function isReachable(settings: ServerConnection.ISettings): Promise<boolean> {
  try {
    const url = URLExt.join(settings.baseUrl, 'api');
    const response = await ServerConnection.makeRequest(url, {}, settings);
    return response.ok;
  } catch {
    return false;
  }
}
