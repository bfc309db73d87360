// What opens from the toolbar's progress: the running cell, and ways to stop, with consequences.
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';

import { element, setText } from './reconcile';
import { IEntry, isStarted } from './state';

export class ProgressMenu {
  /**
   * @param button - what it opens from
   * @param cancel - called to cancel what is queued, or with `true` what runs too
   */
  constructor(
    panel: NotebookPanel,
    button: HTMLButtonElement,
    trans: TranslationBundle,
    cancel: (all: boolean) => void
  ) {
    this._panel = panel;
    this._button = button;
    this._trans = trans;
    this._show = choice(trans.__('Go to the running cell'));
    this._empty = choice(trans.__('Empty the queue'));
    this._stop = choice(trans.__('Stop everything'));
    this._show.node.addEventListener('click', () => this._act(() => this._goToRunning()));
    this._empty.node.addEventListener('click', () => this._act(() => cancel(false)));
    this._stop.node.addEventListener('click', () => this._act(() => cancel(true)));
    this.node = element(
      'div',
      'jp-nbexec-menu',
      this._show.node,
      this._empty.node,
      this._stop.node
    );
    this.node.setAttribute('role', 'dialog');
    this.node.setAttribute('aria-label', trans.__('What runs in this notebook'));
    this.node.addEventListener('keydown', this._onKey);
    this.node.addEventListener('focusout', this._onFocusOut);
    button.setAttribute('aria-expanded', 'false');
    // Else the focus leaves the menu before the click that closes it opens it again.
    button.addEventListener('mousedown', event => event.preventDefault());
    button.addEventListener('click', () => (this.node.isConnected ? this.close() : this._open()));
  }

  readonly node: HTMLElement;

  update(entries: ReadonlyMap<string, IEntry>): void {
    const trans = this._trans;
    const all = [...entries];
    this._running = all.find(([, { state }]) => isStarted(state))?.[0] ?? null;
    const queued = all.filter(([, { state }]) => state === 'queued').length;
    setText(this._show.note, this._excerpt());
    this._show.node.hidden = this._running === null;
    setText(
      this._empty.note,
      trans._n(
        '%1 queued cell will not run. The running one goes on.',
        '%1 queued cells will not run. The running one goes on.',
        queued
      )
    );
    this._empty.node.hidden = queued === 0 || this._running === null;
    setText(
      this._stop.note,
      queued === 0
        ? trans.__('The running cell is interrupted. Its outputs stay.')
        : trans._n(
            'The running cell is interrupted, %1 queued cell will not run. Outputs stay.',
            'The running cell is interrupted, %1 queued cells will not run. Outputs stay.',
            queued
          )
    );
  }

  close(): void {
    if (!this.node.isConnected) {
      return;
    }
    const hadFocus = this.node.contains(document.activeElement);
    this.node.remove();
    this._button.setAttribute('aria-expanded', 'false');
    document.removeEventListener('pointerdown', this._onPointer, true);
    if (hadFocus) {
      if (this._button.hidden) {
        this._panel.content.activate();
      } else {
        this._button.focus();
      }
    }
  }

  private _open(): void {
    const { bottom, right } = this._button.getBoundingClientRect();
    document.body.append(this.node);
    this.node.style.top = `${bottom + 2}px`;
    this.node.style.left = `${Math.max(8, right - this.node.offsetWidth)}px`;
    this._button.setAttribute('aria-expanded', 'true');
    document.addEventListener('pointerdown', this._onPointer, true);
    this._choices()[0]?.focus();
  }

  private _act(action: () => void): void {
    this.close();
    action();
  }

  private _goToRunning(): void {
    const { content } = this._panel;
    const index = content.widgets.findIndex(({ model }) => model.id === this._running);
    if (index >= 0) {
      content.activeCellIndex = index;
      void content.scrollToItem(index, 'smart');
    }
  }

  private _excerpt(): string {
    const cell = this._panel.content.widgets.find(({ model }) => model.id === this._running);
    const lines = cell?.model.sharedModel.getSource().trimStart().split('\n', 1) ?? [];
    return lines[0] ?? '';
  }

  private _choices(): HTMLButtonElement[] {
    return [...this.node.querySelectorAll('button')].filter(({ hidden }) => !hidden);
  }

  private readonly _onKey = (event: KeyboardEvent): void => {
    const choices = this._choices();
    const index = choices.findIndex(each => each === document.activeElement);
    if (event.key === 'Escape') {
      this.close();
    } else if (event.key === 'ArrowDown') {
      choices[(index + 1) % choices.length]?.focus();
    } else if (event.key === 'ArrowUp') {
      choices[(index + choices.length - 1) % choices.length]?.focus();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };

  private readonly _onFocusOut = (event: FocusEvent): void => {
    if (event.relatedTarget instanceof Node && !this.node.contains(event.relatedTarget)) {
      this.close();
    }
  };

  private readonly _onPointer = (event: Event): void => {
    const { target } = event;
    if (target instanceof Node && !this.node.contains(target) && !this._button.contains(target)) {
      this.close();
    }
  };

  private _running: string | null = null;
  private readonly _panel: NotebookPanel;
  private readonly _button: HTMLButtonElement;
  private readonly _trans: TranslationBundle;
  private readonly _show: IChoice;
  private readonly _empty: IChoice;
  private readonly _stop: IChoice;
}

interface IChoice {
  readonly node: HTMLButtonElement;
  readonly note: HTMLElement;
}

function choice(label: string): IChoice {
  const note = element('span', 'jp-nbexec-menu-note');
  const node = element(
    'button',
    'jp-nbexec-menu-choice',
    element('span', 'jp-nbexec-menu-label', label),
    note
  );
  node.type = 'button';
  return { node, note };
}
