// What the server has to tell its users comes as events, and is shown as notifications.
import { Notification } from '@jupyterlab/apputils';
import type { Event } from '@jupyterlab/services';

const SCHEMA = 'https://events.jupyter.org/notebook_exec/notice/v1';

/** Shows each notice once, however often the server repeats it. */
export function showNotices(events: Event.IManager): void {
  const shown = new Map<string, string>();
  events.stream.connect((_, event) => {
    if (event.schema_id !== SCHEMA) {
      return;
    }
    const { level, message, path } = event as unknown as Record<string, unknown>;
    const text = typeof path === 'string' ? `${path}: ${String(message)}` : String(message);
    const type = level === 'error' || level === 'warning' ? level : 'info';
    const known = shown.get(text);
    if (known !== undefined && Notification.manager.has(known)) {
      return;
    }
    shown.set(text, Notification.emit(text, type, { autoClose: type === 'info' ? 8000 : false }));
  });
}
