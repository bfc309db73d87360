// The timeline of the panel: a row a notebook, a bar a cell, drawn to scale.
import { rows } from './bars';
import { Children, IView, element, setAttribute, setText } from './reconcile';
import { IRecord } from './records';
import { isFinal } from './state';
import { clockText, momentText } from './texts';
import {
  IPlacedRow,
  ITimelineActions,
  MARGIN_PX,
  RowGroup,
  patterns,
  rowHeight,
  shape
} from './timelinebars';
import { IInterval, ISpan, ITick, Range, span, ticks } from './timescale';

const TICK_PX = 72;

/** What is drawn: the executions, in the rows of these groups. */
export interface ITimelineData {
  readonly records: readonly IRecord[];
  readonly keys: readonly string[];
}

export class Timeline {
  constructor(actions: ITimelineActions) {
    this._actions = actions;
    this._axis = element('div', 'jp-nbexec-axis');
    this._axis.setAttribute('aria-hidden', 'true');
    this._svg = shape('svg', 'jp-nbexec-bars');
    this._svg.setAttribute('role', 'group');
    this._svg.append(patterns());
    this._grid = shape('g', 'jp-nbexec-grid');
    this._rows = shape('g', '');
    this._now = shape('line', 'jp-nbexec-now');
    this._svg.append(this._grid, this._now, this._rows);
    this._tip = element('div', 'jp-nbexec-tip');
    this._tip.hidden = true;
    this._tip.setAttribute('aria-hidden', 'true'); // the bars' own names say it
    this._scroll = element('div', 'jp-nbexec-timeline-scroll', this._svg);
    this.node = element('div', 'jp-nbexec-timeline', this._axis, this._scroll, this._tip);
    this._rowViews = new Children<IPlacedRow>(
      this._rows,
      ({ row }) => row.key,
      () => new RowGroup(actions)
    );
    this._tickViews = new Children<IPlacedTick>(
      this._axis,
      ({ tick }) => String(tick.at),
      () => new TickLabel()
    );
    this._gridViews = new Children<IPlacedTick>(
      this._grid,
      ({ tick }) => String(tick.at),
      () => new GridLine()
    );
    this._svg.addEventListener('click', this._onClick);
    this._svg.addEventListener('keydown', this._onKey);
    for (const type of ['pointerover', 'focusin', 'pointerleave', 'focusout']) {
      this._svg.addEventListener(type, this._onPoint);
    }
  }

  readonly node: HTMLElement;

  get range(): Range {
    return this._range;
  }
  set range(range: Range) {
    this._range = range;
    this.draw();
  }

  show(data: ITimelineData): void {
    this._data = data;
    this.draw();
  }

  /** Draws anew; what has not changed is left alone. */
  draw(): void {
    const width = this._scroll.clientWidth - 2 * MARGIN_PX;
    if (width <= 0) {
      return; // not seen
    }
    const now = this._actions.now();
    const { keys, records } = this._data;
    const shown = span(this._range, intervals(records), now);
    const found = rows(records, keys, shown, width, now);
    const x = (at: number): number =>
      MARGIN_PX + ((at - shown.from) / (shown.to - shown.from)) * width;
    const zoneMs = -new Date(shown.to).getTimezoneOffset() * 60_000;
    const placed = ticks(shown, Math.floor(width / TICK_PX), zoneMs).map(tick => ({
      tick,
      x: x(tick.at),
      isLast: x(tick.at) > width - TICK_PX / 2
    }));
    this._tickViews.show(placed);
    this._gridViews.show(placed);
    let y = 4;
    this._rowViews.show(
      found.map(row => {
        const top = y;
        y += rowHeight(row);
        return { row, y: top };
      })
    );
    setAttribute(this._svg, 'height', String(Math.max(y, 8)));
    this._drawNow(x(now), now <= shown.to && records.some(({ state }) => !isFinal(state)));
    this._label(shown, now);
    this._showTip();
    if (!this._svg.querySelector('[tabindex="0"]')) {
      this._bars()[0]?.setAttribute('tabindex', '0');
    }
  }

  private _drawNow(x: number, isShown: boolean): void {
    setAttribute(this._now, 'x1', x.toFixed(1));
    setAttribute(this._now, 'x2', x.toFixed(1));
    setAttribute(this._now, 'y2', '100%');
    setAttribute(this._now, 'visibility', isShown ? 'visible' : 'hidden');
  }

