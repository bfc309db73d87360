import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  IEntry,
  activityOf,
  clock,
  isFinal,
  places,
  progress,
  readEntry,
  stopwatch
} from '../src/state';

const ENTRY = {
  id: 'e1',
  request_id: 'r1',
  state: 'running',
  kernel_id: 'k1',
  queued_at: '2026-01-01T00:00:00.000Z',
  started_at: '2026-01-01T00:00:01.500Z',
  ended_at: null,
  requested_by: { username: 'ada', display_name: 'Ada' }
};

function queued(id: string, queuedAt: number): IEntry {
  return {
    ...readEntry(ENTRY)!,
    id,
    state: 'queued',
    queuedAt
  };
}

test('an entry is read as the server writes it', () => {
  const entry = readEntry(ENTRY);
  assert.equal(entry?.state, 'running');
  assert.equal(entry.startedAt! - entry.queuedAt!, 1500);
  assert.equal(entry.endedAt, null);
  assert.equal(entry.requestedBy, 'Ada');
  assert.equal(entry.prompt, null);
});

test('an entry in a shared map is read too', () => {
  assert.equal(readEntry({ toJSON: () => ENTRY })?.id, 'e1');
});

test('S2: what is no entry is not taken for one', () => {
  for (const value of [
    null,
    undefined,
    7,
    'running',
    [],
    {},
    { ...ENTRY, id: 7 },
    { ...ENTRY, state: 'exploded' },
    { ...ENTRY, state: '__proto__' }
  ]) {
    assert.equal(readEntry(value), null);
  }
});

test('S2: fields of a wrong type do no harm', () => {
  const entry = readEntry({
    ...ENTRY,
    started_at: {},
    requested_by: 3,
    prompt: { prompt: 4, password: 'yes' },
    error: { traceback: 'x' }
  });
  assert.equal(entry?.startedAt, null);
  assert.deepEqual(entry?.prompt, { prompt: '', password: false });
  assert.deepEqual(entry?.error, { ename: '', evalue: '', traceback: [] });
});

test('Q1: waiting for input is not an end', () => {
  assert.equal(isFinal('waiting_input'), false);
  assert.equal(isFinal('queued'), false);
  assert.equal(isFinal('lost'), true);
});

test('U2: places count what runs, then the requests, then the cells from the top', () => {
  const entries = new Map<string, IEntry>([
    ['c', queued('3', 20)],
    ['b', queued('2', 10)],
    ['a', queued('1', 10)],
    ['run', readEntry(ENTRY)!],
    ['done', { ...readEntry(ENTRY)!, state: 'finished' }]
  ]);
  const found = places(entries, ['run', 'a', 'b', 'c', 'done']);
  assert.deepEqual([...found].sort(), [
    ['a', 1],
    ['b', 2],
    ['c', 3]
  ]);
});

test('a stopwatch reads as people read it', () => {
  assert.equal(stopwatch(-5), '0 s');
  assert.equal(stopwatch(59_999), '59 s');
  assert.equal(stopwatch(65_000), '1:05');
  assert.equal(stopwatch(7_389_000), '2:03:09');
});

test('U2: a clock keeps its width', () => {
  assert.deepEqual([-5, 42_000, 3_599_999, 3_723_000].map(clock), [
    '00:00',
    '00:42',
    '59:59',
    '1:02:03'
  ]);
});

test('U2: a prompt that waits is what a notebook shows before all else', () => {
  const running = readEntry(ENTRY)!;
  assert.equal(activityOf([{ state: 'finished' }]), null);
  assert.equal(activityOf([queued('1', 1)]), 'running');
  assert.equal(activityOf([{ state: 'waiting_input' }, running]), 'waiting');
});

test('U2: progress counts the requests that are not through', () => {
  const running = readEntry(ENTRY)!;
  assert.equal(progress([{ ...running, state: 'failed' }]), null);
  assert.deepEqual(
    progress([
      { ...running, state: 'finished', startedAt: 5 },
      { ...running, startedAt: 9 },
      { ...queued('2', 3), startedAt: null },
      { ...running, requestId: 'earlier', state: 'finished', startedAt: 1 }
    ]),
    { done: 1, total: 3, startedAt: 5 }
  );
});
