// A cell that waits for input shows its prompt to everyone in the notebook (SPEC P).
import { CodeCell } from '@jupyterlab/cells';
import type { Notebook, NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { PanelLayout, Widget } from '@lumino/widgets';

import { Entries } from './entries';
import { ApiError } from './errors';
import type { IPrompt } from './state';

/** Sends the answer to the prompt of an execution. */
export type Answer = (executionId: string, value: string) => Promise<void>;

/** Keeps the input boxes of one notebook in line with the prompts that wait. */
export class Prompts implements IDisposable {
  constructor(panel: NotebookPanel, entries: Entries, answer: Answer, trans: TranslationBundle) {
    this._notebook = panel.content;
    this._entries = entries;
    this._answer = answer;
    this._trans = trans;
    entries.changed.connect(this._refresh, this);
    panel.content.modelContentChanged.connect(this._refresh, this);
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
    this._entries.changed.disconnect(this._refresh, this);
    if (!this._notebook.isDisposed) {
      this._notebook.modelContentChanged.disconnect(this._refresh, this);
      this._notebook.cellInViewportChanged.disconnect(this._refresh, this);
    }
    this._boxes.forEach(box => box.dispose());
    this._boxes.clear();
  }

  private _refresh(): void {
    const waiting = new Set<CodeCell>();
    for (const cell of this._notebook.widgets) {
      const entry = cell instanceof CodeCell && this._entries.get(cell.model.id);
      if (entry && entry.state === 'waiting_input' && entry.prompt) {
        waiting.add(cell);
        this._show(cell, entry.id, entry.prompt);
      }
    }
    for (const [cell, box] of this._boxes) {
      if (!waiting.has(cell)) {
        box.dispose();
        this._boxes.delete(cell);
      }
    }
  }

  private _show(cell: CodeCell, executionId: string, prompt: IPrompt): void {
    const known = this._boxes.get(cell);
    if (known?.isFor(executionId, prompt)) {
      return;
    }
    known?.dispose();
    this._boxes.delete(cell);
    if (!cell.inputArea || !(cell.layout instanceof PanelLayout)) {
      return; // not drawn yet; comes again when it is
    }
    const box = new PromptBox(executionId, prompt, this._answer, this._trans);
    // Above the footer: directly below the outputs.
    cell.layout.insertWidget(cell.layout.widgets.length - 1, box);
    this._boxes.set(cell, box);
    if (isActive(this._notebook, cell)) {
      box.focus();
    }
  }

  private _isDisposed = false;
  private readonly _notebook: Notebook;
  private readonly _entries: Entries;
  private readonly _answer: Answer;
  private readonly _trans: TranslationBundle;
  private readonly _boxes = new Map<CodeCell, PromptBox>();
}

/** The prompt of one execution, with a line to answer it. */
export class PromptBox extends Widget {
  constructor(executionId: string, prompt: IPrompt, answer: Answer, trans: TranslationBundle) {
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
    this._input.setAttribute('aria-label', prompt.prompt || trans.__('Input for this cell'));
    this._note = document.createElement('span');
    this._note.className = 'jp-nbexec-prompt-note';
    this._note.setAttribute('role', 'status');
    this.node.append(label, this._input, this._note);
    // The notebook's own keys must not see what is typed here.
    this.node.dataset.lmSuppressShortcuts = 'true';
    for (const type of EVENTS) {
      this.node.addEventListener(type, this);
    }
  }

  /** Whether this is the box for that prompt. */
  isFor(executionId: string, { prompt, password }: IPrompt): boolean {
    return (
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
    }
  }

  private async _submit(): Promise<void> {
    this._input.disabled = true;
    try {
      await this._answer(this._executionId, this._input.value);
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
  private readonly _executionId: string;
  private readonly _prompt: IPrompt;
  private readonly _answer: Answer;
  private readonly _trans: TranslationBundle;
  private readonly _input: HTMLInputElement;
  private readonly _note: HTMLElement;
}

const EVENTS = ['submit', 'keydown', 'keyup', 'keypress', 'mousedown', 'dblclick'];

/** Whether the user's attention is at this cell, and not in a text that they are writing. */
function isActive(notebook: Notebook, cell: CodeCell): boolean {
  const focused = document.activeElement;
  return (
    (notebook.activeCell === cell && cell.node.contains(focused)) ||
    focused === document.body ||
    (notebook.node.contains(focused) && notebook.mode === 'command')
  );
}
