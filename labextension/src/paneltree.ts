// The panel's list: notebooks and their executions as a tree for keyboard and screen reader.
import { GroupView, IGroupContext } from './panelgroup';
import { IGroup } from './panelmodel';
import { Children, element } from './reconcile';

/** So many notebooks, those of the latest runs, are open unless the user closes them. */
const OPEN = 8;

/** What the tree asks of the page. */
export interface ITreeActions extends Omit<IGroupContext, 'isOpen'> {
  cancelAll(group: IGroup): void;
  /** Goes to the cell of this execution. */
  go(executionId: string): void;
}

export class PanelTree {
  constructor(actions: ITreeActions) {
    this._actions = actions;
    this.node = element('div', 'jp-nbexec-tree');
    this.node.setAttribute('role', 'tree');
    this.node.setAttribute('aria-label', actions.trans.__('Executions by notebook'));
    const context: IGroupContext = {
      ...actions,
      isOpen: key =>
        this._opened.get(key) ?? this._groups.findIndex(each => each.key === key) < OPEN
    };
    this._children = new Children<IGroup>(
      this.node,
      ({ key }) => key,
      group => new GroupView(group, context)
    );
    this.node.addEventListener('click', this._onClick);
    this.node.addEventListener('keydown', this._onKey);
    this.node.addEventListener('focusin', this._onFocus);
  }

  readonly node: HTMLElement;

  show(groups: readonly IGroup[]): void {
    this._groups = groups;
    this._children.show(groups);
    if (!this.node.querySelector('[role="treeitem"][tabindex="0"]')) {
      this._current(this._items()[0] ?? null);
    }
  }

  tick(): void {
    for (const { active, key } of this._groups) {
      const view = active.length > 0 ? this._children.get(key) : undefined;
      if (view instanceof GroupView) {
        view.tick();
      }
    }
  }

  private readonly _onClick = (event: MouseEvent): void => {
    const target = event.target instanceof Element ? event.target : null;
    const item = target?.closest<HTMLElement>('[role="treeitem"]');
    if (!item || target?.closest('form, .jp-nbexec-more')) {
      return;
    }
    const button = target?.closest<HTMLButtonElement>('[data-action]');
    if (button) {
      this._cancel(item, button);
      return;
    }
    item.focus({ preventScroll: true });
    this._activate(item);
  };

  private readonly _onKey = (event: KeyboardEvent): void => {
    const item = event.target;
    if (!(item instanceof HTMLElement) || item.getAttribute('role') !== 'treeitem') {
      return; // a key of a button or a field
    }
    if (event.altKey || event.ctrlKey || event.metaKey || !this._act(item, event.key)) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };

  private readonly _onFocus = (event: FocusEvent): void => {
    const target = event.target instanceof Element ? event.target : null;
    this._current(target?.closest<HTMLElement>('[role="treeitem"]') ?? null);
  };

  /** Whether the key means something here. */
  private _act(item: HTMLElement, key: string): boolean {
    const items = this._items();
    const index = items.indexOf(item);
    const group = this._viewOf(item);
    switch (key) {
      case 'ArrowDown':
        items[index + 1]?.focus();
        return true;
      case 'ArrowUp':
        items[index - 1]?.focus();
        return true;
      case 'Home':
        items[0]?.focus();
        return true;
      case 'End':
        items[items.length - 1]?.focus();
        return true;
      case 'ArrowRight':
        if (group && !group.isOpen) {
          this._open(group, true);
        } else if (group) {
          items[index + 1]?.focus();
        }
        return true;
      case 'ArrowLeft':
        if (group) {
          this._open(group, false);
        } else {
          item.parentElement?.closest<HTMLElement>('[role="treeitem"]')?.focus();
        }
        return true;
      case 'Enter':
      case ' ':
        this._activate(item);
        return true;
      case 'Delete':
        this._cancel(item, item.querySelector<HTMLButtonElement>('[data-action]'));
        return true;
    }
    return false;
  }

  private _activate(item: HTMLElement): void {
    const group = this._viewOf(item);
    if (group) {
      this._open(group, !group.isOpen);
    } else if (item.dataset.id) {
      this._actions.go(item.dataset.id);
    }
  }

  private _cancel(item: HTMLElement, button: HTMLButtonElement | null): void {
    if (!button || button.hidden || button.disabled) {
      return;
    }
    const group = this._viewOf(item);
    if (group) {
      this._actions.cancelAll(group.group);
    } else if (item.dataset.id) {
      button.disabled = true;
      this._actions.cancel(item.dataset.id);
    }
  }

  private _open(view: GroupView, isOpen: boolean): void {
    this._opened.set(view.group.key, isOpen);
    view.update(view.group);
  }

  private _viewOf(item: HTMLElement): GroupView | null {
    const view = item.dataset.key ? this._children.get(item.dataset.key) : undefined;
    return view instanceof GroupView ? view : null;
  }

  private _items(): HTMLElement[] {
    return [...this.node.querySelectorAll<HTMLElement>('[role="treeitem"]')];
  }

  /** The one item that the Tab key reaches, with its buttons. */
  private _current(item: HTMLElement | null): void {
    if (item === this._currentItem) {
      return;
    }
    for (const [each, index] of [
      [this._currentItem, -1],
      [item, 0]
    ] as const) {
      if (each) {
        each.tabIndex = index;
        ownButtons(each).forEach(button => (button.tabIndex = index));
      }
    }
    this._currentItem = item;
  }

  private _groups: readonly IGroup[] = [];
  private _currentItem: HTMLElement | null = null;
  private readonly _opened = new Map<string, boolean>();
  private readonly _actions: ITreeActions;
  private readonly _children: Children<IGroup>;
}

function ownButtons(item: HTMLElement): HTMLButtonElement[] {
  return [...item.querySelectorAll<HTMLButtonElement>('[data-action], .jp-nbexec-more')].filter(
    button => button.closest('[role="treeitem"]') === item
  );
}
