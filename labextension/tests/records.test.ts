import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ranMs, readRecord, readRecords } from '../src/records';
import { EventReader } from '../src/sse';
import { execution } from './execution';

test('Q12: an execution is read as the API tells it', () => {
  const record = readRecord({
    ...execution('e1'),
    state: 'failed',
    reason: 'time_limit',
    execution_count: 3,
    ended_by: { username: 'bob', display_name: 'Bob' },
    error: { ename: 'ValueError', evalue: 'no', traceback: [] }
  });
  assert.equal(record?.path, 'n.ipynb');
  assert.equal(record.executionCount, 3);
  assert.equal(record.excerpt, 'x = 1');
  assert.equal(record.requestedBy, 'Ada');
  assert.equal(record.requestedByUser, 'ada');
  assert.equal(record.endedBy, 'Bob');
  assert.equal(record.error?.ename, 'ValueError');
});

test('what is no execution is passed over, the rest is read', () => {
  const answer = { executions: [null, 'x', { id: 3 }, execution('e1'), {}] };
  assert.deepEqual(
    readRecords(answer).map(({ id }) => id),
    ['e1']
  );
  assert.deepEqual(readRecords('<html>'), []);
  assert.deepEqual(readRecords({ executions: 'x' }), []);
});

test('how long it ran is known once it started', () => {
  const record = readRecord(execution('e1'))!;
  assert.equal(ranMs({ ...record, startedAt: null }, 9000), null);
  assert.equal(ranMs({ ...record, startedAt: 1000, endedAt: null }, 9000), 8000);
  assert.equal(ranMs({ ...record, startedAt: 1000, endedAt: 3000 }, 9000), 2000);
  assert.equal(ranMs({ ...record, startedAt: 9500, endedAt: null }, 9000), 0);
});

test('events are read wherever the stream is cut', () => {
  const stream =
    ': hello\n\nevent: execution\nid: 7\ndata: {"a":\ndata: 1}\n\n' +
    ': still here\r\n\r\nid: 8\r\ndata:x\r\n\r\nevent: e\n\ndata: y\n\n';
  const wanted = [
    { id: '7', event: 'execution', data: '{"a":\n1}' },
    { id: '8', event: 'message', data: 'x' },
    { id: '8', event: 'message', data: 'y' }
  ];
  for (const size of [1, 2, 3, 7, 1000]) {
    const reader = new EventReader();
    const found = [];
    for (let at = 0; at < stream.length; at += size) {
      found.push(...reader.push(stream.slice(at, at + size)));
    }
    assert.deepEqual(found, wanted, `in pieces of ${size}`);
  }
});
