// What a restart does to cells and variables, in words for the dialog that asks.
import type { TranslationBundle } from '@jupyterlab/translation';

import { IEntry, isStarted } from './state';

/** In place: the kernel's process alone is replaced. Hard: all that was started for it. */
export type RestartKind = 'in-place' | 'hard';

/** What a kernel has to do at this moment. */
export interface ILoad {
  readonly running: number;
  readonly queued: number;
}

/** The load of those of a notebook's entries that a kernel has. */
export function load(entries: Iterable<IEntry>): ILoad {
  let running = 0;
  let queued = 0;
  for (const { state } of entries) {
    running += isStarted(state) ? 1 : 0;
    queued += state === 'queued' ? 1 : 0;
  }
  return { running, queued };
}

/**
 * The consequences of a restart, one sentence each.
 *
 * @param allocation - what the kernel runs in (a Slurm job, a host); empty if that is nothing special
 */
export function consequences(
  kind: RestartKind,
  { running, queued }: ILoad,
  allocation: string,
  trans: TranslationBundle
): string[] {
  const lines: string[] = [];
  if (running > 0) {
    lines.push(
      trans._n(
        '%1 cell runs: it ends where it is, and its outputs stay.',
        '%1 cells run: they end where they are, and their outputs stay.',
        running
      )
    );
  }
  if (queued > 0) {
    lines.push(
      trans._n('%1 cell waits: it will not run.', '%1 cells wait: they will not run.', queued)
    );
  }
  lines.push(trans.__('All variables are lost.'));
  if (kind === 'in-place') {
    if (allocation) {
      lines.push(trans.__('What the kernel runs in stays yours (%1).', allocation));
    }
  } else {
    lines.push(
      allocation
        ? trans.__(
            'What the kernel runs in is given back (%1), and asked for anew: that may take a while.',
            allocation
          )
        : trans.__('The process that watches over the kernel is replaced too.')
    );
  }
  return lines;
}
