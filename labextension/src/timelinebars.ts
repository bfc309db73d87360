// The rows and bars of the timeline, as SVG.
import type { TranslationBundle } from '@jupyterlab/translation';

import { IBar, IRow } from './bars';
import { Children, IView, setAttribute, setText } from './reconcile';
import { IRecord, ranMs } from './records';
import { isFinal } from './state';
import { durationText, momentText, notebookName, outcomeText, stateText, titleText } from './texts';

const SVG = 'http://www.w3.org/2000/svg';
export const MARGIN_PX = 4;
const LABEL_PX = 15;
const SINGLE_LINE_PX = 14;
const LINE_PX = 7;
const LINE_GAP_PX = 2;
const ROW_GAP_PX = 7;

export interface ITimelineActions {
  readonly trans: TranslationBundle;
  now(): number;
  go(executionId: string): void;
}

export interface IPlacedRow {
  readonly row: IRow;
  readonly y: number;
}

/** With the room to the next row. */
export function rowHeight({ lines }: IRow): number {
  return LABEL_PX + lines * (lineHeight(lines) + LINE_GAP_PX) + ROW_GAP_PX;
}

function lineHeight(lines: number): number {
  return lines === 1 ? SINGLE_LINE_PX : LINE_PX;
}

/** One notebook's bars under its name. */
export class RowGroup implements IView<IPlacedRow> {
  constructor(actions: ITimelineActions) {
    this._actions = actions;
    this._name = shape('text', 'jp-nbexec-lane-name');
    const bars = shape('g', '');
    bars.setAttribute('transform', `translate(${MARGIN_PX}, ${LABEL_PX})`);
    this.node = shape('g', 'jp-nbexec-lane');
    this.node.append(this._name, bars);
    this._bars = new Children<{ bar: IBar; lines: number; path: string | null }>(
      bars,
      ({ bar }) => bar.key,
      () => new BarView(actions)
    );
  }

  readonly node: SVGElement;

  update({ row: { bars, lines, path }, y }: IPlacedRow): void {
    setAttribute(this.node, 'transform', `translate(0, ${y})`);
    setText(this._name, notebookName(path, this._actions.trans));
    setAttribute(this._name, 'x', String(MARGIN_PX));
    setAttribute(this._name, 'y', '10');
    this._bars.show(bars.map(bar => ({ bar, lines, path })));
  }

  private readonly _actions: ITimelineActions;
  private readonly _name: SVGElement;
  private readonly _bars: Children<{ bar: IBar; lines: number; path: string | null }>;
}

/** One bar: pale where the cell waited, full where it ran, with a pattern for how it ended. */
class BarView implements IView<{ bar: IBar; lines: number; path: string | null }> {
  constructor(actions: ITimelineActions) {
    this._actions = actions;
    this._wait = shape('rect', 'jp-nbexec-bar-wait');
    this._run = shape('rect', 'jp-nbexec-bar-run');
    this._pattern = shape('rect', 'jp-nbexec-bar-pattern');
    this.node = shape('g', 'jp-nbexec-bar');
    this.node.append(this._wait, this._run, this._pattern);
    this.node.setAttribute('role', 'button');
    this.node.setAttribute('tabindex', '-1');
  }

  readonly node: SVGElement;

  update({ bar, lines, path }: { bar: IBar; lines: number; path: string | null }): void {
    const { line, records, run, state, wait } = bar;
    const height = lineHeight(lines);
    const y = line * (height + LINE_GAP_PX);
    setAttribute(this.node, 'data-state', state);
    setAttribute(this.node, 'data-id', records[records.length - 1].id);
    place(this._wait, wait, y, height);
    place(this._run, run, y, height);
    place(this._pattern, run ?? wait, y, height);
    setAttribute(this._pattern, 'fill', PATTERNS[state] ? `url(#${PATTERNS[state]})` : 'none');
    const tip = this._tip(records, path);
    setAttribute(this.node, 'data-tip', tip);
    setAttribute(this.node, 'aria-label', tip.split('\n').join(', '));
  }

  private _tip(records: readonly IRecord[], path: string | null): string {
    const { now, trans } = this._actions;
    const [first] = records;
    if (records.length > 1) {
      const total = records.reduce((sum, record) => sum + (ranMs(record, now()) ?? 0), 0);
      return [
        trans.__('%1 cells of %2', records.length, notebookName(path, trans)),
        `${stateText(first.state, trans)} · ${durationText(total)}`
      ].join('\n');
    }
    const { queuedAt, requestedBy, startedAt, state } = first;
    const ran = ranMs(first, now());
    const waited = startedAt !== null && queuedAt !== null ? startedAt - queuedAt : 0;
    const how = outcomeText(first, trans) || stateText(state, trans);
    return [
      titleText(first, trans),
      // What goes on has no figures here: its bar would be named anew each second.
      [how, isFinal(state) && ran !== null ? durationText(ran) : ''].filter(Boolean).join(' · '),
      waited >= 1000 ? trans.__('Waited %1', durationText(waited)) : '',
      [startedAt !== null ? momentText(startedAt, now()) : '', requestedBy]
        .filter(Boolean)
        .join(' · ')
    ]
      .filter(Boolean)
      .join('\n');
  }

  private readonly _actions: ITimelineActions;
  private readonly _wait: SVGElement;
  private readonly _run: SVGElement;
  private readonly _pattern: SVGElement;
}

/** How bars of these states differ from the others beside their colour. */
const PATTERNS: Readonly<Partial<Record<string, string>>> = {
  failed: 'jp-nbexec-pattern-failed',
  lost: 'jp-nbexec-pattern-failed',
  cancelled: 'jp-nbexec-pattern-cancelled',
  waiting_input: 'jp-nbexec-pattern-waiting'
};

export function patterns(): SVGElement {
  const defs = shape('defs', '');
  const strokes: [string, string][] = [
    ['jp-nbexec-pattern-failed', 'M-1 5 5 -1 M1 7 7 1'],
    ['jp-nbexec-pattern-cancelled', 'M-1 1 5 7 M1 -1 7 5'],
    ['jp-nbexec-pattern-waiting', 'M3 0 3 6']
  ];
  for (const [id, path] of strokes) {
    const pattern = shape('pattern', '');
    for (const [name, value] of Object.entries({
      id,
      width: '6',
      height: '6',
      patternUnits: 'userSpaceOnUse'
    })) {
      pattern.setAttribute(name, value);
    }
    const line = shape('path', 'jp-nbexec-pattern-line');
    line.setAttribute('d', path);
    pattern.append(line);
    defs.append(pattern);
  }
  return defs;
}

function place(
  rect: SVGElement,
  extent: { x: number; width: number } | null,
  y: number,
  height: number
): void {
  setAttribute(rect, 'visibility', extent ? null : 'hidden');
  setAttribute(rect, 'x', String(extent?.x ?? 0));
  setAttribute(rect, 'width', String(extent?.width ?? 0));
  setAttribute(rect, 'y', String(y));
  setAttribute(rect, 'height', String(height));
  setAttribute(rect, 'rx', '1.5');
}

export function shape(tag: string, className: string): SVGElement {
  const made = document.createElementNS(SVG, tag);
  if (className) {
    made.setAttribute('class', className);
  }
  return made;
}
