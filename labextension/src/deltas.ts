// From the changes of a shared list or text to the steps that bring a plain copy of it along.

/** One part of a change, as Yjs describes it. */
export interface IDelta<T> {
  readonly retain?: number;
  readonly delete?: number;
  readonly insert?: T;
}

/** A step over a list that can be set at an index, cut at an index, and appended to. */
export type ListStep<T> =
  | { readonly do: 'set'; readonly index: number; readonly value: T }
  | { readonly do: 'remove'; readonly index: number }
  | { readonly do: 'add'; readonly value: T };

/** A step over a string, in UTF-16 units, as JavaScript counts. */
export interface ITextStep {
  readonly start: number;
  readonly delete: number;
  readonly insert: string;
}

/** How much longer the list is after `delta`. */
export function growth(delta: readonly IDelta<readonly unknown[]>[]): number {
  return delta.reduce((sum, part) => sum + (part.insert?.length ?? 0) - (part.delete ?? 0), 0);
}

/**
 * The steps that do to a list of `length` items what `delta` says.
 *
 * An item that takes the place of another is set, so that what shows it can stay; where the
 * items behind move up or down, they are put anew.
 *
 * @param after - the whole list as it is after the change
 */
export function listSteps<T>(
  length: number,
  delta: readonly IDelta<readonly unknown[]>[],
  after: readonly T[]
): ListStep<T>[] {
  const kept = keptIndices(length, delta);
  const steps: ListStep<T>[] = [];
  const moved = kept.findIndex((old, index) => old !== null && old !== index);
  const inPlace = Math.min(length, moved < 0 ? kept.length : moved);
  for (let index = 0; index < inPlace; index++) {
    if (kept[index] === null) {
      steps.push({ do: 'set', index, value: after[index] });
    }
  }
  for (let index = length - 1; index >= inPlace; index--) {
    steps.push({ do: 'remove', index });
  }
  for (let index = inPlace; index < after.length; index++) {
    steps.push({ do: 'add', value: after[index] });
  }
  return steps;
}

/** The steps that do to a string what `delta` says; a delete and an insert at one place are one. */
export function textSteps(delta: readonly IDelta<string>[]): ITextStep[] {
  const steps: ITextStep[] = [];
  let position = 0;
  let open: { start: number; delete: number; insert: string } | null = null;
  for (const part of delta) {
    if (part.retain !== undefined) {
      position += part.retain;
      open = null;
      continue;
    }
    if (!open) {
      open = { start: position, delete: 0, insert: '' };
      steps.push(open);
    }
    open.delete += part.delete ?? 0;
    open.insert += part.insert ?? '';
    position += part.insert?.length ?? 0;
  }
  return steps;
}

/** How many UTF-16 units two texts have in common from their start. */
export function commonStart(left: string, right: string): number {
  if (right.startsWith(left)) {
    return left.length;
  }
  let start = 0;
  while (start < right.length && left[start] === right[start]) {
    start++;
  }
  return start;
}

/** For each item after the change: its index before, or null if it is new. */
function keptIndices(
  length: number,
  delta: readonly IDelta<readonly unknown[]>[]
): (number | null)[] {
  const kept: (number | null)[] = [];
  let old = 0;
  for (const part of delta) {
    for (let count = part.retain ?? 0; count > 0; count--) {
      kept.push(old++);
    }
    kept.push(...(part.insert ?? []).map(() => null));
    old += part.delete ?? 0;
  }
  while (old < length) {
    kept.push(old++);
  }
  return kept;
}
