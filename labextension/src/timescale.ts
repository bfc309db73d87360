// The time axis of a timeline: which span it shows, and where its ticks are.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Spans and steps that people count time by. */
const STEPS: readonly number[] = [
  SECOND,
  2 * SECOND,
  5 * SECOND,
  10 * SECOND,
  15 * SECOND,
  30 * SECOND,
  MINUTE,
  2 * MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  2 * DAY,
  7 * DAY,
  14 * DAY,
  28 * DAY
];

/** A burst of activity ends where nothing happens for so long. */
const GAP_MS = 3 * MINUTE;
const LEAST_MS = 10 * SECOND;

export interface ISpan {
  readonly from: number;
  readonly to: number;
}

/** What a timeline shows: the latest activity, or so many milliseconds up to now. */
export type Range = 'latest' | number;

/** Milliseconds since the epoch; `to` is null for what goes on. */
export interface IInterval {
  readonly from: number;
  readonly to: number | null;
}

/**
 * The span that is shown. It moves in steps, so that the picture rests while something runs.
 */
export function span(range: Range, intervals: readonly IInterval[], now: number): ISpan {
  if (range !== 'latest') {
    const step = stepFrom(range / 60);
    const to = Math.ceil(now / step) * step;
    return { from: to - range, to };
  }
  const burst = latestBurst(intervals, now);
  const goesOn = intervals.some(({ to }) => to === null);
  // Room ahead for what goes on; a little for what is over, so that its last bar is whole.
  const room = (burst.to - burst.from) * (goesOn ? 1.08 : 1.02);
  const step = stepFrom(Math.max(room, LEAST_MS) / 6);
  const from = Math.floor(burst.from / step) * step;
  return { from, to: Math.max(from + LEAST_MS, Math.ceil((burst.from + room) / step) * step) };
}

/** The last intervals that follow each other without a long gap. */
function latestBurst(intervals: readonly IInterval[], now: number): ISpan {
  const ends = ({ to }: IInterval): number => to ?? now;
  const latestFirst = [...intervals].sort((a, b) => ends(b) - ends(a));
  const [last] = latestFirst;
  if (!last) {
    return { from: now - LEAST_MS, to: now };
  }
  let { from } = last;
  for (const interval of latestFirst) {
    if (ends(interval) < from - GAP_MS) {
      break;
    }
    from = Math.min(from, interval.from);
  }
  return { from, to: Math.max(ends(last), from) };
}

export interface ITick {
  readonly at: number;
  /** What of the time its label must say. */
  readonly unit: 'second' | 'minute' | 'day';
}

/**
 * Ticks of which at most `most` are in the span, at round times of the clock on the wall.
 *
 * @param zoneMs - how far the wall's clock is ahead of UTC
 */
export function ticks({ from, to }: ISpan, most: number, zoneMs: number): ITick[] {
  const step = stepFrom((to - from) / Math.max(1, most));
  const unit = step < MINUTE ? 'second' : step < DAY ? 'minute' : 'day';
  const first = Math.ceil((from + zoneMs) / step) * step - zoneMs;
  const found: ITick[] = [];
  for (let at = first; at <= to; at += step) {
    found.push({ at, unit });
  }
  return found;
}

function stepFrom(least: number): number {
  return STEPS.find(step => step >= least) ?? Math.ceil(least / DAY) * DAY;
}
