import assert from 'node:assert/strict';
import { test } from 'node:test';

import { MOST_LINES, rows } from '../src/bars';
import { span, ticks } from '../src/timescale';
import { record } from './execution';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const NOON = Date.UTC(2026, 0, 2, 12);

test('U3: the timeline shows the latest activity, up to a long gap', () => {
  const shown = span(
    'latest',
    [
      { from: NOON - HOUR, to: NOON - HOUR + MINUTE },
      { from: NOON, to: NOON + MINUTE },
      { from: NOON + 2 * MINUTE, to: NOON + 3 * MINUTE }
    ],
    NOON + 5 * HOUR
  );
  assert.ok(shown.from <= NOON && shown.from > NOON - 2 * MINUTE);
  assert.ok(shown.to >= NOON + 3 * MINUTE && shown.to < NOON + 5 * MINUTE);
});

test('U3: the axis rests while something runs, and moves before it is full', () => {
  const running = [{ from: NOON, to: null }];
  let moves = 0;
  let last = '';
  for (let ms = SECOND; ms < 10 * MINUTE; ms += SECOND) {
    const shown = span('latest', running, NOON + ms);
    assert.ok(shown.from <= NOON && shown.to > NOON + ms);
    assert.ok(shown.to - shown.from < 2 * ms + 12 * SECOND, 'most of it is used');
    moves += JSON.stringify(shown) === last ? 0 : 1;
    last = JSON.stringify(shown);
  }
  assert.ok(moves < 40, `${moves} moves in 600 s`);
});

test('U3: a span up to now moves in steps; with nothing to show there is one too', () => {
  const shown = span(HOUR, [], NOON + 5 * SECOND);
  assert.deepEqual(shown, { from: NOON + MINUTE - HOUR, to: NOON + MINUTE });
  const empty = span('latest', [], NOON);
  assert.ok(empty.to > empty.from);
});

test('U3: ticks are at round times of the wall clock', () => {
  const hour = { from: NOON + 123, to: NOON + HOUR };
  assert.deepEqual(
    ticks(hour, 4, 0).map(({ at }) => (at - NOON) / MINUTE),
    [15, 30, 45, 60]
  );
  assert.equal(ticks(hour, 4, 0)[0].unit, 'minute');
  const zone = 5.5 * HOUR;
  const days = ticks({ from: NOON, to: NOON + 100 * HOUR }, 5, zone);
  assert.ok(days.every(({ at, unit }) => (at + zone) % (24 * HOUR) === 0 && unit === 'day'));
  assert.equal(ticks({ from: NOON, to: NOON + 10 * SECOND }, 3, 0)[1].unit, 'second');
  assert.equal(ticks({ from: NOON, to: NOON + HOUR }, 0, 0).length > 0, true);
});

const SPAN = { from: 0, to: 100 * SECOND };

test('U3: bars are to scale: where a cell waited, and where it ran', () => {
  const [row] = rows(
    [
      record('a', { state: 'finished', queuedAt: 0, startedAt: 10_000, endedAt: 30_000 }),
      record('b', { state: 'running', queuedAt: 0, startedAt: 30_000 }),
      record('c', { queuedAt: 20_000 }),
      record('early', { state: 'finished', queuedAt: -9000, startedAt: -8000, endedAt: -10 })
    ],
    ['d1'],
    SPAN,
    200,
    50_000
  );
  assert.equal(row.lines, 3);
  assert.deepEqual(
    row.bars.map(({ key, line, run, wait }) => ({ key, line, run, wait })),
    [
      { key: 'a', line: 0, wait: { x: 0, width: 20 }, run: { x: 20, width: 40 } },
      { key: 'b', line: 1, wait: { x: 0, width: 60 }, run: { x: 60, width: 40 } },
      { key: 'c', line: 2, wait: { x: 40, width: 60 }, run: null }
    ]
  );
});

test('U3: thousands of cells of one notebook are few bars in one line', () => {
  const many = Array.from({ length: 5000 }, (_, index) =>
    record(`e${index}`, {
      state: index === 2500 ? 'failed' : 'finished',
      queuedAt: 0,
      startedAt: index * 20,
      endedAt: index * 20 + 20
    })
  );
  const [row] = rows(many, ['d1'], SPAN, 200, 100_000);
  assert.equal(row.lines, 1);
  assert.ok(many.length > MOST_LINES && row.bars.length <= 3);
  assert.deepEqual(
    row.bars.map(({ state }) => state),
    ['finished', 'failed', 'finished']
  );
  assert.equal(
    row.bars.reduce((sum, { records }) => sum + records.length, 0),
    5000
  );
});

test('U3: rows come in the order of the list, without empty ones', () => {
  const found = rows(
    [record('a', { documentId: 'd2' }), record('b'), record('c', { documentId: 'd3' })],
    ['d1', 'd2', 'd4'],
    SPAN,
    200,
    50_000
  );
  assert.deepEqual(
    found.map(({ key }) => key),
    ['d1', 'd2']
  );
});
