// What the server has to tell its users comes as events, and is shown as notifications.
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { Event } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

import { textField } from './json';

const SCHEMA = 'https://events.jupyter.org/notebook_exec/notice/v1';

/** A notification shows no more than about so many characters. */
const SHORT_CHARS = 140;

/**
 * Shows each notice once, however often the server repeats it, and takes back what is over.
 *
 * @param isOpen - whether this page shows the file at a path: others need not know of it
 */
export function showNotices(
  events: Event.IManager,
  isOpen: (path: string) => boolean,
  trans: TranslationBundle
): void {
  const shown = new Map<string, { id: string; text: string }>();
  events.stream.connect((_, event) => {
    const path = textField(event, 'path');
    if (event.schema_id !== SCHEMA || (path && !isOpen(path))) {
      return;
    }
    const topic = textField(event, 'topic');
    const text = named(textField(event, 'message'), path);
    const key = `${textField(event, 'document_id')} ${topic || text}`;
    const known = shown.get(key);
    const level = textField(event, 'level');
    const type = level === 'error' || level === 'warning' ? level : 'info';
    if (topic && type === 'info') {
      shown.delete(key);
      if (!known) {
        return; // this page never said that anything was wrong
      }
      Notification.dismiss(known.id);
    } else if (known?.text === text && Notification.manager.has(known.id)) {
      return;
    } else if (known) {
      Notification.dismiss(known.id);
    }
    const id = Notification.emit(text, type, {
      autoClose: type === 'info' ? 8000 : false,
      actions: text.length > SHORT_CHARS ? [details(text, trans)] : []
    });
    if (type !== 'info') {
      shown.set(key, { id, text });
    }
  });
}

/** Messages about a file name it; if one does not, its name is put in front. */
function named(message: string, path: string): string {
  return path && !message.includes(path) ? `${path}: ${message}` : message;
}

function details(text: string, trans: TranslationBundle): Notification.IAction {
  return {
    label: trans.__('Details'),
    callback: event => {
      event.preventDefault(); // the notification stays
      void showDialog({
        title: trans.__('Notice of the Server'),
        body: text,
        buttons: [Dialog.okButton()]
      });
    }
  };
}