  private _label({ from, to }: ISpan, now: number): void {
    const { trans } = this._actions;
    const label = trans.__(
      'Timeline from %1 to %2; arrow keys go from bar to bar, Enter to the cell',
      momentText(from, now),
      momentText(to, now)
    );
    setAttribute(this._svg, 'aria-label', label);
  }

  private readonly _onClick = (event: Event): void => this._go(barOf(event.target));

  private readonly _onKey = (event: KeyboardEvent): void => {
    const bars = this._bars();
    const index = bars.findIndex(bar => bar === barOf(event.target));
    const to = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (to !== undefined) {
      bars[index + to]?.focus();
    } else if (event.key === 'Home' || event.key === 'End') {
      bars[event.key === 'Home' ? 0 : bars.length - 1]?.focus();
    } else if (event.key === 'Enter' || event.key === ' ') {
      this._go(barOf(event.target));
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };

  private readonly _onPoint = (event: Event): void => {
    const bar = barOf(event.target);
    if (event.type === 'focusin' && bar) {
      this._svg.querySelector('[tabindex="0"]')?.setAttribute('tabindex', '-1');
      bar.setAttribute('tabindex', '0');
    }
    const isShown = event.type === 'pointerover' || event.type === 'focusin';
    this._pointed = isShown ? bar : null;
    this._showTip();
  };

  private _showTip(): void {
    const bar = this._pointed?.isConnected ? this._pointed : null;
    this._tip.hidden = !bar;
    if (!bar) {
      return;
    }
    const [name, ...lines] = (bar.dataset.tip ?? '').split('\n');
    this._tip.replaceChildren(
      element('div', 'jp-nbexec-tip-title', name),
      ...lines.map(line => element('div', 'jp-nbexec-tip-line', line))
    );
    const outer = this.node.getBoundingClientRect();
    const inner = bar.getBoundingClientRect();
    const room = outer.width - this._tip.offsetWidth - 4;
    this._tip.style.left = `${Math.max(4, Math.min(inner.left - outer.left, room))}px`;
    this._tip.style.top = `${inner.bottom - outer.top + 6}px`;
  }

  private _go(bar: SVGElement | null): void {
    if (bar?.dataset.id) {
      this._actions.go(bar.dataset.id);
    }
  }

  private _bars(): SVGElement[] {
    return [...this._svg.querySelectorAll<SVGElement>('.jp-nbexec-bar')];
  }

  private _pointed: SVGElement | null = null;
  private _range: Range = 'latest';
  private _data: ITimelineData = { records: [], keys: [] };
  private readonly _actions: ITimelineActions;
  private readonly _axis: HTMLElement;
  private readonly _scroll: HTMLElement;
  private readonly _svg: SVGElement;
  private readonly _grid: SVGElement;
  private readonly _rows: SVGElement;
  private readonly _now: SVGElement;
  private readonly _tip: HTMLElement;
  private readonly _rowViews: Children<IPlacedRow>;
  private readonly _tickViews: Children<IPlacedTick>;
  private readonly _gridViews: Children<IPlacedTick>;
}

interface IPlacedTick {
  readonly tick: ITick;
  readonly x: number;
  readonly isLast: boolean;
}

function intervals(records: readonly IRecord[]): IInterval[] {
  return records.flatMap(({ endedAt, queuedAt, startedAt, state }) => {
    const from = queuedAt ?? startedAt;
    return from === null ? [] : [{ from, to: isFinal(state) ? (endedAt ?? from) : null }];
  });
}

class TickLabel implements IView<IPlacedTick> {
  readonly node = element('span', 'jp-nbexec-tick');

  update({ isLast, tick, x }: IPlacedTick): void {
    this.node.hidden = isLast; // it would not fit
    this.node.style.left = `${x.toFixed(1)}px`;
    setText(this.node, tickText(tick));
  }
}

class GridLine implements IView<IPlacedTick> {
  readonly node = shape('line', '');

  update({ x }: IPlacedTick): void {
    setAttribute(this.node, 'x1', x.toFixed(1));
    setAttribute(this.node, 'x2', x.toFixed(1));
    setAttribute(this.node, 'y2', '100%');
  }
}

function tickText({ at, unit }: ITick): string {
  const moment = new Date(at);
  if (unit === 'day') {
    return moment.toLocaleDateString([], { month: 'short', day: 'numeric' });
  }
  return clockText(moment, unit === 'second');
}

function barOf(target: EventTarget | null): SVGElement | null {
  return target instanceof Element ? target.closest<SVGElement>('.jp-nbexec-bar') : null;
}
