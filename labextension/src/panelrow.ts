// One execution in the panel: what ran, how it stands, for how long, and what can be done.
import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon, stopIcon } from '@jupyterlab/ui-components';

import { stateIcon } from './icons';
import { Answer, PromptBox } from './prompt';
import { IView, element, setAttribute, setText } from './reconcile';
import { IRecord, ranMs } from './records';
import { isFinal, isStarted, stopwatch } from './state';
import { countText, durationText, momentText, outcomeText, stateText, titleText } from './texts';

/** What the rows need of the page. */
export interface IRowContext {
  readonly trans: TranslationBundle;
  readonly answer: Answer;
  cancel(executionId: string): void;
  /** By the server's clock. */
  now(): number;
  /** How many are before it on its kernel. */
  place(executionId: string): number;
}

export class RowView implements IView<IRecord> {
  constructor(record: IRecord, context: IRowContext) {
    this._record = record;
    this._context = context;
    this._icon = element('span', 'jp-nbexec-row-icon');
    this._icon.setAttribute('aria-hidden', 'true');
    this._title = element('span', 'jp-nbexec-row-title');
    this._time = element('span', 'jp-nbexec-row-time');
    this._count = element('span', 'jp-nbexec-row-count');
    this._note = element('span', 'jp-nbexec-row-note');
    this._outcome = element('span', 'jp-nbexec-row-outcome');
    this._cancel = element('button', 'jp-nbexec-iconbutton');
    this._cancel.type = 'button';
    this._cancel.tabIndex = -1;
    this._cancel.dataset.action = 'cancel';
    this._prompt = element('div', 'jp-nbexec-row-prompt');
    const detail = element('span', 'jp-nbexec-row-detail', this._count, this._outcome, this._note);
    this.node = element(
      'div',
      'jp-nbexec-row',
      this._icon,
      this._title,
      this._time,
      this._cancel,
      detail,
      this._prompt
    );
    this.node.setAttribute('role', 'treeitem');
    this.node.setAttribute('aria-level', '2');
    this.node.tabIndex = -1;
    this.node.dataset.id = record.id;
  }

  readonly node: HTMLElement;

  dispose(): void {
    this._box?.dispose();
  }

  update(record: IRecord): void {
    const { trans } = this._context;
    this._record = record;
    const { state } = record;
    if (this.node.dataset.state !== state) {
      this.node.dataset.state = state;
      this._icon.replaceChildren(stateIcon(state).element({ tag: 'span' }));
      this._showCancel();
    }
    const title = titleText(record, trans);
    setText(this._title, title);
    this._title.classList.toggle('jp-nbexec-blank', record.excerpt === '');
    const outcome = isFinal(state) ? outcomeText(record, trans) : '';
    setText(this._outcome, outcome);
    const by = record.requestedBy;
    setText(this._count, countText(record));
    setText(this._note, [this._moment(), by].filter(Boolean).join(' · '));
    const said = [title, stateText(state, trans), outcome, this._finalDuration(), by];
    setAttribute(this.node, 'aria-label', said.filter(Boolean).join(', '));
    setAttribute(this.node, 'aria-keyshortcuts', isFinal(state) ? 'Enter' : 'Enter Delete');
    setAttribute(this.node, 'title', [record.path, title, outcome].filter(Boolean).join('\n'));
    this._showPrompt();
    this.tick();
  }

  /** Shows what changes by time alone. */
  tick(): void {
    const { state } = this._record;
    const { trans, now, place } = this._context;
    if (state === 'queued') {
      const before = place(this._record.id);
      setText(this._time, before <= 1 ? trans.__('next') : trans.__('%1 before', before));
    } else if (isFinal(state)) {
      setText(this._time, this._finalDuration());
    } else {
      setText(this._time, stopwatch(ranMs(this._record, now()) ?? 0));
    }
  }

  private _finalDuration(): string {
    const ms = isFinal(this._record.state) ? ranMs(this._record, this._context.now()) : null;
    return ms === null ? '' : durationText(ms);
  }

  private _moment(): string {
    const { endedAt, queuedAt, startedAt } = this._record;
    const at = startedAt ?? endedAt ?? queuedAt;
    return at === null ? '' : momentText(at, this._context.now());
  }

  private _showCancel(): void {
    const { state } = this._record;
    const { trans } = this._context;
    this._cancel.hidden = isFinal(state);
    this._cancel.disabled = false;
    const started = isStarted(state);
    const label = started
      ? trans.__('Stop this cell; cells of the same run that wait behind it will not run')
      : trans.__('Take this cell out of the queue');
    this._cancel.title = label;
    this._cancel.setAttribute('aria-label', label);
    const icon = started ? stopIcon : closeIcon;
    this._cancel.replaceChildren(icon.element({ tag: 'span' }));
  }

  private _showPrompt(): void {
    const { id, prompt, requestedBy, state } = this._record;
    const { answer, trans } = this._context;
    if (state !== 'waiting_input' || !prompt) {
      this._box?.dispose();
      this._box = null;
      this._prompt.replaceChildren();
      return;
    }
    if (this._box?.isFor(id, prompt)) {
      return;
    }
    this._box?.dispose();
    this._box = new PromptBox(id, prompt, answer, trans);
    const asked = element('span', 'jp-nbexec-row-asked');
    asked.textContent = requestedBy
      ? trans.__('Asked by %1’s run', requestedBy)
      : trans.__('Asked by this run');
    this._prompt.replaceChildren(asked, this._box.node);
  }

  private _record: IRecord;
  private _box: PromptBox | null = null;
  private readonly _context: IRowContext;
  private readonly _icon: HTMLElement;
  private readonly _title: HTMLElement;
  private readonly _time: HTMLElement;
  private readonly _count: HTMLElement;
  private readonly _note: HTMLElement;
  private readonly _outcome: HTMLElement;
  private readonly _cancel: HTMLButtonElement;
  private readonly _prompt: HTMLElement;
}
