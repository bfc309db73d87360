// One notebook in the panel: its name, how far it is, and its executions.
import type { TranslationBundle } from '@jupyterlab/translation';
import { caretRightIcon, stopIcon } from '@jupyterlab/ui-components';

import { IGroup } from './panelmodel';
import { IRowContext, RowView } from './panelrow';
import { Children, IView, element, setAttribute, setText } from './reconcile';
import { IRecord } from './records';
import { momentText, notebookName } from './texts';

/** So many rows are shown at first of what waits and of what is over, and with each "more". */
const FIRST_ACTIVE = 6;
const FIRST_OVER = 10;
const MORE = 50;

export interface IGroupContext extends IRowContext {
  readonly trans: TranslationBundle;
  /** Whether the rows of this group are shown. */
  isOpen(key: string): boolean;
}

export class GroupView implements IView<IGroup> {
  constructor(group: IGroup, context: IGroupContext) {
    this._group = group;
    this._context = context;
    const caret = element('span', 'jp-nbexec-group-caret');
    caret.append(caretRightIcon.element({ tag: 'span' }));
    caret.setAttribute('aria-hidden', 'true');
    this._name = element('span', 'jp-nbexec-group-name');
    this._folder = element('span', 'jp-nbexec-group-folder');
    this._count = element('span', 'jp-nbexec-group-count');
    this._cancel = element('button', 'jp-nbexec-iconbutton', stopIcon.element({ tag: 'span' }));
    this._cancel.type = 'button';
    this._cancel.tabIndex = -1;
    this._cancel.dataset.action = 'cancel-all';
    this._cancel.title = context.trans.__('Stop all of this notebook');
    this._cancel.setAttribute('aria-label', this._cancel.title);
    this._header = element(
      'div',
      'jp-nbexec-group-header',
      caret,
      this._name,
      this._folder,
      this._count,
      this._cancel
    );
    this._rows = element('div', 'jp-nbexec-group-rows');
    this._rows.setAttribute('role', 'group');
    this._more = element('button', 'jp-nbexec-more');
    this._more.type = 'button';
    this._more.tabIndex = -1;
    this._more.addEventListener('click', () => {
      this._limit += MORE;
      this.update(this._group);
    });
    this.node = element('div', 'jp-nbexec-group', this._header, this._rows, this._more);
    this.node.setAttribute('role', 'treeitem');
    this.node.setAttribute('aria-level', '1');
    this.node.tabIndex = -1;
    this.node.dataset.key = group.key;
    this._children = new Children<IRecord>(
      this._rows,
      ({ id }) => id,
      record => new RowView(record, context)
    );
  }

  readonly node: HTMLElement;

  get group(): IGroup {
    return this._group;
  }

  get isOpen(): boolean {
    return this.node.getAttribute('aria-expanded') === 'true';
  }

  dispose(): void {
    this._children.dispose();
  }

  update(group: IGroup): void {
    const { trans } = this._context;
    this._group = group;
    const { active, done, over, path, total } = group;
    const open = this._context.isOpen(group.key);
    setAttribute(this.node, 'aria-expanded', String(open));
    const name = notebookName(path, trans);
    setText(this._name, name);
    setText(this._folder, path?.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '');
    setAttribute(this._header, 'title', path);
    setText(this._count, total > 0 ? trans.__('%1 of %2', done, total) : this._lastTime());
    this._cancel.hidden = active.length === 0;
    setAttribute(
      this.node,
      'aria-label',
      [name, total > 0 ? trans.__('%1 of %2 cells done', done, total) : '']
        .filter(Boolean)
        .join(', ')
    );
    const shown = open
      ? [...active.slice(0, FIRST_ACTIVE + this._limit), ...over.slice(0, FIRST_OVER + this._limit)]
      : [];
    this._children.show(shown);
    const hidden = active.length + over.length - shown.length;
    this._more.hidden = !open || hidden <= 0;
    setText(this._more, trans.__('%1 more', hidden));
  }

  tick(): void {
    for (const { id } of this._group.active) {
      const row = this._children.get(id);
      if (row instanceof RowView) {
        row.tick();
      }
    }
  }

  /** When the last of it ended. */
  private _lastTime(): string {
    const at = this._group.over[0]?.endedAt;
    return at ? momentText(at, this._context.now()) : '';
  }

  private _group: IGroup;
  private _limit = 0;
  private readonly _context: IGroupContext;
  private readonly _children: Children<IRecord>;
  private readonly _header: HTMLElement;
  private readonly _name: HTMLElement;
  private readonly _folder: HTMLElement;
  private readonly _count: HTMLElement;
  private readonly _cancel: HTMLButtonElement;
  private readonly _rows: HTMLElement;
  private readonly _more: HTMLButtonElement;
}
