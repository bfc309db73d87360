import { strict as assert } from 'node:assert';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { PAUSE_MS, SLOWER, Typing } from '../src/typing';

beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 }));
afterEach(() => mock.timers.reset());

function drawing(typing: Typing, ms: number): () => number {
  let count = 0;
  typing.after(ms, () => count++);
  return () => count;
}

/** Letters for so long, each of them drawn after half of the time to the next. */
function type(typing: Typing, ms: number): void {
  for (let passed = 0; passed < ms; passed += 100) {
    typing.pressed();
    mock.timers.tick(50);
    typing.shown();
    mock.timers.tick(50);
  }
}

test('where nobody types it waits for its time alone', () => {
  const typing = new Typing();
  const drawn = drawing(typing, 100);
  mock.timers.tick(99);
  assert.equal(drawn(), 0);
  mock.timers.tick(1);
  assert.equal(drawn(), 1);
  mock.timers.tick(10_000);
  assert.equal(drawn(), 1);
});

test('while somebody types it waits longer, and then for a letter that is drawn', () => {
  const typing = new Typing();
  typing.pressed();
  const drawn = drawing(typing, 100);
  type(typing, 100 * SLOWER);
  assert.equal(drawn(), 0);
  typing.pressed();
  mock.timers.tick(50);
  assert.equal(drawn(), 0);
  typing.shown();
  assert.equal(drawn(), 1);
});

test('typing without end does not put it off for ever', () => {
  const typing = new Typing();
  let count = 0;
  const again = (): void => typing.after(50, () => (count++, again()));
  again();
  type(typing, 100 * 100);
  assert.ok(count >= (100 * 100) / (50 * SLOWER + 200), `${count}`);
});

test('a pause ends the wait', () => {
  const typing = new Typing();
  typing.pressed();
  const drawn = drawing(typing, 200);
  mock.timers.tick(PAUSE_MS - 1);
  assert.equal(drawn(), 0);
  mock.timers.tick(1);
  assert.equal(drawn(), 1);
});

test('what is about to be drawn waits for who begins to type', () => {
  const typing = new Typing();
  const drawn = drawing(typing, 100);
  mock.timers.tick(90);
  typing.pressed();
  mock.timers.tick(50);
  assert.equal(drawn(), 0);
});
