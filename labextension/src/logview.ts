// A kernel's log as a page shows it: lines with colours, at the end for as long as its user is.
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { renderText } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';
import { ISignal, Signal } from '@lumino/signaling';
import { PanelLayout, Widget } from '@lumino/widgets';

import { ILogLine, LogBuffer } from './logbuffer';
import type { ILogSink, LogState } from './logfollower';

/** So much is kept in the page. */
const LIMIT_LINES = 20_000;
const LIMIT_CHARS = 2_000_000;
/** Closer to the end than this, a user is taken to be at the end. */
const END_PX = 24;

/** The lines of a log. Follows the end until its user scrolls up. */
export class LogView extends Widget implements ILogSink {
  constructor(sanitizer: IRenderMime.ISanitizer, trans: TranslationBundle) {
    super();
    this.addClass('jp-nbexec-log');
    this._sanitizer = sanitizer;
    this._trans = trans;
    const layout = new PanelLayout();
    this.layout = layout;
    this._hint.addClass('jp-nbexec-log-hint');
    this._hint.node.setAttribute('role', 'status');
    this.lines.addClass('jp-nbexec-log-lines');
    this.lines.node.tabIndex = 0;
    this.lines.node.setAttribute('role', 'log');
    // Each line read out would be noise: who wants to hear it goes there.
    this.lines.node.setAttribute('aria-live', 'off');
    this.lines.node.setAttribute('aria-label', trans.__('Kernel log'));
    layout.addWidget(this._hint);
    layout.addWidget(this.lines);
    this.lines.node.addEventListener('scroll', () => this._onScroll(), { passive: true });
    this._showHint();
  }

  /** Where the lines are. */
  readonly lines = new Widget();

  /** Whether the newest line is kept in view. */
  get isFollowing(): boolean {
    return this._isFollowing;
  }
  set isFollowing(value: boolean) {
    if (value !== this._isFollowing) {
      this._isFollowing = value;
      this._changed.emit();
    }
    this._scrollToEnd();
  }

  /** Emitted when `isFollowing` or what `statusText` says changed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get statusText(): string {
    switch (this._state) {
      case 'connecting':
        return this._trans.__('Connecting …');
      case 'following':
        return '';
      case 'offline':
        return this._trans.__('Out of reach: the log goes on when it is back.');
      case 'gone':
        return this._trans.__('This kernel is gone.');
      case 'none':
        return this._trans.__('No log');
    }
  }

  text(text: string): void {
    this._show(this._buffer.append(text));
  }

  missing(bytes: number): void {
    this.mark(this._trans.__('%1 bytes are not kept any more', bytes));
  }

  restarted(): void {
    this.mark(this._trans.__('A new log begins'));
  }

  /** Puts in a line that is not of the log. */
  mark(text: string): void {
    this._show(this._buffer.mark(text));
  }

  state(state: LogState, error: string): void {
    this._state = state;
    this._error = error;
    this._showHint();
    this._changed.emit();
  }

  /** Forgets what is shown; what comes next is shown. */
  clear(): void {
    this._buffer.clear();
    this.lines.node.replaceChildren();
    this._isCleared = true;
    this._showHint();
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._scrollToEnd();
  }

  protected override onActivateRequest(): void {
    this.lines.node.focus();
  }

  /** Lines come in crowds; they are drawn once a picture. */
  private _show(from: number): void {
    this._from = Math.min(this._from, from);
    if (this._frame === 0) {
      this._frame = requestAnimationFrame(() => this._draw());
    }
  }

  private _draw(): void {
    this._frame = 0;
    if (this.isDisposed) {
      return;
    }
    const { node } = this.lines;
    const lines = this._buffer.lines;
    const first = lines.length > 0 ? lines[0].number : this._from;
    while (node.firstChild && Number((node.firstChild as HTMLElement).dataset.line) < first) {
      node.firstChild.remove();
    }
    while (node.lastChild && Number((node.lastChild as HTMLElement).dataset.line) >= this._from) {
      node.lastChild.remove();
    }
    const fresh = lines.slice(Math.max(0, this._from - first));
    node.append(...fresh.map(line => this._line(line)));
    this._from = Infinity;
    this._showHint();
    this._scrollToEnd();
  }

  private _line({ number, text, isMark }: ILogLine): HTMLElement {
    const host = document.createElement('div');
    host.className = isMark ? 'jp-nbexec-log-mark' : 'jp-nbexec-log-line';
    host.dataset.line = String(number);
    if (text.includes('\x1b')) {
      host.classList.add('jp-RenderedText');
      void renderText({ host, sanitizer: this._sanitizer, source: text });
    } else {
      host.textContent = text || '\u200b';
    }
    return host;
  }

  private _scrollToEnd(): void {
    if (this._isFollowing && this.isVisible) {
      this.lines.node.scrollTop = this.lines.node.scrollHeight;
    }
  }

  private _onScroll(): void {
    const { scrollTop, clientHeight, scrollHeight } = this.lines.node;
    const isAtEnd = scrollHeight - scrollTop - clientHeight < END_PX;
    if (this.isVisible && isAtEnd !== this._isFollowing) {
      this._isFollowing = isAtEnd;
      this._changed.emit();
    }
  }

  private _showHint(): void {
    const text = this._hintText();
    this._hint.setHidden(text === '');
    if (this._hint.node.textContent !== text) {
      this._hint.node.textContent = text;
    }
  }

  private _hintText(): string {
    if (this._state === 'none') {
      return this._trans.__(
        'No log. (%1) What the process of a kernel writes is kept for kernels that the server starts with the option NotebookExecApp.nanny.',
        this._error
      );
    }
    if (this._buffer.lines.length > 0 || this._state === 'connecting') {
      return '';
    }
    return this._isCleared
      ? this._trans.__('Cleared. What the kernel writes next is shown here.')
      : this._trans.__(
          'Nothing yet. What the kernel’s own process writes is shown here: what compiled code prints, warnings, and why it crashed.'
        );
  }

  private _frame = 0;
  private _from = Infinity;
  private _isFollowing = true;
  private _isCleared = false;
  private _state: LogState = 'connecting';
  private _error = '';
  private readonly _buffer = new LogBuffer(LIMIT_LINES, LIMIT_CHARS);
  private readonly _hint = new Widget();
  private readonly _sanitizer: IRenderMime.ISanitizer;
  private readonly _trans: TranslationBundle;
  private readonly _changed = new Signal<this, void>(this);
}
