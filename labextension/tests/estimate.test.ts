import assert from 'node:assert/strict';
import { test } from 'node:test';

import { estimateMs, roughly, usualDurations } from '../src/estimate';
import { record } from './execution';

test('U2: a cell usually takes the median of its last five finished runs', () => {
  const run = (ms: number, endedAt: number, state: 'finished' | 'failed' = 'finished') =>
    record(`${endedAt}`, { cellId: 'c', state, startedAt: endedAt - ms, endedAt });
  const usual = usualDurations([
    run(90_000, 100_000), // too long ago
    run(1000, 200_000),
    run(2000, 300_000),
    run(50_000, 400_000),
    run(3000, 500_000),
    run(4000, 600_000),
    run(9, 700_000, 'failed')
  ]);
  assert.deepEqual([...usual], [['c', 3000]]);
});

test('U2: what is left is what the cells usually take, less what has passed', () => {
  const entries = new Map([
    ['a', record('1', { state: 'finished', startedAt: 0, endedAt: 500 })],
    ['b', record('2', { state: 'running', startedAt: 500 })],
    ['c', record('3')]
  ]);
  const usual = new Map([
    ['b', 4000],
    ['c', 10_000]
  ]);
  assert.equal(estimateMs(entries, usual, 1500), 13_000);
  assert.equal(estimateMs(entries, usual, 5500), 10_000);
  assert.equal(estimateMs(entries, usual, 60_000), null, 'much longer than usual');
  assert.equal(estimateMs(entries, new Map([['b', 4000]]), 1500), null, 'a cell never seen');
});

test('U2: without earlier runs, the mean of this request so far stands for the rest', () => {
  const entries = new Map([
    ['a', record('1', { state: 'finished', startedAt: 0, endedAt: 1000 })],
    ['b', record('2', { state: 'finished', startedAt: 1000, endedAt: 4000 })],
    ['c', record('3', { state: 'running', startedAt: 4000 })],
    ['d', record('4')],
    ['other', record('5', { requestId: 'r0', state: 'finished', startedAt: 0, endedAt: 900_000 })]
  ]);
  assert.equal(estimateMs(entries, new Map(), 5000), 3000);
});

test('U2: nobody knows when a prompt is answered, nor what is left of nothing', () => {
  const waiting = record('1', { state: 'waiting_input', startedAt: 0 });
  assert.equal(estimateMs(new Map([['a', waiting]]), new Map([['a', 5000]]), 10), null);
  assert.equal(estimateMs(new Map(), new Map(), 10), null);
});

test('U2: an estimate is told in steps that rest', () => {
  assert.deepEqual(roughly(2000), { unit: 'soon', value: 0 });
  assert.deepEqual(roughly(12_000), { unit: 'seconds', value: 20 });
  assert.deepEqual(roughly(54_000), { unit: 'seconds', value: 60 });
  assert.deepEqual(roughly(56_000), { unit: 'minutes', value: 1 });
  assert.deepEqual(roughly(125_000), { unit: 'minutes', value: 2 });
  assert.deepEqual(roughly(3 * 3_600_000), { unit: 'hours', value: 3 });
});
