import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  IFilter,
  NO_FILTER,
  activities,
  activityAt,
  counts,
  groups,
  placesInQueues
} from '../src/panelmodel';
import type { IRecord } from '../src/records';
import { record } from './execution';

const ids = (records: readonly IRecord[]) => records.map(({ id }) => id).join(' ');

const RECORDS = [
  record('old', { state: 'finished', startedAt: 1, endedAt: 2 }),
  record('failed', {
    state: 'failed',
    startedAt: 3,
    endedAt: 4,
    requestId: 'r2',
    error: { ename: 'KeyError', evalue: 'missing', traceback: [] }
  }),
  record('done', { state: 'finished', startedAt: 5, endedAt: 6, requestId: 'r3' }),
  record('waits1', { requestId: 'r3', queuedAt: 5 }),
  record('waits2', { requestId: 'r3', queuedAt: 5 }),
  record('runs', { requestId: 'r3', state: 'running', queuedAt: 5, startedAt: 6 }),
  record('other', {
    documentId: 'd2',
    path: 'sub/deep/b.ipynb',
    kernelId: 'k2',
    state: 'finished',
    startedAt: 90,
    endedAt: 99,
    requestedByUser: 'bob',
    requestedBy: 'Bob',
    clientId: 'page-2',
    excerpt: 'fit(model)'
  })
];

const ADA = { username: 'ada', clientId: 'page-9' };

test('U3: notebooks that run come first; in each what runs, the queue, then the latest', () => {
  const [first, second] = groups(RECORDS);
  assert.equal(first.path, 'n.ipynb');
  assert.equal(ids(first.active), 'runs waits1 waits2');
  assert.equal(ids(first.over), 'done failed old');
  assert.deepEqual([first.done, first.total], [1, 4]);
  assert.equal(ids(second.over), 'other');
  assert.equal(second.total, 0);
});

test('U3: the filter finds words in notebook, code, person and error', () => {
  const found = (filter: Partial<IFilter>) =>
    groups(RECORDS, { ...NO_FILTER, ...filter }, ADA)
      .map(({ active, over }) => ids([...active, ...over]))
      .join(' ');
  assert.equal(found({ text: 'keyERR' }), 'failed');
  assert.equal(found({ text: 'bob  fit' }), 'other');
  assert.equal(found({ text: 'deep/b' }), 'other');
  assert.equal(found({ text: 'nowhere' }), '');
  assert.equal(found({ state: 'active' }), 'runs waits1 waits2');
  assert.equal(found({ state: 'failed' }), 'failed');
  assert.equal(found({ state: 'finished' }), 'other done old');
  assert.equal(found({ mine: true, state: 'finished' }), 'done old');
});

test('U3: progress of a notebook counts what the filter hides too', () => {
  const [group] = groups(RECORDS, { ...NO_FILTER, state: 'active' });
  assert.deepEqual([group.done, group.total], [1, 4]);
});

test('U3: mine is what I asked for, or this page', () => {
  const mine = { ...NO_FILTER, mine: true };
  assert.equal(groups(RECORDS, mine, { username: '', clientId: '' }).length, 0);
  assert.equal(
    groups(RECORDS, mine, { username: '', clientId: 'page-2' })[0].path,
    'sub/deep/b.ipynb'
  );
});

test('U3: places in queues are counted by kernel', () => {
  const places = placesInQueues([...RECORDS, record('alone', { kernelId: 'k3' })]);
  assert.equal(places.get('runs'), 0);
  assert.equal(places.get('waits2'), 2);
  assert.equal(places.get('alone'), 0);
  assert.equal(places.get('done'), undefined);
});

test('U3: counts', () => {
  const waiting = record('asks', { state: 'waiting_input' });
  assert.deepEqual(counts([...RECORDS, waiting]), { running: 1, queued: 2, waiting: 1 });
});

test('U2: files and the folders above them show what goes on', () => {
  const active = activities([
    ...RECORDS,
    record('deep', { path: 'sub/x/a.ipynb', state: 'running' }),
    record('asks', { path: 'sub/y/a.ipynb', state: 'waiting_input' }),
    record('next', { path: 'sub/y/a.ipynb' })
  ]);
  assert.equal(activityAt(active, 'n.ipynb', false), 'running');
  assert.equal(activityAt(active, 'sub/deep/b.ipynb', false), null);
  assert.equal(activityAt(active, 'sub/x', true), 'running');
  assert.equal(activityAt(active, 'sub', true), 'waiting');
  assert.equal(activityAt(active, 'su', true), null);
});
