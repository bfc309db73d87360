// The bars of a timeline, in pixels: a row a notebook, a bar a cell.
import { IRecord } from './records';
import { groupKey } from './panelmodel';
import { ISpan } from './timescale';
import { ExecutionState, isFinal } from './state';

/** More cells than this share one line; fewer have one each, as a waterfall. */
export const MOST_LINES = 16;
const LEAST_PX = 3;

/** One cell's run, or several that are too close together to be told apart. */
export interface IBar {
  readonly key: string;
  readonly records: readonly IRecord[];
  readonly state: ExecutionState;
  /** Which line of its row, from the top. */
  readonly line: number;
  /** Where it waited: left edge and width; null: not at all, or not drawn. */
  readonly wait: IExtent | null;
  /** Where it ran; null: it did not. */
  readonly run: IExtent | null;
}

export interface IExtent {
  readonly x: number;
  readonly width: number;
}

export interface IRow {
  readonly key: string;
  readonly path: string | null;
  readonly lines: number;
  readonly bars: readonly IBar[];
}

/** The rows of what is in the span, in the order of `keys`. */
export function rows(
  records: Iterable<IRecord>,
  keys: readonly string[],
  { from, to }: ISpan,
  widthPx: number,
  now: number
): IRow[] {
  const byKey = new Map<string, IRecord[]>(keys.map(key => [key, []]));
  for (const record of records) {
    const start = record.startedAt ?? record.queuedAt;
    if (start !== null && start <= to && (record.endedAt ?? now) >= from) {
      byKey.get(groupKey(record))?.push(record);
    }
  }
  const scale = (at: number): number =>
    (Math.min(Math.max(at, from), to) - from) * (widthPx / (to - from));
  return [...byKey]
    .filter(([, found]) => found.length > 0)
    .map(([key, found]) => row(key, found, scale, now));
}

type Scale = (at: number) => number;

function row(key: string, found: readonly IRecord[], scale: Scale, now: number): IRow {
  const inOrder = [...found].sort(
    (a, b) =>
      (a.startedAt ?? Infinity) - (b.startedAt ?? Infinity) || (a.queuedAt ?? 0) - (b.queuedAt ?? 0)
  );
  const path = found[found.length - 1].path;
  if (found.length <= MOST_LINES) {
    const bars = inOrder.map((record, line) => bar(record, line, scale, now));
    return { key, path, lines: found.length, bars };
  }
  // All in one line: what waits would hide what runs, so only the running is drawn.
  const bars = inOrder
    .filter(({ startedAt }) => startedAt !== null)
    .map(record => ({ ...bar(record, 0, scale, now), wait: null }));
  return { key, path, lines: 1, bars: merged(bars) };
}

function bar(record: IRecord, line: number, scale: Scale, now: number): IBar {
  const { id, state, queuedAt, startedAt, endedAt } = record;
  const end = endedAt ?? now;
  return {
    key: id,
    records: [record],
    state,
    line,
    wait: queuedAt === null ? null : extent(scale(queuedAt), scale(startedAt ?? end), 0),
    run: startedAt === null ? null : extent(scale(startedAt), scale(end), LEAST_PX)
  };
}

function extent(left: number, right: number, least: number): IExtent | null {
  const width = Math.max(right - left, least);
  return width > 0 ? { x: round(left), width: round(width) } : null;
}

/** Neighbours of one state with less than a pixel between them become one bar. */
function merged(bars: readonly IBar[]): IBar[] {
  const found: (IBar & { records: IRecord[]; right: number })[] = [];
  for (const bar of bars) {
    const last = found[found.length - 1];
    const left = bar.run?.x ?? 0;
    const right = left + (bar.run?.width ?? 0);
    if (last?.state === bar.state && isFinal(bar.state) && left - last.right < 1) {
      last.records.push(...bar.records);
      last.right = Math.max(last.right, right);
    } else {
      found.push({ ...bar, records: [...bar.records], right });
    }
  }
  return found.map(({ right, ...bar }) => {
    const x = bar.run?.x ?? 0;
    return { ...bar, run: { x, width: round(right - x) } };
  });
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
