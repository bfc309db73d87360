// What is said at a cell whose run did not end as its user meant it to, and what they can do.
import type { TranslationBundle } from '@jupyterlab/translation';

import { IEntry, isStarted } from './state';

/** What a note offers. */
export type NoteAction = 'interrupt' | 'restart' | 'hard-restart' | 'run-to-here' | 'log';

/** One line below a cell's outputs. */
export interface INote {
  readonly text: string;
  readonly actions: readonly NoteAction[];
  /** Whether someone should act; else it only says how it was. */
  readonly isUrgent: boolean;
}

/** What this page knows beside the entry. */
export interface INoteContext {
  /** For how long this page has seen the run being stopped, in milliseconds. */
  readonly stoppingMs: number;
  /** Whether there is no kernel process at this moment. */
  readonly isKernelDead: boolean;
  readonly hasLog: boolean;
  readonly canHardRestart: boolean;
  /** The login name of who looks at this page. */
  readonly me: string;
}

/** An interrupt is given so long before it is said that it had no effect (SPEC Q8). */
export const STUCK_AFTER_MS = 5000;

/** The note for a cell's last run; null if there is nothing to say. */
export function noteOf(
  entry: IEntry,
  context: INoteContext,
  trans: TranslationBundle
): INote | null {
  if (isStarted(entry.state)) {
    return isBeingStopped(entry) && context.stoppingMs >= STUCK_AFTER_MS
      ? stuck(context, trans)
      : null;
  }
  switch (entry.state) {
    case 'lost':
      return lost(entry, context, trans);
    case 'failed':
      return entry.reason === 'kernel_start_failed'
        ? {
            text: trans.__('The kernel did not start.'),
            actions: ['restart', ...log(context)],
            isUrgent: true
          }
        : null;
    case 'cancelled':
      return cancelled(entry, context, trans);
    default:
      return null;
  }
}

/** Whether someone interrupted or cancelled a run that goes on nevertheless. */
export function isBeingStopped({ state, reason }: IEntry): boolean {
  // What passed its time limit is ended by the server, which says so in the output.
  return isStarted(state) && (reason === 'interrupted' || reason === 'cancelled');
}

function stuck(context: INoteContext, trans: TranslationBundle): INote {
  return {
    text: trans.__('The kernel does not react to the interrupt. A restart ends this cell.'),
    actions: [
      'restart',
      'interrupt',
      ...(context.canHardRestart ? (['hard-restart'] as const) : []),
      ...log(context)
    ],
    isUrgent: true
  };
}

function lost(entry: IEntry, context: INoteContext, trans: TranslationBundle): INote | null {
  if (entry.reason === 'server_stopped') {
    return {
      text: trans.__('The server stopped while this cell ran.'),
      actions: ['run-to-here'],
      isUrgent: true
    };
  }
  if (entry.reason !== 'kernel_died') {
    return null;
  }
  return context.isKernelDead
    ? {
        text: trans.__('The kernel died while this cell ran.'),
        actions: ['restart', ...log(context)],
        isUrgent: true
      }
    : {
        text: trans.__(
          'The kernel died while this cell ran. A new one is there, without variables.'
        ),
        actions: ['run-to-here', ...log(context)],
        isUrgent: true
      };
}

/** Who ended what others ran; and a restart, which leaves no trace in the outputs. */
function cancelled(entry: IEntry, context: INoteContext, trans: TranslationBundle): INote | null {
  if (entry.startedAt === null) {
    return null; // it never ran, and its outputs are as they were
  }
  const someone = entry.endedByUser !== context.me ? entry.endedBy : '';
  const text =
    entry.reason === 'kernel_restarted'
      ? someone
        ? trans.__('Ended by a restart of the kernel, by %1.', someone)
        : trans.__('Ended by a restart of the kernel.')
      : entry.reason === 'kernel_shut_down'
        ? trans.__('Ended with the kernel, which was shut down.')
        : someone
          ? trans.__('Stopped by %1.', someone)
          : '';
  return text ? { text, actions: [], isUrgent: false } : null;
}

function log({ hasLog }: INoteContext): readonly NoteAction[] {
  return hasLog ? ['log'] : [];
}
