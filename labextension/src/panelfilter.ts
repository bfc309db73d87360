// What the panel shows of all there is: text, state, whose; and which span of time.
import type { TranslationBundle } from '@jupyterlab/translation';

import { IFilter, NO_FILTER, StateFilter } from './panelmodel';
import { element } from './reconcile';
import type { Range } from './timescale';

const MINUTE = 60_000;

export interface IFilterActions {
  onFilter(): void;
  onRange(range: Range): void;
}

export class PanelFilter {
  constructor(trans: TranslationBundle, actions: IFilterActions) {
    this._actions = actions;
    this.field = element('input', 'jp-nbexec-search');
    this.field.type = 'search';
    this.field.placeholder = trans.__('Filter');
    this.field.setAttribute('aria-label', trans.__('Filter by notebook, code, person or error'));
    this.field.spellcheck = false;
    this.field.addEventListener('input', this._onChange);
    this._state = select<StateFilter>(trans.__('Which executions'), [
      ['all', trans.__('All')],
      ['active', trans.__('Not over')],
      ['finished', trans.__('Finished')],
      ['failed', trans.__('Failed')],
      ['cancelled', trans.__('Cancelled')]
    ]);
    this._state.addEventListener('change', this._onChange);
    this._mine = element('input', '');
    this._mine.type = 'checkbox';
    this._mine.addEventListener('change', this._onChange);
    const range = select(trans.__('Span of the timeline'), [
      ['latest', trans.__('Latest')],
      [String(15 * MINUTE), trans.__('Last 15 min')],
      [String(60 * MINUTE), trans.__('Last hour')],
      [String(24 * 60 * MINUTE), trans.__('Last 24 h')],
      [String(7 * 24 * 60 * MINUTE), trans.__('Last 7 days')]
    ]);
    range.addEventListener('change', () =>
      actions.onRange(range.value === 'latest' ? 'latest' : Number(range.value))
    );
    this.node = element(
      'div',
      'jp-nbexec-filter',
      this.field,
      this._state,
      range,
      element('label', 'jp-nbexec-mine', this._mine, trans.__('Mine'))
    );
    this.node.setAttribute('role', 'search');
    // The application's own keys must not see what is typed here.
    this.node.dataset.lmSuppressShortcuts = 'true';
  }

  readonly node: HTMLElement;
  readonly field: HTMLInputElement;

  get filter(): IFilter {
    return {
      text: this.field.value,
      state: this._state.value as StateFilter,
      mine: this._mine.checked
    };
  }

  clearButton(label: string): HTMLButtonElement {
    const button = element('button', 'jp-nbexec-more', label);
    button.type = 'button';
    button.addEventListener('click', () => {
      this.field.value = NO_FILTER.text;
      this._state.value = NO_FILTER.state;
      this._mine.checked = NO_FILTER.mine;
      this._onChange();
      this.field.focus();
    });
    return button;
  }

  private readonly _onChange = (): void => this._actions.onFilter();

  private readonly _actions: IFilterActions;
  private readonly _state: HTMLSelectElement;
  private readonly _mine: HTMLInputElement;
}

function select<T extends string>(
  label: string,
  options: readonly (readonly [T, string])[]
): HTMLSelectElement {
  const made = element('select', 'jp-nbexec-select');
  made.setAttribute('aria-label', label);
  made.title = label;
  for (const [value, text] of options) {
    made.append(new Option(text, value));
  }
  return made;
}
