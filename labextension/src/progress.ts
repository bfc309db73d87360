// How far a notebook is, in its toolbar: 3 of 12, for how long, and about how long still.
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { Entries, documentId } from './entries';
import { IPastRun, estimateMs, roughly, usualDurations } from './estimate';
import { Lookout } from './lookout';
import { ProgressMenu } from './progressmenu';
import { element, setAttribute, setText } from './reconcile';
import { IEntry, IProgress, clock, isFinal, progress } from './state';
import { leftText } from './texts';

const TICK_MS = 1000;
/** Runs that are done sooner show nothing, so that a quick cell does not flicker. */
const SHOW_AFTER_MS = 400;
/** Earlier runs are asked for only when this one is not a quick one. */
const ASK_AFTER_MS = 1500;
const NAME = 'notebook-exec-progress';

/** What the toolbar's item needs of the server. */
export interface IProgressActions {
  /** The last finished runs of the notebook. */
  finished(documentId: string): Promise<readonly IPastRun[]>;
  /** Cancels what is queued, or with `all` what runs too; says it if that fails. */
  cancel(documentId: string, all: boolean): void;
}

export class Progress extends Widget {
  constructor(
    panel: NotebookPanel,
    entries: Entries,
    actions: IProgressActions,
    trans: TranslationBundle
  ) {
    super();
    this.addClass('jp-nbexec-progress');
    this._panel = panel;
    this._entries = entries;
    this._actions = actions;
    this._trans = trans;
    this._bar = element('span', 'jp-nbexec-progress-bar');
    this._text = element('span', 'jp-nbexec-progress-text');
    this._button = element('button', 'jp-nbexec-progress-button', this._text, this._bar);
    this._button.type = 'button';
    this._button.hidden = true;
    this._button.setAttribute('aria-haspopup', 'dialog');
    this._said = element('span', 'jp-nbexec-sr-only');
    this._said.setAttribute('role', 'status');
    this.node.append(this._button, this._said);
    this._menu = new ProgressMenu(panel, this._button, trans, all => {
      const id = panel.model && documentId(panel.model);
      if (id) {
        actions.cancel(id, all);
      }
    });
    entries.changed.connect(this._schedule, this);
    if (!panel.toolbar.insertBefore('kernelName', NAME, this)) {
      panel.toolbar.addItem(NAME, this);
    }
    this._refresh();
  }

  override dispose(): void {
    this._lookout.cancel();
    this._menu.close();
    this._entries.changed.disconnect(this._schedule, this);
    super.dispose();
  }

  private _schedule(): void {
    this._lookout.within(0);
  }

  private _refresh(): void {
    const entries = this._entries.all();
    const now = progress(entries.values());
    if (!now) {
      this._end(entries);
      return;
    }
    this._since ??= Date.now();
    const wait = this._since + SHOW_AFTER_MS - Date.now();
    this._follow(now);
    this._requests = requestsOf(entries);
    if (wait > 0) {
      this._lookout.within(wait);
      return;
    }
    this._show(now, entries);
    this._lookout.within(TICK_MS);
  }

  private _show(now: IProgress, entries: ReadonlyMap<string, IEntry>): void {
    const trans = this._trans;
    const isWaiting = [...entries.values()].some(({ state }) => state === 'waiting_input');
    const left = this._left(entries);
    const parts = [
      trans.__('%1 of %2', now.done, now.total),
      this._started ? clock(this._ranMs()) : '',
      isWaiting ? trans.__('waits for input') : left !== null ? leftText(roughly(left), trans) : ''
    ];
    setText(this._text, parts.filter(Boolean).join(' · '));
    this._button.hidden = false;
    this._button.classList.toggle('jp-mod-waiting', isWaiting);
    this._bar.style.width = `${((100 * now.done) / now.total).toFixed(1)}%`;
    const label = trans.__('%1 of %2 cells are done', now.done, now.total);
    setAttribute(this._button, 'aria-label', label);
    setAttribute(this._button, 'title', trans.__('%1. Click to see or stop them.', label));
    // Said only when it begins and when it asks: figures that change are for those who look.
    setText(
      this._said,
      isWaiting
        ? trans.__('A cell waits for input')
        : trans._n('%1 cell runs', '%1 cells run', now.total)
    );
    this._menu.update(entries);
  }

  private _end(entries: ReadonlyMap<string, IEntry>): void {
    this._button.hidden = true;
    setText(this._text, '');
    this._menu.close();
    if (this._since !== null && this._said.textContent !== '') {
      const ended = [...entries.values()].filter(({ requestId }) => this._requests.has(requestId));
      const failed = ended.find(({ state }) => state === 'failed' || state === 'lost');
      setText(
        this._said,
        failed
          ? this._trans.__('The run ended with an error: %1', failed.error?.ename ?? '')
          : this._trans.__('The run is done')
      );
    }
    this._since = null;
    this._started = null;
    this._usual = null;
  }

  /** By the server's clock at first sight, by this page's from there: clocks differ. */
  private _follow({ startedAt }: IProgress): void {
    if (startedAt !== null && this._started?.at !== startedAt) {
      const seen = Date.now();
      this._started = { at: startedAt, seen, ranMs: Math.max(0, seen - startedAt) };
    }
  }

  private _ranMs(): number {
    return this._started ? this._started.ranMs + Date.now() - this._started.seen : 0;
  }

  /** Milliseconds that are left, as far as earlier runs tell. */
  private _left(entries: ReadonlyMap<string, IEntry>): number | null {
    if (this._started === null || Date.now() - (this._since ?? 0) < ASK_AFTER_MS) {
      return null;
    }
    if (this._usual === null) {
      this._usual = new Map();
      const id = this._panel.model && documentId(this._panel.model);
      if (id) {
        this._actions.finished(id).then(
          runs => (this._usual = usualDurations(runs)),
          () => undefined // no estimate without the server
        );
      }
      return null;
    }
    return estimateMs(entries, this._usual, this._started.at + this._ranMs());
  }

  private readonly _lookout = new Lookout(() => this._refresh());
  private _since: number | null = null;
  private _requests: ReadonlySet<string> = new Set();
  private _started: { at: number; seen: number; ranMs: number } | null = null;
  private _usual: ReadonlyMap<string, number> | null = null;
  private readonly _panel: NotebookPanel;
  private readonly _entries: Entries;
  private readonly _actions: IProgressActions;
  private readonly _trans: TranslationBundle;
  private readonly _menu: ProgressMenu;
  private readonly _button: HTMLButtonElement;
  private readonly _text: HTMLElement;
  private readonly _bar: HTMLElement;
  private readonly _said: HTMLElement;
}

function requestsOf(entries: ReadonlyMap<string, IEntry>): Set<string> {
  return new Set(
    [...entries.values()].filter(({ state }) => !isFinal(state)).map(({ requestId }) => requestId)
  );
}
