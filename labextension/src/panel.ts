// The executions panel: what runs, waits and ran in all notebooks of the server (SPEC U3, Q12).
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import type { Feed } from './feed';
import { executionsIcon } from './icons';
import { PanelFilter } from './panelfilter';
import { IGroup, IViewer, counts, groups, matches, placesInQueues } from './panelmodel';
import { PanelTree } from './paneltree';
import type { Answer } from './prompt';
import { element, setText } from './reconcile';
import { IRecord } from './records';
import { isFinal } from './state';
import { Timeline } from './timelineview';

const TICK_MS = 1000;

/** What the panel asks of the page. */
export interface IPanelActions {
  readonly answer: Answer;
  readonly viewer: () => IViewer;
  cancel(record: IRecord): void;
  cancelAll(group: IGroup): void;
  /** Goes to the cell of this execution. */
  go(record: IRecord): void;
}

export class ExecutionsPanel extends Widget {
  constructor(feed: Feed, actions: IPanelActions, trans: TranslationBundle) {
    super();
    this.addClass('jp-nbexec-panel');
    this._feed = feed;
    this._actions = actions;
    this._trans = trans;
    const go = (id: string): void => this._with(id, record => actions.go(record));
    this._timeline = new Timeline({ trans, now: () => feed.now(), go });
    this._tree = new PanelTree({
      trans,
      answer: actions.answer,
      now: () => feed.now(),
      place: id => this._places.get(id) ?? 0,
      cancel: id => this._with(id, record => actions.cancel(record)),
      cancelAll: group => actions.cancelAll(group),
      go
    });
    this._summary = element('p', 'jp-nbexec-summary');
    // Counts that change are for those who look; said is only what a person must know.
    this._said = element('span', 'jp-nbexec-sr-only');
    this._said.setAttribute('role', 'status');
    this._filter = new PanelFilter(trans, {
      onFilter: () => this._refresh(),
      onRange: range => (this._timeline.range = range)
    });
    this._empty = element('div', 'jp-nbexec-empty');
    this._more = element('button', 'jp-nbexec-more jp-nbexec-more-history');
    this._more.type = 'button';
    this._more.textContent = trans.__('Show earlier executions');
    this._more.addEventListener('click', () => void this._loadMore());
    const title = element('h2', 'jp-nbexec-title', trans.__('Executions'));
    this.tools = element('div', 'jp-nbexec-tools');
    const body = element('div', 'jp-nbexec-body', this._empty, this._tree.node, this._more);
    this.node.append(
      element('div', 'jp-nbexec-head', title, this.tools),
      this._summary,
      this._said,
      this._filter.node,
      this._timeline.node,
      body
    );
    feed.changed.connect(this._schedule, this);
    feed.statusChanged.connect(this._schedule, this);
  }

  /** Beside the title; for buttons of other features. */
  readonly tools: HTMLElement;

  override dispose(): void {
    window.clearTimeout(this._timer);
    window.clearTimeout(this._pending);
    this._feed.changed.disconnect(this._schedule, this);
    this._feed.statusChanged.disconnect(this._schedule, this);
    super.dispose();
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._refresh();
  }

  protected override onBeforeHide(msg: Message): void {
    window.clearTimeout(this._timer);
    super.onBeforeHide(msg);
  }

  protected override onResize(msg: Widget.ResizeMessage): void {
    super.onResize(msg);
    this._timeline.draw();
  }

  protected override onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    const first = this._tree.node.querySelector<HTMLElement>('[role="treeitem"][tabindex="0"]');
    (first ?? this._filter.field).focus();
  }

  private _schedule(): void {
    if (this._pending === 0 && this.isVisible) {
      this._pending = window.setTimeout(() => this._refresh(), 0);
    }
  }

  private _refresh(): void {
    window.clearTimeout(this._pending);
    window.clearTimeout(this._timer);
    this._pending = 0;
    if (!this.isVisible) {
      return;
    }
    const all = [...this._feed.records.values()];
    const viewer = this._actions.viewer();
    const { filter } = this._filter;
    this._places = placesInQueues(all);
    const shown = groups(all, filter, viewer);
    this._showEmpty(all.length, shown.length); // first: what is hidden has no width to draw to
    this._tree.show(shown);
    this._timeline.show({
      records: all.filter(record => matches(record, filter, viewer)),
      keys: shown.map(({ key }) => key)
    });
    this._showSummary(all);
    this._more.hidden = !this._feed.hasMore || shown.length === 0;
    if (all.some(({ state }) => !isFinal(state))) {
      this._timer = window.setTimeout(this._tick, TICK_MS);
    }
  }

  /** Moves on what time alone changes; the rest is left as it is. */
  private readonly _tick = (): void => {
    if (this.isVisible) {
      this._tree.tick();
      this._timeline.draw();
      this._timer = window.setTimeout(this._tick, TICK_MS);
    }
  };

  private _showSummary(all: readonly IRecord[]): void {
    const { queued, running, waiting } = counts(all);
    const trans = this._trans;
    const prompts = waiting > 0 ? trans._n('%1 waits for input', '%1 wait for input', waiting) : '';
    const parts = [
      running > 0 ? trans.__('%1 running', running) : '',
      prompts,
      queued > 0 ? trans.__('%1 queued', queued) : ''
    ].filter(Boolean);
    const isLost = this._feed.status === 'lost';
    this._summary.classList.toggle('jp-nbexec-lost', isLost);
    const still = isLost
      ? trans.__('The server is out of reach. What runs there goes on.')
      : parts.length === 0 && this._feed.isReady
        ? trans.__('Nothing runs')
        : '';
    setText(this._summary, still || parts.join(' · '));
    setText(this._said, still || prompts);
  }

  private _showEmpty(all: number, shown: number): void {
    const trans = this._trans;
    this._empty.hidden = shown > 0;
    this._filter.node.hidden = all === 0;
    this._timeline.node.hidden = shown === 0;
    if (shown > 0 || !this._feed.isReady) {
      this._empty.hidden = true;
    } else if (all > 0) {
      this._empty.replaceChildren(
        element('p', 'jp-nbexec-empty-title', trans.__('Nothing fits the filter')),
        this._filter.clearButton(trans.__('Show all'))
      );
    } else {
      this._empty.replaceChildren(
        executionsIcon.element({ className: 'jp-nbexec-empty-icon' }),
        element('p', 'jp-nbexec-empty-title', trans.__('Nothing has run yet')),
        element(
          'p',
          '',
          trans.__(
            'Cells run on the server and go on when you close this page. What runs in any notebook shows here: who started it, for how long, and how it ended.'
          )
        )
      );
    }
  }

  private async _loadMore(): Promise<void> {
    this._more.disabled = true;
    try {
      await this._feed.loadMore();
    } catch {
      // The server is out of reach, which the summary says; the button is there to try again.
    } finally {
      this._more.disabled = false;
    }
  }

  private _with(id: string, action: (record: IRecord) => void): void {
    const record = this._feed.records.get(id);
    if (record) {
      action(record);
    }
  }

  private _timer = 0;
  private _pending = 0;
  private _places = new Map<string, number>();
  private readonly _feed: Feed;
  private readonly _actions: IPanelActions;
  private readonly _trans: TranslationBundle;
  private readonly _timeline: Timeline;
  private readonly _tree: PanelTree;
  private readonly _filter: PanelFilter;
  private readonly _summary: HTMLElement;
  private readonly _said: HTMLElement;
  private readonly _empty: HTMLElement;
  private readonly _more: HTMLButtonElement;
}
