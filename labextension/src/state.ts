// What the document's root map `execution` says, read without trust in its shape.

/** Where one run of one cell stands (SPEC Q1). */
export type ExecutionState =
  'queued' | 'running' | 'waiting_input' | 'finished' | 'failed' | 'cancelled' | 'lost';

const STATES: ReadonlySet<string> = new Set<ExecutionState>([
  'queued',
  'running',
  'waiting_input',
  'finished',
  'failed',
  'cancelled',
  'lost'
]);

/** An error as kernels report it. */
export interface IExecutionError {
  readonly ename: string;
  readonly evalue: string;
  readonly traceback: readonly string[];
}

/** A request for input that waits for an answer. */
export interface IPrompt {
  readonly prompt: string;
  readonly password: boolean;
}

/** The last run of one cell, as the server shows it to everyone in the notebook. */
export interface IEntry {
  readonly id: string;
  readonly requestId: string;
  readonly state: ExecutionState;
  /** Milliseconds since the epoch, by the server's clock. */
  readonly queuedAt: number | null;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly requestedBy: string;
  /** Its login name, where `requestedBy` is for people. */
  readonly requestedByUser: string;
  /** Why it ended as it did; while it runs, why it is being stopped; else empty. */
  readonly reason: string;
  /** Who ended it, if anyone did. */
  readonly endedBy: string;
  readonly endedByUser: string;
  readonly error: IExecutionError | null;
  readonly prompt: IPrompt | null;
}

/** Whether nothing can follow `state`. */
export function isFinal(state: ExecutionState): boolean {
  return state !== 'queued' && !isStarted(state);
}

/** Whether the kernel works on it, or waits for its input. */
export function isStarted(state: ExecutionState): boolean {
  return state === 'running' || state === 'waiting_input';
}

/** Whether `value` is the name of a state. */
export function isState(value: unknown): value is ExecutionState {
  return typeof value === 'string' && STATES.has(value);
}

/**
 * The entry in `value`, or null if there is none that can be understood.
 *
 * @param value - what the map holds: a plain object, or a shared type with `toJSON`
 */
export function readEntry(value: unknown): IEntry | null {
  const fields = asRecord(value);
  if (!fields || typeof fields.id !== 'string' || !isState(fields.state)) {
    return null;
  }
  return {
    id: fields.id,
    requestId: asString(fields.request_id),
    state: fields.state,
    queuedAt: readTime(fields.queued_at),
    startedAt: readTime(fields.started_at),
    endedAt: readTime(fields.ended_at),
    requestedBy: readUser(fields.requested_by),
    requestedByUser: readLogin(fields.requested_by),
    reason: asString(fields.reason),
    endedBy: readUser(fields.ended_by),
    endedByUser: readLogin(fields.ended_by),
    error: readError(fields.error),
    prompt: readPrompt(fields.prompt)
  };
}

/** Milliseconds since the epoch of an ISO 8601 text or of seconds since the epoch. */
export function readTime(value: unknown): number | null {
  const time =
    typeof value === 'number' ? value * 1000 : typeof value === 'string' ? Date.parse(value) : NaN;
  return Number.isFinite(time) ? time : null;
}

/** The error in `value`, if there is one. */
export function readError(value: unknown): IExecutionError | null {
  const fields = asRecord(value);
  if (!fields) {
    return null;
  }
  const traceback = Array.isArray(fields.traceback) ? fields.traceback : [];
  return {
    ename: asString(fields.ename),
    evalue: asString(fields.evalue),
    traceback: traceback.map(asString)
  };
}

/**
 * How many runs are before each queued cell, by cell id.
 *
 * Requests run in the order in which they were queued, the cells of one request in the order of
 * the notebook: the entries do not say it more precisely, and a page shows it, no more.
 *
 * @param entries - by cell id
 * @param order - the ids of the notebook's cells, from the top
 */
export function places(
  entries: ReadonlyMap<string, IEntry>,
  order: readonly string[]
): Map<string, number> {
  const rank = new Map(order.map((id, index) => [id, index]));
  const active = [...entries].filter(([, entry]) => !isFinal(entry.state));
  const queued = active
    .filter(([, entry]) => entry.state === 'queued')
    .sort(
      ([leftId, left], [rightId, right]) =>
        (left.queuedAt ?? 0) - (right.queuedAt ?? 0) ||
        (rank.get(leftId) ?? 0) - (rank.get(rightId) ?? 0)
    );
  const running = active.length - queued.length;
  return new Map(queued.map(([id], index) => [id, running + index]));
}

/** How far the requests are that run or wait. */
export interface IProgress {
  readonly done: number;
  readonly total: number;
  /** By the server's clock, as `IEntry` has it; null: nothing has started. */
  readonly startedAt: number | null;
}

/** The progress of a notebook; null if nothing runs or waits. */
export function progress(entries: Iterable<IEntry>): IProgress | null {
  const all = [...entries];
  const active = new Set(
    all.filter(({ state }) => !isFinal(state)).map(({ requestId }) => requestId)
  );
  const counted = all.filter(({ requestId }) => active.has(requestId));
  const starts = counted.flatMap(({ startedAt }) => startedAt ?? []);
  return counted.length === 0
    ? null
    : {
        done: counted.filter(({ state }) => isFinal(state)).length,
        total: counted.length,
        startedAt: starts.length > 0 ? Math.min(...starts) : null
      };
}

/** What goes on in a notebook. */
export type Activity = 'running' | 'waiting';

/** What goes on there; null: nothing. A prompt that waits is what a person must see first. */
export function activityOf(entries: Iterable<Pick<IEntry, 'state'>>): Activity | null {
  let found: Activity | null = null;
  for (const { state } of entries) {
    if (state === 'waiting_input') {
      return 'waiting';
    }
    found = isFinal(state) ? found : 'running';
  }
  return found;
}

/** `ms` as people read a stopwatch: `7 s`, `1:05`, `2:03:09`. */
export function stopwatch(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) {
    return `${seconds} s`;
  }
  const two = (value: number) => String(value).padStart(2, '0');
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) {
    return `${minutes}:${two(seconds % 60)}`;
  }
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

/** `ms` as a clock that keeps its width: `00:42`, `1:02:03`. */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (value: number) => String(value).padStart(2, '0');
  const minutes = two(Math.floor(seconds / 60) % 60);
  const hours = Math.floor(seconds / 3600);
  return `${hours > 0 ? `${hours}:` : ''}${minutes}:${two(seconds % 60)}`;
}

function readPrompt(value: unknown): IPrompt | null {
  const fields = asRecord(value);
  return fields ? { prompt: asString(fields.prompt), password: fields.password === true } : null;
}

function readUser(value: unknown): string {
  const fields = asRecord(value);
  return fields ? asString(fields.display_name) || asString(fields.username) : asString(value);
}

function readLogin(value: unknown): string {
  return asString(asRecord(value)?.username);
}

function asString(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function asRecord(value: unknown): Record<string, unknown> | null {
  if (typeof value !== 'object' || value === null) {
    return null;
  }
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    return asRecord((value as { toJSON(): unknown }).toJSON());
  }
  return value as Record<string, unknown>;
}
