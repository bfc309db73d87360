// Which widgets the kernel's connection has brought as far as to their display.
//
// What makes a widget comes by the kernel's connection, its view by the document, and either may
// be first. ipywidgets draws a view as soon as its comm is open; what the kernel told the widget
// after that and before it displayed it may still be under way, and some widgets, as plotly's
// figures, never look again. The kernel's connection brings the display, too, behind all of that.

/** For so long a view is kept back; then it is drawn with what is there. */
const LIMIT_MS = 1000;
/** So many are remembered: old ones are asked for no more. */
const REMEMBERED = 10_000;

export const VIEW_MIME = 'application/vnd.jupyter.widget-view+json';

/** The widget that a bundle shows; null if it shows none. */
export function modelId(data: unknown): string | null {
  const view = (data as Record<string, unknown> | null | undefined)?.[VIEW_MIME];
  const id = (view as { model_id?: unknown } | undefined)?.model_id;
  return typeof id === 'string' ? id : null;
}

export class WidgetDisplays {
  /** The connection has brought the display of this widget, and all that came before it. */
  note(id: string): void {
    this._known.add(id);
    if (this._known.size > REMEMBERED) {
      this._known.delete(this._known.values().next().value ?? '');
    }
    this._waiting = this._waiting.filter(check => !check());
  }

  isKnown(id: string): boolean {
    return this._known.has(id);
  }

  /** Resolves when all of these are known, or have been waited for long enough. */
  known(ids: readonly string[]): Promise<void> {
    return new Promise(resolve => {
      const limit = window.setTimeout(() => ids.forEach(id => this.note(id)), LIMIT_MS);
      this._waiting.push(() => {
        const isOver = ids.every(id => this._known.has(id));
        if (isOver) {
          window.clearTimeout(limit);
          resolve();
        }
        return isOver;
      });
    });
  }

  private readonly _known = new Set<string>();
  private _waiting: (() => boolean)[] = [];
}

/** Of all kernels: ids of widgets are unique. */
export const widgetDisplays = new WidgetDisplays();
