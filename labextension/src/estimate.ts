// How long a run will still take: by earlier runs of the same cells, or by this one so far.
import { IEntry, isFinal, isStarted } from './state';

/** Of how many of its last runs a cell's usual duration is taken. */
const RUNS = 5;
/** So many cells must have run before their mean stands for those that nobody has seen run. */
const MIN_SEEN = 2;

/** A run that is over, of whatever cell. */
export interface IPastRun {
  readonly cellId: string | null;
  readonly state: string;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
}

/** The usual duration in milliseconds of each cell: the median of its last finished runs. */
export function usualDurations(runs: readonly IPastRun[]): Map<string, number> {
  const known = new Map<string, number[]>();
  const latestFirst = [...runs].sort((a, b) => (b.endedAt ?? 0) - (a.endedAt ?? 0));
  for (const { cellId, state, startedAt, endedAt } of latestFirst) {
    if (cellId !== null && state === 'finished' && startedAt !== null && endedAt !== null) {
      const durations = known.get(cellId) ?? [];
      if (durations.length < RUNS) {
        durations.push(Math.max(0, endedAt - startedAt));
      }
      known.set(cellId, durations);
    }
  }
  return new Map([...known].map(([cellId, durations]) => [cellId, median(durations)]));
}

/**
 * Milliseconds until all that runs or waits is done; null where that is not known.
 *
 * @param entries - the shown runs, by cell id
 * @param usual - see `usualDurations`
 * @param now - by the clock of the entries
 */
export function estimateMs(
  entries: ReadonlyMap<string, IEntry>,
  usual: ReadonlyMap<string, number>,
  now: number
): number | null {
  const active = [...entries].filter(([, entry]) => !isFinal(entry.state));
  const requests = new Set(active.map(([, entry]) => entry.requestId));
  const seen = [...entries.values()].flatMap(({ requestId, state, startedAt, endedAt }) =>
    requests.has(requestId) && state === 'finished' && startedAt !== null && endedAt !== null
      ? [endedAt - startedAt]
      : []
  );
  const mean =
    seen.length >= MIN_SEEN ? seen.reduce((sum, each) => sum + each, 0) / seen.length : null;
  let left = 0;
  for (const [cellId, { state, startedAt }] of active) {
    const expected = usual.get(cellId) ?? mean;
    if (expected === null || state === 'waiting_input') {
      return null; // nobody knows when a person answers
    }
    const ran = isStarted(state) && startedAt !== null ? now - startedAt : 0;
    if (ran > expected * 1.5 + 2000) {
      return null; // this time it is not as it usually was
    }
    left += Math.max(0, expected - ran);
  }
  return active.length > 0 ? left : null;
}

/** What is left, in steps so coarse that the text rests. */
export interface IRoughTime {
  readonly unit: 'soon' | 'seconds' | 'minutes' | 'hours';
  readonly value: number;
}

export function roughly(ms: number): IRoughTime {
  const seconds = ms / 1000;
  if (seconds < 5) {
    return { unit: 'soon', value: 0 };
  }
  if (seconds < 55) {
    return { unit: 'seconds', value: Math.ceil(seconds / 10) * 10 };
  }
  if (seconds < 90 * 60) {
    return { unit: 'minutes', value: Math.max(1, Math.round(seconds / 60)) };
  }
  return { unit: 'hours', value: Math.round(seconds / 3600) };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
