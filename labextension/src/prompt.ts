// A cell that waits for input shows its prompt to everyone in the notebook (SPEC P).
import { CodeCell } from '@jupyterlab/cells';
import type { Notebook, NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';

import { placeBelowOutputs } from './cellplace';
import { Entries } from './entries';
import { ApiError } from './errors';
import { CONTENT_MS, Lookout } from './lookout';
import type { IEntry, IPrompt } from './state';

/** Sends the answer to the prompt of an execution. */
export type Answer = (executionId: string, value: string) => Promise<void>;

/** Keeps the input boxes of one notebook in line with the prompts that wait. */
export class Prompts implements IDisposable {
  /** @param me - the login name of who looks at this page, once it is known */
  constructor(
    panel: NotebookPanel,
    entries: Entries,
    answer: Answer,
    me: () => string,
    trans: TranslationBundle
  ) {
    this._me = me;
    this._notebook = panel.content;
    this._entries = entries;
    this._answer = answer;
    this._trans = trans;
    entries.changed.connect(this._refresh, this);
    panel.content.modelContentChanged.connect(this._onContent, this);
    panel.content.cellInViewportChanged.connect(this._refresh, this);
    this._refresh();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._lookout.cancel();
    this._entries.changed.disconnect(this._refresh, this);
    if (!this._notebook.isDisposed) {
      this._notebook.modelContentChanged.disconnect(this._onContent, this);
      this._notebook.cellInViewportChanged.disconnect(this._refresh, this);
    }
    this._boxes.forEach(box => box.dispose());
    this._boxes.clear();
  }

  private _onContent(): void {
    this._lookout.within(CONTENT_MS);
  }

  private _refresh(): void {
    const waiting = new Set<CodeCell>();
    for (const cell of this._notebook.widgets) {
      const entry = cell instanceof CodeCell && this._entries.get(cell.model.id);
      if (entry && entry.state === 'waiting_input' && entry.prompt) {
        waiting.add(cell);
        this._show(cell, entry, entry.prompt);
      }
    }
    for (const [cell, box] of this._boxes) {
      if (!waiting.has(cell)) {
        box.dispose();
        this._boxes.delete(cell);
      }
    }
  }

  private _show(cell: CodeCell, entry: IEntry, prompt: IPrompt): void {
    const known = this._boxes.get(cell);
    if (known?.isFor(entry.id, prompt)) {
      return;
    }
    known?.dispose();
    this._boxes.delete(cell);
    const isMine = entry.requestedByUser === this._me();
    const asker = isMine ? '' : entry.requestedBy;
    const box = new PromptBox(entry.id, prompt, this._answer, this._trans, asker);
    if (!placeBelowOutputs(cell, box)) {
      box.dispose();
      return; // not drawn yet; comes again when it is
    }
    this._boxes.set(cell, box);
    box.left.connect(() => this._notebook.activate());
    if (mayTakeFocus(this._notebook, cell, isMine)) {
      box.focus();
    }
  }

  private _isDisposed = false;
  private readonly _lookout = new Lookout(() => this._refresh());
  private readonly _notebook: Notebook;
  private readonly _entries: Entries;
  private readonly _answer: Answer;
  private readonly _me: () => string;
  private readonly _trans: TranslationBundle;
  private readonly _boxes = new Map<CodeCell, PromptBox>();
}

/** The prompt of one execution, with a line to answer it. */
export class PromptBox extends Widget {
  /** @param asker - whose run asks, where that is to be said; a person's name */
  constructor(
    executionId: string,
    prompt: IPrompt,
    answer: Answer,
    trans: TranslationBundle,
    asker = ''
  ) {
    super({ node: document.createElement('form') });
    this.addClass('jp-nbexec-prompt');
    this._executionId = executionId;
    this._prompt = prompt;
    this._answer = answer;
    this._trans = trans;
    const id = `jp-nbexec-prompt-${PromptBox._made++}`;
    const label = document.createElement('label');
    label.className = 'jp-nbexec-prompt-label';
    label.textContent = prompt.prompt;
    label.htmlFor = id;
    this._input = document.createElement('input');
    this._input.id = id;
    this._input.className = 'jp-nbexec-prompt-input';
    this._input.type = prompt.password ? 'password' : 'text';
    this._input.autocomplete = prompt.password ? 'new-password' : 'off';
    this._input.spellcheck = false;
    this._input.placeholder = trans.__('Type an answer, then press Enter');
    this._input.setAttribute('aria-label', prompt.prompt || trans.__('Input for this cell'));
    this._note = document.createElement('span');
    this._note.className = 'jp-nbexec-prompt-note';
    this._note.setAttribute('role', 'status');
    const said = document.createElement('span');
    said.className = asker ? 'jp-nbexec-prompt-asker' : 'jp-nbexec-sr-only';
    said.setAttribute('role', 'status');
    this.node.append(label, this._input, said, this._note);
    // Read out only if it comes after its place.
    requestAnimationFrame(() => {
      said.textContent = asker
        ? trans.__('Asked by %1’s run', asker)
        : trans.__('A cell waits for input: %1', prompt.prompt);
    });
    // The notebook's own keys must not see what is typed here.
    this.node.dataset.lmSuppressShortcuts = 'true';
    for (const type of EVENTS) {
      this.node.addEventListener(type, this);
    }
  }

  /** Emitted when its user wants to leave it without an answer. */
  get left(): ISignal<this, void> {
    return this._left;
  }

  /** Whether this is the box for that prompt; not if it was answered, and asks the same again. */
  isFor(executionId: string, { prompt, password }: IPrompt): boolean {
    return (
      !this._isAnswered &&
      this._executionId === executionId &&
      this._prompt.prompt === prompt &&
      this._prompt.password === password
    );
  }

  focus(): void {
    this._input.focus();
  }

  handleEvent(event: Event): void {
    event.stopPropagation();
    if (event.type === 'submit') {
      event.preventDefault();
      void this._submit();
    } else if (
      event instanceof KeyboardEvent &&
      event.type === 'keydown' &&
      event.key === 'Escape'
    ) {
      this._input.blur();
      this._left.emit();
    }
  }

  private async _submit(): Promise<void> {
    this._input.disabled = true;
    try {
      await this._answer(this._executionId, this._input.value);
      this._isAnswered = true;
      this._input.value = '';
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) {
        this._note.textContent = this._trans.__('Answered already');
        return; // the box goes with the document's next change
      }
      this._note.textContent = this._trans.__(
        'Not sent: %1',
        error instanceof Error ? error.message : String(error)
      );
      this._input.disabled = false;
      this._input.focus();
    }
  }

  private static _made = 0;
  private _isAnswered = false;
  private readonly _left = new Signal<this, void>(this);
  private readonly _executionId: string;
  private readonly _prompt: IPrompt;
  private readonly _answer: Answer;
  private readonly _trans: TranslationBundle;
  private readonly _input: HTMLInputElement;
  private readonly _note: HTMLElement;
}

const EVENTS = ['submit', 'keydown', 'keyup', 'keypress', 'mousedown', 'dblclick'];

/**
 * Whether the box may take the keyboard: of the one who ran the cell, sees it, and does not type
 * anywhere else. The cell that Shift+Enter makes below the last one has the keyboard, but is empty.
 */
function mayTakeFocus(notebook: Notebook, cell: CodeCell, isMine: boolean): boolean {
  const focused = document.activeElement;
  const isInside = notebook.node.contains(focused);
  const isFree =
    focused === document.body ||
    (isInside &&
      !(focused instanceof HTMLInputElement) &&
      (notebook.mode === 'command' || notebook.activeCell?.model.sharedModel.getSource() === ''));
  return isMine && isFree && document.hasFocus() && isInView(cell, notebook);
}

function isInView(cell: CodeCell, notebook: Notebook): boolean {
  const { bottom } = cell.node.getBoundingClientRect();
  const view = notebook.outerNode.getBoundingClientRect();
  return bottom > view.top && bottom - view.bottom < 100;
}
