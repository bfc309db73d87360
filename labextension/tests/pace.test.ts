import assert from 'node:assert/strict';
import { test } from 'node:test';

import { AHEAD_MS, DrawingPace, LONGEST_MS, REST_PER_MS } from '../src/pace';

test('what a short cell clears and prints is drawn at once', () => {
  const pace = new DrawingPace();
  assert.equal(pace.drew(8, 1000), 0);
  assert.equal(pace.drew(9, 1011), 0);
});

test('a flood leaves three times as much time as it takes', () => {
  const pace = new DrawingPace();
  let now = 0;
  let drawing = 0;
  for (let i = 0; i < 1000; i++) {
    const tookMs = 1 + (i % 40);
    now += tookMs;
    drawing += tookMs;
    now += pace.drew(tookMs, now);
  }
  assert.ok(drawing <= now / (1 + REST_PER_MS) + AHEAD_MS, `${drawing} of ${now} ms`);
});

test('time that nothing is drawn in pays off what is owed', () => {
  const pace = new DrawingPace();
  assert.equal(pace.drew(20, 20), 0);
  assert.equal(pace.drew(20, 40), 120);
  assert.equal(pace.drew(20, 500), 0);
});

test('a page that stood still goes on within a second', () => {
  const pace = new DrawingPace();
  assert.equal(pace.drew(5000, 5000), LONGEST_MS * REST_PER_MS);
});

test('of a flood nothing goes ahead', () => {
  const pace = new DrawingPace();
  assert.equal(pace.drew(5, 1000, true), 5 * REST_PER_MS);
  assert.equal(pace.drew(5, 1020), 0);
});
