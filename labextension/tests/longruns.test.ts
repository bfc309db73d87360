import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LongRuns } from '../src/longruns';
import { record } from './execution';

const ADA = { username: 'ada', clientId: 'page-1' };

function store(known: string[] = []) {
  const kept = { ids: known };
  return { kept, load: () => kept.ids, save: (ids: readonly string[]) => (kept.ids = [...ids]) };
}

const first = record('a', { state: 'finished', startedAt: 1000, endedAt: 5000 });
const running = record('b', { state: 'running', startedAt: 5000 });
const failed = record('b', { state: 'failed', startedAt: 5000, endedAt: 61_000 });
const never = record('c', { state: 'cancelled', endedAt: 61_000 });

test('U4: a run is told once, when all of it is over', () => {
  const runs = new LongRuns(store());
  assert.deepEqual(runs.update([first, running, record('c')], ADA), []);
  assert.deepEqual(runs.update([first, failed, record('c')], ADA), []);
  const [ended, ...more] = runs.update([first, failed, never], ADA);
  assert.equal(more.length, 0);
  assert.deepEqual(
    [ended.ranMs, ended.cells, ended.last.id, ended.path],
    [60_000, 3, 'b', 'n.ipynb']
  );
  assert.deepEqual(runs.update([first, failed, never], ADA), []);
});

test('U4: a run that ended while the page was reloaded is told by the new page', () => {
  const kept = store();
  new LongRuns(kept).update([running], ADA);
  assert.equal(new LongRuns(kept).update([failed], ADA).length, 1);
  assert.deepEqual(kept.kept.ids, []);
});

test('U4: what was over before this page, or is of someone else, is not told', () => {
  const runs = new LongRuns(store());
  const others = { requestedByUser: 'bob', clientId: 'page-2' };
  assert.deepEqual(runs.update([first, { ...running, ...others, requestId: 'r2' }], ADA), []);
  assert.deepEqual(runs.update([first, { ...failed, ...others, requestId: 'r2' }], ADA), []);
});

test('U4: the cell that is named is the last that ran', () => {
  const runs = new LongRuns(store(['r1']));
  const second = record('b', { state: 'finished', startedAt: 5000, endedAt: 6000 });
  const [ended] = runs.update([first, second, never], ADA);
  assert.deepEqual([ended.last.id, ended.ranMs], ['b', 5000]);
});
