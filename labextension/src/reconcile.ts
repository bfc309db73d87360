// Keeps a parent's children in line with a list, and each child for as long as its item is there.

/** What shows one item. */
export interface IView<T> {
  readonly node: Element;
  update(item: T): void;
  dispose?(): void;
}

/** The children of one parent, by key. What stays is not made anew: it keeps focus and text. */
export class Children<T> {
  constructor(parent: Element, key: (item: T) => string, make: (item: T) => IView<T>) {
    this._parent = parent;
    this._key = key;
    this._make = make;
  }

  get(key: string): IView<T> | undefined {
    return this._views.get(key);
  }

  show(items: readonly T[]): void {
    const focused = document.activeElement;
    const keys = new Set(items.map(this._key));
    for (const [key, view] of this._views) {
      if (!keys.has(key)) {
        view.node.remove();
        view.dispose?.();
        this._views.delete(key);
      }
    }
    let next = this._parent.firstElementChild;
    for (const item of items) {
      const key = this._key(item);
      let view = this._views.get(key);
      if (!view) {
        view = this._make(item);
        this._views.set(key, view);
      }
      view.update(item);
      if (view.node === next) {
        next = next.nextElementSibling;
      } else {
        this._parent.insertBefore(view.node, next);
      }
    }
    if (isFocusable(focused) && focused.isConnected && document.activeElement !== focused) {
      focused.focus({ preventScroll: true }); // it was moved, which takes its focus away
    }
  }

  dispose(): void {
    this.show([]);
  }

  private readonly _views = new Map<string, IView<T>>();
  private readonly _parent: Element;
  private readonly _key: (item: T) => string;
  private readonly _make: (item: T) => IView<T>;
}

function isFocusable(element: Element | null): element is HTMLElement | SVGElement {
  return (
    (element instanceof HTMLElement || element instanceof SVGElement) && element !== document.body
  );
}

/** Sets the text only if it differs, so that nothing is drawn or read out for nothing. */
export function setText(node: Node, text: string): void {
  if (node.textContent !== text) {
    node.textContent = text;
  }
}

export function setAttribute(node: Element, name: string, value: string | null): void {
  if (node.getAttribute(name) === value) {
    return;
  }
  if (value === null) {
    node.removeAttribute(name);
  } else {
    node.setAttribute(name, value);
  }
}

/** An element with a class and children. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}
