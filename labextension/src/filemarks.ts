// The file browser shows which notebooks run on the server, those too that nobody has open.
import type { FileBrowser } from '@jupyterlab/filebrowser';
import type { Contents } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Feed } from './feed';
import { activities, activityAt } from './panelmodel';
import { setAttribute } from './reconcile';
import type { Activity } from './state';

/** The part of JupyterLab's file browser that knows its rows; protected there. */
interface IBrowserInside {
  readonly listing?: {
    readonly node: HTMLElement;
    sortedItems(): IterableIterator<Contents.IModel>;
  };
}

/** Keeps the rows of one file browser marked for as long as it is there. */
export function markFiles(
  browser: FileBrowser,
  feed: Feed,
  localPath: (path: string) => string,
  trans: TranslationBundle
): void {
  const { listing } = browser as unknown as IBrowserInside;
  if (!listing) {
    return; // another version of JupyterLab: no marks
  }
  let active = new Map<string, Activity>();
  const show = (): void => {
    const nodes = listing.node.querySelectorAll('.jp-DirListing-item');
    [...listing.sortedItems()].forEach((item, index) => {
      const node = nodes.item(index);
      const activity = node
        ? activityAt(active, localPath(item.path), item.type === 'directory')
        : null;
      if (node) {
        setAttribute(node, 'data-nbexec', activity);
        setAttribute(node, 'aria-description', activity && describe(activity, trans));
      }
    });
  };
  const refresh = (): void => {
    active = activities(feed.records.values());
    show();
  };
  // A row is used again for other files; its tooltip changes with that.
  const observer = new MutationObserver(show);
  observer.observe(listing.node, {
    subtree: true,
    childList: true,
    attributes: true,
    attributeFilter: ['title']
  });
  feed.changed.connect(refresh);
  browser.disposed.connect(() => {
    observer.disconnect();
    feed.changed.disconnect(refresh);
  });
  refresh();
}

function describe(activity: Activity, trans: TranslationBundle): string {
  return activity === 'waiting' ? trans.__('Waits for input') : trans.__('Running on the server');
}
