// What is said of an execution, in the user's language.
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IRoughTime } from './estimate';
import { IRecord } from './records';
import { ExecutionState, stopwatch } from './state';

const HALF_DAY_MS = 12 * 3_600_000;

export function stateText(state: ExecutionState, trans: TranslationBundle): string {
  switch (state) {
    case 'queued':
      return trans.__('Queued');
    case 'running':
      return trans.__('Running');
    case 'waiting_input':
      return trans.__('Waits for input');
    case 'finished':
      return trans.__('Finished');
    case 'failed':
      return trans.__('Failed');
    case 'cancelled':
      return trans.__('Cancelled');
    case 'lost':
      return trans.__('Lost');
  }
}

/** How it ended, or why it did not run; empty if it simply finished or is not over. */
export function outcomeText(record: IRecord, trans: TranslationBundle): string {
  const { error, reason, endedBy } = record;
  switch (reason) {
    case 'cancelled':
      return endedBy ? trans.__('Cancelled by %1', endedBy) : trans.__('Cancelled');
    case 'interrupted':
      return endedBy ? trans.__('Interrupted by %1', endedBy) : trans.__('Interrupted');
    case 'earlier_error':
      return trans.__('Not run: an earlier cell failed');
    case 'cell_deleted':
      return trans.__('Not run: the cell was deleted');
    case 'kernel_died':
      return trans.__('The kernel died');
    case 'kernel_restarted':
      return trans.__('The kernel was restarted');
    case 'kernel_shut_down':
      return trans.__('The kernel was shut down');
    case 'kernel_start_failed':
      return trans.__('The kernel did not start');
    case 'time_limit':
      return trans.__('Stopped at its time limit');
    case 'server_stopped':
      return trans.__('The server stopped');
    case 'skipped':
      return trans.__('Skipped');
  }
  if (error) {
    return error.evalue ? `${error.ename}: ${firstLine(error.evalue)}` : error.ename;
  }
  return record.state === 'cancelled' || record.state === 'lost'
    ? stateText(record.state, trans)
    : '';
}

/** `[3]`, `[*]` or `[ ]`, as the notebook has it beside the cell. */
export function countText(record: IRecord): string {
  if (record.state === 'running' || record.state === 'waiting_input') {
    return '[*]';
  }
  return `[${record.executionCount ?? ' '}]`;
}

/** A duration as a person says it: `40 ms`, `3.2 s`, `42 s`, `1:05`. */
export function durationText(ms: number): string {
  if (ms < 1000) {
    return `${Math.round(ms)} ms`;
  }
  return ms < 10_000 ? `${(Math.floor(ms / 100) / 10).toFixed(1)} s` : stopwatch(ms);
}

/** The time of day, without "AM": there is little room. */
export function clockText(moment: Date, withSeconds = false): string {
  return moment.toLocaleTimeString([], {
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
    ...(withSeconds ? { second: '2-digit' } : {})
  });
}

/** A moment: the time alone if it is of today or of last night, else with its day. */
export function momentText(at: number, now: number): string {
  const moment = new Date(at);
  const isToday = moment.toDateString() === new Date(now).toDateString() || now - at < HALF_DAY_MS;
  const time = clockText(moment);
  return isToday
    ? time
    : `${moment.toLocaleDateString([], { month: 'short', day: 'numeric' })}, ${time}`;
}

/** What is left of a run: "about 2 min left". */
export function leftText({ unit, value }: IRoughTime, trans: TranslationBundle): string {
  switch (unit) {
    case 'soon':
      return trans.__('almost done');
    case 'seconds':
      return trans.__('about %1 s left', value);
    case 'minutes':
      return trans.__('about %1 min left', value);
    case 'hours':
      return trans.__('about %1 h left', value);
  }
}

export function notebookName(path: string | null, trans: TranslationBundle): string {
  return path === null ? trans.__('Without a notebook') : path.slice(path.lastIndexOf('/') + 1);
}

export function titleText(record: IRecord, trans: TranslationBundle): string {
  return record.excerpt || trans.__('Blank cell');
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0];
}
