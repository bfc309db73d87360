// What the executions panel shows: which executions, under which notebook, in which order.
import { IRecord } from './records';
import { Activity, ExecutionState, activityOf, isFinal, isStarted } from './state';

/** Which states are shown: all, what is not over, or what ended in one way. */
export type StateFilter = 'all' | 'active' | 'finished' | 'failed' | 'cancelled';

export interface IFilter {
  readonly text: string;
  readonly state: StateFilter;
  /** Only what this user asked for, or this page. */
  readonly mine: boolean;
}

export const NO_FILTER: IFilter = { text: '', state: 'all', mine: false };

/** Who looks. */
export interface IViewer {
  readonly username: string;
  readonly clientId: string;
}

/** The executions of one notebook that are shown. */
export interface IGroup {
  /** The notebook's id; for code without a notebook, its kernel's. */
  readonly key: string;
  readonly documentId: string | null;
  readonly path: string | null;
  /** Running, then what waits in the order of the queue. */
  readonly active: readonly IRecord[];
  /** What is over, the latest first. */
  readonly over: readonly IRecord[];
  /** Of the requests that are not through: cells that are done, and all. */
  readonly done: number;
  readonly total: number;
}

/** How many there are in each state, all notebooks together. */
export interface ICounts {
  readonly running: number;
  readonly queued: number;
  readonly waiting: number;
}

export function counts(records: Iterable<IRecord>): ICounts {
  let [running, queued, waiting] = [0, 0, 0];
  for (const { state } of records) {
    running += state === 'running' ? 1 : 0;
    queued += state === 'queued' ? 1 : 0;
    waiting += state === 'waiting_input' ? 1 : 0;
  }
  return { running, queued, waiting };
}

/** Whether it is the viewer's own. */
export function isMine(record: IRecord, viewer: IViewer): boolean {
  return (
    (viewer.clientId !== '' && record.clientId === viewer.clientId) ||
    (viewer.username !== '' && record.requestedByUser === viewer.username)
  );
}

export function matches(record: IRecord, filter: IFilter, viewer: IViewer): boolean {
  return (
    isIn(record.state, filter.state) &&
    (!filter.mine || isMine(record, viewer)) &&
    (filter.text.trim() === '' || hasWords(record, filter.text))
  );
}

/** Whether all words are somewhere in notebook, code, person or error. */
function hasWords({ error, excerpt, path, requestedBy }: IRecord, text: string): boolean {
  const searched = [path ?? '', excerpt, requestedBy, error?.ename ?? '', error?.evalue ?? '']
    .join('\n')
    .toLowerCase();
  const words = text.toLowerCase().split(/\s+/);
  return words.every(word => searched.includes(word));
}

/** Notebooks where something runs or waits come first, then those of the latest run. */
export function groups(
  records: Iterable<IRecord>,
  filter: IFilter = NO_FILTER,
  viewer: IViewer = { username: '', clientId: '' }
): IGroup[] {
  const byKey = new Map<string, { all: IRecord[]; shown: IRecord[] }>();
  for (const record of records) {
    const key = groupKey(record);
    const group = byKey.get(key) ?? { all: [], shown: [] };
    byKey.set(key, group);
    group.all.push(record);
    if (matches(record, filter, viewer)) {
      group.shown.push(record);
    }
  }
  return [...byKey]
    .filter(([, { shown }]) => shown.length > 0)
    .map(([key, { all, shown }]) => group(key, all, shown))
    .sort(compareGroups);
}

export function groupKey({ documentId, kernelId }: IRecord): string {
  return documentId ?? `kernel:${kernelId}`;
}

function group(key: string, all: readonly IRecord[], shown: readonly IRecord[]): IGroup {
  const requests = new Set(
    all.filter(({ state }) => !isFinal(state)).map(({ requestId }) => requestId)
  );
  const counted = all.filter(({ requestId }) => requests.has(requestId));
  const { documentId, path } = shown[shown.length - 1];
  return {
    key,
    documentId,
    path,
    active: shown.filter(({ state }) => !isFinal(state)).sort(compareActive),
    over: shown
      .filter(({ state }) => isFinal(state))
      .map((record, index) => ({ record, index }))
      .sort((a, b) => lastMoment(b.record) - lastMoment(a.record) || b.index - a.index)
      .map(({ record }) => record),
    done: counted.filter(({ state }) => isFinal(state)).length,
    total: counted.length
  };
}

function compareGroups(a: IGroup, b: IGroup): number {
  const isActive = (each: IGroup): number => (each.active.length > 0 ? 1 : 0);
  const latest = ({ active, over }: IGroup): number =>
    active.length > 0
      ? Math.max(...active.map(({ queuedAt }) => queuedAt ?? 0))
      : over.length > 0
        ? lastMoment(over[0])
        : 0;
  return isActive(b) - isActive(a) || latest(b) - latest(a) || a.key.localeCompare(b.key);
}

/** What has started is first; the rest keeps the server's order for what was queued at once. */
function compareActive(a: IRecord, b: IRecord): number {
  const started = ({ state }: IRecord): number => (isStarted(state) ? 1 : 0);
  return started(b) - started(a) || (a.queuedAt ?? 0) - (b.queuedAt ?? 0);
}

function lastMoment({ endedAt, startedAt, queuedAt }: IRecord): number {
  return endedAt ?? startedAt ?? queuedAt ?? 0;
}

function isIn(state: ExecutionState, filter: StateFilter): boolean {
  switch (filter) {
    case 'all':
      return true;
    case 'active':
      return !isFinal(state);
    case 'failed':
      return state === 'failed' || state === 'lost';
    default:
      return state === filter;
  }
}

/** How many are before each queued execution on its kernel, by id. */
export function placesInQueues(records: Iterable<IRecord>): Map<string, number> {
  const byKernel = new Map<string, IRecord[]>();
  for (const record of records) {
    if (!isFinal(record.state)) {
      const queue = byKernel.get(record.kernelId) ?? [];
      byKernel.set(record.kernelId, queue);
      queue.push(record);
    }
  }
  const found = new Map<string, number>();
  for (const queue of byKernel.values()) {
    queue.sort(compareActive).forEach(({ id }, index) => found.set(id, index));
  }
  return found;
}

/** What goes on in each notebook where something does, by its path. */
export function activities(records: Iterable<IRecord>): Map<string, Activity> {
  const byPath = new Map<string, IRecord[]>();
  for (const record of records) {
    if (record.path !== null && !isFinal(record.state)) {
      const found = byPath.get(record.path) ?? [];
      byPath.set(record.path, found);
      found.push(record);
    }
  }
  return new Map([...byPath].map(([path, found]) => [path, activityOf(found) ?? 'running']));
}

/** What goes on at a path; a folder shows what goes on below it. */
export function activityAt(
  active: ReadonlyMap<string, Activity>,
  path: string,
  isFolder: boolean
): Activity | null {
  if (!isFolder) {
    return active.get(path) ?? null;
  }
  const below = [...active].filter(([each]) => each.startsWith(`${path}/`));
  return below.find(([, each]) => each === 'waiting')?.[1] ?? below[0]?.[1] ?? null;
}
