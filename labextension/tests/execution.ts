// Executions for tests.
import { IRecord, readRecord } from '../src/records';

/** As the API tells it: queued at second 1, never started. */
export function execution(id: string): Record<string, unknown> {
  return {
    id,
    request_id: 'r1',
    path: 'n.ipynb',
    document_id: 'd1',
    cell_id: `cell-${id}`,
    source_excerpt: 'x = 1',
    kernel_id: 'k1',
    state: 'queued',
    queued_at: '1970-01-01T00:00:01.000Z',
    requested_by: { username: 'ada', display_name: 'Ada' },
    client_id: 'page-1'
  };
}

export function record(id: string, changes: Partial<IRecord> = {}): IRecord {
  return { ...readRecord(execution(id))!, ...changes };
}
