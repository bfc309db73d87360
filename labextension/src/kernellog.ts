// The viewer of a kernel's log: a tab with its lines, and buttons to search, keep and clear them.
import { MainAreaWidget, ToolbarButton } from '@jupyterlab/apputils';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import type { TranslationBundle } from '@jupyterlab/translation';
import {
  Toolbar,
  clearIcon,
  downloadIcon,
  fileIcon,
  searchIcon,
  caretDownIcon
} from '@jupyterlab/ui-components';
import { Widget } from '@lumino/widgets';

import type { KernelsApi } from './kernels';
import { LogFollower } from './logfollower';
import { LogView } from './logview';

export interface IKernelLogOptions {
  readonly kernelId: string;
  /** Of the notebook that it was opened from. */
  readonly name: string;
  readonly api: KernelsApi;
  readonly sanitizer: IRenderMime.ISanitizer;
  readonly trans: TranslationBundle;
  /** Opens JupyterLab's search in this viewer; null if there is none. */
  readonly find: (() => void) | null;
}

export class KernelLog extends MainAreaWidget<LogView> {
  constructor(options: IKernelLogOptions) {
    const { trans } = options;
    super({ content: new LogView(options.sanitizer, trans) });
    this.kernelId = options.kernelId;
    this.kernelName = options.name;
    this.id = `jp-nbexec-log-${options.kernelId}`;
    this.title.label = trans.__('Log: %1', options.name);
    this.title.caption = trans.__(
      'What the process of the kernel of %1 writes by itself',
      options.name
    );
    this.title.icon = fileIcon;
    this.title.closable = true;
    this.toolbar.addClass('jp-nbexec-log-toolbar');
    this.toolbar.node.setAttribute('aria-label', trans.__('Kernel log'));
    this._addButtons(options);
    this._follower = new LogFollower(
      {
        read: (offset, signal) => options.api.followLog(options.kernelId, offset, signal),
        sleep: ms => new Promise(resolve => window.setTimeout(resolve, ms))
      },
      this.content
    );
    void this._follower.run();
  }

  readonly kernelId: string;

  /** Of the notebook that it was opened from. */
  readonly kernelName: string;

  override dispose(): void {
    this._follower.stop();
    super.dispose();
  }

  private _addButtons({ api, find, kernelId, trans }: IKernelLogOptions): void {
    const view = this.content;
    const follow = new ToolbarButton({
      icon: caretDownIcon,
      label: trans.__('Follow'),
      tooltip: trans.__('Keep the newest line in view'),
      pressedTooltip: trans.__('The newest line is kept in view'),
      pressed: view.isFollowing,
      onClick: () => {
        view.isFollowing = !view.isFollowing;
      }
    });
    const status = new Widget({ node: document.createElement('span') });
    status.addClass('jp-nbexec-log-status');
    status.node.setAttribute('role', 'status');
    view.changed.connect(() => {
      follow.pressed = view.isFollowing;
      status.node.textContent = view.statusText;
    });
    status.node.textContent = view.statusText;
    this.toolbar.addItem('follow', follow);
    if (find) {
      this.toolbar.addItem(
        'find',
        new ToolbarButton({
          icon: searchIcon,
          label: trans.__('Find'),
          tooltip: trans.__('Search in what is shown'),
          onClick: find
        })
      );
    }
    this.toolbar.addItem(
      'clear',
      new ToolbarButton({
        icon: clearIcon,
        label: trans.__('Clear'),
        tooltip: trans.__('Empty this view; the log itself stays as it is'),
        onClick: () => view.clear()
      })
    );
    this.toolbar.addItem(
      'download',
      new ToolbarButton({
        icon: downloadIcon,
        label: trans.__('Download'),
        tooltip: trans.__('Download all that is kept of the log'),
        onClick: () => download(api.logUrl(kernelId))
      })
    );
    this.toolbar.addItem('spacer', Toolbar.createSpacerItem());
    this.toolbar.addItem('status', status);
  }

  private readonly _follower: LogFollower;
}

function download(url: string): void {
  const link = document.createElement('a');
  link.href = url;
  link.download = '';
  document.body.append(link);
  link.click();
  link.remove();
}
