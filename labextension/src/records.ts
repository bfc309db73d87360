// One execution as the HTTP interface tells it, read without trust in its shape (SPEC A2).
import { IEntry, readEntry } from './state';

/** An execution of any notebook of the server: of now, or of its history. */
export interface IRecord extends IEntry {
  readonly path: string | null;
  readonly documentId: string | null;
  readonly cellId: string | null;
  readonly kernelId: string;
  /** Why it ended as it did, where its state alone does not say. */
  readonly reason: string;
  /** The first line of what ran; empty for a blank cell. */
  readonly excerpt: string;
  readonly executionCount: number | null;
  readonly clientId: string;
  /** Who cancelled, interrupted or restarted; empty: nobody known. */
  readonly endedBy: string;
}

/** The execution in `value`, or null if there is none that can be understood. */
export function readRecord(value: unknown): IRecord | null {
  const entry = readEntry(value);
  if (!entry) {
    return null;
  }
  const fields = value as Record<string, unknown>;
  const count = fields.execution_count;
  return {
    ...entry,
    path: textOrNull(fields.path),
    documentId: textOrNull(fields.document_id),
    cellId: textOrNull(fields.cell_id),
    kernelId: textOrNull(fields.kernel_id) ?? '',
    reason: textOrNull(fields.reason) ?? '',
    excerpt: textOrNull(fields.source_excerpt) ?? '',
    executionCount: typeof count === 'number' ? count : null,
    clientId: textOrNull(fields.client_id) ?? '',
    endedBy: userField(fields.ended_by, 'display_name') || userField(fields.ended_by, 'username')
  };
}

/** The executions in the answer to a list. */
export function readRecords(value: unknown): IRecord[] {
  const list =
    typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>).executions
      : null;
  return Array.isArray(list) ? list.flatMap(item => readRecord(item) ?? []) : [];
}

/** For how long it ran, up to `now` if it still does; null: it never started. */
export function ranMs(record: IEntry, now: number): number | null {
  return record.startedAt === null ? null : Math.max(0, (record.endedAt ?? now) - record.startedAt);
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function userField(value: unknown, name: string): string {
  return typeof value === 'object' && value !== null
    ? (textOrNull((value as Record<string, unknown>)[name]) ?? '')
    : '';
}
